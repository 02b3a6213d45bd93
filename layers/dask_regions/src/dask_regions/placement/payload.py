"""Find the marked arrays in what a task holds, without reading them."""

from __future__ import annotations

from types import MemberDescriptorType
from typing import Any, NamedTuple

from dask._task_spec import DataNode, GraphNode, Task, TaskRef

__all__ = ["Marker", "Memo", "find_markers", "is_data"]


class Marker(NamedTuple):
    """A marked array: the Region of its data, and its size in bytes."""

    region: str
    nbytes: int


#: What was found in an object, by its id. Valid while the graph's objects are alive.
Memo = dict[int, frozenset[Marker]]

# Where xarray's wrappers keep what they wrap. Only stored attributes are followed: a property
# called `array` may read the data.
_WRAPPED = ("array", "_array", "_data", "_variable", "_variables")
# A list of numbers in a task can have millions of entries, and this runs on the event loop.
_MAXIMUM_ENTRIES = 10_000
_MISSING = object()
# Most of what tasks hold, with nothing below it: one look instead of a row of isinstance, a third of the
# whole placement of a graph.
_LEAVES = frozenset({TaskRef, slice, str, bytes, bool, int, float, type(None)})


def is_data(run_spec: object) -> bool:
    """Whether a task only holds a value, as ``dask.array.from_array`` keeps the array it reads."""
    return isinstance(run_spec, DataNode)


def find_markers(payload: object, memo: Memo) -> frozenset[Marker]:
    """Return the marks in a task's own arguments, fused subgraphs included.

    Parameters
    ----------
    payload
        A task, or anything that a task may hold.
    memo
        Filled; arrays that many tasks share are walked once.
    """
    found: set[Marker] = set()
    stack = [payload]
    while stack:
        item = stack.pop()
        if type(item) in _LEAVES:
            continue
        if isinstance(item, DataNode):
            stack.append(item.value)
        elif isinstance(item, Task):
            stack.extend(item.args)
            stack.extend(item.kwargs.values())
        elif isinstance(item, dict):
            stack.extend(item.values())
        elif isinstance(item, (list, tuple, set, frozenset)):
            if len(item) <= _MAXIMUM_ENTRIES:
                stack.extend(item)
        elif not isinstance(item, (str, bytes, int, float, slice, type, type(None), GraphNode)):
            if id(item) not in memo:
                memo[id(item)] = _of_object(item)
            found |= memo[id(item)]
    return frozenset(found)


def _of_object(item: object) -> frozenset[Marker]:
    found = set()
    seen: set[int] = set()
    stack = [item]
    while stack:
        item = stack.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        region = _stored(item, "__dask_region__")
        if isinstance(region, str):
            nbytes = _stored(item, "nbytes")
            found.add(Marker(region, nbytes if isinstance(nbytes, int) else 0))
            continue
        if isinstance(item, dict):
            stack.extend(item.values())
            continue
        wrapped = (_stored(item, name) for name in _WRAPPED)
        stack.extend(value for value in wrapped if value is not _MISSING)
    return frozenset(found)


def _stored(item: object, name: str) -> Any:
    """Return an attribute that an object stores, in its ``__dict__`` or a slot, and no other."""
    try:
        stored = object.__getattribute__(item, "__dict__")
    except AttributeError:
        stored = {}
    if name in stored:
        return stored[name]
    for base in type(item).__mro__:
        slot = base.__dict__.get(name)
        if isinstance(slot, MemberDescriptorType):
            return getattr(item, name, _MISSING)
    return _MISSING
