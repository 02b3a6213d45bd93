"""Workers as ECS starts them: real processes, the ports that the templates open, a scheduler that is late."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import distributed
import pytest

from testing.processes import start
from testing.waiting import wait_until


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Processes:
    """Processes of scheduler and workers, which write a log each."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._started: list[subprocess.Popen[Any]] = []
        self.port = free_port()
        self.address = f"tcp://127.0.0.1:{self.port}"

    def start(self, name: str, **environment: str) -> subprocess.Popen[Any]:
        variables = {
            **os.environ,
            "AWS_REGION": "us-west-2",
            "DASK_SCHEDULER_ADDRESS": self.address,
            "DASK_TEMPORARY_DIRECTORY": str(self._directory),
            "HOST": "127.0.0.1",
            "SCHEDULER_PORT": str(self.port),
            "DASHBOARD_PORT": str(free_port()),
            **environment,
        }
        command = [sys.executable, "-m", f"dask_regions.placement.processes.{name}"]
        with (self._directory / f"{name}.log").open("wb") as log:
            process = start(command, env=variables, cwd=self._directory, stdout=log, stderr=subprocess.STDOUT)
        self._started.append(process)
        return process

    def log(self, name: str) -> str:
        return (self._directory / f"{name}.log").read_text()

    def close(self) -> None:
        for process in self._started[::-1]:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    started = Processes(tmp_path)
    yield started
    started.close()


@pytest.fixture
def ports() -> tuple[str, str]:
    """Return ranges of the size that the templates open, where no other test's workers are."""
    first = 20000 + os.getpid() % 50 * 200
    return f"{first}:{first + 63}", f"{first + 100}:{first + 163}"


def within(port: int, ports: str) -> bool:
    first, last = map(int, ports.split(":"))
    return first <= port <= last


def test_ten_workers_of_an_ecs_task_listen_in_the_open_ports(
    processes: Processes, ports: tuple[str, str]
) -> None:
    processes.start("scheduler")
    processes.start("worker", WORKERS_PER_TASK="10", WORKER_PORTS=ports[0], NANNY_PORTS=ports[1])
    with distributed.Client(processes.address, timeout=60) as client:
        client.wait_for_workers(10, timeout=180)
        workers = client.scheduler_info(n_workers=-1)["workers"]
    assert len(workers) == 10
    for address, worker in workers.items():
        assert within(int(address.rpartition(":")[2]), ports[0])
        assert within(int(worker["nanny"].rpartition(":")[2]), ports[1])


def test_workers_wait_for_a_scheduler_that_comes_later(processes: Processes, ports: tuple[str, str]) -> None:
    worker = processes.start("worker", WORKER_PORTS=ports[0])
    wait_until(lambda: "does not answer on port" in processes.log("worker"), "it says what it waits for")
    assert worker.poll() is None
    processes.start("scheduler")
    with distributed.Client(processes.address, timeout=60) as client:
        client.wait_for_workers(1, timeout=120)
    assert processes.log("worker").count("waits for the scheduler") == 1


def test_a_worker_that_waits_ends_when_ecs_stops_it(processes: Processes, ports: tuple[str, str]) -> None:
    worker = processes.start("worker", WORKER_PORTS=ports[0])
    wait_until(lambda: "waits for the scheduler" in processes.log("worker"), "it waits")
    worker.terminate()
    assert worker.wait(30) == 0
