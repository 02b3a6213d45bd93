"""What failing over, telling of pools and watching links use of Distributed beyond its documented interfaces.

A failure here after an upgrade says which module to look at.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import dask
import pytest
from distributed import Client, Scheduler, Worker
from distributed.scheduler import WorkerState
from distributed.worker_state_machine import GatherDepNetworkFailureEvent

from dask_regions.errors import EmptyPoolError, UnavailableError
from dask_regions.names import POOL_TOPIC
from dask_regions.placement.failures import links, watch
from dask_regions.placement.hooks import timeouts
from dask_regions.placement.hooks.worker.fetching import report_failed_fetches
from testing.waiting import until

pytestmark = pytest.mark.xdist_group("placement")

WEST, EAST = "us-west-2", "us-east-1"


def on(region: str) -> dict[str, dict[str, float]]:
    return {"resources": {f"region-{region}": 0}}


@pytest.fixture
async def workers(scheduler: Scheduler) -> AsyncIterator[tuple[Worker, Worker]]:
    west, east = (
        Worker(scheduler.address, nthreads=1, resources={f"region-{region}": 1}, host="127.0.0.1")
        for region in (WEST, EAST)
    )
    async with west, east:
        yield west, east


@pytest.fixture
async def client(scheduler: Scheduler, workers: tuple[Worker, Worker]) -> AsyncIterator[Client]:
    async with Client(scheduler.address, asynchronous=True) as client:
        yield client


def move(task: Any, region: str) -> None:
    task.resource_restrictions = {f"region-{region}": 0}


async def told(scheduler: Scheduler, state: str) -> str:
    """Return the message of the first event with a state."""

    def messages() -> list[str]:
        events = (event for _, event in scheduler.get_events(POOL_TOPIC))
        return [event["message"] for event in events if event["state"] == state]

    return str((await until(messages))[0])


async def test_the_check_for_tasks_that_wait_in_vain_can_be_replaced(
    scheduler: Scheduler, client: Client
) -> None:
    look = "look at hooks/scheduler/empty_pools.py"
    watch.watch_pools(scheduler, move)
    scheduler.no_workers_timeout = 0.1
    with pytest.raises(EmptyPoolError, match="pool ap-southeast-2 had no workers for 0 s") as caught:
        await client.submit(int, **on("ap-southeast-2"))
    assert "dask-regions scale ap-southeast-2 1" in str(caught.value), look


async def test_what_waits_in_vain_without_a_region_fails_as_ever(
    scheduler: Scheduler, client: Client
) -> None:
    from distributed.scheduler import NoValidWorkerError

    watch.watch_pools(scheduler, move)
    scheduler.no_workers_timeout = 0.1
    with pytest.raises(NoValidWorkerError, match="GPU"):
        await client.submit(int, resources={"GPU": 1})


async def test_the_removal_of_a_worker_is_an_event_of_its_own_topic(
    scheduler: Scheduler, client: Client, workers: tuple[Worker, Worker]
) -> None:
    running = client.submit(asyncio.sleep, 3600, workers=[workers[0].address])
    await until(lambda: running.key in scheduler.tasks and scheduler.tasks[running.key].processing_on)
    address = workers[0].address
    await scheduler.remove_worker(address, stimulus_id="test", close=False)
    events = [event for _, event in scheduler.get_events(address) if event.get("action") == "remove-worker"]
    look = "look at failures/watch.py, PoolWatch._forgive"
    assert events[-1]["processing-tasks"] == {running.key}, look
    assert events[-1]["expected"] is False, look
    assert scheduler.tasks[running.key].suspicious == 1, look


async def test_a_ready_task_is_sent_when_it_is_recommended_for_processing(
    scheduler: Scheduler, client: Client
) -> None:
    watching = watch.PoolWatch(scheduler, lambda *_: None, patience=3600)
    scheduler.add_plugin(watching)
    future = client.submit(int, **on("ap-southeast-2"))
    await until(lambda: scheduler.unrunnable)
    [task] = scheduler.unrunnable
    move(task, EAST)
    scheduler.transitions({task.key: "processing"}, "test")
    assert await future == 0, "look at failures/failover.py, fail_over"


async def test_a_queued_task_may_be_recommended_to_wait_and_a_worker_says_when_it_was_seen(
    scheduler: Scheduler,
) -> None:
    look = "look at failures/failover.py, fail_over, and hooks/scheduler/queueing.py"
    assert ("queued", "released") in scheduler._TRANSITIONS_TABLE, look
    assert ("released", "waiting") in scheduler._TRANSITIONS_TABLE, look
    assert "last_seen" in WorkerState.__slots__, "look at failures/watch.py and hooks/scheduler/locality.py"


async def test_the_time_to_live_of_workers_is_looked_after_by_a_named_callback(scheduler: Scheduler) -> None:
    look = "look at hooks/timeouts.py, apply_to_scheduler"
    with dask.config.set({"distributed.scheduler.worker-ttl": "30s"}):
        timeouts.apply_to_scheduler(scheduler)
    callback = scheduler.periodic_callbacks["worker-ttl"]
    assert callback.callback_time == 5000, look
    assert callback.is_running(), look
    assert scheduler.worker_ttl == 30, look


def test_defaults_for_a_wan_do_not_beat_what_the_user_set() -> None:
    with dask.config.set({"distributed.comm.timeouts.tcp": "99s"}):
        timeouts.set_defaults()
        assert dask.config.get("distributed.comm.timeouts.tcp") == "99s"


async def test_a_worker_reports_peers_it_cannot_fetch_from_and_its_tasks_fail_in_time(
    scheduler: Scheduler, client: Client, workers: tuple[Worker, Worker]
) -> None:
    look = "look at hooks/worker/fetching.py and failures/links.py"
    west, east = workers
    watching = links.LinkWatch(scheduler, patience=0.0, give_up=2.0)
    scheduler.add_plugin(watching)
    report_failed_fetches(east)
    connect = east.rpc.connect

    async def refuse(address: str, *args: Any, **kwargs: Any) -> Any:
        if address == west.address:
            raise OSError("no route to host")
        return await connect(address, *args, **kwargs)

    vars(east.rpc)["connect"] = refuse
    inputs = client.submit(lambda: "x" * 100, **on(WEST))
    taken = client.submit(len, inputs, **on(EAST))
    assert (await told(scheduler, "unreachable")).startswith(
        f"workers in {EAST} cannot fetch from {WEST}, e.g. {east.address} from"
    ), look
    with pytest.raises(UnavailableError, match=f"could not fetch .* from {WEST} for 2 s. Check the route"):
        await asyncio.wait_for(taken, 60)
    vars(east.rpc).pop("connect")
    assert await client.submit(len, inputs, **on(EAST), key="again") == 100, look


async def test_a_link_that_works_again_is_told(
    scheduler: Scheduler, client: Client, workers: tuple[Worker, Worker]
) -> None:
    _, east = workers
    scheduler.add_plugin(links.LinkWatch(scheduler, patience=0.0))
    report_failed_fetches(east)

    async def refuse(*_: Any, **__: Any) -> Any:
        raise OSError("no route to host")

    vars(east.rpc)["connect"] = refuse
    inputs = client.submit(lambda: "x" * 100, **on(WEST))
    taken = client.submit(len, inputs, **on(EAST))
    await told(scheduler, "unreachable")
    vars(east.rpc).pop("connect")
    assert await taken == 100
    assert await told(scheduler, "reached") == f"workers in {EAST} fetch from {WEST} again."


def test_a_network_failure_is_an_event_of_its_own() -> None:
    event = GatherDepNetworkFailureEvent(worker="tcp://1", total_nbytes=0, stimulus_id="s")
    assert event.worker == "tcp://1", "look at hooks/worker/fetching.py"
