"""Combine each Region's share of a tree reduction there, before anything of it crosses.

Dask combines a fixed number of neighbouring results in each step of a tree, whichever Regions they are in:
at every step, one group spans two Regions and something crosses. The grouping is arbitrary (``split_every``),
so groups that span Regions are parted, and what is left is combined by the last step.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from dask._task_spec import Alias, GraphNode, List, Task, TaskRef, _execute_subgraph, _identity_cast
from dask.typing import Key

__all__ = ["Regrouped", "regroup"]

# How Dask and flox name the steps of a tree reduction but the last (dask/array/reductions.py, _tree_reduce;
# flox/dask.py).
_COMBINE = re.compile(r"-partial-")
#: Runs of one Region among the neighbours of a step: with more, Regions alternate and parting saves nothing.
_MAXIMUM_RUNS = 4


@dataclass(frozen=True)
class _Step:
    """A step of a tree reduction: a function of a list of results, perhaps fused with what follows it.

    Attributes
    ----------
    base
        The task that takes the list.
    leaves
        The list, in order.
    """

    base: Task
    leaves: tuple[Key, ...]


@dataclass(frozen=True)
class Regrouped:
    """What is to be done to a graph.

    Attributes
    ----------
    tasks
        New and changed tasks.
    unneeded
        Keys of those that are not needed any more.
    like
        New tasks to one that makes results of the same size.
    """

    tasks: dict[Key, GraphNode]
    unneeded: set[Key]
    like: dict[Key, Key]


def regroup(
    graph: Mapping[Key, GraphNode],
    undecided: Iterable[Key],
    where: Callable[[Key], str | None],
    followers: Mapping[Key, Collection[Key]],
) -> Regrouped:
    """Part the steps of tree reductions that span Regions.

    Parameters
    ----------
    graph
        Key to task.
    undecided
        Tasks whose inputs are in several Regions, or follow from such, in topological order.
    where
        Region of a result, None or empty where it has none yet.
    followers
        Undecided tasks to the tasks that need them.
    """
    changed: dict[Key, GraphNode] = {}
    like: dict[Key, Key] = {}
    parted: dict[Key, list[Key]] = {}
    homes: dict[Key, str] = {}
    for key in undecided:
        step = _step(graph[key])
        if step is None:
            continue
        leaves = [part for leaf in step.leaves for part in parted.get(leaf, (leaf,))]
        runs = _runs(leaves, lambda leaf: homes.get(leaf) or where(leaf))
        if runs is None or (len(leaves) == len(runs) and len(leaves) == len(step.leaves)):
            continue
        combine = _combine_of(key, step, graph)
        parts = list(_parts(key, runs, combine, changed, homes))
        if combine is not None:
            like |= {part: combine.key for part in parts if part in changed}
        follower = next(iter(followers[key]), None) if len(followers.get(key, ())) == 1 else None
        if _is_combine(key) and follower is not None and key in _leaves_of(graph[follower]):
            parted[key] = parts
        else:
            changed[key] = _with_leaves(graph[key], step, parts)
    # A parted step whose follower could not take the parts is still needed.
    needed = {dependency for node in changed.values() for dependency in node.dependencies}
    return Regrouped(changed, set(parted) - needed, like)


def _step(node: GraphNode) -> _Step | None:
    if not isinstance(node, Task):
        return None
    base = node
    if node.func is _execute_subgraph:
        inner = node.args[0]
        bases = [task for task in inner.values() if not task.dependencies <= inner.keys()]
        if len(bases) != 1 or not isinstance(bases[0], Task):
            return None
        base = bases[0]
    if len(base.args) != 1 or base.kwargs:
        return None
    leaves = _row(base.args[0])
    if leaves is None or set(leaves) != node.dependencies or len(set(leaves)) != len(leaves):
        return None
    return _Step(base, leaves)


def _row(nested: Any) -> tuple[Key, ...] | None:
    """Return the keys in nested lists of which only the innermost has several entries."""
    entries = _entries(nested)
    while entries is not None and len(entries) == 1 and _entries(entries[0]) is not None:
        entries = _entries(entries[0])
    if entries is None:
        return None
    keys = [key for entry in entries if (key := _target(entry)) is not None]
    return tuple(keys) if len(keys) == len(entries) else None


def _entries(nested: Any) -> tuple[Any, ...] | None:
    """Return the entries of a list in a task, or None of anything else (dask/_task_spec.py:110, 923)."""
    if isinstance(nested, List):
        return tuple(nested.args)
    if isinstance(nested, Task) and nested.func is _identity_cast and nested.kwargs == {"typ": list}:
        return tuple(nested.args)
    return None


def _target(entry: Any) -> Key | None:
    if isinstance(entry, Alias):
        return entry.target
    return entry.key if isinstance(entry, TaskRef) else None


def _leaves_of(node: GraphNode) -> tuple[Key, ...]:
    step = _step(node)
    return step.leaves if step else ()


def _runs(leaves: list[Key], where: Callable[[Key], str | None]) -> list[tuple[str, list[Key]]] | None:
    runs = [(region, list(run)) for region, run in groupby(leaves, where)]
    if len(runs) > _MAXIMUM_RUNS or not all(region for region, _ in runs):
        return None
    return [(region, run) for region, run in runs if region]


def _is_combine(key: Key) -> bool:
    return _COMBINE.search(str(key[0] if isinstance(key, tuple) else key)) is not None


def _combine_of(key: Key, step: _Step, graph: Mapping[Key, GraphNode]) -> Task | None:
    """Return a task that combines without finishing: the step itself, or one of those before the last."""
    if _is_combine(key):
        return step.base
    for leaf in step.leaves:
        before = _step(graph[leaf]) if leaf in graph and _is_combine(leaf) else None
        if before is not None:
            return before.base
    return None


def _parts(
    key: Key,
    runs: list[tuple[str, list[Key]]],
    combine: Task | None,
    changed: dict[Key, GraphNode],
    homes: dict[Key, str],
) -> Iterator[Key]:
    """Yield what is left of each run: one result, where it can be combined."""
    for number, (region, run) in enumerate(runs):
        if len(run) == 1 or combine is None or len(runs) == 1:
            yield from run
            continue
        part = _part_key(key, number)
        changed[part] = Task(part, combine.func, _nested(combine.args[0], run))
        homes[part] = region
        yield part


def _part_key(key: Key, number: int) -> Key:
    if isinstance(key, tuple):
        return (f"{key[0]}-partial-{number}", *key[1:])
    return f"{key}-partial-{number}"


def _nested(like: Any, leaves: Iterable[Key]) -> List:
    """Return a list of references, inside as many lists as another one is."""
    nested = List(*map(TaskRef, leaves))
    while _entries(like.args[0]) is not None:
        nested, like = List(nested), like.args[0]
    return nested


def _with_leaves(node: GraphNode, step: _Step, leaves: list[Key]) -> GraphNode:
    base = Task(step.base.key, step.base.func, _nested(step.base.args[0], leaves))
    if step.base is node:
        return base
    assert isinstance(node, Task)
    inner, result = node.args[0], node.args[1]
    references = [TaskRef(leaf) for leaf in leaves]
    return Task(node.key, _execute_subgraph, {**inner, base.key: base}, result, tuple(leaves), *references)
