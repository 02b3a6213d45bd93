"""Graphs of about 100,000 tasks over arrays of two Regions."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
from dask.base import annotate
from xarray.backends import BackendArray
from xarray.core import indexing

from dask_regions.placement.marker import RegionArray

__all__ = ["GRAPHS"]

WEST, EAST = "us-west-2", "us-east-1"


class _Endless(BackendArray):
    """An array that is never read: tasks stay where the scheduler put them."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape, self.dtype = shape, np.dtype("f8")

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        time.sleep(3600)


def _array(region: str, blocks: int, marked: bool) -> da.Array:
    inner = _Endless((blocks, 100, 100))
    array = RegionArray(inner, region=region, what="endless", token=region) if marked else inner
    variable = xr.Variable(("time", "y", "x"), indexing.LazilyIndexedArray(array))
    with annotate(**({"region": region} if marked else {})):
        chunked = variable.chunk({"time": 1}, name=f"read-{region}", lock=False, inline_array=False)
    return chunked.data


def _elementwise(a: da.Array, b: da.Array) -> da.Array:
    return (a * 2 + b).sum()


def _reductions(a: da.Array, b: da.Array) -> da.Array:
    return a.std(axis=0) - b.std(axis=0)


def _one_region(a: da.Array, _: da.Array) -> da.Array:
    return (a - a.mean(axis=0)).rechunk((8, 100, 100)).std()


def _rechunked(a: da.Array, b: da.Array) -> da.Array:
    both = da.concatenate([a, b])
    return both.rechunk((50, 50, 50), method="tasks").max(axis=0)


#: Name to a function that returns the graph's collection; blocks chosen for some 100,000 tasks.
GRAPHS: dict[str, Callable[[bool], da.Array]] = {
    "(2a + b).sum()": lambda marked: _elementwise(_array(WEST, 13_000, marked), _array(EAST, 13_000, marked)),
    "a.std(0) - b.std(0)": lambda marked: _reductions(
        _array(WEST, 19_000, marked), _array(EAST, 19_000, marked)
    ),
    "one Region: anomalies, rechunk, std": lambda marked: _one_region(
        _array(WEST, 28_000, marked), _array(EAST, 1, marked)
    ),
    "concatenate, rechunk, max": lambda marked: _rechunked(
        _array(WEST, 8_000, marked), _array(EAST, 8_000, marked)
    ),
}
