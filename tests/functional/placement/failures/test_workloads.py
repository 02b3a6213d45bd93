"""The benchmark's workloads while workers and pools die: the right result, or an error that names the pool.

One combination runs with all tests, the rest with ``make test-faults``.
"""

from __future__ import annotations

import queue
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from distributed import Client

import dask_regions
from dask_regions.client.connect import connect
from dask_regions.errors import EmptyPoolError
from testing.waiting import WAIT_SECONDS
from testing.workload_data import VARIABLE, item, make
from testing.workloads import CLIENT, EAST, REGIONS, SMALL_SIZE, WEST, WORKLOADS, Workload

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.xdist_group("placement"),
    # flox 0.11.2 asks for it in its module xrdtypes when it is imported.
    pytest.mark.filterwarnings("ignore:The 'generic' unit for NumPy timedelta:DeprecationWarning"),
]

_TOPIC = "test-progress"
#: `no-workers-timeout` of a pool that does not come back.
_NO_WORKERS_SECONDS = 5.0


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return make(tmp_path_factory.mktemp("wan"), SMALL_SIZE)


class Run:
    """A computation on a cluster of its own that tells when a part of its tasks is done."""

    def __init__(self, cluster: Any, client: Client, stores: dict[str, Path], workload: Workload) -> None:
        self.cluster, self.client = cluster, client
        self._progress: queue.Queue[object] = queue.Queue()
        self.east: list[subprocess.Popen[bytes]] = cluster.processes[1:3]
        self._there = [
            dask_regions.open_dataset(item(stores[name], REGIONS[name]), client)[VARIABLE]
            for name in workload.datasets
        ]
        here = [xr.open_zarr(stores[name], chunks=None)[VARIABLE] for name in workload.datasets]
        self._build, self.expected = workload.build, workload.build(*here)
        client.subscribe_topic(_TOPIC, self._progress.put)

    def start(self, fraction: float) -> Any:
        """Start it, and return its Future when a fraction of its tasks is done."""

        def tell(dask_scheduler: Any, fraction: float, topic: str) -> None:
            from distributed import SchedulerPlugin

            class Progress(SchedulerPlugin):
                left = -1

                def update_graph(self, scheduler: Any, *, tasks: list[Any], **_: Any) -> None:
                    if self.left < 0:
                        self.left = max(1, int(len(tasks) * fraction))

                def transition(self, key: Any, start: str, finish: str, *_: Any, **__: Any) -> None:
                    if (start, finish) == ("processing", "memory"):
                        self.left -= 1
                        if self.left == 0:
                            dask_scheduler.log_event(topic, "reached")

            dask_scheduler.add_plugin(Progress(), name="test-progress")

        self.client.run_on_scheduler(tell, fraction=fraction, topic=_TOPIC)
        future = self.client.compute(self._build(*self._there))
        self._progress.get(timeout=WAIT_SECONDS)
        return future

    def check(self, result: xr.DataArray) -> None:
        np.testing.assert_allclose(result, self.expected, rtol=1e-6, atol=1e-6)

    def kill(self, number: int) -> None:
        for process in self.east[:number]:
            process.kill()
            process.wait()


def a_worker_dies(run: Run) -> None:
    future = run.start(0.3)
    run.kill(1)
    run.check(future.result(timeout=WAIT_SECONDS))


def a_pool_dies_and_returns(run: Run) -> None:
    future = run.start(0.3)
    run.kill(2)
    run.cluster.add_worker(EAST)
    run.check(future.result(timeout=WAIT_SECONDS))


def a_pool_dies_late_and_returns(run: Run) -> None:
    future = run.start(0.8)
    run.kill(2)
    run.cluster.add_worker(EAST)
    run.check(future.result(timeout=WAIT_SECONDS))


def a_pool_dies_for_good(run: Run) -> None:
    def shorten(dask_scheduler: Any, seconds: float) -> None:
        dask_scheduler.no_workers_timeout = seconds

    run.client.run_on_scheduler(shorten, seconds=_NO_WORKERS_SECONDS)
    future = run.start(0.3)
    run.kill(2)
    try:
        run.check(future.result(timeout=WAIT_SECONDS))  # all that it had was fetched before
    except EmptyPoolError as error:
        assert f"pool {EAST} had no workers for {_NO_WORKERS_SECONDS:.0f} s" in str(error)  # noqa: PT017  or none
        assert f"dask-regions scale {EAST} 1" in str(error)  # noqa: PT017


def a_worker_freezes_and_thaws(run: Run) -> None:
    def shorten(dask_scheduler: Any) -> None:
        dask_scheduler.worker_ttl = 15.0

    run.client.run_on_scheduler(shorten)
    future = run.start(0.3)
    run.east[0].send_signal(signal.SIGSTOP)
    try:
        run.check(future.result(timeout=WAIT_SECONDS))
    finally:
        run.east[0].send_signal(signal.SIGCONT)
    # Where it was given up, it finds out and ends.


FAULTS: list[Callable[[Run], None]] = [
    a_worker_dies,
    a_pool_dies_and_returns,
    a_pool_dies_late_and_returns,
    a_pool_dies_for_good,
    a_worker_freezes_and_thaws,
]


def combinations() -> Iterator[Any]:
    for name in ("i", "ii", "iii", "iv", "v", "vi"):
        for fault in FAULTS:
            usual = (name, fault) == ("v", a_pool_dies_and_returns)
            yield pytest.param(
                WORKLOADS[name],
                fault,
                id=f"{name}-{fault.__name__}",
                marks=() if usual else pytest.mark.faults,
            )


@pytest.mark.parametrize(("workload", "fault"), combinations())
def test_a_workload_survives(
    start_cluster: Callable[..., Any],
    stores: dict[str, Path],
    workload: Workload,
    fault: Callable[[Run], None],
) -> None:
    cluster = start_cluster(EAST, EAST, WEST, CLIENT)
    try:
        with connect(cluster.client.scheduler.address, on_message=lambda _: None) as client:
            fault(Run(cluster, client, stores, workload))
    finally:
        cluster.close()
