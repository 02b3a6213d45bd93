"""Stealing and replicas keep to a Region."""

from __future__ import annotations

from collections.abc import AsyncIterator
from time import time

import pytest
from distributed import Client, Event, Scheduler, Worker, wait

from dask_regions.placement.hooks.scheduler import locality, queueing
from testing.placement.in_process import start_client, start_scheduler, start_workers
from testing.waiting import until

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("placement")]

WEST, EAST = "us-west-2", "us-east-1"


@pytest.fixture
async def scheduler() -> AsyncIterator[Scheduler]:
    async with start_scheduler(queueing.queue_by_region, locality.keep_traffic_in_regions) as scheduler:
        yield scheduler


@pytest.fixture
async def workers(scheduler: Scheduler) -> AsyncIterator[list[Worker]]:
    async with start_workers(scheduler, WEST, WEST, EAST, EAST) as workers:
        yield workers


@pytest.fixture
async def client(scheduler: Scheduler, workers: list[Worker]) -> AsyncIterator[Client]:
    async with start_client(scheduler, "gate") as client:
        yield client


def make(number: int) -> bytes:
    return bytes(number)


def hold(data: bytes, number: int, gate: str = "gate") -> int:
    Event(gate).wait(60)
    return number


def size(data: bytes) -> int:
    return len(data)


def bound(region: str) -> dict[str, float]:
    return {f"region-{region}": 0}


def senders(worker: Worker) -> set[str]:
    """Return from whom a worker has fetched."""
    return {str(transfer["who"]) for transfer in worker.transfer_incoming_log}


async def test_tasks_of_a_region_are_stolen_inside_it(
    scheduler: Scheduler, client: Client, workers: list[Worker]
) -> None:
    data = client.submit(make, 10, workers=[workers[0].address])
    await data
    # Too few to be queued; stealing is asked to look by hand, so that it sees all of them.
    stealing = scheduler.extensions["stealing"]
    await stealing.stop()
    busy = [client.submit(hold, data, number, workers=[workers[0].address]) for number in range(4)]
    victim = scheduler.workers[workers[0].address]
    await until(lambda: len(victim.processing) == 4)
    for future in busy:
        task = scheduler.tasks[future.key]
        task.worker_restrictions = None
        task.resource_restrictions = bound(WEST)
    stealing.balance()
    thieves = {info["thief"].address for info in stealing.in_flight.values()}
    assert thieves == {workers[1].address}
    await Event("gate", client=client).set()
    await wait(busy)


async def test_a_task_that_no_region_binds_is_not_stolen_by_whom_its_input_would_have_to_reach(
    scheduler: Scheduler, client: Client, workers: list[Worker]
) -> None:
    stealing = scheduler.extensions["stealing"]
    await stealing.stop()
    data = client.submit(make, 10, workers=[workers[0].address])
    await data
    busy = [client.submit(hold, data, number, workers=[workers[0].address]) for number in range(4)]
    victim = scheduler.workers[workers[0].address]
    await until(lambda: len(victim.processing) == 4)
    tasks = [scheduler.tasks[future.key] for future in busy]
    for task in tasks:
        task.worker_restrictions = None
    occupancies = {ws: ws.occupancy for ws in scheduler.workers.values()}
    east = {scheduler.workers[worker.address] for worker in workers[2:]}
    west = scheduler.workers[workers[1].address]
    assert stealing._get_thief(scheduler, tasks[0], east, occupancies=occupancies) is None
    assert stealing._get_thief(scheduler, tasks[0], east | {west}, occupancies=occupancies) is west
    # Once the east has the input too, nothing crosses.
    await client.replicate([data], workers=[workers[2].address])
    assert stealing._get_thief(scheduler, tasks[0], east, occupancies=occupancies) in east
    await Event("gate", client=client).set()
    await wait(busy)


async def test_the_cost_of_a_transfer_knows_regions(
    scheduler: Scheduler, client: Client, workers: list[Worker]
) -> None:
    data = client.submit(make, 1_000_000, workers=[workers[0].address])
    await data
    consumer = client.submit(hold, data, 0, workers=[workers[0].address])
    await until(lambda: consumer.key in scheduler.tasks)
    task = scheduler.tasks[consumer.key]
    cost = [scheduler.get_comm_cost(task, scheduler.workers[worker.address]) for worker in workers]
    nbytes = scheduler.tasks[data.key].get_nbytes()
    assert cost[0] == 0
    assert cost[1] == pytest.approx(nbytes / scheduler.bandwidth)
    assert cost[2] == pytest.approx(locality.WAN_LATENCY + nbytes / locality.WAN_BANDWIDTH)
    await Event("gate", client=client).set()
    await wait(consumer)


async def test_a_replica_in_the_region_is_fetched_before_one_elsewhere(
    scheduler: Scheduler, client: Client, workers: list[Worker]
) -> None:
    west, east, consumer = workers[0], workers[2], workers[3]
    many = client.map(make, range(1, 21), workers=[west.address])
    await wait(many)
    await client.replicate(many, workers=[east.address])
    sizes = client.map(size, many, resources=bound(EAST), workers=[consumer.address])
    assert await client.gather(sizes) == list(range(1, 21))
    assert senders(consumer) == {east.address}


async def test_where_the_replica_in_the_region_is_lost_the_other_is_found(
    scheduler: Scheduler, client: Client, workers: list[Worker]
) -> None:
    west, east, consumer = workers[0], workers[2], workers[3]
    # It would drop one of two replicas, perhaps the one that is left.
    scheduler.extensions["amm"].stop()
    data = client.submit(make, 10, workers=[west.address])
    await data
    await client.replicate([data], workers=[east.address])
    # The scheduler goes on believing that the east has it, as of a worker whose link is cut.
    del east.data[data.key]
    assert await client.submit(size, data, workers=[consumer.address]) == 10
    assert west.address in senders(consumer)


async def test_a_silent_holder_is_not_preferred(
    scheduler: Scheduler, client: Client, workers: list[Worker]
) -> None:
    states = [scheduler.workers[worker.address] for worker in workers]
    now = time()
    for ws in states:
        ws.last_seen = now
    assert locality.nearby(states, EAST, now) == [worker.address for worker in workers[2:]]
    states[2].last_seen = now - 60
    assert locality.nearby(states, EAST, now) == [workers[3].address]
    states[3].last_seen = now - 60
    assert locality.nearby(states, EAST, now) == [worker.address for worker in workers]
    assert locality.nearby(states[:2], EAST, now) == [worker.address for worker in workers[:2]]


async def test_the_last_replica_of_a_region_that_still_needs_it_is_kept(
    scheduler: Scheduler, client: Client, workers: list[Worker]
) -> None:
    data = client.submit(make, 10, workers=[workers[0].address])
    await data
    await client.replicate([data], workers=[workers[2].address])
    gate = client.submit(hold, b"", 1, workers=[workers[3].address])
    waiting = client.submit(lambda data, _: len(data), data, gate, resources=bound(EAST))
    await until(lambda: waiting.key in scheduler.tasks and scheduler.tasks[gate.key].state == "processing")
    manager = scheduler.extensions["amm"]
    west, east = (scheduler.workers[workers[number].address] for number in (0, 2))
    manager.workers_memory = {west: 1, east: 2}
    task = scheduler.tasks[data.key]
    assert type(manager)._find_dropper(manager, task, None, set()) is east, "what Dask would drop"
    assert manager._find_dropper(task, None, set()) is west
    assert manager._find_dropper(task, None, {west}) is None
    await Event("gate", client=client).set()
    assert await waiting == 10
