"""One dataset from its copies in several Regions, opened in each of them."""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Sequence

import xarray as xr
from xarray.core import indexing

from dask_regions.client.opening.sources import Source
from dask_regions.data.array import lazy_array, replace_variables

__all__ = ["difference", "unite"]


def unite(copies: Sequence[tuple[Source, xr.Dataset]]) -> xr.Dataset:
    """Return one lazy dataset that is read in whichever of its Regions a task runs.

    Parameters
    ----------
    copies
        Where each copy is, and what :func:`dask_regions.data.array.mark` made of it. The first is
        preferred; those that differ from it are left out, with a warning.
    """
    (source, united), *replicas = copies
    for other_source, replica in replicas:
        what = difference(united, replica)
        if what is None:
            united = _with_replica(united, replica)
        else:
            warnings.warn(
                f"{other_source.path} in {other_source.region} is no replica of {source.path} in "
                f"{source.region}: {what}. It is not used; bring the buckets into agreement and run "
                "dask-regions sync",
                stacklevel=4,
            )
    return united


def difference(first: xr.Dataset, other: xr.Dataset) -> str | None:
    """Say in which way two marked datasets differ, as far as their metadata and coordinates tell.

    Returns
    -------
    str or None
        None where they agree in variables, dimensions, sizes, types, values of small coordinates, and
        in what the files' metadata or sizes say.
    """
    if set(first.variables) != set(other.variables):
        names = sorted(map(str, set(first.variables) ^ set(other.variables)))
        return f"only one of them has {', '.join(names)}"
    for name in first.variables:
        what = _different_variable(name, first.variables[name], other.variables[name])
        if what is not None:
            return what
    return None


def _different_variable(name: Hashable, first: xr.Variable, other: xr.Variable) -> str | None:
    if (first.dims, first.shape) != (other.dims, other.shape):
        return f"{name} is {dict(other.sizes)} there and {dict(first.sizes)} here"
    if first.dtype != other.dtype:
        return f"{name} is {other.dtype} there and {first.dtype} here"
    mine, theirs = lazy_array(first), lazy_array(other)
    if mine is None and theirs is None:
        same: bool = first.equals(other)  # type: ignore[no-untyped-call]
        return None if same else f"{name} has other values"
    return None if mine and theirs and mine.content == theirs.content else "their files differ"


def _with_replica(first: xr.Dataset, replica: xr.Dataset) -> xr.Dataset:
    variables = {}
    for name, variable in first.variables.items():
        mine, theirs = lazy_array(variable), lazy_array(replica.variables[name])
        if mine is not None and theirs is not None:
            lazy = indexing.LazilyIndexedArray(mine.with_replica(theirs))
            variables[name] = xr.Variable(variable.dims, lazy, variable.attrs, variable.encoding)
    return replace_variables(first, variables)
