"""Network namespaces, one per Region, joined by an emulated wide-area network. Needs root on Linux.

The namespaces have no names: each lives as long as a process that waits for its standard input to end,
so that nothing is left behind, however this process ends.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import IO, Any

from testing.processes import stop
from testing.workloads import CLIENT, EAST, WEST

__all__ = ["ADDRESSES", "ROOT", "Link", "Network", "check_machine"]

ROOT = Path(__file__).parents[2]

#: Address of each Region, in its own namespace.
ADDRESSES: Mapping[str, str] = MappingProxyType({CLIENT: "10.77.0.1", EAST: "10.77.0.2", WEST: "10.77.0.3"})

#: That of Amazon's Transit Gateway between VPCs ("Quotas for your transit gateways", MTU).
_MTU = "8500"


@dataclass(frozen=True)
class Link:
    """What joins two Regions.

    Attributes
    ----------
    rtt
        Round trip in milliseconds.
    rate
        What each Region can send, to all others together, in Mbit/s.
    """

    rtt: float = 80.0
    rate: float = 200.0


def check_machine() -> str | None:
    """Return what this machine lacks, with the fix, or None."""
    if sys.platform != "linux":
        return "network namespaces are Linux's; run this in a Linux virtual machine"
    if os.geteuid() != 0:
        return "network namespaces and TUN devices need root; run: sudo make bench-wan"
    missing = [name for name in ("ip", "nsenter", "setpriv", "unshare") if not shutil.which(name)]
    if missing:
        return f"{', '.join(missing)} not found; run: apt-get install iproute2 util-linux"
    if not Path("/dev/net/tun").exists():
        return "/dev/net/tun is missing; run: modprobe tun (a container needs --device /dev/net/tun)"
    return None


class Network:
    """Namespaces, and the router between them.

    Parameters
    ----------
    link
        The same between all Regions.
    log
        Gets what the router and the processes in the namespaces say.
    """

    def __init__(self, link: Link, log: IO[bytes]) -> None:
        self._log = log
        self._processes: list[subprocess.Popen[bytes]] = []
        self._inside: list[subprocess.Popen[bytes]] = []
        self._holders: dict[str, subprocess.Popen[bytes]] = {}
        try:
            for region in ADDRESSES:
                # It says when its namespace is there.
                holder = self._popen(["unshare", "--net", "sh", "-c", "echo ready; exec cat"], pipe=True)
                _readline(holder)
                self._holders[region] = holder
            nodes = [f"{region}:{ADDRESSES[region]}:{holder.pid}" for region, holder in self._holders.items()]
            router = [sys.executable, "-m", "benchmarks.wan.router", str(link.rtt), str(link.rate), _MTU]
            self._router = self._popen([*router, *nodes], pipe=True)
            _readline(self._router)
        except BaseException:
            self.close()
            raise

    def sent(self) -> dict[tuple[str, str], int]:
        """Return the bytes of IP packets that each Region has sent to each other so far."""
        assert self._router.stdin is not None
        self._router.stdin.write(b"sent\n")
        self._router.stdin.flush()
        return {(source, target): nbytes for source, target, nbytes in json.loads(_readline(self._router))}

    def start(
        self, region: str, arguments: Sequence[str], environment: Mapping[str, str], *, pipe: bool = False
    ) -> subprocess.Popen[bytes]:
        """Start a Python module with arguments in a Region; it ends at the latest with the network."""
        inside = ["nsenter", f"--net=/proc/{self._holders[region].pid}/ns/net", sys.executable, "-m"]
        process = self._popen([*inside, *arguments], {"AWS_REGION": region, **environment}, pipe=pipe)
        self._inside.append(process)
        return process

    def pause(self) -> None:
        """Freeze what runs in the Regions; the kernel keeps its connections."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let what :meth:`pause` froze go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        for process in self._inside:
            if process.poll() is None:
                process.send_signal(number)

    def close(self) -> None:
        """Stop what was started, last first."""
        self.resume()
        for process in reversed(self._processes):
            stop(process)
        self._processes.clear()

    def __enter__(self) -> Network:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def _popen(
        self, arguments: Sequence[str], environment: Mapping[str, str] | None = None, *, pipe: bool
    ) -> subprocess.Popen[bytes]:
        # Ctrl-C is for this process, which stops the others in order; they also end if it is killed.
        streams: dict[str, Any] = (
            {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
            if pipe
            else {"stdin": subprocess.DEVNULL, "stdout": self._log}
        )
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", *arguments],
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
            stderr=self._log,
            start_new_session=True,
            **streams,
        )
        self._processes.append(process)
        return process


def _readline(process: subprocess.Popen[bytes]) -> bytes:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"{process.args!r} ended with status {process.wait()}; see the log")
    return line
