"""Second stage: where the results of earlier graphs are."""

from __future__ import annotations

from dask.typing import Key

from dask_regions.placement.planning.problem import FREE, Assignment, Problem, TaskRegion

__all__ = ["locate"]


def locate(problem: Problem) -> Assignment:
    """Give results of earlier graphs the Regions that they are in, or will be.

    Two kinds of them bear on a graph: those that it needs and does not compute, as after ``persist``, and
    those that it would compute again. What exists is not computed again; so it is where it is, whatever
    the graph says of its inputs.

    Returns
    -------
    Assignment
        Of these keys alone. Without a Region are those that any worker may have.
    """
    graph, cluster = problem.graph, problem.cluster
    inputs: set[Key] = set().union(*(node.dependencies for node in graph.values()))
    earlier = frozenset(inputs - graph.keys())
    regions: dict[Key, TaskRegion] = {key: cluster.region_of(key) or FREE for key in earlier}
    for key in graph.keys() & cluster.known:
        if (region := cluster.region_of(key)) is not None:
            regions[key] = region
    return Assignment(regions, earlier, [], {}, [])
