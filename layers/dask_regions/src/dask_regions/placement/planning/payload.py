"""Find the marked arrays and stores in what a task holds, without reading them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any

from dask._task_spec import DataNode, GraphNode, Task, TaskRef

from dask_regions.data.marker import ABSENT, Marker, read_marker, stored_attribute, stored_nbytes

__all__ = ["Memo", "find_markers", "holds_nothing"]


#: What was found in an object, by its id. Valid while the graph's objects are alive.
Memo = dict[int, frozenset[Marker]]

# Where xarray's and Zarr's wrappers keep what they wrap. Only stored attributes are followed: a
# property called `array` may read the data.
_WRAPPED = (
    "array",
    "_array",
    "_data",
    "_variable",
    "_variables",
    "_async_array",
    "store_path",
    "store",
    "_store",
)
# A list of numbers in a task can have millions of entries.
_MAXIMUM_ENTRIES = 10_000
_NONE: frozenset[Marker] = frozenset()
# Types of most of what tasks hold, with nothing below it: one look instead of a row of isinstance, a third
# of the whole placement of a graph.
_LEAVES = frozenset(
    {TaskRef, slice, str, bytes, bool, int, float, complex, type, type(None)}
    | {FunctionType, BuiltinFunctionType}
)


def find_markers(payload: object, memo: Memo) -> frozenset[Marker]:
    """Return the marks in a task's own arguments, fused subgraphs included.

    Parameters
    ----------
    payload
        A task, or anything that a task may hold.
    memo
        Filled; what many tasks share is walked once.
    """
    return _walk([payload], memo)


def holds_nothing(task: Task, memo: Memo) -> bool:
    """Whether a task holds only references and numbers, or what was walked before without a mark.

    False where that takes a closer look. Most tasks of most graphs are told so, several times faster.
    """
    if task.kwargs or (type(task.func) not in _LEAVES and memo.get(id(task.func), True)):
        return False
    for argument in task.args:
        value = argument.value if type(argument) is DataNode else argument
        kind = type(value)
        if kind in _LEAVES or not memo.get(id(value), True):
            continue
        if kind is tuple and _LEAVES.issuperset(map(type, value)):
            continue
        return False
    return True


def _walk(stack: list[Any], memo: Memo) -> frozenset[Marker]:
    markers = _NONE
    while stack:
        item = stack.pop()
        if type(item) in _LEAVES:
            continue
        if isinstance(item, DataNode):
            stack.append(item.value)
        elif isinstance(item, Task):
            stack += [item.func, *item.args, *item.kwargs.values()]
        elif isinstance(item, (list, tuple, set, frozenset)):
            stack.extend(_entries(item))
        elif not isinstance(item, (str, bytes, int, float, type, GraphNode)):
            if id(item) not in memo:
                memo[id(item)] = _NONE  # ends a walk in circles
                memo[id(item)] = _of_dict(item, memo) if isinstance(item, dict) else _of_object(item)
            markers |= memo[id(item)]
    return markers


def _of_dict(item: dict[Any, Any], memo: Memo) -> frozenset[Marker]:
    # Blocks of a fused layer share one subgraph.
    return _walk(list(_entries(item.values())), memo)


def _entries(container: Any) -> Iterable[Any]:
    return container if len(container) <= _MAXIMUM_ENTRIES else ()


def _of_object(item: object) -> frozenset[Marker]:
    markers: set[Marker] = set()
    seen: set[int] = set()
    stack: list[tuple[object, int]] = [(item, 0)]
    while stack:
        item, nbytes = stack.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        nbytes = stored_nbytes(item) or nbytes
        marker = read_marker(item, nbytes)
        if marker is not None:
            markers.add(marker)
            continue
        stack.extend((value, nbytes) for value in _inside(item))
    return frozenset(markers)


def _inside(item: object) -> list[Any]:
    if isinstance(item, dict):
        return list(item.values())
    if isinstance(item, partial):
        return [item.func, *item.args, *item.keywords.values()]
    if isinstance(item, MethodType):
        return [item.__self__]
    return [value for name in _WRAPPED if (value := stored_attribute(item, name)) is not ABSENT]
