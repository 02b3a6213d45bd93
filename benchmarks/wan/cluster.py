"""A peer's scheduler and workers on a network of their own, and the session that uses them."""

from __future__ import annotations

import json
import queue
import subprocess
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from benchmarks.wan.network import ADDRESSES, Link, Network
from benchmarks.wan.peers import PORT, Peer
from testing.processes import stop
from testing.workloads import CLIENT

__all__ = ["Cluster", "TimeLimitError"]

_SCHEDULER = f"tcp://{ADDRESSES[CLIENT]}:8786"
_SECONDS_TO_START = 180.0
_SECONDS_TO_RESUME = 2.0
# Longer than the runs of all other peers, during which a cluster is frozen.
_FROZEN = {"DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "1h"}
_LINES_OF_LOG = 40


class TimeLimitError(Exception):
    """A run took longer than allowed."""


class Cluster:
    """A peer, ready to run workloads.

    Parameters
    ----------
    peer
        Says what to start.
    link
        Between the Regions; no bytes of other peers are on it.
    stores
        Path of each dataset.
    expected
        Path of each workload's result, as ``numpy.save`` wrote it.
    directory
        For logs and what workers spill.
    """

    def __init__(
        self,
        peer: Peer,
        link: Link,
        stores: Mapping[str, Path],
        expected: Mapping[str, Path],
        directory: Path,
    ) -> None:
        self._peer, self._link, self._directory = peer, link, directory
        self._datasets = {name: str(path) for name, path in stores.items()}
        self._expected = {name: str(path) for name, path in expected.items()}
        directory.mkdir(parents=True)
        self.log = directory / "log"
        self._log = self.log.open("ab")
        self._network = Network(link, self._log)
        self._session: _Session | None = None
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    def pause(self) -> None:
        """Freeze the cluster: idle, its 6 processes would take a fifth of a core from the others."""
        self._network.pause()

    def resume(self) -> None:
        """Let a frozen cluster go on, and wait for the heartbeats that it owes."""
        self._network.resume()
        time.sleep(_SECONDS_TO_RESUME)

    def run(self, workload: str, seconds: float, *, trace: bool = False) -> dict[str, Any]:
        """Run a workload once, and count what crossed meanwhile.

        Returns
        -------
        dict
            What the session measured, and ``wire``: (sender, receiver, bytes) of the IP packets.

        Raises
        ------
        TimeLimitError
            After so many seconds; the session was replaced, and its tasks are forgotten.
        """
        try:
            self._session = self._session or self._start_session()
            self._session.tell({"workload": workload, "trace": trace})
            self._session.hear(_SECONDS_TO_START)  # datasets are open
            before = self._network.sent()
            self._session.tell({})
            done = self._session.hear(seconds)
            # What the workers and the scheduler still have to say about it.
            time.sleep(4 * self._link.rtt / 1e3)
            after = self._network.sent()
            self._session.tell({})
            report = self._session.hear(_SECONDS_TO_START)
        except queue.Empty:
            self._forget_session()
            raise TimeLimitError(f"no result after {seconds:.0f} s") from None
        except EOFError as error:
            self._forget_session()
            end = "\n".join(self.log.read_text().splitlines()[-_LINES_OF_LOG:])
            raise RuntimeError(f"{self._peer.name}: {error}; the end of its log:\n{end}") from error
        wire = [[*pair, after[pair] - before.get(pair, 0)] for pair in sorted(after)]
        return {**done, **report, "wire": wire}

    def close(self) -> None:
        """Stop everything."""
        self._forget_session()
        self._network.close()
        self._log.close()

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def _start(self) -> None:
        preload = (
            ["--preload", "dask_regions.placement.processes.scheduler_preload"]
            if self._peer.placement
            else []
        )
        scheduler = ["distributed.cli.dask_scheduler", "--host", ADDRESSES[CLIENT], "--port", "8786"]
        self._network.start(
            CLIENT, [*scheduler, "--no-dashboard", *preload], {**self._peer.environment, **_FROZEN}
        )
        preload = (
            ["--preload", "dask_regions.placement.processes.worker_preload"] if self._peer.placement else []
        )
        for region, workers in self._peer.pools.items():
            for number in range(workers):
                worker = ["distributed.cli.dask_worker", _SCHEDULER, "--host", ADDRESSES[region]]
                worker += ["--name", f"{region}.{number}", "--nthreads", "1", "--no-nanny", "--no-dashboard"]
                worker += ["--resources", f"region-{region}=1", "--memory-limit", "4GiB"]
                worker += ["--local-directory", str(self._directory / f"{region}-{number}")]
                self._network.start(region, [*worker, *preload], {})
        for region, address in ADDRESSES.items():
            if region not in self._peer.pools:
                folder = str(Path(next(iter(self._datasets.values()))).parent)
                self._network.start(region, ["benchmarks.wan.fileserver", address, str(PORT), folder], {})
        self._session = self._start_session()

    def _forget_session(self) -> None:
        if self._session is not None:
            self._session.close()
        self._session = None

    def _start_session(self) -> _Session:
        session = _Session(self._network.start(CLIENT, ["benchmarks.wan.session"], {}, pipe=True))
        session.tell(
            {
                "peer": self._peer.name,
                "scheduler": _SCHEDULER,
                "stores": self._datasets,
                "expected": self._expected,
            }
        )
        try:
            session.hear(_SECONDS_TO_START)
        except queue.Empty:
            raise RuntimeError(f"{self._peer.name} did not start; see {self.log}") from None
        return session


class _Session:
    """The other end of a process that runs ``benchmarks.wan.session``: one JSON document a line."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._heard: queue.Queue[bytes] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()

    def tell(self, message: Mapping[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message).encode() + b"\n")
        self._process.stdin.flush()

    def hear(self, seconds: float) -> dict[str, Any]:
        line = self._heard.get(timeout=seconds)
        if not line:
            raise EOFError(f"the session ended with status {self._process.wait()}")
        heard: dict[str, Any] = json.loads(line)
        return heard

    def close(self) -> None:
        stop(self._process)

    def _listen(self) -> None:
        assert self._process.stdout is not None
        line = b"-"
        while line:
            line = self._process.stdout.readline()
            self._heard.put(line)
