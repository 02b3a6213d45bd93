"""Graphs of about 100,000 tasks over arrays of two Regions."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, cast

import dask.array as da
import numpy as np
import xarray as xr
from dask.base import annotate
from xarray.backends import BackendArray
from xarray.core import indexing

from dask_regions.data.array import RegionArray

__all__ = ["GRAPHS"]

WEST, EAST = "us-west-2", "us-east-1"


class _Endless(BackendArray):
    """An array that is never read: tasks stay where the scheduler put them."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape, self.dtype = shape, np.dtype("f8")

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        time.sleep(3600)


def _array(region: str, blocks: int, marked: bool, fused: bool = True) -> da.Array:
    annotated = marked or not fused
    inner = _Endless((blocks, 100, 100))
    array = RegionArray(inner, region=region, what="endless", token=region) if marked else inner
    variable = xr.Variable(("time", "y", "x"), indexing.LazilyIndexedArray(array))
    with annotate(**({"region": region} if annotated else {})):
        chunked = variable.chunk({"time": 1}, name=f"read-{region}", lock=False, inline_array=False)
    return cast("da.Array", chunked.data)


def _elementwise(a: da.Array, b: da.Array) -> da.Array:
    return cast("da.Array", (a * 2 + b).sum())


def _reductions(a: da.Array, b: da.Array) -> da.Array:
    return cast("da.Array", a.std(axis=0) - b.std(axis=0))


def _one_region(a: da.Array, _: da.Array) -> da.Array:
    return cast("da.Array", (a + 1).rechunk((8, 100, 100), method="tasks").std())


def _rechunked(a: da.Array, b: da.Array) -> da.Array:
    both = da.concatenate([a, b])
    return cast("da.Array", both.rechunk((50, 50, 50), method="tasks").max(axis=0))


# Placement keeps Dask from fusing the reads of two Regions. The stock scheduler gets the annotation that does
# so where it would otherwise get another graph, of tasks that read both.
#: Name to a function that returns the graph's collection; blocks chosen for some 100,000 tasks.
GRAPHS: dict[str, Callable[[bool], da.Array]] = {
    "(2a + b).sum()": lambda marked: _elementwise(
        _array(WEST, 27_000, marked, fused=False), _array(EAST, 27_000, marked, fused=False)
    ),
    "a.std(0) - b.std(0)": lambda marked: _reductions(
        _array(WEST, 38_000, marked), _array(EAST, 38_000, marked)
    ),
    "one Region: (a + 1).rechunk().std()": lambda marked: _one_region(
        _array(WEST, 40_000, marked), _array(EAST, 1, marked)
    ),
    "concatenate, rechunk, max": lambda marked: _rechunked(
        _array(WEST, 8_000, marked), _array(EAST, 8_000, marked)
    ),
}
