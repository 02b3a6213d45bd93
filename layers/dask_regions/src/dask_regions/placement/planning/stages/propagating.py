"""Third stage: the Regions of data, and what follows from them without a choice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from dask._task_spec import GraphNode
from dask.typing import Key

from dask_regions.placement.planning.problem import FREE, OPEN, Assignment, Problem, Region, TaskRegion
from dask_regions.placement.planning.replicas import replicas_to_read

__all__ = ["propagate"]


def propagate(problem: Problem, located: Assignment) -> Assignment:
    """Place every task after its inputs, as far as these leave no choice.

    - A task that reads or writes marked data is placed where the data are, of replicas in the one that
      :mod:`dask_regions.placement.planning.replicas` says; so is one that a user pinned.
    - A task whose inputs are all in one Region, or free, is placed there. What it makes of them there is
      mostly smaller than they are (a selection, a mean); where it is not, nothing is lost but the
      difference.
    - A task with inputs in several Regions is open, and so is what follows from it.
    - A task without inputs, or with none but free ones, is free.

    This is constant propagation as compilers do it, over a lattice of free, each Region, and open above
    them all (Kildall, "A Unified Approach to Global Program Optimization", 1973); a graph has no loops, so
    that one pass in topological order suffices. Where nothing is marked, pinned or located, all is free,
    and nothing is done.
    """
    reads, cluster = problem.reads, problem.cluster
    nothing_located = all(region is FREE for region in located.regions.values())
    if nothing_located and not reads.markers and not problem.pins:
        return located
    # The Region of the data goes before a pin: elsewhere the guard would refuse the read.
    fixed = {**problem.pins, **replicas_to_read(reads.markers, cluster.alive, cluster.client_region)}
    walk = _Walk(problem.graph, fixed, {**located.regions, **fixed})
    walk.run()
    return Assignment(walk.regions, located.earlier, walk.undecided, walk.consumers, walk.takers)


@dataclass
class _Walk:
    """One pass over a graph, inputs first. Collects what an :class:`Assignment` holds."""

    graph: Mapping[Key, GraphNode]
    fixed: Mapping[Key, Region]
    regions: dict[Key, TaskRegion]
    undecided: list[Key] = field(default_factory=list)
    consumers: defaultdict[Key, list[Key]] = field(default_factory=lambda: defaultdict(list))
    takers: list[Key] = field(default_factory=list)

    def run(self) -> None:
        """Visit every task. Graphs are deeper than Python's stack: the walk keeps its own."""
        graph, regions, fixed = self.graph, self.regions, self.fixed
        stack: list[Key] = []
        for root in graph:
            if root in regions and root not in fixed:
                continue
            stack.append(root)
            while stack:
                key = stack[-1]
                inputs = graph[key].dependencies
                try:
                    of_inputs = {regions[dependency] for dependency in inputs}
                except KeyError:
                    stack += [dependency for dependency in inputs if dependency not in regions]
                    continue
                stack.pop()
                if key in fixed or len(of_inputs) != 1 or FREE in of_inputs or OPEN in of_inputs:
                    self._visit(key, of_inputs)
                elif key not in regions:
                    regions[key] = next(iter(of_inputs))

    def _visit(self, key: Key, of_inputs: set[TaskRegion]) -> None:
        """Place a task that is fixed or whose inputs are not all in one Region, or note it as undecided."""
        regions = self.regions
        for dependency in self.graph[key].dependencies:
            if regions[dependency] is FREE or regions[dependency] is OPEN:
                self.consumers[dependency].append(key)
        of_inputs.discard(FREE)
        own = self.fixed.get(key)
        if own is not None:
            if of_inputs - {own}:
                self.takers.append(key)
        elif len(of_inputs) == 1 and OPEN not in of_inputs:
            regions[key] = of_inputs.pop()
        else:
            self.undecided.append(key)
            regions[key] = OPEN if of_inputs else FREE
