"""Copies of a dataset in several Regions become one, if they agree."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import xarray as xr
from xarray.core import indexing

from dask_regions.client.opening.sources import Source
from dask_regions.client.replicas import difference, unite
from dask_regions.data.array import lazy_array, lazy_token, mark
from dask_regions.data.guard import enter_region
from dask_regions.errors import WrongRegionError

VALUES = np.arange(24.0).reshape(4, 6)
WEST, EAST = "us-west-2", "us-east-1"


@pytest.fixture(autouse=True)
def _outside_a_worker() -> Iterator[None]:
    yield
    enter_region(None)


def copy_in(
    region: str,
    values: np.ndarray[Any, Any] = VALUES,
    *,
    first: float = 0.0,
    content: str = "c",
    name: str = "tas",
    token: str = "1",
) -> tuple[Source, xr.Dataset]:
    adapter: Any = indexing.NumpyIndexingAdapter  # it has no types
    lazy = indexing.LazilyIndexedArray(adapter(values))
    time = np.arange(values.shape[0]) + first
    dataset = xr.Dataset({name: xr.Variable(("time", "x"), lazy, {"units": "K"})}, {"time": time})
    marked = mark(dataset, region=region, path=f"/fsx/{region}.nc", token=token, content=content)
    return Source(region, f"/fsx/{region}.nc", "data", zarr=False), marked


def test_each_region_reads_its_own_copy() -> None:
    united = pickle.loads(pickle.dumps(unite([copy_in(WEST, VALUES), copy_in(EAST, -VALUES)])))
    for region, values in ((WEST, VALUES), (EAST, -VALUES)):
        enter_region(region)
        np.testing.assert_array_equal(united.tas.copy(deep=True)[1:3].values, values[1:3])


def test_the_first_region_is_preferred_and_all_are_found_as_a_stored_attribute() -> None:
    array = lazy_array(unite([copy_in(WEST), copy_in(EAST)]).variables["tas"])
    assert vars(array)["__dask_region__"] == (WEST, EAST)


def test_one_region_is_found_as_text() -> None:
    assert vars(lazy_array(unite([copy_in(WEST)]).variables["tas"]))["__dask_region__"] == WEST


@pytest.mark.parametrize("here", ["ap-southeast-2", None])
def test_a_read_in_a_third_region_is_refused_and_names_those_that_hold_it(here: str | None) -> None:
    united = unite([copy_in(WEST), copy_in(EAST)])
    enter_region(here)
    with pytest.raises(WrongRegionError, match=f"is in Region {WEST} or {EAST} and was about"):
        united.tas.load()


def test_the_token_changes_with_each_copy() -> None:
    tokens = [
        lazy_token(unite([copy_in(WEST), copy_in(EAST, token=token)]).variables["tas"]) for token in "112"
    ]
    assert tokens[0] == tokens[1] != tokens[2]


@pytest.mark.parametrize(
    ("other", "what"),
    [
        (copy_in(EAST, VALUES[:3]), "tas is {'time': 3, 'x': 6} there and {'time': 4, 'x': 6} here"),
        (copy_in(EAST, VALUES.astype("f4")), "tas is float32 there and float64 here"),
        (copy_in(EAST, first=1.0), "time has other values"),
        (copy_in(EAST, content="d"), "their files differ"),
        (copy_in(EAST, name="pr"), "only one of them has pr, tas"),
    ],
    ids=["size", "type", "coordinates", "content", "variables"],
)
def test_a_copy_that_differs_is_left_out_with_a_warning(other: tuple[Source, xr.Dataset], what: str) -> None:
    first = copy_in(WEST)
    assert difference(first[1], other[1]) == what
    with pytest.warns(UserWarning, match=rf"/fsx/us-east-1\.nc in {EAST} is no replica of .* in {WEST}: "):
        united = unite([first, other])
    array = lazy_array(united.variables["tas"])
    assert array is not None
    assert array.regions == (WEST,)


def test_attributes_stay() -> None:
    united = unite([copy_in(WEST), copy_in(EAST)])
    assert united.tas.attrs == {"units": "K"}
    np.testing.assert_array_equal(united.time, np.arange(4))
