"""What the stages of a plan hand on: the problem, which stays, and the assignment, which each completes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, Final, TypeAlias

from dask._task_spec import Alias, GraphNode
from dask.typing import Key

from dask_regions.placement.planning.sizes import Blocks, Sizes

if TYPE_CHECKING:
    from dask_regions.placement.planning.cluster import ClusterState
    from dask_regions.placement.planning.stages.reading import Reads

__all__ = ["FREE", "OPEN", "Assignment", "Problem", "Region", "TaskRegion", "Undecided", "is_result"]

#: A Region's name, and that of its pool.
Region: TypeAlias = str


class Undecided(Enum):
    """A task without a Region: *free*, it needs none; *open*, it has a choice among several.

    It is not a state of a task that has its Region: such a task is *placed*, and its Region stands where
    these would. One dict holds all three, so that a graph of 100,000 tasks costs no object for each.
    """

    FREE = "free"
    OPEN = "open"

    # Enum's own is a function in Python, and every task of a graph is looked up by what its inputs have.
    __hash__ = object.__hash__


FREE: Final = Undecided.FREE
OPEN: Final = Undecided.OPEN

#: The Region in which a task runs, or the reason why it has none yet.
TaskRegion: TypeAlias = Region | Undecided


@dataclass(frozen=True)
class Problem:
    """A graph to be placed, and what is known about it and its cluster. Stages read it, and change nothing.

    It is one instance of *task assignment*: processors are Regions, a task's cost is the same on each but
    for reads, which are tied to theirs, and communication costs the bytes of each result, once per Region
    that it enters.

    Attributes
    ----------
    reads
        The graph, and the tasks in it that read or write marked data.
    wanted
        Keys of the results that the client asked for.
    delivered
        Those that the client is expected to take, with the tasks that they are other names of.
    cluster
        The cluster.
    sizes
        Estimates of results.
    pins
        Keys to Regions that a user asked for.
    """

    reads: Reads
    wanted: frozenset[Key]
    delivered: frozenset[Key]
    cluster: ClusterState
    sizes: Sizes
    pins: Mapping[Key, Region]

    @classmethod
    def of(
        cls,
        reads: Reads,
        wanted: Iterable[Key],
        cluster: ClusterState,
        blocks: Mapping[str, Blocks],
        pins: Mapping[Key, Region],
    ) -> Problem:
        """Return the problem of a graph whose reads were found."""
        requested = frozenset(wanted)
        sizes = Sizes(blocks, cluster.nbytes, reads.share, reads.names)
        return cls(reads, requested, _delivered(reads.graph, requested), cluster, sizes, pins)

    def of_graph(self, reads: Reads) -> Problem:
        """Return the same problem for another graph that computes the same."""
        return Problem.of(reads, self.wanted, self.cluster, self.sizes.blocks, self.pins)

    @property
    def graph(self) -> dict[Key, GraphNode]:
        """Key to task."""
        return self.reads.graph

    def nbytes(self, key: Key) -> float:
        """Estimate the bytes of a result."""
        return self.sizes.of(key, self.reads.graph)


@dataclass(frozen=True)
class Assignment:
    """What is decided so far of where the tasks of a problem run. Each stage returns a new one.

    It is no plan: until all stages are through, tasks may be open, and a result may cross more than once.

    Attributes
    ----------
    regions
        Every task of the graph, and the results of earlier graphs that it needs, to its Region or to why
        it has none. Of a graph that needs no Region, the latter alone.
    earlier
        Those results of earlier graphs.
    undecided
        Tasks whose Region does not follow from their inputs alone, in topological order.
    consumers
        Tasks that were free or open when their consumers were looked at, to these.
    takers
        Tasks that may take an input from another Region, some of them twice.
    """

    regions: dict[Key, TaskRegion]
    earlier: frozenset[Key]
    undecided: list[Key]
    consumers: Mapping[Key, list[Key]]
    takers: list[Key]

    def with_regions(self, regions: dict[Key, TaskRegion], takers: list[Key]) -> Assignment:
        """Return the same tasks with other Regions."""
        return replace(self, regions=regions, takers=takers)


def is_result(key: Key) -> bool:
    """Whether the client takes what it asked for by this key, as ``compute`` does.

    Blocks of a collection, whose keys are tuples, stay on their workers after ``persist``.
    """
    return not isinstance(key, tuple)


def _delivered(graph: Mapping[Key, GraphNode], wanted: Iterable[Key]) -> frozenset[Key]:
    delivered: set[Key] = set()
    for key in filter(is_result, wanted):
        delivered.add(key)
        while isinstance(node := graph.get(key), Alias):
            key = node.target
            delivered.add(key)
    return frozenset(delivered)
