"""Scheduler and workers as processes, started as ECS starts them: demand, token, and scale-in."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import urllib3
from distributed import Client, Future, wait

from dask_regions.aws.scheduler import SchedulerClient
from dask_regions.errors import ConfigurationError, UnavailableError
from testing import processes
from testing.waiting import WAIT_SECONDS, wait_until

pytestmark = pytest.mark.cluster

WEST, EAST = "us-west-2", "us-east-1"
TOKEN = "a token"


class Processes:
    """The processes of one test; all of them have ended when the test has."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._started: list[subprocess.Popen[bytes]] = []

    def start(self, module: str, **environment: str) -> subprocess.Popen[bytes]:
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "DASK_"))
        }
        log = (self._directory / f"{len(self._started)}.log").open("wb")
        with log:
            process = processes.start(
                [sys.executable, "-m", f"dask_regions.placement.processes.{module}"],
                env=inherited | {"AWS_EC2_METADATA_DISABLED": "true"} | environment,
                cwd=self._directory,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self._started.append(process)
        return process

    def stop(self) -> None:
        # The workers first: one that is told to stop while its scheduler stops waits for it in vain.
        scheduler, workers = self._started[:1], self._started[1:]
        for group in (workers, scheduler):
            for process in group:
                if process.poll() is None:
                    process.terminate()
            for process in group:
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()

    def logs(self) -> str:
        return "\n".join(path.read_text() for path in sorted(self._directory.glob("*.log")))


class Metadata(ThreadingHTTPServer):
    """ECS's task metadata endpoint, version 4."""

    daemon_threads = True

    class _Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            _, task, resource = self.path.split("/")
            assert resource == "task"
            self.send_response(200)
            self.end_headers()
            self.wfile.write(f'{{"TaskARN": "arn:aws:ecs:{WEST}:123456789012:task/demo/{task}"}}'.encode())

        def log_message(self, *args: Any) -> None:
            pass

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), self._Handler)


