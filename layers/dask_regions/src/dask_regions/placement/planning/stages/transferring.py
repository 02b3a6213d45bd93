"""Sixth stage: what several tasks of another Region need crosses once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from dask._task_spec import GraphNode, Task, TaskRef
from dask.typing import Key

from dask_regions.placement.planning.problem import FREE, Assignment, Problem, Region

__all__ = ["transfer"]


def transfer(problem: Problem, assignment: Assignment) -> tuple[dict[Key, GraphNode], dict[Key, Region]]:
    """Insert a task where a result is needed by several tasks of another Region.

    Dask sends a result to every worker that needs it, across the ocean once for each. A task that does
    nothing, placed in the other Region, takes the result there; the others then take it from a neighbour.

    Returns
    -------
    tuple
        The graph to run, and the Region of each task that is placed.
    """
    regions = {key: region for key, region in assignment.regions.items() if isinstance(region, str)}
    shared = _shared_inputs(problem, assignment)
    for key in assignment.earlier:
        regions.pop(key, None)
    if not shared:
        return problem.graph, regions
    graph = dict(problem.graph)
    for (dependency, region), consumers in shared.items():
        key = _transfer_key(dependency, region)
        graph[key] = Task(key, _take, TaskRef(dependency))
        regions[key] = region
        for consumer in consumers:
            graph[consumer] = graph[consumer].substitute({dependency: key})
    return graph, regions


def _shared_inputs(problem: Problem, assignment: Assignment) -> Mapping[tuple[Key, Region], list[Key]]:
    """Return what more than one task of another Region needs: key and that Region, to these tasks."""
    graph, regions = problem.graph, assignment.regions
    first: defaultdict[Region, dict[Key, Key]] = defaultdict(dict)
    several: dict[tuple[Key, Region], list[Key]] = {}
    for key in dict.fromkeys(assignment.takers):
        region = regions[key]
        if not isinstance(region, str):
            continue
        for dependency in graph[key].dependencies:
            source = regions[dependency]
            if source is FREE or source == region:
                continue
            consumer = first[region].setdefault(dependency, key)
            if consumer != key:
                several.setdefault((dependency, region), [consumer]).append(key)
    return several


def _transfer_key(key: Key, region: Region) -> Key:
    if isinstance(key, tuple):
        return (f"transfer-{region}-{key[0]}", *key[1:])
    return f"transfer-{region}-{key}"


def _take(result: object) -> object:
    return result
