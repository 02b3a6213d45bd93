"""Empty pools, late workers, killed workers."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import xarray as xr
from distributed import Client, wait

import dask_regions
from dask_regions.client.connect import connect
from dask_regions.errors import EmptyPoolError
from testing.waiting import WAIT_SECONDS, message_with

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("placement")]

WEST, EAST = "us-west-2", "us-east-1"


@pytest.fixture
def east_only(start_cluster: Callable[..., Any]) -> Iterator[Any]:
    cluster = start_cluster(EAST)
    yield cluster
    cluster.close()


def give_up_soon(client: Client) -> None:
    def shorten(dask_scheduler: Any) -> None:
        dask_scheduler.no_workers_timeout = 1.0

    client.run_on_scheduler(shorten)


def test_an_empty_pool_is_reported_and_served_when_it_is_scaled(east_only: Any, data: Any) -> None:
    messages: queue.Queue[str] = queue.Queue()
    with connect(east_only.client.scheduler.address, on_message=messages.put) as client:
        item = dict(data.west_item)
        opened: queue.Queue[xr.Dataset] = queue.Queue()
        opening = threading.Thread(target=lambda: opened.put(dask_regions.open_dataset(item, client)))
        opening.start()
        message = message_with(messages, "no workers")
        assert message == (
            "pool us-west-2 has no workers; 1 tasks wait. Scale it with: dask-regions scale us-west-2 1"
        )
        assert opening.is_alive()
        east_only.add_worker(WEST)
        message_with(messages, "us-west-2 has workers again")
        opening.join(WAIT_SECONDS)
        dataset = opened.get(timeout=1)
        np.testing.assert_allclose(dataset.tas.mean().compute(), data.west.mean(), rtol=1e-9)
        assert not [message for message in list(messages.queue) if "no workers" in message]


def test_a_pool_that_stays_empty_fails_with_its_name(east_only: Any, data: Any) -> None:
    client = east_only.client
    give_up_soon(client)
    with pytest.raises(EmptyPoolError, match="dask-regions scale us-west-2 1"):
        dask_regions.open_dataset(data.west_item, client)


def test_a_computation_on_a_pool_that_stays_empty_fails_with_its_name(east_only: Any, data: Any) -> None:
    client = east_only.client
    worker = east_only.add_worker(WEST)
    client.wait_for_workers(2, timeout=WAIT_SECONDS)
    array = dask_regions.open_dataset(data.west_item, client).tas
    give_up_soon(client)
    worker.kill()
    worker.wait()
    with pytest.raises(EmptyPoolError, match="pool us-west-2 had no workers for 1 s"):
        array.mean().compute()


def test_a_worker_killed_in_the_middle_does_not_change_the_answer(
    start_cluster: Callable[..., Any], data: Any
) -> None:
    cluster = start_cluster(WEST, EAST)
    victim = cluster.add_worker(WEST)
    client = cluster.client
    client.wait_for_workers(3, timeout=WAIT_SECONDS)
    west = dask_regions.open_dataset(data.west_item, client).tas
    east = dask_regions.open_dataset(data.east_items, client).tas

    def slowly(values: np.ndarray) -> np.ndarray:
        time.sleep(0.1)
        return values

    kept = client.persist(xr.apply_ufunc(slowly, west, dask="parallelized", output_dtypes=[west.dtype]))
    with dask_regions.transfers(client) as moved:
        future = client.compute(kept.mean() - east.mean())
        wait(client.compute(kept.isel(time=0, lat=0, lon=0)))  # it runs: some chunks are done
        victim.kill()
        victim.wait()
        got = future.result(timeout=WAIT_SECONDS)
    np.testing.assert_allclose(got, data.west.mean() - data.east.mean(), rtol=1e-9)
    assert all(data_region == ran_in for data_region, ran_in in moved.reads)
    assert any("left meanwhile" in note for note in moved.notes)
    cluster.close()
