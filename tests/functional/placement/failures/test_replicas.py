"""Data that two Regions hold: opened in both, read in one, and in the other when the first is lost."""

from __future__ import annotations

import gc
import queue
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from distributed import Client, Event

import dask_regions
from dask_regions.client.connect import connect
from testing.waiting import WAIT_SECONDS, message_with, wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("placement")]

WEST, EAST = "us-west-2", "us-east-1"


@pytest.fixture(scope="module")
def unharmed(start_cluster: Callable[..., Any]) -> Iterator[Any]:
    """For all tests that kill nothing."""
    cluster = start_cluster(WEST, EAST)
    yield cluster
    cluster.close()


@pytest.fixture
def cluster(start_cluster: Callable[..., Any]) -> Iterator[Any]:
    cluster = start_cluster(WEST, EAST)
    yield cluster
    cluster.close()


def west_and_east(data: Any, replica: Path) -> dict[str, Any]:
    """Return the Item of the West's store for the store and its replica in the East."""
    merged: dict[str, Any] = dict(data.west_item)
    merged["properties"] = {
        "storage:schemes": {f"fsx-{region}": {"region": region} for region in (WEST, EAST)}
    }
    alternates = {
        "fsx": {"href": data.store.as_uri(), "storage:refs": [f"fsx-{WEST}"]},
        f"fsx-{EAST}": {"href": replica.as_uri(), "storage:refs": [f"fsx-{EAST}"]},
    }
    merged["assets"] = {"data": {**data.west_item["assets"]["data"], "alternate": alternates}}
    return merged


@pytest.fixture
def replica(data: Any, tmp_path: Path) -> Path:
    return Path(shutil.copytree(data.store, tmp_path / EAST / "west.zarr"))


def hold_in(region: str, array: xr.DataArray) -> xr.DataArray:
    """Return the array with chunks that, in a Region, tell that they run and never end."""

    def hold(values: np.ndarray, region: str) -> np.ndarray:
        from distributed import Event

        from dask_regions.data.guard import process_region

        if process_region() == region:
            Event("running").set()
            Event("never").wait()
        return values

    waiting: xr.DataArray = xr.apply_ufunc(
        hold, array, kwargs={"region": region}, dask="parallelized", output_dtypes=[array.dtype]
    )
    return waiting


