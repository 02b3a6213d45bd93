"""Decide in which Region each task of a graph runs. Pure: reads a graph, and what is told about a cluster.

- A task that reads or writes data of Region R runs in R; with several replicas, in one of them.
- A task whose inputs are all in R runs in R.
- A task with inputs in several Regions runs where the fewest bytes cross, delivery included.
- A task that needs no Region runs with most of its consumers.
- What several tasks of another Region need crosses once: one task takes it there, they take it from it.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING

from dask._task_spec import Alias, GraphNode, Task, TaskRef
from dask.typing import Key

from dask_regions.names import region_of_resource
from dask_regions.placement.reads import Reads, find_reads
from dask_regions.placement.sizes import Blocks, Sizes

if TYPE_CHECKING:
    from distributed.scheduler import TaskState, WorkerState

__all__ = ["Plan", "Situation", "make_plan", "region_of_task", "region_of_worker"]

#: Bytes below which a difference is no reason to run a task elsewhere than the rest of its group.
_NOISE = 1000.0
#: Share of the bytes at stake, likewise: the last block of an array may be a little smaller.
_TOLERANCE = 0.05


def region_of_worker(worker: WorkerState) -> str | None:
    """Return the Region of a worker's pool, or None where it belongs to none."""
    return next(filter(None, map(region_of_resource, worker.resources or ())), None)


def region_of_task(task: TaskState) -> str | None:
    """Return the Region that a task is restricted to, or None."""
    return next(filter(None, map(region_of_resource, task.resource_restrictions or ())), None)


@dataclass(frozen=True)
class Situation:
    """What a plan has to know about a cluster.

    Attributes
    ----------
    client_region
        Region of scheduler and client; results are delivered to it.
    alive
        Regions whose pools have workers.
    known
        Keys that the scheduler has, of this and of earlier graphs.
    where_is
        Region of a known key's result, or where it will be; None where that is open.
    nbytes
        Bytes of a known key's result, None where it has none yet.
    """

    client_region: str = "client"
    alive: frozenset[str] = frozenset()
    known: Collection[Key] = frozenset()
    where_is: Callable[[Key], str | None] = lambda _: None
    nbytes: Callable[[Key], float | None] = lambda _: None


@dataclass
class Plan:
    """The outcome.

    Attributes
    ----------
    graph
        The graph to run: what was given, with tasks that take results to another Region once, and
        with fused tasks taken apart that would have read the data of several.
    homes
        Key to the Region that its task is to be restricted to; None or absent where it is free.
    reads
        Keys of tasks that read or write marked data.
    requested
        Keys whose results the client is expected to take.
    sizes
        Estimates of results.
    located
        Inputs of earlier graphs to the Region that has them.
    """

    graph: dict[Key, GraphNode]
    homes: dict[Key, str | None]
    reads: Reads
    requested: frozenset[Key]
    sizes: Sizes
    located: dict[Key, str | None] = field(default_factory=dict)

    def crossings(self) -> dict[tuple[Key, str, str], float]:
        """Return the bytes that are expected to cross, by (key, from Region, to Region), each once."""
        found: dict[tuple[Key, str, str], float] = {}
        where = self._where
        for key, node in self.graph.items():
            here = where(key)
            if here is None:
                continue
            for dependency in node.dependencies:
                there = where(dependency)
                if there is not None and there != here:
                    found[dependency, there, here] = self.sizes.of(dependency, self.graph)
        return found

    def _where(self, key: Key) -> str | None:
        return self.homes.get(key) or self.located.get(key)


