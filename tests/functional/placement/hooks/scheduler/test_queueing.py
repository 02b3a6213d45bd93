"""Root tasks of a Region wait in its queue, as those of a whole cluster do.

The scheduler checks its state after every transition (``validate=True``).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from distributed import Client, Event, Scheduler, wait
from distributed.core import Status

from dask_regions.placement.hooks.scheduler import ahead, queueing
from dask_regions.placement.planning.cluster import region_of_worker
from testing.placement.in_process import start_client, start_scheduler, start_workers
from testing.waiting import until

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("placement")]

WEST, EAST, SOUTH = "us-west-2", "us-east-1", "ap-southeast-2"


@pytest.fixture
async def scheduler() -> AsyncIterator[Scheduler]:
    async with start_scheduler(queueing.queue_by_region) as scheduler:
        yield scheduler


@pytest.fixture
async def client(scheduler: Scheduler) -> AsyncIterator[Client]:
    async with (
        start_workers(scheduler, WEST, WEST, EAST),
        start_client(scheduler, "both", "late", "paused", "ahead") as client,
    ):
        yield client


async def pass_gate(number: int, gate: str) -> int:
    # A coroutine: a thread that waits would keep its worker from closing for half a minute.
    await Event(gate).wait()
    return number


def submit(client: Client, number: int, region: str | None, gate: str) -> list[Any]:
    """Submit tasks of one Region that wait until an event is set."""
    resources = {f"region-{region}": 0} if region else None
    key = f"{gate}-{region}"
    futures: list[Any] = client.map(pass_gate, range(number), gate=gate, key=key, resources=resources)
    return futures


def queued(scheduler: Scheduler) -> dict[str | None, int]:
    return {region: len(heap) for region, heap in scheduler.queued.heaps.items()}  # type: ignore[attr-defined, unused-ignore]


def processing(scheduler: Scheduler) -> dict[str | None, list[int]]:
    counts: dict[str | None, list[int]] = {}
    for ws in scheduler.workers.values():
        counts.setdefault(region_of_worker(ws), []).append(len(ws.processing))
    return counts


async def test_each_region_has_a_queue_and_serves_it_alone(scheduler: Scheduler, client: Client) -> None:
    west = submit(client, 50, WEST, "both")
    east = submit(client, 30, EAST, "both")
    await until(lambda: queued(scheduler).keys() == {WEST, EAST})
    # Two tasks per thread: one runs, one follows (worker-saturation 1.1, rounded up).
    assert processing(scheduler) == {WEST: [2, 2], EAST: [2]}
    assert queued(scheduler) == {WEST: 46, EAST: 28}
    scheduler.validate_state()
    await Event("both", client=client).set()
    assert await client.gather(west) == list(range(50))
    assert await client.gather(east) == list(range(30))
    ran_in = {region_of_worker(ws) for future in west for ws in scheduler.tasks[future.key].who_has or ()}
    assert ran_in == {WEST}
    assert queued(scheduler) == {}


async def test_a_task_that_no_region_binds_is_queued_as_dask_does_it(
    scheduler: Scheduler, client: Client
) -> None:
    free = submit(client, 20, None, "both")
    await until(lambda: None in queued(scheduler))
    west = submit(client, 10, WEST, "both")
    await until(lambda: WEST in queued(scheduler))
    assert processing(scheduler) == {WEST: [2, 2], EAST: [2]}
    assert queued(scheduler) == {None: 14, WEST: 10}
    assert scheduler.queued.peek() is next(scheduler.queued.sorted())
    await Event("both", client=client).set()
    assert await client.gather(free + west) == [*range(20), *range(10)]


async def test_a_few_tasks_are_not_queued(scheduler: Scheduler, client: Client) -> None:
    few = submit(client, 4, WEST, "both")  # no more than twice the Region's threads
    more = submit(client, 4, EAST, "both")  # more than twice: the cluster's threads do not count
    await until(lambda: EAST in queued(scheduler))
    assert queued(scheduler) == {EAST: 2}
    assert sorted(processing(scheduler)[WEST]) == [2, 2]
    await Event("both", client=client).set()
    await wait(few + more)


async def test_a_pool_that_was_empty_is_not_flooded_when_a_worker_joins(
    scheduler: Scheduler, client: Client
) -> None:
    waiting = submit(client, 20, SOUTH, "late")
    await until(lambda: len(scheduler.unrunnable) == 20)
    async with start_workers(scheduler, SOUTH):
        await until(lambda: not scheduler.unrunnable)
        assert processing(scheduler)[SOUTH] == [2]
        assert queued(scheduler) == {SOUTH: 18}
    # Its Region has no worker again: they wait where the user is told, and where they time out.
    await until(lambda: len(scheduler.unrunnable) == 20)
    assert queued(scheduler) == {}
    await Event("late", client=client).set()
    async with start_workers(scheduler, SOUTH):
        assert await client.gather(waiting) == list(range(20))


async def test_a_paused_worker_gets_nothing(scheduler: Scheduler, client: Client) -> None:
    async with start_workers(scheduler, SOUTH) as [worker]:
        worker.status = Status.paused
        ws = scheduler.workers[worker.address]
        await until(lambda: ws.status == Status.paused)
        futures = submit(client, 10, SOUTH, "paused")
        await until(lambda: queued(scheduler) == {SOUTH: 10})
        assert not ws.processing
        await Event("paused", client=client).set()
        worker.status = Status.running
        assert await client.gather(futures) == list(range(10))


async def test_a_distant_worker_gets_as_many_ahead_as_a_round_trip_takes(
    scheduler: Scheduler, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ahead.RoundTrips, "of", lambda self, ws: 0.08)
    monkeypatch.setattr(scheduler, "_get_prefix_duration", lambda prefix: 0.02)
    far = submit(client, 30, EAST, "ahead")
    await until(lambda: EAST in queued(scheduler))
    assert processing(scheduler)[EAST] == [2 + 4]
    await Event("ahead", client=client).set()
    assert await client.gather(far) == list(range(30))
