"""Fourth stage: another graph that computes the same, of which less crosses."""

from __future__ import annotations

from dataclasses import replace

from dask_regions.placement.planning.fused import is_fused
from dask_regions.placement.planning.problem import Assignment, Problem
from dask_regions.placement.planning.stages.reading import take_apart
from dask_regions.placement.planning.stages.regrouping import regroup

__all__ = ["rewrite"]


def rewrite(problem: Problem, assignment: Assignment) -> Problem | None:
    """Return the problem with a graph of which less crosses, or None where there is none.

    Dask arranges a graph for one cluster. Two of its arrangements make large things cross where small
    ones would do:

    - It fuses a write with what computes the values. The write has to run where the store is; so a fused
      task that takes inputs from other Regions is taken apart, and its first parts run where those are.
    - It combines neighbours in a tree reduction whichever Regions they are in
      (:mod:`~dask_regions.placement.planning.stages.regrouping`).

    What is found depends on where tasks are, so this stage needs an assignment, and what it returns has to
    be located and propagated again.
    """
    graph = problem.graph
    fused = [key for key in assignment.takers if is_fused(graph[key])]
    regrouped = regroup(graph, assignment)
    if not (fused or regrouped.tasks):
        return None
    reads = problem.reads
    if regrouped.tasks:
        kept = {key: node for key, node in graph.items() if key not in regrouped.unneeded}
        names = {key: (other, other) for key, other in regrouped.sized_like.items()}
        reads = replace(reads, graph=kept | regrouped.tasks, names={**reads.names, **names})
    return problem.of_graph(take_apart(reads, fused))
