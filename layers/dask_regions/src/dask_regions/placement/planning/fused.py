"""See through what Dask does to tasks: fusion, and the wrapping of those that delayed objects reuse."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from dask._expr import ProhibitReuse
from dask._task_spec import DataNode, GraphNode, Task, TaskRef, _execute_subgraph, cull
from dask.typing import Key

__all__ = ["Parts", "unfuse", "unwrap"]


def unwrap(graph: dict[Key, GraphNode], wanted: Iterable[Key]) -> dict[Key, GraphNode]:
    """Take off the wrapper that Dask puts around tasks which a delayed object must not reuse.

    Notes
    -----
    ``ProhibitReuse`` gives every task a second key and ``Task(key, ProhibitReuse._identity, task)``; it keeps
    the first in the graph, where nobody needs it (dask/_expr.py:1445). Wrapped, an array to read is a
    task that reads, and a fused task is none.
    """
    wrapped = {
        key: node.args[0]
        for key, node in graph.items()
        if type(node) is Task and node.func is ProhibitReuse._identity and isinstance(node.args[0], GraphNode)
    }
    if not wrapped:
        return graph
    bare = {key: _moved(node, {}, key) for key, node in wrapped.items()}
    culled: dict[Key, GraphNode] = cull({**graph, **bare}, set(wanted))
    return culled


class Parts(NamedTuple):
    """What a fused task was made of: the tasks, and the names that they had inside it."""

    tasks: dict[Key, GraphNode]
    names: dict[Key, Key]


def unfuse(task: GraphNode) -> Parts | None:
    """Return the tasks that a fused task is made of; the last result keeps its key. None of others.

    Notes
    -----
    A fused task is ``_execute_subgraph(inner graph, key of its result, keys of its inputs, *inputs)``
    (dask/_task_spec.py:194). Blocks of one fused layer share the inner graph, so the new keys take the
    block's name and index.
    """
    if not isinstance(task, Task) or task.func is not _execute_subgraph:
        return None
    inner, result, names, *inputs = task.args
    subs: dict[Key, Any] = dict(zip(names, map(_input, inputs), strict=True))
    subs |= {key: _new_key(key, number, task.key) for number, key in enumerate(inner)}
    subs[result] = task.key
    parts = {subs[key]: _moved(node, subs, subs[key]) for key, node in inner.items()}
    return Parts(parts, {subs[key]: key for key in inner})


def _input(value: Any) -> Any:
    if isinstance(value, TaskRef):
        return value.key
    return value if isinstance(value, GraphNode) else DataNode(None, value)


def _new_key(inner: Key, number: int, outer: Key) -> Key:
    name = inner[0] if isinstance(inner, tuple) else inner
    if isinstance(outer, tuple):
        return (f"{name}-{number}-{outer[0]}", *outer[1:])
    return f"{name}-{number}-{outer}"


def _moved(node: GraphNode, subs: Mapping[Key, Any], key: Key) -> GraphNode:
    if isinstance(node, DataNode):
        return DataNode(key, node.value)
    return node.substitute(dict(subs), key=key)
