"""Say whether a container is healthy: ``python -m dask_regions.placement.processes.health scheduler|worker``.

The exit code is 0 where it is, and 1 with a line on standard error where it is not. Health checks of
ECS and Docker start it in the container every 30 s, so it imports nothing of Dask.

A scheduler is healthy if its web server answers ``/health``. A worker's container is healthy if every
port of Dask's on which its command listens (a nanny's, or a worker's that has none) takes part in
Dask's handshake: the event loop runs. One that listens nowhere yet waits for its configuration or
for the scheduler, and is healthy: to replace it would not bring either.
"""

from __future__ import annotations

import socket
import sys
import urllib.request
from collections.abc import Iterator, Mapping, Sequence

import psutil

from dask_regions.names import NANNY_PORTS, WORKER_PORTS
from dask_regions.settings import Settings, process_environment

__all__ = ["check", "check_scheduler", "check_worker", "main"]

_ANSWER_SECONDS = 4.0
#: Silence after which a handshake message is taken to be complete.
_SILENCE_SECONDS = 0.1
#: Argument by which the container's command is known; an init process may have started it.
_WORKER_MODULE = "dask_regions.placement.processes.worker"


def check_scheduler(environ: Mapping[str, str]) -> None:
    """Ask the scheduler's web server, at ``DASHBOARD_PORT`` of ``HOST``, whether it is there.

    Raises
    ------
    OSError
        Where it does not answer 200 within 4 s.
    """
    settings = Settings.from_environment(environ)
    url = f"http://{settings.host or '127.0.0.1'}:{settings.dashboard_port}/health"
    with urllib.request.urlopen(url, timeout=_ANSWER_SECONDS):
        pass


def check_worker() -> None:
    """Shake hands with the container's command on every port of workers and nannies on which it listens.

    Raises
    ------
    OSError
        Where a port says nothing within 4 s, or the command does not run.
    psutil.Error
        Where the command has ended meanwhile, or is another user's.
    """
    commands = [process for process in psutil.process_iter() if _WORKER_MODULE in _command_line(process)]
    if not commands:
        raise ProcessLookupError(f"no process runs {_WORKER_MODULE}")
    for command in commands:
        for address in _listening(command):
            _shake_hands(address)


def _command_line(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def _listening(process: psutil.Process) -> Iterator[tuple[str, int]]:
    for connection in process.net_connections(kind="tcp"):
        host, port = connection.laddr
        ours = any(first <= port <= last for first, last in (WORKER_PORTS, NANNY_PORTS))
        if connection.status == psutil.CONN_LISTEN and ours:
            yield {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), port  # noqa: S104  it is connected to


def _shake_hands(address: tuple[str, int]) -> None:
    """Return Dask's own greeting to it, because what hangs up before is logged by each check.

    Source: ``Listener.on_connection`` in distributed 2026.8.0: it writes its greeting, then reads ours;
    ``tests/contract/test_health_hooks.py``.
    """
    with socket.create_connection(address, timeout=_ANSWER_SECONDS) as connection:
        greeting = connection.recv(65536)
        if not greeting:
            raise ConnectionResetError(f"{address[0]}:{address[1]} closed the connection without a greeting")
        connection.settimeout(_SILENCE_SECONDS)
        try:
            while more := connection.recv(65536):
                greeting += more
        except TimeoutError:
            connection.sendall(greeting)


def check(kind: str, environ: Mapping[str, str]) -> str | None:
    """Return what is wrong with the container of a ``scheduler`` or ``worker``, or None."""
    try:
        if kind == "scheduler":
            check_scheduler(environ)
        else:
            check_worker()
    except (OSError, psutil.Error) as error:
        return f"the {kind} does not answer: {error}"
    return None


def main(arguments: Sequence[str]) -> int:
    """Run the check that the one argument names; returns the exit code."""
    if len(arguments) != 1 or arguments[0] not in {"scheduler", "worker"}:
        sys.stderr.write("name what is checked: scheduler or worker\n")
        return 2
    problem = check(arguments[0], process_environment())
    if problem:
        sys.stderr.write(f"{problem}\n")
    return int(problem is not None)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