def make_plan(
    graph: dict[Key, GraphNode],
    wanted: Iterable[Key],
    situation: Situation,
    *,
    blocks: Mapping[str, Blocks] | None = None,
    pins: Mapping[Key, str] | None = None,
) -> Plan:
    """Place the tasks of a graph.

    Parameters
    ----------
    graph
        Materialised: key to task. Inputs that it does not have are known to the scheduler, or free.
    wanted
        Keys of the results that the client asked for.
    situation
        The cluster.
    blocks
        Layer names to the sizes of their blocks, where known.
    pins
        Keys to Regions that the user asked for; what a task reads goes before.

    Notes
    -----
    Linear in tasks and dependencies. Delivered are wanted results other than blocks of a collection:
    those of ``persist`` stay on their workers.
    """
    reads = find_reads(graph)
    sizes = Sizes(blocks or {}, situation.nbytes, reads.share)
    planner = _Planner(reads.graph, frozenset(wanted), situation, sizes)
    located = planner.locate()
    if located or reads.markers or pins:
        planner.place({**(pins or {}), **reads.choose(situation.alive, situation.client_region)})
        planner.follow_consumers()
    return planner.plan(reads)


class _Planner:
    def __init__(
        self, graph: dict[Key, GraphNode], wanted: frozenset[Key], situation: Situation, sizes: Sizes
    ) -> None:
        self._graph = graph
        self._situation = situation
        self._sizes = sizes
        self._wanted = wanted
        self._delivered = _delivered(graph, wanted)
        #: Inputs of earlier graphs.
        self._outside: set[Key] = set()
        #: Every task of the graph, and those, to a Region, or None.
        self._where: dict[Key, str | None] = {}
        #: Inputs without a Region of their own, to the tasks that need them.
        self._followers: defaultdict[Key, list[Key]] = defaultdict(list)
        #: Tasks that may have an input in another Region.
        self._mixed: list[Key] = []
        #: Region that the last task of a group with inputs in several was placed in.
        self._of_group: dict[str, str] = {}
        #: Results that cross, to the Regions they arrive in.
        self._arrived: defaultdict[Key, set[str]] = defaultdict(set)

    def locate(self) -> bool:
        """Find out where keys of earlier graphs are; return whether any is in a Region."""
        graph, situation = self._graph, self._situation
        inputs: set[Key] = set().union(*(node.dependencies for node in graph.values()))
        self._outside = inputs - graph.keys()
        self._where = {key: situation.where_is(key) for key in self._outside}
        for key in graph.keys() & situation.known:
            if (region := situation.where_is(key)) is not None:
                self._where[key] = region
        return any(self._where.values())

    def place(self, fixed: Mapping[Key, str]) -> None:
        """Place every task after its inputs."""
        where, graph = self._where, self._graph
        where |= fixed
        stack: list[Key] = []
        for root in graph:
            if root in where and root not in fixed:
                continue
            stack.append(root)
            while stack:
                key = stack[-1]
                inputs = graph[key].dependencies
                try:
                    regions = {where[dependency] for dependency in inputs}
                except KeyError:
                    stack += [dependency for dependency in inputs if dependency not in where]
                    continue
                stack.pop()
                if key in fixed:
                    regions.add(fixed[key])
                elif key not in where:
                    where[key] = None if not regions else next(iter(regions))
                if len(regions) > 1 or None in regions:
                    self._weigh(key, inputs, regions, fixed)

    def _weigh(
        self, key: Key, inputs: Iterable[Key], regions: set[str | None], fixed: Mapping[Key, str]
    ) -> None:
        """Place a task whose inputs are in several Regions, or in none."""
        where = self._where
        if None in regions:
            for dependency in inputs:
                if where[dependency] is None:
                    self._followers[dependency].append(key)
            regions.discard(None)
        if len(regions) > 1:
            self._mixed.append(key)
        if key not in fixed:
            where[key] = self._cheapest(key, inputs) if len(regions) > 1 else next(iter(regions), None)

    def _cheapest(self, key: Key, inputs: Iterable[Key]) -> str:
        """Return the Region to which the fewest bytes cross."""
        costs = self._costs(key, inputs)
        group = str(key[0] if isinstance(key, tuple) else key)
        near = min(costs.values()) + max(costs.values()) * _TOLERANCE + _NOISE
        chosen = self._of_group.get(group, "")
        # One answer for a whole group where it makes no difference: the tasks after it would be split too.
        if costs.get(chosen, math.inf) > near:
            chosen = min(costs, key=lambda region: (costs[region], region))
            self._of_group[group] = chosen
        for dependency in inputs:
            if self._consumers[dependency] > 1 and self._where[dependency] not in (None, chosen):
                self._arrived[dependency].add(chosen)
        return chosen

    def _costs(self, key: Key, inputs: Iterable[Key]) -> dict[str, float]:
        """Return the bytes that would cross, by Region: inputs that are elsewhere, and delivery."""
        present: dict[str, float] = {}
        everything = 0.0
        for dependency in inputs:
            there = self._where[dependency]
            if there is None:
                continue
            # What several tasks need crosses once for all of them.
            share = self._size(dependency) / self._consumers[dependency]
            everything += share
            present[there] = present.get(there, 0.0) + share
            for region in self._arrived.get(dependency, ()):
                present[region] = present.get(region, 0.0) + share
        delivery = self._size(key) if key in self._delivered else 0.0
        client_region = self._situation.client_region
        if delivery and client_region in self._situation.alive:
            present.setdefault(client_region, 0.0)
        return {
            region: everything - nbytes + (delivery if region != client_region else 0.0)
            for region, nbytes in present.items()
        }

    @cached_property
    def _consumers(self) -> Counter[Key]:
        return Counter(chain.from_iterable(node.dependencies for node in self._graph.values()))

    def _size(self, key: Key) -> float:
        return self._sizes.of(key, self._graph)

    def follow_consumers(self) -> None:
        """Place what needs no Region with most of its consumers, the last tasks first."""
        where = self._where
        for key in reversed(list(self._followers)):
            if where[key] is not None or key not in self._graph:
                continue
            regions = Counter(region for follower in self._followers[key] if (region := where[follower]))
            if not regions:
                continue
            where[key] = max(regions, key=lambda region: (regions[region], region))
            if len(regions) > 1:
                self._mixed += self._followers[key]

    def plan(self, reads: Reads) -> Plan:
        """Return the outcome, with what crosses more than once taken there once."""
        located = {key: self._where.pop(key, None) for key in self._outside}
        homes = self._where
        taken = self._transfers(located)
        graph = dict(self._graph) if taken else self._graph
        for (dependency, region), consumers in taken.items():
            key = _transfer_key(dependency, region)
            graph[key] = Task(key, _take, TaskRef(dependency))
            homes[key] = region
            for consumer in consumers:
                graph[consumer] = graph[consumer].substitute({dependency: key})
        return Plan(graph, homes, reads, _requested(self._wanted), self._sizes, located)

    def _transfers(self, located: Mapping[Key, str | None]) -> dict[tuple[Key, str], list[Key]]:
        """Return what more than one task of another Region needs: (key, Region) to these tasks."""
        first: defaultdict[str, dict[Key, Key]] = defaultdict(dict)
        several: dict[tuple[Key, str], list[Key]] = {}
        for key in dict.fromkeys(self._mixed):
            here = self._where[key]
            if here is None:
                continue
            for dependency in self._graph[key].dependencies:
                there = located[dependency] if dependency in located else self._where[dependency]
                if there is None or there == here:
                    continue
                consumer = first[here].setdefault(dependency, key)
                if consumer != key:
                    several.setdefault((dependency, here), [consumer]).append(key)
        return several


def _requested(wanted: Iterable[Key]) -> frozenset[Key]:
    # Blocks of a collection, whose keys are tuples, stay on their workers after `persist`.
    return frozenset(key for key in wanted if not isinstance(key, tuple))


def _delivered(graph: Mapping[Key, GraphNode], wanted: Iterable[Key]) -> frozenset[Key]:
    found: set[Key] = set()
    for key in _requested(wanted):
        found.add(key)
        while isinstance(node := graph.get(key), Alias):
            key = node.target
            found.add(key)
    return frozenset(found)


def _transfer_key(key: Key, region: str) -> Key:
    if isinstance(key, tuple):
        return (f"transfer-{region}-{key[0]}", *key[1:])
    return f"transfer-{region}-{key}"


def _take(result: object) -> object:
    return result
