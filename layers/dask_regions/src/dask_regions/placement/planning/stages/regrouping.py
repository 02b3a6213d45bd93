"""Serves the fourth stage: combine each Region's share of a tree reduction there, before it crosses.

Dask combines a fixed number of neighbouring results in each step of a tree, whichever Regions they are in:
at every step, one group spans two Regions and something crosses. The grouping is arbitrary (``split_every``),
so groups that span Regions are parted, and what is left is combined by the last step.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from dask._task_spec import Alias, GraphNode, List, Task, TaskRef, _identity_cast
from dask.typing import Key

from dask_regions.placement.planning.fused import inside, with_inputs
from dask_regions.placement.planning.problem import Assignment, Region

__all__ = ["Regrouped", "regroup"]

# Dask and flox name so the steps of a tree reduction but the last (dask.array.reductions._tree_reduce,
# flox.dask).
_COMBINE = re.compile(r"-partial-")
#: Number of runs of one Region among the inputs of a step: with more, Regions alternate, and parting saves
#: nothing.
_MAX_RUNS = 4


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
    """The changes to a graph that part its tree reductions; not applied yet.

    Attributes
    ----------
    tasks
        New and changed tasks.
    unneeded
        Keys of those that are not needed any more.
    sized_like
        New tasks to one that makes results of the same size.
    """

    tasks: dict[Key, GraphNode]
    unneeded: set[Key]
    sized_like: dict[Key, Key]


def regroup(graph: Mapping[Key, GraphNode], assignment: Assignment) -> Regrouped:
    """Part the steps of tree reductions that span Regions.

    A step whose list of inputs falls into few runs, each of one Region, is replaced by one step for each
    run, placed there. If another step of the same tree takes its result alone, that one takes the partial
    results instead, and is looked at in turn; so a whole tree is sorted into Regions from its leaves to
    its root, in one pass, and the order of what is combined stays.

    Parameters
    ----------
    graph
        Key to task.
    assignment
        After propagation.
    """
    changed: dict[Key, GraphNode] = {}
    sized_like: dict[Key, Key] = {}
    parted: dict[Key, list[Key]] = {}
    regions: dict[Key, Region] = {}

    def region_of(key: Key) -> Region | None:
        region = regions.get(key) or assignment.regions.get(key)
        return region if isinstance(region, str) else None

    for key in assignment.undecided:
        step = _step(graph[key])
        if step is None:
            continue
        leaves = [part for leaf in step.leaves for part in parted.get(leaf, (leaf,))]
        runs = _runs(leaves, region_of)
        if runs is None or (len(leaves) == len(runs) and len(leaves) == len(step.leaves)):
            continue
        combine = _combine_of(key, step, graph)
        parts = list(_parts(key, runs, combine, changed, regions))
        if combine is not None:
            sized_like |= {part: combine.key for part in parts if part in changed}
        if _next_step_takes(key, graph, assignment):
            parted[key] = parts
        else:
            changed[key] = _with_leaves(graph[key], step, parts)
    # A parted step whose next step could not take the parts is still needed.
    needed = {dependency for node in changed.values() for dependency in node.dependencies}
    return Regrouped(changed, set(parted) - needed, sized_like)


def _next_step_takes(key: Key, graph: Mapping[Key, GraphNode], assignment: Assignment) -> bool:
    """Whether only the next step of the same tree needs a result, so that it may take its parts instead."""
    consumers = assignment.consumers.get(key, ())
    return len(consumers) == 1 and _is_combine(key) and key in _leaves_of(graph[consumers[0]])


def _step(node: GraphNode) -> _Step | None:
    if not isinstance(node, Task):
        return None
    base = node
    if (fused := inside(node)) is not None:
        names = fused.tasks.keys()
        bases = [task for task in fused.tasks.values() if not task.dependencies <= names]
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
    """Return the entries of a list in a task, or None of anything else.

    ``dask._task_spec`` (2026.8.0) writes it as ``List``, or as ``_identity_cast(*entries, typ=list)``.
    """
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


def _runs(
    leaves: list[Key], region_of: Callable[[Key], Region | None]
) -> list[tuple[Region, list[Key]]] | None:
    """Return neighbours of one Region together; None where some have none, or there are too many."""
    runs = [(region, list(run)) for region, run in groupby(leaves, region_of)]
    if len(runs) > _MAX_RUNS or not all(region for region, _ in runs):
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
    runs: list[tuple[Region, list[Key]]],
    combine: Task | None,
    changed: dict[Key, GraphNode],
    regions: dict[Key, Region],
) -> Iterator[Key]:
    """Yield the results that remain of each run: one, where it can be combined."""
    for number, (region, run) in enumerate(runs):
        if len(run) == 1 or combine is None or len(runs) == 1:
            yield from run
            continue
        part = _part_key(key, number)
        changed[part] = Task(part, combine.func, _nested(combine.args[0], run))
        regions[part] = region
        yield part


def _part_key(key: Key, number: int) -> Key:
    if isinstance(key, tuple):
        return (f"{key[0]}-partial-{number}", *key[1:])
    return f"{key}-partial-{number}"


def _nested(pattern: Any, leaves: Iterable[Key]) -> List:
    """Return a list of references, inside as many lists as in a pattern."""
    nested = List(*map(TaskRef, leaves))
    while _entries(pattern.args[0]) is not None:
        nested, pattern = List(nested), pattern.args[0]
    return nested


def _with_leaves(node: GraphNode, step: _Step, leaves: list[Key]) -> GraphNode:
    base = Task(step.base.key, step.base.func, _nested(step.base.args[0], leaves))
    if step.base is node:
        return base
    assert isinstance(node, Task)
    return with_inputs(node, base, leaves)
