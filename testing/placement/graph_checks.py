"""What is checked of every graph that ran, and marked data in the forms in which users hand them to Dask."""

from __future__ import annotations

from typing import Any

import xarray as xr
from distributed import Client
from xarray.core import indexing

from testing.placement.least_crossing import Graph, Observer

__all__ = ["SLACK_BYTES", "address", "check", "handle", "parts"]

#: Lazy arrays, functions and scalars may cross besides results.
SLACK_BYTES = 20_000


def address(client: Client) -> str:
    """Return the address of the scheduler of a client."""
    return str(client.scheduler_info()["address"])


def check(observer: Observer, *, gathered: bool = True) -> Graph:
    """Return what ran since the last time, after checking that each task ran where its data are."""
    graph = observer.take(gathered=gathered)
    assert graph.tasks
    assert not graph.misplaced(), str(graph)
    assert not graph.repeated(), str(graph)
    assert graph.crossed <= 1.1 * graph.minimum + SLACK_BYTES, str(graph)
    return graph


def handle(array: xr.DataArray) -> Any:
    """Return the lazy array that the blocks of a marked array read."""
    graph = dict(array.data.__dask_graph__())
    [lazy] = [getattr(node, "value", node) for key, node in graph.items() if str(key).startswith("original-")]
    return lazy


def parts(array: xr.DataArray, number: int) -> list[xr.DataArray]:
    """Cut a marked array that is not in Dask, as a backend opens it with ``chunks=None``."""
    lazy = handle(array)
    while not isinstance(lazy, indexing.LazilyIndexedArray):
        lazy = lazy.array
    whole = xr.DataArray(xr.Variable(array.dims, lazy), name=array.name)
    size = whole.sizes["time"] // number
    return [whole.isel(time=slice(size * part, size * (part + 1))) for part in range(number)]
