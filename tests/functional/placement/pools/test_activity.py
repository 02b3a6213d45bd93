"""Whether anybody uses a scheduler: clients, Dask tasks, and since when neither."""

from __future__ import annotations

import pytest
from distributed import Client, Scheduler, Worker
from distributed.utils_test import gen_cluster

from dask_regions.placement.pools import activity
from dask_regions.placement.pools.activity import activity_of, watch_activity


@gen_cluster(client=True, nthreads=[("127.0.0.1", 1)])
async def test_a_client_and_its_results_are_use(client: Client, scheduler: Scheduler, worker: Worker) -> None:
    watch_activity(scheduler)
    assert (activity_of(scheduler).clients, activity_of(scheduler).tasks) == (1, 0)
    future = client.submit(int, "1")
    await future
    assert activity_of(scheduler).tasks == 1
    assert activity_of(scheduler).idle_seconds < 1


@gen_cluster(nthreads=[])
async def test_a_scheduler_is_idle_since_it_was_last_used(scheduler: Scheduler) -> None:
    now = 1000.0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(activity, "monotonic", lambda: now)
        watch_activity(scheduler)
        assert activity_of(scheduler).idle_seconds == 0
        now = 1090.0
        assert activity_of(scheduler).idle_seconds == 90
        async with Client(scheduler.address, asynchronous=True):
            assert activity_of(scheduler).clients == 1
            assert activity_of(scheduler).idle_seconds == 0
        now = 1160.0
        assert activity_of(scheduler).clients == 0
        assert activity_of(scheduler).idle_seconds == 70
