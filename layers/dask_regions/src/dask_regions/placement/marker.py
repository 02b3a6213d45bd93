"""The mark on an array that says in which Region its data are, and the guard that enforces it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import xarray as xr
from dask.base import tokenize
from xarray.backends import BackendArray
from xarray.core import indexing

from dask_regions.errors import WrongRegionError
from dask_regions.settings import Settings

__all__ = ["RegionArray", "check_region", "enter_region", "lazy_token", "mark", "process_region"]

#: Coordinates up to this size (bytes) travel with the dataset; larger ones stay lazy.
SMALL_COORDINATE = 1_000_000

_entered: str | None = None


def enter_region(region: str | None) -> None:
    """Declare the Region of this process; its worker's preload does so. None takes it back."""
    global _entered
    _entered = region


def process_region() -> str | None:
    """Return the Region that this process was declared to be in, or None outside a pool's worker."""
    return _entered


def check_region(region: str, what: str) -> None:
    """Refuse to read data of another Region than this process is in.

    Raises
    ------
    WrongRegionError
        In another Region, and in any process that is no worker of a pool: a notebook sees no file
        system, even where it runs in the same Region.
    """
    if _entered != region:
        here = _entered or f"{Settings.from_environment().aws_region or 'unknown'} (not a pool's worker)"
        raise WrongRegionError(region, here, what)


class RegionArray(BackendArray):
    """A lazy array of an xarray backend whose values are read in one Region only.

    Parameters
    ----------
    inner
        The backend's lazy array, e.g. of ``xr.open_dataset(..., chunks=None, cache=False)``.
    region
        Region that holds the data; the scheduler's plugin finds it as ``__dask_region__``.
    what
        Names the array in errors: ``<path>, variable <name>``.
    token
        Changes when the data change.
    """

    def __init__(self, inner: Any, *, region: str, what: str, token: str) -> None:
        self.shape = tuple(inner.shape)
        self.dtype = np.dtype(inner.dtype)
        self.nbytes = math.prod(self.shape) * self.dtype.itemsize
        self.__dask_region__ = region
        self._inner = inner
        self._what = what
        self._token = token

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        """Read, after checking that this process is in the array's Region."""
        check_region(self.__dask_region__, self._what)
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.OUTER, self._read)

    def _read(self, key: tuple[Any, ...]) -> Any:
        return indexing.apply_indexer(self._inner, indexing.OuterIndexer(key)).get_duck_array()

    def __dask_tokenize__(self) -> tuple[str, str, str]:
        return (self.__dask_region__, self._what, self._token)

    def __repr__(self) -> str:
        return f"<RegionArray {self._what} in {self.__dask_region__}: {self.dtype}{list(self.shape)}>"


def mark(dataset: xr.Dataset, *, region: str, path: str, token: str) -> xr.Dataset:
    """Load the small coordinates of a lazily opened dataset and mark everything else.

    Parameters
    ----------
    dataset
        Opened with ``chunks=None`` and ``cache=False``.
    region, path
        Where it was opened.
    token
        Changes when the data change, e.g. size and time of modification.

    Returns
    -------
    xr.Dataset
        Without any data bytes but the coordinates', and without open files of its own.
    """
    variables = {}
    for name, variable in dataset.variables.items():
        if name in dataset.xindexes:
            continue
        if name in dataset.coords and variable.nbytes <= SMALL_COORDINATE:
            variables[name] = variable.load()
            continue
        # The only way to a variable's lazy array: `Variable.data` would read it.
        array = RegionArray(variable._data, region=region, what=f"{path}, variable {name}", token=token)
        lazy = indexing.LazilyIndexedArray(array)
        variables[name] = xr.Variable(variable.dims, lazy, variable.attrs, variable.encoding)
    coordinates = {name: variable for name, variable in variables.items() if name in dataset.coords}
    values = {name: variable for name, variable in variables.items() if name not in dataset.coords}
    marked = dataset.assign(values).assign_coords(coordinates)
    marked.set_close(None)
    return marked


def lazy_token(variable: xr.Variable) -> str | None:
    """Return the token of a marked, unread variable; None where its values are loaded or in Dask."""
    lazy = variable._data
    if isinstance(lazy, indexing.LazilyIndexedArray) and isinstance(lazy.array, RegionArray):
        return tokenize(lazy.array)
    return None