def kill(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


def give_up_sooner(client: Client) -> None:
    """Let a scheduler tell of silence after 3 s, and give workers up after 15 s."""

    def shorten(dask_scheduler: Any) -> None:
        dask_scheduler.plugins["dask-regions-watch"]._silence = 3.0
        dask_scheduler.worker_ttl = 15.0

    client.run_on_scheduler(shorten)


def test_a_replica_is_read_in_one_region_and_has_the_values_of_both(
    unharmed: Any, data: Any, replica: Path
) -> None:
    array = dask_regions.open_dataset(west_and_east(data, replica), unharmed.client).tas
    with dask_regions.transfers(unharmed.client) as moved:
        np.testing.assert_allclose(array.mean().compute(), data.west.mean(), rtol=1e-9)
    assert len(moved.reads) == 1
    assert moved.crossed < 10_000


def test_the_replica_beside_the_other_data_is_read(unharmed: Any, data: Any, replica: Path) -> None:
    client = unharmed.client
    both = dask_regions.open_dataset(west_and_east(data, replica), client).tas
    east = dask_regions.open_dataset(data.east_items, client).tas
    with dask_regions.transfers(client) as moved:
        got = (both - east).mean().compute()
    np.testing.assert_allclose(got, (data.west - data.east).mean(), rtol=1e-9)
    assert set(moved.reads) == {(EAST, EAST)}
    assert moved.crossed < 10_000


def test_a_replica_that_lacks_its_file_is_left_out_with_a_warning(
    unharmed: Any, data: Any, replica: Path
) -> None:
    shutil.rmtree(replica)
    with pytest.warns(UserWarning, match=f"the replica in {EAST} is not used: .* is not on the file system"):
        dataset = dask_regions.open_dataset(west_and_east(data, replica), unharmed.client)
    np.testing.assert_allclose(dataset.tas.mean().compute(), data.west.mean(), rtol=1e-9)


def test_a_replica_that_differs_is_left_out_with_a_warning(unharmed: Any, data: Any, replica: Path) -> None:
    with xr.open_zarr(replica, chunks=None) as dataset:
        shorter = dataset.isel(time=slice(40)).load()
    shutil.rmtree(replica)
    shorter.to_zarr(replica, zarr_format=2, consolidated=True)
    with pytest.warns(UserWarning, match=r"is no replica of .*: tas is .* there and .* here"):
        dataset = dask_regions.open_dataset(west_and_east(data, replica), unharmed.client)
    assert dataset.sizes["time"] == 80


def test_opening_leaves_no_task_behind(
    unharmed: Any, data: Any, replica: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it took long, too: the error of a wait that timed out refers to its futures."""
    monkeypatch.setattr("dask_regions.client.open._LOOK_SECONDS", 0.01)

    def tasks(dask_scheduler: Any) -> list[str]:
        return list(dask_scheduler.tasks)

    gc.disable()
    try:
        dask_regions.open_dataset(west_and_east(data, replica), unharmed.client)
        wait_until(lambda: not unharmed.client.run_on_scheduler(tasks), "the end of the last task")
    finally:
        gc.enable()


def test_when_its_pool_is_killed_a_computation_continues_in_the_other_region(
    cluster: Any, data: Any, replica: Path
) -> None:
    messages: queue.Queue[str] = queue.Queue()
    with connect(cluster.client.scheduler.address, on_message=messages.put) as client:
        array = dask_regions.open_dataset(west_and_east(data, replica), client).tas
        future = client.compute(hold_in(WEST, array).mean("time"))
        assert Event("running", client).wait(WAIT_SECONDS)
        with dask_regions.transfers(client) as moved:
            kill(cluster.processes[1])
            np.testing.assert_allclose(future.result(timeout=WAIT_SECONDS), data.west.mean(0), rtol=1e-9)
        message = message_with(messages, "no workers")
        assert message.startswith(f"pool {WEST} has no workers; ")
        assert message.endswith(f" tasks continue in {EAST}, which holds the same data.")
        assert set(moved.reads) == {(EAST, EAST)}
        reopened = dask_regions.open_dataset(west_and_east(data, replica), client).tas
        np.testing.assert_allclose(reopened.mean().compute(), data.west.mean(), rtol=1e-9)
        assert not [message for message in list(messages.queue) if "no workers" in message]


def test_what_only_the_lost_region_holds_waits_for_it_and_the_rest_goes_on(
    cluster: Any, data: Any, replica: Path
) -> None:
    messages: queue.Queue[str] = queue.Queue()
    with connect(cluster.client.scheduler.address, on_message=messages.put) as client:
        both = dask_regions.open_dataset(west_and_east(data, replica), client).tas
        only = dask_regions.open_dataset(data.west_item, client).tas
        never = Event("never", client)
        future = client.compute([hold_in(WEST, both).mean(), hold_in(WEST, only).mean()])
        assert Event("running", client).wait(WAIT_SECONDS)
        kill(cluster.processes[1])
        message_with(messages, f"continue in {EAST}")
        message_with(messages, f"Scale it with: dask-regions scale {WEST} 1")
        np.testing.assert_allclose(future[0].result(timeout=WAIT_SECONDS), data.west.mean(), rtol=1e-9)
        assert not future[1].done()
        never.set()
        cluster.add_worker(WEST)
        np.testing.assert_allclose(future[1].result(timeout=WAIT_SECONDS), data.west.mean(), rtol=1e-9)
        message_with(messages, f"pool {WEST} has workers again")


@pytest.mark.long
def test_a_frozen_pool_is_told_given_up_and_replaced_and_leaves_when_it_thaws(
    cluster: Any, data: Any, replica: Path
) -> None:
    messages: queue.Queue[str] = queue.Queue()
    with connect(cluster.client.scheduler.address, on_message=messages.put) as client:
        give_up_sooner(client)
        array = dask_regions.open_dataset(west_and_east(data, replica), client).tas
        future = client.compute(hold_in(WEST, array).mean())
        assert Event("running", client).wait(WAIT_SECONDS)
        frozen = cluster.processes[1]
        frozen.send_signal(signal.SIGSTOP)
        try:
            message_with(messages, f"1 of 1 workers of pool {WEST} have not answered")
            np.testing.assert_allclose(future.result(timeout=WAIT_SECONDS), data.west.mean(), rtol=1e-9)
        finally:
            frozen.send_signal(signal.SIGCONT)
        frozen.wait(WAIT_SECONDS)
