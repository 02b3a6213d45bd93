"""See through what Dask does to tasks: fusion, and the wrapping of those that delayed objects reuse.

This is the only module that knows how a fused task is made; everything else asks it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeGuard

from dask._expr import ProhibitReuse
from dask._task_spec import DataNode, GraphNode, Task, TaskRef, _execute_subgraph, cull
from dask.typing import Key

__all__ = ["Inside", "Parts", "inside", "is_fused", "unfuse", "unwrap", "with_inputs"]


def unwrap(graph: dict[Key, GraphNode], wanted: Iterable[Key]) -> dict[Key, GraphNode]:
    """Take off the wrapper that Dask puts around tasks which a delayed object must not reuse.

    Notes
    -----
    ``dask._expr.ProhibitReuse`` (2026.8.0) gives every task a second key and ``Task(key,
    ProhibitReuse._identity, task)``; it keeps the first in the graph, where nobody needs it. Wrapped, an
    array to read is a task that reads, and a fused task is none.
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


def is_fused(node: GraphNode) -> TypeGuard[Task]:
    """Whether a task is a fused one."""
    return isinstance(node, Task) and node.func is _execute_subgraph


class Inside(NamedTuple):
    """The inside of a fused task, as it is: blocks of one fused layer share it, so nobody may change it.

    Attributes
    ----------
    tasks
        Tasks by the names that they have inside. Those names are no keys of the graph.
    result
        Name of the one whose result is the fused task's.
    """

    tasks: Mapping[Key, GraphNode]
    result: Key


def inside(node: GraphNode) -> Inside | None:
    """Return what is inside a fused task, or None of others.

    Notes
    -----
    A fused task is ``_execute_subgraph(inner graph, name of its result, names of its inputs, *inputs)``
    (``dask._task_spec.GraphNode.fuse``, 2026.8.0).
    """
    return Inside(node.args[0], node.args[1]) if is_fused(node) else None


def with_inputs(node: Task, changed: Task, inputs: Sequence[Key]) -> Task:
    """Return a fused task of which one inner task is another one, and takes all inputs.

    Parameters
    ----------
    node
        The fused task.
    changed
        The new inner task, under the name of the old one.
    inputs
        Keys of the new inputs, which have the same names inside.
    """
    tasks, result = node.args[0], node.args[1]
    references = [TaskRef(key) for key in inputs]
    return Task(
        node.key, _execute_subgraph, {**tasks, changed.key: changed}, result, tuple(inputs), *references
    )


class Parts(NamedTuple):
    """The tasks that a fused task was made of, with new keys, and the names that these had inside."""

    tasks: dict[Key, GraphNode]
    names: dict[Key, Key]


def unfuse(node: GraphNode) -> Parts | None:
    """Return the tasks that a fused task is made of; the last result keeps its key. None of others.

    Blocks of one fused layer share the inner graph, so the new keys take the block's name and index.
    """
    if not is_fused(node):
        return None
    inner, result, names, *inputs = node.args
    subs: dict[Key, Any] = dict(zip(names, map(_input, inputs), strict=True))
    subs |= {key: _new_key(key, number, node.key) for number, key in enumerate(inner)}
    subs[result] = node.key
    parts = {subs[key]: _moved(task, subs, subs[key]) for key, task in inner.items()}
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
