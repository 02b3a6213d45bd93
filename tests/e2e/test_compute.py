"""Compute in two Regions: right values, reads in their Region, little crosses, failures are survived."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import iris_sample_data
import numpy as np
import pystac_client
import pytest
import xarray as xr
from dask.base import compute
from distributed import Client

import dask_regions
from dask_regions import names
from dask_regions.placement.hooks.scheduler.plugin import records
from dask_regions_local.emulator.system import LocalSystem
from testing.local_system import slow
from testing.waiting import WAIT_SECONDS, wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("local")]

SCENARIOS = {"A1B": "us-west-2", "E1": "us-east-1"}


@pytest.fixture(scope="module")
def client(system: LocalSystem) -> Iterator[Client]:
    with dask_regions.connect(system.scheduler_address) as client:
        yield client


def find(system: LocalSystem, scenario: str) -> list[Any]:
    catalog = pystac_client.Client.open(system.api_url)
    return list(
        catalog.search(filter=f"scenario = '{scenario}' AND a_contains(variables, 'air_temperature')").items()
    )


def plain(scenario: str) -> xr.DataArray:
    """Open the same data with plain xarray, on one thread."""
    path = Path(iris_sample_data.path) / f"{scenario}_north_america.nc"
    with xr.open_dataset(path) as dataset:
        array: xr.DataArray = dataset.air_temperature.load()
    return array


def open_both(system: LocalSystem, client: Client) -> dict[str, xr.DataArray]:
    return {name: dask_regions.open_dataset(find(system, name), client).air_temperature for name in SCENARIOS}


def region_of_each_worker(client: Client) -> dict[str, str]:
    return {
        address: region
        for address, info in client.scheduler_info(n_workers=-1)["workers"].items()
        for region in SCENARIOS.values()
        if names.region_resource(region) in info["resources"]
    }


def test_items_tell_the_region_that_holds_them(system: LocalSystem) -> None:
    for scenario, region in SCENARIOS.items():
        items = find(system, scenario)
        assert items
        assert all(item.properties["regions"] == [region] for item in items)


def test_no_read_runs_outside_its_region_and_little_crosses(system: LocalSystem, client: Client) -> None:
    arrays = open_both(system, client)
    maps = {name: a.sel(time=slice("2070", "2099")).mean("time") for name, a in arrays.items()}
    series = {name: a.mean(("latitude", "longitude")) for name, a in arrays.items()}
    with dask_regions.transfers(client) as transfers:
        difference, got_maps, got_series = compute(maps["A1B"] - maps["E1"], maps, series)

    for name in SCENARIOS:
        want = plain(name)
        np.testing.assert_allclose(
            got_maps[name], want.sel(time=slice("2070", "2099")).mean("time"), rtol=1e-6
        )
        np.testing.assert_allclose(got_series[name], want.mean(("latitude", "longitude")), rtol=1e-6)
    np.testing.assert_allclose(difference, got_maps["A1B"] - got_maps["E1"], atol=1e-6)

    reads = client.run_on_scheduler(records).reads
    assert {data for data, _ in reads} == set(SCENARIOS.values())
    assert all(data == worker for data, worker in reads), reads
    data_bytes = sum(a.nbytes for a in arrays.values())
    assert 0 < transfers.crossed < 0.05 * data_bytes

    # The workers' own records: what came from another Region is smaller than any chunk as stored. A pool may
    # have grown meanwhile, and whole chunks may go from worker to worker inside a Region.
    region = region_of_each_worker(client)
    received = client.run(lambda dask_worker: list(dask_worker.transfer_incoming_log))
    crossed = [
        nbytes
        for receiver, log in received.items()
        for entry in log
        if region[entry["who"]] != region[receiver]
        for nbytes in entry["keys"].values()
    ]
    chunk = min(
        np.prod([max(sizes) for sizes in a.chunksizes.values()]) * a.dtype.itemsize for a in arrays.values()
    )
    assert crossed
    assert max(crossed) < chunk / 2


def test_a_worker_killed_in_the_middle_does_not_change_the_answer(
    system: LocalSystem, client: Client
) -> None:
    arrays = open_both(system, client)

    slowed = [
        xr.apply_ufunc(slow, array, dask="parallelized", output_dtypes=[array.dtype])
        for array in arrays.values()
    ]
    future = client.compute(sum(array.mean("time") for array in slowed))
    regions = region_of_each_worker(client)
    victim = next(address for address in regions if regions[address] == "us-west-2")
    wait_until(lambda: bool(client.processing()[victim]), "the worker is at work")
    os.kill(client.run(os.getpid, workers=[victim])[victim], signal.SIGKILL)
    got = future.result(timeout=WAIT_SECONDS)
    assert victim not in client.scheduler_info(n_workers=-1)["workers"]
    want = sum(plain(name).mean("time") for name in SCENARIOS)
    np.testing.assert_allclose(got, want, rtol=1e-6)
