"""What plans, budgets and the meter use of Dask and Distributed beyond their documented interfaces."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import dask
import dask.array as da
import numpy as np
import pytest
from dask.base import compute
from distributed import Client, Scheduler, Worker
from distributed.protocol.serialize import deserialize, serialize, to_serialize

from dask_regions.client.plan import FINALIZE
from dask_regions.placement.hooks.replacing import overrides_of
from dask_regions.placement.hooks.worker.meter import log_all_transfers
from testing.signatures import parameters
from testing.waiting import until

pytestmark = pytest.mark.xdist_group("placement")

PLAN = "look at client/plan.py and client/compute.py"
METER = "look at hooks/worker/meter.py"


class RecordingClient:
    """A client as far as ``dask.base.get_scheduler`` knows."""

    asynchronous = False

    def __init__(self) -> None:
        self.got: list[tuple[Any, Any]] = []

    def get(self, expression: Any, keys: Any, **_: Any) -> list[None]:
        self.got.append((expression, keys))
        return [None] * len(keys)


def test_a_callable_scheduler_gets_what_a_client_gets() -> None:
    client, called = RecordingClient(), RecordingClient()
    arrays = [da.ones(4, chunks=2).sum(), da.arange(6, chunks=3)]
    compute(arrays, scheduler=client)
    compute(arrays, scheduler=called.get)
    (expression, keys), (other, other_keys) = client.got[0], called.got[0]
    assert len(keys) == len(other_keys) == 2, PLAN
    assert type(expression) is type(other), PLAN
    # Tasks that put a result together are named anew by every call of `compute`.
    graphs = [expr.__dask_graph__() for expr in (expression, other)]
    named = [{key for key in graph if FINALIZE not in str(key)} for graph in graphs]
    assert named[0], PLAN
    assert named[0] == named[1], PLAN
    assert len(graphs[0]) == len(graphs[1]), PLAN
    assert set(other_keys) <= set(graphs[1]), PLAN
    assert parameters(Client.get)[:3] == ["self", "dsk", "keys"], PLAN


def test_an_expression_travels_as_header_and_frames() -> None:
    client = RecordingClient()
    compute(da.ones(4, chunks=2).sum(), scheduler=client)
    expression, keys = client.got[0]
    header, frames = serialize(to_serialize(expression), on_error="raise")
    arrived = deserialize(header, [bytes(frame) for frame in frames])
    assert set(arrived.__dask_graph__()) == set(expression.__dask_graph__()), PLAN
    assert set(keys) <= set(arrived.__dask_graph__()), PLAN


@pytest.fixture
async def workers(scheduler: Scheduler) -> AsyncIterator[list[Worker]]:
    async with (
        Worker(scheduler.address, nthreads=1, host="127.0.0.1") as first,
        Worker(scheduler.address, nthreads=1, host="127.0.0.1") as second,
    ):
        for worker in (first, second):
            log_all_transfers(worker)
        yield [first, second]
        for worker in (first, second):
            overrides_of(worker).take_back()


@pytest.fixture
async def client(workers: list[Worker]) -> AsyncIterator[Client]:
    async with Client(workers[0].scheduler.address, asynchronous=True) as client:
        yield client


@pytest.mark.parametrize("chunk", [80, 200])  # small shards travel as one blob, large ones one by one
async def test_shards_of_a_shuffle_enter_the_log_of_their_sender(
    client: Client, workers: list[Worker], chunk: int
) -> None:
    array = da.random.default_rng(0).random((800, 800), chunks=(chunk, 800))
    with dask.config.set({"array.rechunk.method": "p2p", "optimization.fuse.active": False}):
        await client.compute(array.rechunk((800, chunk)).sum())
    shards = [
        (worker.address, entry["who"], entry["compressed"])
        for worker in workers
        for entry in worker.transfer_outgoing_log
        if not entry["keys"]
    ]
    addresses = {worker.address for worker in workers}
    assert shards, METER
    assert all({sender, who} == addresses for sender, who, _ in shards), METER
    # Of two workers, each sends the other about half of what it has.
    assert 0.25 * array.nbytes < sum(nbytes for *_, nbytes in shards) < 0.8 * array.nbytes, METER


@pytest.mark.parametrize("direct", [True, False])
async def test_scattered_data_enter_the_log_of_their_receiver(
    client: Client, workers: list[Worker], direct: bool
) -> None:
    values = np.ones(100_000)
    future = await client.scatter(values, workers=[workers[0].address], direct=direct)
    assert (await future).sum() == 100_000
    [entry] = workers[0].transfer_incoming_log
    assert entry["who"] is None, METER
    assert 800_000 <= entry["total"] < 802_000, METER
    assert not workers[1].transfer_incoming_log, METER


async def test_entries_of_the_meter_have_the_shape_of_dasks(client: Client, workers: list[Worker]) -> None:
    scattered = await client.scatter(np.ones(1000), workers=[workers[0].address])
    await client.submit(lambda x: None, scattered, workers=[workers[1].address])
    # A transfer enters the sender's log when its receipt is confirmed.
    await until(lambda: workers[0].transfer_outgoing_log, METER)
    [theirs] = workers[0].transfer_outgoing_log
    [ours] = workers[0].transfer_incoming_log
    assert ours.keys() == theirs.keys(), METER