class System:
    def __init__(self, processes: Processes, metadata: Metadata, directory: Path) -> None:
        self.processes, self._metadata, self._directory = processes, metadata, directory
        self.port, self.dashboard = _free_ports()
        self.url = f"http://127.0.0.1:{self.dashboard}"

    def start_scheduler(self, **environment: str) -> subprocess.Popen[bytes]:
        datasets = self._directory / "datasets.yaml"
        datasets.write_text(
            "regions:\n"
            "  - {name: eu-west-2, client: true, cidr: 10.0.0.0/16}\n"
            "  - {name: us-west-2, cidr: 10.1.0.0/16, pool: {minimum_tasks: 0, maximum_tasks: 3}}\n"
            "  - {name: us-east-1, cidr: 10.2.0.0/16, pool: {minimum_tasks: 0, maximum_tasks: 3}}\n"
        )
        settings = {
            "HOST": "127.0.0.1",
            "SCHEDULER_PORT": str(self.port),
            "DASHBOARD_PORT": str(self.dashboard),
            "SCHEDULER_TOKEN": TOKEN,
            "DATASETS_FILE": str(datasets),
            "AWS_REGION": "eu-west-2",
            "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "PUBLISH_SECONDS": "0.5",
        }
        return self.processes.start("scheduler", **(settings | environment))

    def start_worker(self, task: str, region: str = WEST, **environment: str) -> subprocess.Popen[bytes]:
        metadata = f"http://127.0.0.1:{self._metadata.server_address[1]}/{task}"
        settings = {
            "AWS_REGION": region,
            "DASK_SCHEDULER_ADDRESS": self.address,
            "ECS_CONTAINER_METADATA_URI_V4": metadata,
        }
        return self.processes.start("worker", **(settings | environment))

    @property
    def address(self) -> str:
        return f"tcp://127.0.0.1:{self.port}"

    @property
    def routes(self) -> SchedulerClient:
        return SchedulerClient(self.url, lambda: TOKEN)

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait for a condition, also while nothing answers yet."""

        def holds() -> bool:
            try:
                return condition()
            except UnavailableError:
                return False

        wait_until(holds, self.processes.logs)

    def until_connected(self, region: str, ecs_tasks: int) -> None:
        self.until(lambda: self.routes.demand(region).ecs_tasks == ecs_tasks)


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    processes = Processes(tmp_path)
    with ExitStack() as stack:
        metadata = stack.enter_context(Metadata())
        thread = threading.Thread(target=metadata.serve_forever)
        thread.start()
        stack.callback(thread.join)
        stack.callback(metadata.shutdown)
        stack.callback(processes.stop)
        yield System(processes, metadata, tmp_path)


def _free_ports() -> tuple[int, int]:
    with socket.socket() as first, socket.socket() as second:
        first.bind(("127.0.0.1", 0))
        second.bind(("127.0.0.1", 0))
        return first.getsockname()[1], second.getsockname()[1]


def _by_value() -> Callable[[float, int], int]:
    # Workers cannot import this module; what is defined in a function is pickled by value.
    def sleep(seconds: float, number: int) -> int:
        time.sleep(seconds)
        return number

    return sleep


_sleep = _by_value()


def _connects(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _in(region: str) -> dict[str, Any]:
    return {"resources": {f"region-{region}": 0}, "pure": False}


def _holders(client: Client, future: Future[Any]) -> set[str]:
    return set(client.who_has([future])[future.key])


def _names(client: Client) -> dict[str, str]:
    return {address: info["name"] for address, info in client.scheduler_info(n_workers=-1)["workers"].items()}


def test_scale_in_moves_results_within_the_pool_and_loses_none(system: System) -> None:
    system.start_scheduler()
    workers = {task: system.start_worker(task) for task in ("1111", "2222")}
    east = system.start_worker("3333", EAST)
    system.until_connected(WEST, 2)
    system.until_connected(EAST, 1)
    with Client(system.address) as client:
        names = _names(client)
        assert sorted(names.values()) == [f"{EAST}.3333-0", f"{WEST}.1111-0", f"{WEST}.2222-0"]
        by_name = {name: address for address, name in names.items()}
        # The larger result keeps 1111 in the pool; 2222 is the cheaper one to empty.
        large = client.submit(bytes, 10**6, key="large", workers=by_name[f"{WEST}.1111-0"], **_in(WEST))
        small = client.submit(_sleep, 0, 42, key="small", workers=by_name[f"{WEST}.2222-0"], **_in(WEST))
        wait([large, small])
        assert _holders(client, small) == {by_name[f"{WEST}.2222-0"]}

        assert system.routes.retire(WEST, 1) == ["2222"]
        assert system.routes.retire(WEST, 1) == ["2222"], "repeated, it takes no other"
        demand = system.routes.demand(WEST)
        assert (demand.ecs_tasks, demand.retiring) == (1, ("2222",))
        assert workers["2222"].poll() is None, "it waits for ECS to stop it"
        holders = _holders(client, small)
        assert by_name[f"{WEST}.1111-0"] in holders
        assert by_name[f"{EAST}.3333-0"] not in holders, "results stay in their Region"

        workers["2222"].send_signal(signal.SIGTERM)
        assert workers["2222"].wait(WAIT_SECONDS) == 0
        system.until(lambda: system.routes.demand(WEST).retiring == ())
        assert small.status == "finished"
        assert (small.result(), len(large.result())) == (42, 10**6)

        assert system.routes.retire(WEST, 1) == [], "nothing else in this Region could hold the results"
        assert client.submit(_sleep, 0, 7, **_in(WEST)).result() == 7, "it takes work again"
    assert east.poll() is None


def test_what_a_retired_worker_has_not_started_runs_in_its_pool(system: System) -> None:
    system.start_scheduler()
    for task in ("1111", "2222"):
        system.start_worker(task)
    system.until_connected(WEST, 2)
    with Client(system.address) as client:
        futures = client.map(_sleep, [0.2] * 40, range(40), **_in(WEST))
        system.until(lambda: system.routes.demand(WEST).runnable >= 30)
        (retired,) = system.routes.retire(WEST, 1)
        assert client.gather(futures) == list(range(40))
        retired_address = next(a for a, name in _names(client).items() if name == f"{WEST}.{retired}-0")
        assert all(retired_address not in holders for holders in client.who_has(futures).values())


def test_demand_counts_work_of_each_region_and_not_what_waits_for_it(system: System) -> None:
    system.start_scheduler(WORKERS_PER_TASK="2", THREADS_PER_WORKER="3")
    system.start_worker("1111", WORKERS_PER_TASK="2", THREADS_PER_WORKER="3")
    system.until(lambda: system.routes.demand(WEST).workers == 2)
    with Client(system.address) as client:
        assert sorted(_names(client).values()) == [f"{WEST}.1111-0", f"{WEST}.1111-1"]
        rest = system.routes.demand(WEST)
        assert (rest.ecs_tasks, rest.threads, rest.threads_per_ecs_task, rest.runnable) == (1, 6, 6, 0)
        assert rest.memory_limit > 0
        absent = client.map(_sleep, [0] * 20, range(20), **_in(EAST))
        later = client.submit(sum, absent, **_in(EAST))
        system.until(lambda: system.routes.demand(EAST).unassigned == 20)
        east = system.routes.demand(EAST)
        assert (east.ecs_tasks, east.runnable, east.threads_per_ecs_task) == (0, 20, 6)
        assert east.seconds == pytest.approx(20 * 0.5), "unknown durations count as Dask's default"
        assert system.routes.demand(WEST).runnable == 0
        del absent, later


def test_routes_want_the_token(system: System) -> None:
    scheduler = system.start_scheduler()
    system.until(lambda: system.routes.demand(WEST).ecs_tasks == 0)
    with pytest.raises(ConfigurationError, match="refuses the token"):
        SchedulerClient(system.url, lambda: "another").demand(WEST)
    pools = f"{system.url}/dask-regions/pools"
    assert urllib3.request("GET", pools).status == 401
    assert urllib3.request("POST", f"{pools}/{WEST}/retire", json={"tasks": 1}).status == 401
    given = {"Authorization": f"Bearer {TOKEN}"}
    wrong: tuple[object, ...] = ({"tasks": -1}, {"tasks": "many"}, {}, [])
    for body in wrong:
        answer = urllib3.request("POST", f"{pools}/{WEST}/retire", json=body, headers=given)
        assert answer.status == 400, body
    nowhere = urllib3.request("POST", f"{pools}/mars-1/retire", json={"tasks": 1}, headers=given)
    assert nowhere.status == 404
    assert urllib3.request("GET", f"{system.url}/health").status == 200, "Dask's own routes stay"
    system.until(lambda: system.processes.logs().count("cannot be published") >= 2)
    scheduler.send_signal(signal.SIGINT)
    assert scheduler.wait(WAIT_SECONDS) == 0
    lines = [line for line in system.processes.logs().splitlines() if "cannot be published" in line]
    assert len(lines) == 2, "a failure is logged once for each Region"


def test_without_a_token_the_routes_refuse(system: System) -> None:
    system.start_scheduler(SCHEDULER_TOKEN="")
    system.until(lambda: _connects(system.dashboard))
    answer = urllib3.request("GET", f"{system.url}/dask-regions/pools", headers={"Authorization": "Bearer "})
    assert answer.status == 503
    assert "SCHEDULER_TOKEN" in answer.json()["message"]
