"""Who is healthy: who answers, and who still waits for others."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from dask_regions.names import WORKER_PORTS
from dask_regions.placement.processes import health
from testing import processes

#: Listens on the first free port of those given, prints its number, and says nothing to who connects.
SILENT = """
import socket, sys, time
for port in range(int(sys.argv[1]), int(sys.argv[2]) + 1):
    listener = socket.socket()
    try:
        listener.bind(("127.0.0.1", port))
    except OSError:
        continue
    listener.listen()
    break
print(port, flush=True)
time.sleep(600)
"""


@contextmanager
def command(code: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run what the health check takes for the command of a container of workers."""
    with processes.start(
        [sys.executable, "-c", code, *arguments, "a stand-in for workers"], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture(autouse=True)
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_WORKER_MODULE", "a stand-in for workers")
    monkeypatch.setattr(health, "_ANSWER_SECONDS", 0.5)


def test_workers_that_listen_nowhere_yet_are_healthy() -> None:
    with command("import time; print('ready', flush=True); time.sleep(600)") as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert health.check("worker", {}) is None


def test_workers_that_take_connections_and_say_nothing_are_not_healthy() -> None:
    with command(SILENT, *map(str, WORKER_PORTS)) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert health.check("worker", {}) == "the worker does not answer: timed out"


def test_a_container_without_workers_is_not_healthy() -> None:
    assert health.check("worker", {}) == "the worker does not answer: no process runs a stand-in for workers"


def test_a_scheduler_whose_web_server_does_not_answer_is_not_healthy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        problem = health.check("scheduler", {"HOST": "127.0.0.1", "DASHBOARD_PORT": str(port)})
    assert problem == "the scheduler does not answer: timed out"


def test_what_is_checked_has_to_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert health.main(["pool"]) == 2
    assert capsys.readouterr().err == "name what is checked: scheduler or worker\n"
    assert health.main(["worker"]) == 1
