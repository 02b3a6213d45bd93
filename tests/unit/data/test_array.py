"""The mark travels with the array, and the guard refuses in the wrong place."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import xarray as xr
from xarray.core import indexing

from dask_regions.data.array import lazy_token, mark
from dask_regions.data.guard import enter_region
from dask_regions.errors import WrongRegionError

VALUES = np.arange(24.0).reshape(2, 3, 4)


@pytest.fixture(autouse=True)
def _outside_a_worker() -> Iterator[None]:
    yield
    enter_region(None)


def lazily(values: np.ndarray[Any, Any]) -> indexing.LazilyIndexedArray:
    adapter: Any = indexing.NumpyIndexingAdapter  # it has no types
    return indexing.LazilyIndexedArray(adapter(values))


def lazy_dataset() -> xr.Dataset:
    """Return a dataset as a backend opens it: nothing read."""
    lazy = lazily(VALUES)
    large = lazily(np.zeros((400, 400)))
    small = lazily(np.zeros(3))
    return xr.Dataset(
        {"tas": xr.Variable(("time", "lat", "lon"), lazy, {"units": "K"}, {"preferred_chunks": {"time": 1}})},
        {"lon": np.arange(4), "area": ("lat", small), "mesh": xr.Variable(("x", "y"), large)},
        {"title": "test"},
    )


def marked(token: str = "1") -> xr.Dataset:
    return mark(lazy_dataset(), region="us-west-2", path="/fsx/a.nc", token=token)


def test_arrays_and_large_coordinates_are_marked_and_small_ones_loaded() -> None:
    dataset = marked()
    lazy = {name for name, variable in dataset.variables.items() if lazy_token(variable)}
    assert lazy == {"tas", "mesh"}
    assert set(dataset.coords) == {"lon", "area", "mesh"}


def test_attributes_and_encoding_stay() -> None:
    dataset = marked()
    assert dataset.attrs == {"title": "test"}
    assert dataset.tas.attrs == {"units": "K"}
    assert dataset.tas.encoding == {"preferred_chunks": {"time": 1}}


@pytest.mark.parametrize(
    "selection",
    [
        {},
        {"time": 0},
        {"lat": [2, 0], "lon": slice(None, None, 2)},
        {"lat": xr.DataArray([0, 2], dims="point"), "lon": xr.DataArray([3, 1], dims="point")},
    ],
    ids=["all", "basic", "outer", "vectorized"],
)
def test_values_are_read_in_the_region(selection: dict[str, object]) -> None:
    enter_region("us-west-2")
    want = xr.DataArray(VALUES, dims=("time", "lat", "lon")).isel(selection)
    np.testing.assert_array_equal(marked().tas.isel(selection).values, want.values)


def test_a_read_in_another_region_is_refused() -> None:
    enter_region("us-east-1")
    with pytest.raises(WrongRegionError, match=r"/fsx/a\.nc, variable tas is in Region us-west-2"):
        marked().tas.load()


def test_a_read_outside_a_worker_is_refused_even_in_the_region(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "us-west-2")
    with pytest.raises(WrongRegionError, match="not a pool's worker"):
        marked().tas.load()


def test_the_error_survives_pickling() -> None:
    error = pickle.loads(pickle.dumps(WrongRegionError("us-west-2", "us-east-1", "x")))
    assert (error.data, error.worker, error.what) == ("us-west-2", "us-east-1", "x")


def test_the_mark_survives_pickling() -> None:
    variable = pickle.loads(pickle.dumps(marked())).variables["tas"]
    assert lazy_token(variable) == lazy_token(marked().variables["tas"])


def test_the_token_changes_with_the_data() -> None:
    first, same, other = (lazy_token(marked(token).variables["tas"]) for token in "112")
    assert first == same != other


def test_tokens_tell_variables_apart() -> None:
    dataset = marked()
    assert lazy_token(dataset.variables["tas"]) != lazy_token(dataset.variables["mesh"])
