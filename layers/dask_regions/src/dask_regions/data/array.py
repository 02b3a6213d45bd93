"""Arrays of a dataset that carry the Region of their data, and are read nowhere else."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from copy import copy
from functools import partial
from typing import Any

import numpy as np
import xarray as xr
from dask.base import tokenize
from dask.tokenize import normalize_token
from xarray.backends import BackendArray
from xarray.core import indexing

from dask_regions.data.guard import check_region, process_region

__all__ = ["COORDINATE_LIMIT_BYTES", "RegionArray", "lazy_array", "lazy_token", "mark", "replace_variables"]

#: Coordinates up to this size travel with the dataset; larger ones stay lazy.
COORDINATE_LIMIT_BYTES = 1_000_000


class RegionArray(BackendArray):
    """A lazy array of an xarray backend whose values are read in the Regions that hold it only.

    Parameters
    ----------
    inner
        The backend's lazy array, e.g. of ``xr.open_dataset(..., chunks=None, cache=False)``.
    region
        Region that holds the data.
    what
        Names the array in errors: ``<path>, variable <name>``.
    token
        Changes when the data change.
    content
        Equal in Regions that hold the same data; empty where nothing is known about it.

    Attributes
    ----------
    __dask_region__
        Where the scheduler finds the Region; a tuple, preferred Region first, after :meth:`with_replica`.
    """

    def __init__(self, inner: Any, *, region: str, what: str, token: str, content: str = "") -> None:
        self.shape = tuple(inner.shape)
        self.dtype = np.dtype(inner.dtype)
        self.nbytes = math.prod(self.shape) * self.dtype.itemsize
        self.content = content
        self.__dask_region__: str | tuple[str, ...] = region
        self._copies = {region: (inner, what)}
        self._token = token

    @property
    def regions(self) -> tuple[str, ...]:
        """The Regions that hold the data, the preferred one first."""
        return tuple(self._copies)

    def with_replica(self, other: RegionArray) -> RegionArray:
        """Return one array for both, read in whichever Region the process is in; this one is preferred."""
        both = copy(self)
        both._copies = self._copies | other._copies
        both._token = tokenize(self._token, other._token)
        both.__dask_region__ = both.regions
        return both

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        """Read, after checking that this process is in a Region of the array."""
        here = process_region()
        holder = here if here in self._copies else " or ".join(self._copies)
        check_region(holder, self._what)
        read = partial(_read, self._copies[holder][0])
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.OUTER, read)

    @property
    def _what(self) -> str:
        return next(iter(self._copies.values()))[1]

    def __dask_tokenize__(self) -> tuple[tuple[str, ...], str, str]:
        return (self.regions, self._what, self._token)

    def __repr__(self) -> str:
        return f"<RegionArray {self._what} in {' and '.join(self._copies)}: {self.dtype}{list(self.shape)}>"


def _read(inner: Any, key: tuple[Any, ...]) -> Any:
    return indexing.apply_indexer(inner, indexing.OuterIndexer(key)).get_duck_array()


def mark(dataset: xr.Dataset, *, region: str, path: str, token: str, content: str = "") -> xr.Dataset:
    """Load the small coordinates of a lazily opened dataset and mark everything else.

    Parameters
    ----------
    dataset
        Opened with ``chunks=None`` and ``cache=False``.
    region, path
        Where it was opened.
    token
        Changes when the data change, e.g. size and time of modification.
    content
        Equal in Regions that hold the same data, e.g. the size alone.

    Returns
    -------
    xr.Dataset
        Without any data bytes but the coordinates', and without open files of its own.
    """
    variables = {}
    for name, variable in dataset.variables.items():
        if name in dataset.xindexes:
            continue
        if name in dataset.coords and variable.nbytes <= COORDINATE_LIMIT_BYTES:
            variables[name] = variable.load()
            continue
        # The only way to a variable's lazy array: `Variable.data` would read it.
        array = RegionArray(
            variable._data, region=region, what=f"{path}, variable {name}", token=token, content=content
        )
        lazy = indexing.LazilyIndexedArray(array)
        variables[name] = xr.Variable(variable.dims, lazy, variable.attrs, variable.encoding)
    marked = replace_variables(dataset, variables)
    marked.set_close(None)
    return marked


def replace_variables(dataset: xr.Dataset, variables: Mapping[Hashable, xr.Variable]) -> xr.Dataset:
    """Return a dataset with other variables of the same names; what is a coordinate stays one."""
    coordinates = {name: variable for name, variable in variables.items() if name in dataset.coords}
    values = {name: variable for name, variable in variables.items() if name not in dataset.coords}
    return dataset.assign(values).assign_coords(coordinates)


def lazy_token(variable: xr.Variable) -> str | None:
    """Return the token of a marked, unread variable; None where its values are loaded or in Dask."""
    array = lazy_array(variable)
    return None if array is None else tokenize(array)


def lazy_array(variable: xr.Variable) -> RegionArray | None:
    """Return the marked array of an unread variable; None where its values are loaded or in Dask."""
    lazy = variable._data
    if isinstance(lazy, indexing.LazilyIndexedArray) and isinstance(lazy.array, RegionArray):
        return lazy.array
    return None


@normalize_token.register(xr.Variable)  # type: ignore[untyped-decorator]
def _without_reading(variable: xr.Variable) -> Any:
    """Let Dask name tasks that are given an unread array; xarray's own way reads it in the notebook."""
    array = lazy_array(variable)
    if array is None:
        return variable.__dask_tokenize__()
    lazy: Any = variable._data
    return normalize_token((type(variable), variable.dims, array, lazy.key.tuple, variable.attrs or None))
