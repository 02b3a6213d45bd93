"""A Docker engine: the one that runs on this machine, or Debian's, started for a while.

What is started keeps its images in ``.cache/containers`` and changes nothing of the machine's network: it
makes no bridge and no rules, so its containers have the host's network or none.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dask_regions.errors import UnavailableError
from testing import processes
from testing.waiting import wait_until

__all__ = ["ROOT", "Engine", "running"]

ROOT = Path(__file__).parents[2]
#: Debian's own programs: another client, e.g. without BuildKit, may come first on PATH.
_CLIENT, _DAEMON = "/usr/bin/docker", "/usr/sbin/dockerd"
#: Seconds for the engine to end its containers and itself.
_STOP_SECONDS = 60.0


@dataclass(frozen=True)
class Engine:
    """A Docker engine that answers.

    Attributes
    ----------
    client
        The command ``docker`` with the options that name the engine.
    ours
        Whether it was started here; then it reaches no registry of images.
    """

    client: tuple[str, ...]
    ours: bool

    def command(self, *arguments: str) -> list[str]:
        """Return a command of ``docker``, for :mod:`subprocess`."""
        return [*self.client, *arguments]

    def docker(self, *arguments: str, **options: str) -> str:
        """Run a command of ``docker`` and return what it prints.

        Parameters
        ----------
        arguments
            After ``docker``.
        options
            Environment variables of the command.

        Raises
        ------
        UnavailableError
            Where it fails; the message ends with the last lines of what it wrote.
        """
        command = self.command(*arguments)
        done = subprocess.run(
            command, cwd=ROOT, env={**os.environ, **options}, capture_output=True, text=True
        )
        if done.returncode:
            raise UnavailableError(f"docker {' '.join(arguments)}: {done.stderr[-2000:].strip()}")
        return done.stdout.strip()


@contextmanager
def running() -> Iterator[Engine]:
    """Yield an engine; one that was started for it ends after, with its containers.

    Raises
    ------
    UnavailableError
        Where none answers and none can be started.
    """
    if _answers(("docker",)):
        yield Engine(("docker",), ours=False)
        return
    installed = subprocess.run([ROOT / "tools" / "install-docker"], capture_output=True, text=True)
    if installed.returncode or os.geteuid():
        cure = "start Docker, or run this as root, which starts an engine of its own"
        raise UnavailableError(installed.stderr.strip() or f"no Docker engine answers: {cure}")
    # Paths of sockets have to be short.
    directory = Path(tempfile.mkdtemp(prefix="engine-"))
    client = (_CLIENT, "--host", f"unix://{directory}/docker.sock")
    try:
        with (directory / "log").open("wb") as log:
            daemon = processes.start(_daemon(directory), stdout=log, stderr=log)
        try:
            wait_until(
                lambda: _answers(client) or daemon.poll() is not None,
                lambda: (directory / "log").read_text()[-3000:],
                each_seconds=0.5,
            )
            if daemon.poll() is not None:
                raise UnavailableError(f"dockerd ended: {(directory / 'log').read_text()[-3000:]}")
            yield Engine(client, ours=True)
        finally:
            daemon.terminate()
            daemon.wait(_STOP_SECONDS)
            # It leaves the host's network namespace mounted, where a container has had it.
            for mounted in (directory / "exec" / "netns").glob("*"):
                subprocess.run(["umount", "--lazy", mounted], capture_output=True, check=False)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _daemon(directory: Path) -> list[str]:
    images = ROOT / ".cache" / "containers" / "engine"
    images.mkdir(parents=True, exist_ok=True)
    return [
        _DAEMON,
        *("--data-root", str(images), "--exec-root", str(directory / "exec")),
        *("--pidfile", str(directory / "pid"), "--host", f"unix://{directory}/docker.sock"),
        *("--bridge", "none", "--iptables=false", "--ip-masq=false", "--shutdown-timeout", "5"),
    ]


def _answers(client: tuple[str, ...]) -> bool:
    if not shutil.which(client[0]):
        return False
    done = subprocess.run([*client, "info"], capture_output=True)
    return done.returncode == 0
