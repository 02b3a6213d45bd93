"""What placement uses of Dask, Distributed and xarray beyond their documented interfaces.

A failure here after an upgrade says which module to look at; the tests of placement may fail for the
same reason, less clearly.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import dask.array as da
import numpy as np
import pytest
import xarray as xr
from dask._task_spec import DataNode, GraphNode, Task, TaskRef
from dask.base import annotate, optimize
from dask.sizeof import sizeof
from distributed import Client, Scheduler, SchedulerPlugin, Worker, get_worker
from distributed.scheduler import NoValidWorkerError, NoWorkerError
from xarray.backends import BackendArray
from xarray.core import indexing

from testing.waiting import until

pytestmark = pytest.mark.xdist_group("placement")

REGION = "region-us-west-2"


class Recorder(SchedulerPlugin):
    """Restrict every task to one resource, and write down what the scheduler calls."""

    name = "recorder"

    def __init__(self, resource: str = REGION) -> None:
        self.resource = resource
        self.waits = asyncio.Event()
        self.states: list[str] = []
        self.transitions: list[tuple[str, str, dict[str, Any]]] = []

    def update_graph(self, scheduler: Scheduler, *, tasks: list[Any], **_: Any) -> None:
        for key in tasks:
            task = scheduler.tasks[key]
            self.states.append(task.state)
            task.resource_restrictions = {self.resource: 0}

    def transition(self, key: Any, start: str, finish: str, *_: Any, **kwargs: Any) -> None:
        self.transitions.append((start, finish, kwargs))
        if finish == "no-worker":
            self.waits.set()

    @property
    def steps(self) -> list[tuple[str, str]]:
        return [(start, finish) for start, finish, _ in self.transitions]


@pytest.fixture
async def worker(scheduler: Scheduler) -> AsyncIterator[Worker]:
    async with Worker(scheduler.address, nthreads=1, resources={REGION: 1}, host="127.0.0.1") as worker:
        yield worker


@pytest.fixture
async def client(scheduler: Scheduler, worker: Worker) -> AsyncIterator[Client]:
    async with Client(scheduler.address, asynchronous=True) as client:
        yield client


async def test_update_graph_may_restrict_tasks_before_they_start(
    scheduler: Scheduler, client: Client, worker: Worker
) -> None:
    recorder = Recorder()
    scheduler.add_plugin(recorder)
    assert await client.submit(lambda: get_worker().address) == worker.address
    assert recorder.states == ["released"], "look at PlacementPlugin: it restricts tasks in state released"
    assert recorder.steps[:2] == [("released", "waiting"), ("waiting", "processing")]


async def test_a_transition_to_memory_names_the_worker(
    scheduler: Scheduler, client: Client, worker: Worker
) -> None:
    recorder = Recorder()
    scheduler.add_plugin(recorder)
    await client.submit(int)
    [finished] = [row[2] for row in recorder.transitions if row[:2] == ("processing", "memory")]
    assert finished["worker"] == worker.address, "look at PlacementPlugin.transition"


async def test_a_restricted_task_waits_in_no_worker_until_a_worker_joins(
    scheduler: Scheduler, client: Client
) -> None:
    recorder = Recorder("region-us-east-1")
    scheduler.add_plugin(recorder)
    future = client.submit(int)
    await recorder.waits.wait()
    async with Worker(scheduler.address, nthreads=1, resources={"region-us-east-1": 1}, host="127.0.0.1"):
        assert await future == 0
    assert ("no-worker", "processing") in recorder.steps, "look at PlacementPlugin._watch"


async def test_the_timeout_of_waiting_is_an_attribute_and_its_error_names_the_resource(
    scheduler: Scheduler, client: Client
) -> None:
    scheduler.no_workers_timeout = 0.1
    with pytest.raises(NoValidWorkerError, match="region-us-east-1"):
        await client.submit(int, resources={"region-us-east-1": 0})
    assert issubclass(NoWorkerError, Exception), "look at client.open._open_there"


async def test_task_states_have_what_planning_reads(scheduler: Scheduler, client: Client) -> None:
    first = client.submit(int)
    second = client.submit(lambda x: x, first)
    await second
    task = scheduler.tasks[first.key]
    look = "look at planning/cluster.py and hooks/scheduler/materialize.py"
    assert isinstance(task.run_spec, GraphNode), look
    assert task.nbytes > 0, look
    assert len(task.group) == 1, look
    assert task.who_has is not None, look
    assert {ws.resources[REGION] for ws in task.who_has} == {1}, look
    assert {ts.key for ts in task.dependents} == {second.key}, look
    for restriction in ("worker_restrictions", "host_restrictions", "resource_restrictions"):
        assert not getattr(task, restriction), look


async def test_transfer_logs_tell_who_and_how_much(
    scheduler: Scheduler, client: Client, worker: Worker
) -> None:
    async with Worker(scheduler.address, nthreads=1, host="127.0.0.1") as other:
        values = client.submit(np.ones, 100_000, workers=[worker.address])
        await values  # before there is a replica, which a gather could take
        await client.submit(lambda x: None, values, workers=[other.address])
        look = "look at client/transfers.py"
        # A transfer enters the log when its receipt is confirmed.
        await until(
            lambda: len(worker.transfer_outgoing_log) == 2 and not worker.transfer_outgoing_count, look
        )
        sent = list(worker.transfer_outgoing_log)
        assert [entry["who"] for entry in sent] == [None, other.address], f"{look}: None is a gather"
        assert all(800_000 <= entry["compressed"] < 802_000 for entry in sent), look
        [received] = other.transfer_incoming_log
        assert (received["who"], received["total"] >= 800_000) == (worker.address, True), look
        assert sent[0]["stop"] < sent[1]["stop"], look


def test_fused_tasks_keep_their_parts_in_their_arguments() -> None:
    inner = Task("a", abs, DataNode(None, -1))
    fused = GraphNode.fuse(inner, Task("b", float, TaskRef("a")))
    parts = fused.args[0]  # type: ignore[attr-defined]
    assert set(parts) == {"a", "b"}, "look at planning/payload.py"
    assert parts["a"].args[0].value == -1, "look at planning/payload.py"


def test_a_custom_annotation_stops_fusion() -> None:
    parts = []
    for region in ("us-west-2", "us-east-1"):
        with annotate(region=region):
            parts.append(da.from_array(np.ones(4), chunks=2, name=region, inline_array=True))
    graph = optimize(parts[0] + parts[1])[0].dask
    assert {"us-west-2", "us-east-1"} <= {key[0] for key in dict(graph)}, "look at client.open._chunk"


def test_xarray_keeps_lazy_arrays_where_placement_looks(tmp_path: Any) -> None:
    path = tmp_path / "data.nc"
    xr.Dataset({"x": ("time", np.arange(4.0))}).to_netcdf(path, engine="h5netcdf")
    with xr.open_dataset(path, engine="h5netcdf", chunks=None, cache=False) as dataset:
        data = dataset.variables["x"]._data
        assert isinstance(data, indexing.ExplicitlyIndexed), "look at placement.marker.mark"
        chunked = dataset.x.variable.chunk(name="read-x", inline_array=False).data
        node = chunked.dask["original-read-x"]
        wrapped = getattr(node, "value", node)
        while not isinstance(wrapped, BackendArray):
            assert "array" in dir(wrapped), "look at placement.payload: it follows `array`"
            wrapped = wrapped.array


def test_dask_would_read_a_dataset_to_measure_it(tmp_path: Any) -> None:
    path = tmp_path / "data.nc"
    xr.Dataset({"x": ("time", np.arange(100_000.0))}).to_netcdf(path, engine="h5netcdf")
    with xr.open_dataset(path, engine="h5netcdf", chunks=None, cache=False) as dataset:
        assert sizeof(dataset) >= 800_000, "client.opening.files.open_file need not pickle any more"
