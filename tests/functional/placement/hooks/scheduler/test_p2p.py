"""P2P rechunk and shuffle keep to the Region of their data."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import dask.array as da
import dask.config
import numpy as np
import pandas as pd
import pytest
from distributed import Client, Event, Scheduler, SchedulerPlugin, Worker, wait

from dask_regions.placement.hooks.scheduler.locality import keep_traffic_in_regions
from dask_regions.placement.hooks.scheduler.p2p import keep_p2p_in_regions
from dask_regions.placement.hooks.scheduler.queueing import queue_by_region
from dask_regions.placement.planning.cluster import region_of_worker
from testing.placement.in_process import start_client, start_scheduler, start_workers
from testing.waiting import until

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("placement")]

WEST, EAST = "us-west-2", "us-east-1"
VALUES = np.arange(96.0 * 96).reshape(96, 96)


class Bind(SchedulerPlugin):
    """Bind the tasks of arriving graphs to the west, and count what P2P was handed."""

    name = "bind"

    def __init__(self) -> None:
        self.restrictions: dict[str, float] = {f"region-{WEST}": 0}
        self.transferred = 0

    def update_graph(self, scheduler: Scheduler, *, tasks: list[Any], **_: Any) -> None:
        for key in tasks:
            scheduler.tasks[key].resource_restrictions = self.restrictions

    def transition(self, key: Any, start: str, finish: str, *_: Any, **__: Any) -> None:
        if finish == "memory" and "-transfer-" in str(key):
            self.transferred += 1


@pytest.fixture
async def scheduler() -> AsyncIterator[Scheduler]:
    async with start_scheduler(queue_by_region, keep_traffic_in_regions, keep_p2p_in_regions) as scheduler:
        scheduler.add_plugin(Bind())
        yield scheduler


@pytest.fixture
async def workers(scheduler: Scheduler) -> AsyncIterator[list[Worker]]:
    async with start_workers(scheduler, WEST, WEST, WEST, EAST) as workers:
        yield workers


@pytest.fixture
async def client(scheduler: Scheduler, workers: list[Worker]) -> AsyncIterator[Client]:
    async with start_client(scheduler) as client:
        yield client


def bind(scheduler: Scheduler) -> Bind:
    plugin = scheduler.plugins["bind"]
    assert isinstance(plugin, Bind)
    return plugin


async def holders(client: Client, scheduler: Scheduler, collection: Any) -> set[str | None]:
    who_has = await client.who_has(collection)
    return {region_of_worker(scheduler.workers[worker]) for workers in who_has.values() for worker in workers}


def rechunk(array: da.Array) -> da.Array:
    # Dask would concatenate blocks as small as these first.
    with dask.config.set({"array.chunk-size": "1 kiB"}):
        rechunked: da.Array = array.rechunk((96, 8), method="p2p")
    return rechunked


async def test_a_p2p_rechunk_stays_in_its_region(client: Client, scheduler: Scheduler) -> None:
    array = client.persist(rechunk(da.from_array(VALUES, chunks=(8, 96))))
    await wait(array)
    assert bind(scheduler).transferred, "it was P2P"
    assert await holders(client, scheduler, array) == {WEST}
    np.testing.assert_array_equal(await client.compute(array), VALUES)


async def test_a_p2p_shuffle_stays_in_its_region(client: Client, scheduler: Scheduler) -> None:
    dd = pytest.importorskip("dask.dataframe", exc_type=ImportError)
    frame = pd.DataFrame({"key": np.arange(400) % 17, "value": np.arange(400.0)})
    with dask.config.set({"dataframe.shuffle.method": "p2p"}):
        shuffled = client.persist(dd.from_pandas(frame, npartitions=8).shuffle("key"))
        await wait(shuffled)
        assert bind(scheduler).transferred, "it was P2P"
        assert await holders(client, scheduler, shuffled) == {WEST}
        pd.testing.assert_frame_equal((await client.compute(shuffled)).sort_index(), frame)


def gated(block: Any, block_info: Any = None) -> Any:
    if block_info[0]["chunk-location"][0] >= 9:
        Event("p2p").wait(60)
    return block


@pytest.mark.filterwarnings("ignore::ResourceWarning")
async def test_a_worker_that_leaves_in_the_middle_does_not_change_the_answer(
    client: Client, scheduler: Scheduler, workers: list[Worker]
) -> None:
    blocks = da.from_array(VALUES, chunks=(8, 96)).map_blocks(gated, dtype=float)
    rechunked = client.persist(rechunk(blocks))
    # The run has started: its outputs have their workers, of which one now goes.
    await until(lambda: bind(scheduler).transferred >= 3)
    [run] = scheduler.extensions["shuffle"].active_shuffles.values()
    outputs = set(run.run_spec.worker_for.values())
    assert outputs == {worker.address for worker in workers[:3]}
    await scheduler.remove_worker(workers[0].address, stimulus_id="test")
    await Event("p2p", client=client).set()
    np.testing.assert_array_equal(await client.compute(rechunked), VALUES)
    assert await holders(client, scheduler, rechunked) == {WEST}
