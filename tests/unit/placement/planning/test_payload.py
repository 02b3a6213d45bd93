"""Marks are found wherever a task holds an array, and nothing is read to find them."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import xarray as xr
from dask._task_spec import DataNode, GraphNode, Task, TaskRef
from xarray.core import indexing

from dask_regions.data.array import RegionArray
from dask_regions.data.marker import Marker
from dask_regions.placement.planning.payload import Memo, find_markers, holds_nothing

WEST = Marker(("us-west-2",), 80)


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
    assert {marker.regions for marker in find_markers(task, {})} == {("us-west-2",), ("us-east-1",)}


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
        find_markers(Task(number, abs, array), memo)
    assert list(memo) == [id(array)]


@pytest.mark.parametrize(
    "task",
    [
        Task("k", max, TaskRef("a"), 1, (slice(0, 1), 2), DataNode(None, (slice(0, 1),))),
        Task("k", abs, DataNode(None, 1.0)),
    ],
)
def test_tasks_without_a_mark_are_told_at_a_glance(task: Task) -> None:
    assert holds_nothing(task, {})
    assert find_markers(task, {}) == frozenset()


def test_a_shared_subgraph_is_looked_at_once() -> None:
    fused = GraphNode.fuse(Task("a", abs, TaskRef("x")), Task("k", abs, TaskRef("a")))
    assert isinstance(fused, Task)
    memo: Memo = {}
    assert not holds_nothing(fused, memo)
    assert find_markers(fused, memo) == frozenset()
    assert holds_nothing(fused, memo)


def test_what_a_function_is_bound_to_is_found() -> None:
    assert find_markers(Task("k", partial(np.add, marked()), 1), {}) == {WEST}
    assert find_markers(Task("k", xr.DataArray(xr.Variable("x", marked().array)).mean), {}) == {WEST}
