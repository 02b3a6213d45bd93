"""Opening: lazily, in the data's Region, as stored."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pystac
import pytest
import xarray as xr
from distributed import Client, LocalCluster

import dask_regions
from dask_regions.errors import (
    ConfigurationError,
    NotFoundError,
    RequestError,
    UnavailableError,
    WrongRegionError,
)
from dask_regions.placement.hooks.scheduler.plugin import records

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("placement")]


def test_a_store_opens_lazily_and_as_stored(client: Client, data: Any) -> None:
    before = client.run_on_scheduler(records).reads
    with dask_regions.transfers(client) as moved:
        dataset = dask_regions.open_dataset(data.west_item, client)
    assert client.run_on_scheduler(records).reads == before
    assert 0 < moved.crossed < 200_000  # the coordinate `area` is 96 kB, the array 7.7 MB
    assert dataset.tas.chunksizes["time"] == (8,) * 10
    assert dataset.tas.attrs == {"units": "K"}
    assert dataset.area.chunks is None


def test_values_are_those_of_the_store(client: Client, data: Any) -> None:
    dataset = dask_regions.open_dataset(data.west_item, client)
    with xr.open_zarr(data.store, chunks=None) as plain:
        xr.testing.assert_identical(
            dataset.isel(time=slice(3, 30, 4), lat=[5, 1, 7]).compute(),
            plain.isel(time=slice(3, 30, 4), lat=[5, 1, 7]).load(),
        )


def test_files_become_one_series_in_the_order_of_time(client: Client, data: Any) -> None:
    dataset = dask_regions.open_dataset(reversed(data.east_items), client)
    assert dataset.indexes["time"].is_monotonic_increasing
    assert dataset.tas.chunksizes["time"] == (10,) * 8
    np.testing.assert_array_equal(dataset.tas.compute(), data.east)


def test_opening_twice_gives_the_same_keys(client: Client, data: Any) -> None:
    first, second = (dask_regions.open_dataset(data.west_item, client) for _ in range(2))
    assert first.tas.data.name == second.tas.data.name


def test_reading_in_the_notebook_is_refused(client: Client, data: Any) -> None:
    dataset = dask_regions.open_dataset(data.west_item, client)
    with pytest.raises(WrongRegionError, match=r"us-west-2.*dask_regions\.connect"):
        dataset.tas.compute(scheduler="synchronous")


def test_a_file_that_is_gone_is_named(client: Client, data: Any) -> None:
    item = copy.deepcopy(data.west_item)
    item["assets"]["data"]["alternate"]["fsx"]["href"] += "-gone"
    with pytest.raises(NotFoundError, match=r"west\.zarr-gone is not on the file system of us-west-2"):
        dask_regions.open_dataset(item, client)


def test_items_that_do_not_fit_together_are_refused(client: Client, data: Any) -> None:
    with pytest.raises(RequestError, match="several Collections"):
        dask_regions.open_dataset([data.west_item, data.east_items[0]], client)


def test_connecting_to_nobody_says_what_to_check() -> None:
    with pytest.raises(UnavailableError, match=r"no scheduler answers at tcp://127\.0\.0\.1:9"):
        dask_regions.connect("tcp://127.0.0.1:9", timeout=0.5)


def test_the_web_server_is_no_scheduler() -> None:
    with pytest.raises(RequestError, match=r"http://127\.0\.0\.1:8787.*write it like tcp://"):
        dask_regions.connect("http://127.0.0.1:8787")


def test_what_a_search_collects_opens_as_one_series(client: Client, data: Any) -> None:
    items = [
        pystac.Item.from_dict(
            {
                **item,
                "geometry": None,
                "links": [],
                "properties": {**item["properties"], "datetime": "2000-01-01T00:00:00Z"},
            },
            preserve_dict=True,
        )
        for item in data.east_items
    ]
    dataset = dask_regions.open_dataset(pystac.ItemCollection(items), client)
    assert dataset.sizes["time"] == 80


def test_tasks_may_be_given_parts_of_a_dataset(client: Client, data: Any) -> None:
    dataset = dask_regions.open_dataset(data.west_item, client)
    parts = [dataset.tas.isel(time=number) for number in range(3)]
    means = client.gather(client.map(lambda part: float(part.mean().compute()), parts))
    np.testing.assert_allclose(means, data.west[:3].mean(axis=(1, 2)))


def test_a_scheduler_without_placement_is_refused(data: Any) -> None:
    with (
        LocalCluster(n_workers=1, processes=False, dashboard_address=":0") as plain,
        Client(plain) as client,
    ):
        with pytest.raises(ConfigurationError, match="was started without placement"):
            dask_regions.open_dataset(data.west_item, client)
        with (
            pytest.raises(ConfigurationError, match="was started without placement"),
            dask_regions.transfers(client),
        ):
            pass
