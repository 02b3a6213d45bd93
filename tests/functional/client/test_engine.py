"""xarray's own functions, with the engine that opens files in their Region."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
import xarray as xr
from distributed import Client

from dask_regions.client.engine import RegionBackend
from dask_regions.errors import NotFoundError, RequestError, WrongRegionError
from dask_regions.placement.hooks.scheduler.plugin import records

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("placement")]

WEST, EAST = "us-west-2", "us-east-1"


def test_a_file_opens_in_its_region(client: Client, data: Any) -> None:
    before = Counter(client.run_on_scheduler(records).reads)
    opened = xr.open_dataset(data.files[0], engine=RegionBackend, region=EAST, chunks={})
    assert opened.tas.chunksizes["time"] == (10, 10)
    np.testing.assert_allclose(opened.tas.mean().compute(), data.east[:20].mean())
    assert set(Counter(client.run_on_scheduler(records).reads) - before) == {(EAST, EAST)}


def test_files_open_as_one_series(client: Client, data: Any) -> None:
    series = xr.open_mfdataset(data.files, engine=RegionBackend, region=EAST, data_vars="minimal")
    np.testing.assert_array_equal(series.tas, data.east)


def test_a_zarr_store_opens_too_and_its_values_stay(client: Client, data: Any) -> None:
    opened = xr.open_dataset(data.store, engine=RegionBackend, region=WEST, drop_variables=["area"])
    assert set(opened.coords) == {"time", "lat", "lon"}
    with pytest.raises(WrongRegionError, match="chunks="):
        opened.tas.load()


def test_the_same_path_in_two_regions_has_two_names(client: Client, data: Any) -> None:
    names = {
        xr.open_dataset(data.files[0], engine=RegionBackend, region=region, chunks={}).tas.data.name
        for region in (EAST, EAST, WEST)
    }
    assert len(names) == 2


def test_opening_in_parallel_is_refused_where_it_lands_elsewhere(client: Client, data: Any) -> None:
    def open_elsewhere(path: str) -> object:
        return xr.open_dataset(path, engine=RegionBackend, region=EAST, chunks={})

    future = client.submit(open_elsewhere, str(data.files[0]), resources={f"region-{WEST}": 0})
    with pytest.raises(RequestError, match="parallel=False"):
        future.result()


def test_mistakes_are_named(client: Client, data: Any) -> None:
    with pytest.raises(RequestError, match="name the Region"):
        xr.open_dataset(data.files[0], engine=RegionBackend)
    with pytest.raises(RequestError, match="no absolute path"):
        RegionBackend().open_dataset("data.nc", region=EAST)
    with pytest.raises(NotFoundError, match="is not on the file system of us-east-1"):
        xr.open_dataset("/nowhere/data.nc", engine=RegionBackend, region=EAST)
