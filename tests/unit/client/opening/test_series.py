"""What is joined into one dataset, and what is refused rather than joined wrongly."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from dask_regions.client.open import _chunk
from dask_regions.client.opening.files import open_file
from dask_regions.client.opening.series import join, merge
from dask_regions.client.opening.sources import Source
from dask_regions.data.guard import enter_region
from dask_regions.errors import RequestError, UnavailableError

REGION = "us-west-2"


@pytest.fixture(autouse=True)
def _in_region() -> Iterator[None]:
    enter_region(REGION)
    yield
    enter_region(None)


def part(start: str, days: int = 5, variable: str = "tas") -> xr.Dataset:
    time = pd.date_range(start, periods=days, freq="D")
    bounds = np.zeros((days, 2))
    return xr.Dataset(
        {variable: (("time", "x"), np.ones((days, 3))), "time_bnds": (("time", "bnds"), bounds)},
        {"time": time, "x": [0, 1, 2]},
    )


def opened(path: Path) -> xr.Dataset:
    source = Source(REGION, str(path), "data", zarr=path.suffix == ".zarr")
    marked: xr.Dataset = pickle.loads(open_file(source))
    return _chunk(marked)


def test_a_gap_is_no_mistake() -> None:
    joined = join([part("2001-01-01"), part("2000-01-01")])
    assert joined.sizes["time"] == 10
    assert joined.indexes["time"].is_monotonic_increasing


@pytest.mark.parametrize("start", ["2000-01-01", "2000-01-05"])
def test_items_that_cover_the_same_time_are_refused(start: str) -> None:
    with pytest.raises(RequestError, match=f"more than one of them covers {start}"):
        join([part("2000-01-01"), part(start)])


def test_items_of_other_variables_are_refused() -> None:
    with pytest.raises(RequestError, match="not all of them have pr, tas"):
        join([part("2000-01-01"), part("2001-01-01", variable="pr")])


def test_items_of_other_calendars_are_refused() -> None:
    other = part("2001-01-01").convert_calendar("360_day", align_on="date")
    with pytest.raises(RequestError, match="different calendars"):
        join([part("2000-01-01"), other])


def test_assets_are_put_side_by_side() -> None:
    merged = merge({"tas": part("2000-01-01"), "pr": part("2000-01-01", variable="pr")})
    assert set(merged.data_vars) == {"tas", "pr", "time_bnds"}


def test_assets_of_the_same_variable_are_refused() -> None:
    with pytest.raises(RequestError, match="asset 'second' has no variable that the other assets lack"):
        merge({"first": part("2000-01-01"), "second": part("2000-01-01")})


def test_assets_of_other_times_are_refused() -> None:
    with pytest.raises(RequestError, match="the assets tas, pr do not fit together"):
        merge({"tas": part("2000-01-01"), "pr": part("2001-01-01", variable="pr")})


@pytest.mark.parametrize("name", ["damaged.nc", "damaged.zarr"])
def test_what_cannot_be_opened_is_named(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if path.suffix == ".zarr":
        path.mkdir()
    else:
        path.write_bytes(b"half a file")
    with pytest.raises(UnavailableError, match=rf"{name} in us-west-2 cannot be opened as") as raised:
        opened(path)
    assert raised.value.__cause__ is not None


@pytest.mark.parametrize("suffix", ["nc", "zarr"])
def test_scalars_empty_variables_and_large_coordinates_open(tmp_path: Path, suffix: str) -> None:
    dataset = xr.Dataset(
        {
            "scalar": ((), 3.5),
            "empty": (("nothing", "x"), np.empty((0, 3))),
            "names": (("x",), np.array(["a", "bb", "\u00e7"], dtype=object)),
        },
        {"x": [0, 1, 2], "large": (("y", "z"), np.ones((400, 400))), "height": ((), 2.0)},
    )
    path = tmp_path / f"odd.{suffix}"
    if suffix == "nc":
        dataset.to_netcdf(path, engine="h5netcdf")
    else:
        dataset.to_zarr(path, zarr_format=2, consolidated=True)
    lazy = opened(path)
    assert lazy.large.chunks is not None
    assert lazy.height.chunks is None
    xr.testing.assert_equal(lazy.compute(scheduler="synchronous"), dataset)
