"""Marks are found wherever a task holds an array, and nothing is read to find them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr
from dask._task_spec import DataNode, GraphNode, Task, TaskRef
from xarray.core import indexing

from dask_regions.placement.marker import RegionArray
from dask_regions.placement.payload import Marker, Memo, find_markers, is_data

WEST = Marker("us-west-2", 80)


def marked(region: str = "us-west-2") -> Any:
    """Return a marked array of 80 bytes, wrapped as xarray wraps it for Dask."""
    array = RegionArray(np.ones(10), region=region, what="x", token="1")
    lazy: Any = indexing.LazilyIndexedArray(array)  # narrower in xarray's types than what xarray passes
    copied = indexing.CopyOnWriteArray(lazy)
    return indexing.ImplicitToExplicitIndexingAdapter(copied, indexing.OuterIndexer)


@pytest.mark.parametrize(
    "hold",
    [
        lambda array: Task("k", np.sum, array),
        lambda array: Task("k", np.sum, a=array),
        lambda array: Task("k", np.sum, [{"deep": (array,)}]),
        lambda array: DataNode("k", array),
        lambda array: GraphNode.fuse(Task("a", np.sum, array), Task("k", abs, TaskRef("a"))),
        lambda array: Task("k", np.sum, xr.Variable("x", array.array)),
        lambda array: Task("k", np.sum, xr.DataArray(xr.Variable("x", array.array))),
        lambda array: Task("k", np.sum, xr.Dataset({"v": xr.Variable("x", array.array)})),
    ],
    ids=["argument", "keyword", "containers", "data", "fused", "variable", "dataarray", "dataset"],
)
def test_a_mark_is_found(hold: Any) -> None:
    assert find_markers(hold(marked()), {}) == {WEST}


def test_two_regions_in_one_task_are_both_found() -> None:
    task = Task("k", np.add, marked(), marked("us-east-1"))
    assert {marker.region for marker in find_markers(task, {})} == {"us-west-2", "us-east-1"}


def test_ordinary_work_has_no_mark() -> None:
    task = Task("k", np.add, np.ones(3), TaskRef("other"), list(range(100)), axis=None)
    assert find_markers(task, {}) == frozenset()


def test_no_property_is_evaluated() -> None:
    class Trap:
        @property
        def array(self) -> Any:
            raise AssertionError("a property was evaluated")

        def __getattr__(self, name: str) -> Any:
            raise AssertionError(f"{name} was asked for")

    assert find_markers(Task("k", id, Trap()), {}) == frozenset()


def test_an_object_that_holds_itself_ends_the_search() -> None:
    class Ring:
        array: Any

    ring = Ring()
    ring.array = ring
    assert find_markers(Task("k", id, ring), {}) == frozenset()


def test_a_shared_array_is_walked_once() -> None:
    array = marked()
    memo: Memo = {}
    for number in range(3):
        find_markers(Task(number, np.sum, array), memo)
    assert list(memo) == [id(array)]


def test_data_is_told_from_work() -> None:
    assert is_data(DataNode("k", 1))
    assert not is_data(Task("k", abs, 1))
