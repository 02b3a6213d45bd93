"""Requests to retire the same workers that come twice, with a scheduler and a worker in this process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from distributed import Client, Scheduler, Worker
from distributed.core import Status

from dask_regions.placement.pools import retire as module
from dask_regions.placement.pools.retire import retire

REGION = "us-west-2"


@pytest.fixture
async def scheduler() -> AsyncIterator[Scheduler]:
    async with (
        Scheduler(port=0, dashboard_address="127.0.0.1:0", host="127.0.0.1") as started,
        Worker(started.address, name=f"{REGION}.1111-0", nthreads=1, resources={f"region-{REGION}": 1}),
    ):
        yield started


def _status(scheduler: Scheduler) -> Status:
    (worker,) = scheduler.workers.values()
    status: Status = worker.status
    return status


async def test_to_retire_again_begins_the_time_anew(
    scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "REINSTATE_SECONDS", 1.0)
    assert set(await retire(scheduler, REGION, 1)) == {"1111"}
    await asyncio.sleep(0.6)
    assert set(await retire(scheduler, REGION, 1)) == {"1111"}
    await asyncio.sleep(0.7)
    assert _status(scheduler) == Status.closing_gracefully, (
        "the first request's time is over, not the second's"
    )
    await asyncio.sleep(0.8)
    assert _status(scheduler) == Status.running
    assert not module.retirements_of(scheduler).requests


async def test_what_another_request_gave_up_is_not_said_to_be_retired(scheduler: Scheduler) -> None:
    async with Client(scheduler.address, asynchronous=True) as client:
        busy = client.submit(time.sleep, 2, pure=False)
        # Workers tell in their heartbeats what they execute.
        while not any(worker.executing for worker in scheduler.workers.values()):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        impatient, patient = await asyncio.gather(
            retire(scheduler, REGION, 1, seconds=0.3), retire(scheduler, REGION, 1, seconds=3.0)
        )
        assert not impatient
        assert not patient or _status(scheduler) != Status.running
        await busy
