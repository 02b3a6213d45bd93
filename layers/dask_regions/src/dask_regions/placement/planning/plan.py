"""Decide in which Region each task of a graph runs. Start reading here.

A graph arrives at the scheduler with its data in several Regions. Bytes that cross between Regions are slow
and cost money; where a task runs decides which ones cross. :func:`make_plan` decides it for a whole graph,
before any of its tasks exists:

======================================  =======================================================
:mod:`.stages.reading`                  which tasks read or write marked data
:mod:`.stages.locating`                 where the results of earlier graphs are
:mod:`.stages.propagating`              what follows from where the data are, without a choice
:mod:`.stages.rewriting`                the same computation as a graph of which less crosses
:mod:`.stages.choosing`                 a Region for each task that has a choice, or only consumers
:mod:`.stages.transferring`             what several tasks of a Region need crosses once
======================================  =======================================================

Where rewriting finds a better graph, locating and propagating run again on it. In the client Region there
may be no pool: where a stage chooses, it looks at the Regions whose pools have workers.

All of it is pure: it reads a graph, and what it is told about a cluster. ``hooks/scheduler/materialize.py``
calls it, and ``hooks/scheduler/plugin.py`` restricts the tasks accordingly.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from dask._task_spec import GraphNode
from dask.typing import Key

from dask_regions.placement.planning.cluster import ClusterState
from dask_regions.placement.planning.problem import Problem, Region, is_result
from dask_regions.placement.planning.sizes import Blocks, Sizes
from dask_regions.placement.planning.stages.choosing import choose
from dask_regions.placement.planning.stages.locating import locate
from dask_regions.placement.planning.stages.propagating import propagate
from dask_regions.placement.planning.stages.reading import Reads, find_reads
from dask_regions.placement.planning.stages.rewriting import rewrite
from dask_regions.placement.planning.stages.transferring import transfer

__all__ = ["Plan", "make_plan"]


@dataclass(frozen=True)
class Plan:
    """The outcome of placement for one graph: the graph to run, and the Region of each task.

    A Region here is a promise about *where*, not about *which worker* or *when*: within the Region's pool,
    and for tasks without a Region in any pool, Dask schedules as it always does. A plan is not a schedule,
    and not a forecast either; ``hooks/scheduler/forecast.py`` sums one up as such.

    Attributes
    ----------
    graph
        The graph to run. It computes what the given one does under the same keys, with tasks that take a
        result to another Region once, with fused tasks taken apart that would have read the data of
        several, and with tree reductions that combine each Region's share there.
    regions
        Key to the Region that its task is to be restricted to. Absent is a task that is free: no data of a
        Region bear on it, and no task that has a Region needs it.
    by_region
        The same by Region, and by whether the tasks read or write marked data.
    reads
        The tasks that read or write marked data.
    requested
        Keys whose results the client is expected to take.
    sizes
        Estimates of results, from which bytes are told.
    earlier
        Results of earlier graphs that this one needs, to the Region that has them; absent where none does.
    """

    graph: dict[Key, GraphNode]
    regions: dict[Key, Region]
    by_region: Mapping[tuple[Region, bool], list[Key]]
    reads: Reads
    requested: frozenset[Key]
    sizes: Sizes
    earlier: Mapping[Key, Region] = field(default_factory=dict)

    def crossings(self) -> dict[tuple[Key, Region, Region], float]:
        """Return the bytes that are expected to cross, by (key, from Region, to Region), each once.

        Delivery to the client is not among them.
        """
        crossings: dict[tuple[Key, Region, Region], float] = {}
        regions, earlier = self.regions, self.earlier
        for key, node in self.graph.items():
            region = regions.get(key)
            if region is None:
                continue
            for dependency in node.dependencies:
                source = regions.get(dependency) or earlier.get(dependency)
                if source is not None and source != region:
                    crossings[dependency, source, region] = self.sizes.of(dependency, self.graph)
        return crossings


def make_plan(
    graph: dict[Key, GraphNode],
    wanted: Iterable[Key],
    cluster: ClusterState,
    *,
    blocks: Mapping[str, Blocks] | None = None,
    pins: Mapping[Key, Region] | None = None,
) -> Plan:
    """Place the tasks of a graph.

    Parameters
    ----------
    graph
        Materialised: key to task; not changed. Inputs that it does not have are known to the scheduler, or
        free.
    wanted
        Keys of the results that the client asked for. Delivered are those other than blocks of a
        collection: those of ``persist`` stay on their workers.
    cluster
        The cluster.
    blocks
        Layer names to the sizes of their blocks, where known.
    pins
        Keys to Regions that the user asked for; what a task reads goes before.

    Notes
    -----
    Linear in tasks and dependencies.
    """
    problem = Problem.of(find_reads(graph), wanted, cluster, blocks or {}, pins or {})
    assignment = propagate(problem, locate(problem))
    rewritten = rewrite(problem, assignment)
    if rewritten is not None:
        problem = rewritten
        assignment = propagate(problem, locate(problem))
    assignment = choose(problem, assignment)
    graph_to_run, regions = transfer(problem, assignment)
    assigned = ((key, assignment.regions[key]) for key in assignment.earlier)
    return Plan(
        graph=graph_to_run,
        regions=regions,
        by_region=_group(regions, problem.reads.markers.keys()),
        reads=problem.reads,
        requested=frozenset(filter(is_result, problem.wanted)),
        sizes=problem.sizes,
        earlier={key: region for key, region in assigned if isinstance(region, str)},
    )


def _group(regions: Mapping[Key, Region], reads: Collection[Key]) -> dict[tuple[Region, bool], list[Key]]:
    groups: defaultdict[tuple[Region, bool], list[Key]] = defaultdict(list)
    for key, region in regions.items():
        groups[region, key in reads].append(key)
    return dict(groups)
