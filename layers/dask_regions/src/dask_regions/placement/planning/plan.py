"""Decide in which Region each task of a graph runs. Pure: reads a graph, and what is told about a cluster.

- A task that reads or writes data of Region R runs in R; with several replicas, in one of them.
- A task whose inputs are all in R runs in R.
- A task with inputs in several Regions, and what follows from it, runs where the fewest bytes cross,
  delivery to the client included (:mod:`dask_regions.placement.planning.cheapest`).
- A task that needs no Region runs with most of its consumers.
- What several tasks of another Region need crosses once: one task takes it there, they take it from it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain

from dask._task_spec import Alias, GraphNode, Task, TaskRef
from dask.typing import Key

from dask_regions.placement.planning.cheapest import OPEN, Cheapest, most_common
from dask_regions.placement.planning.fused import unfuse
from dask_regions.placement.planning.reads import Reads, find_reads, take_apart
from dask_regions.placement.planning.regroup import regroup
from dask_regions.placement.planning.situation import Situation
from dask_regions.placement.planning.sizes import Blocks, Sizes

__all__ = ["Plan", "make_plan"]


#: So many tasks with a choice are also priced together, once per Region: beyond, it would take too long.
_COMPARED = 10_000
#: Share of the bytes that this has to save.
_WORTH = 0.02


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

    @cached_property
    def by_region(self) -> dict[tuple[str, bool], list[Key]]:
        """Keys by the Region to restrict them to, and whether they read or write marked data."""
        found: defaultdict[tuple[str, bool], list[Key]] = defaultdict(list)
        reads = self.reads.markers
        for key, region in self.homes.items():
            if region is not None:
                found[region, key in reads].append(key)
        return dict(found)


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
    planner = _place(find_reads(graph), wanted, situation, blocks or {}, pins or {})
    better = planner.rewritten()
    if better is not None:
        planner = _place(better, wanted, situation, blocks or {}, pins or {})
    planner.decide()
    return planner.plan()


def _place(
    reads: Reads,
    wanted: Iterable[Key],
    situation: Situation,
    blocks: Mapping[str, Blocks],
    pins: Mapping[Key, str],
) -> _Planner:
    sizes = Sizes(blocks, situation.nbytes, reads.share, reads.names)
    planner = _Planner(reads, frozenset(wanted), situation, sizes)
    located = planner.locate()
    if located or reads.markers or pins:
        planner.place({**pins, **reads.choose(situation.alive, situation.client_region)})
    return planner


class _Planner:
    def __init__(self, reads: Reads, wanted: frozenset[Key], situation: Situation, sizes: Sizes) -> None:
        self.reads = reads
        graph = self._graph = reads.graph
        self._situation = situation
        self._sizes = sizes
        self._wanted = wanted
        self._delivered = _delivered(graph, wanted)
        #: Inputs of earlier graphs.
        self._outside: set[Key] = set()
        #: Every task of the graph, and those, to a Region, None (needs none) or OPEN.
        self._where: dict[Key, str | None] = {}
        #: Tasks without a Region, or with a choice, in topological order.
        self._undecided: list[Key] = []
        #: Undecided tasks to the tasks that need them.
        self._followers: defaultdict[Key, list[Key]] = defaultdict(list)
        #: Tasks that may have an input in another Region.
        self._mixed: list[Key] = []

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
        """Place every task after its inputs, as far as these leave no choice."""
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
                if key not in where:
                    where[key] = None if not regions else next(iter(regions))
                if key in fixed or len(regions) != 1 or None in regions or OPEN in regions:
                    self._hold_open(key, inputs, regions, fixed.get(key))

    def _hold_open(
        self, key: Key, inputs: Collection[Key], regions: set[str | None], own: str | None
    ) -> None:
        """Place a task whose inputs are not all in one Region, or note that it is undecided."""
        where = self._where
        for dependency in inputs:
            if not where[dependency]:
                self._followers[dependency].append(key)
        regions.discard(None)
        if own is not None:
            if regions - {own}:
                self._mixed.append(key)
            return
        if len(regions) == 1 and OPEN not in regions:
            where[key] = regions.pop()
            return
        self._undecided.append(key)
        where[key] = OPEN if regions else None

    def rewritten(self) -> Reads | None:
        """Return a graph of which less crosses, or None where there is none.

        What a write in one Region was fused with is computed where its data are; what a tree reduction
        combines is combined in each Region first.
        """
        reads = self.reads
        fused = [key for key in self._mixed if unfuse(self._graph[key])]
        parts = regroup(self._graph, self._undecided, self._where.get, self._followers)
        if not (fused or parts.tasks):
            return None
        if parts.tasks:
            kept = {key: node for key, node in reads.graph.items() if key not in parts.unneeded}
            like = {key: (other, other) for key, other in parts.like.items()}
            reads = replace(reads, graph=kept | parts.tasks, names={**reads.names, **like})
        return take_apart(reads, fused)

    def decide(self) -> None:
        """Place what is undecided, the last tasks first: each where the fewest bytes cross."""
        where = self._where
        having_choice = [key for key in self._undecided if where[key] == OPEN]
        for key in having_choice:
            self._cheapest.add(key, self._graph[key].dependencies)
        for key in reversed(self._undecided):
            if where[key] == OPEN:
                needed = self._needed_in(key)
                if key in self._delivered:
                    needed.add(self._situation.client_region)
                where[key] = self._cheapest.choose(key, needed)
            else:
                self._follow(key)
        if 0 < len(having_choice) <= _COMPARED and not self._cheapest.dealt:
            self._compare(having_choice)
        self._mixed += having_choice
        for key in self._undecided:
            if self._needed_in(key) - {where[key]}:
                self._mixed += self._followers[key]

    def _needed_in(self, key: Key) -> set[str]:
        return {region for follower in self._followers.get(key, ()) if (region := self._where[follower])}

    def _follow(self, key: Key) -> None:
        """Place a task that needs no Region with most of its consumers.

        Where its result is delivered does not matter: Dask may spread such work.
        """
        regions = [region for follower in self._followers.get(key, ()) if (region := self._where[follower])]
        self._where[key] = most_common(regions) if regions else None

    def _compare(self, having_choice: Collection[Key]) -> None:
        """Put all tasks with a choice into one Region if that is cheaper: what they share counts once."""
        where = self._where
        followers = (self._followers.get(key, ()) for key in having_choice)
        takers = dict.fromkeys(chain(having_choice, self._mixed, *followers))
        best = {key: where[key] for key in having_choice}
        least = self._crossing(takers) * (1 - _WORTH)
        for region in self._cheapest.regions:
            where.update(dict.fromkeys(having_choice, region))
            nbytes = self._crossing(takers)
            if nbytes < least:
                best, least = dict.fromkeys(having_choice, region), nbytes
        where.update(best)
        free = set(self._undecided).difference(having_choice)
        for key in reversed(self._undecided):
            if key in free:
                self._follow(key)

    def _crossing(self, takers: Iterable[Key]) -> float:
        """Return the bytes that cross to some tasks and from them to the client."""
        where = self._where
        crossing = {
            (dependency, here)
            for key in takers
            if (here := where[key])
            for dependency in self._graph[key].dependencies
            if where[dependency] not in (None, here)
        }
        delivered = (key for key in takers if key in self._delivered)
        crossing |= {
            (key, client) for key in delivered if where[key] != (client := self._situation.client_region)
        }
        return sum(self._size(key) for key, _ in crossing)

    def _size(self, key: Key) -> float:
        return self._sizes.of(key, self._graph)

    @cached_property
    def _cheapest(self) -> Cheapest:
        situation = self._situation
        regions = {region for region in self._where.values() if region}
        if situation.client_region in situation.alive:
            regions.add(situation.client_region)
        # Of the tasks that may take a result to another Region; others have it where it is.
        takers = chain(self._undecided, self._mixed)
        consumers = Counter(chain.from_iterable(self._graph[key].dependencies for key in takers))
        consumers.update(self._delivered)
        return Cheapest(regions, self._where, self._size, consumers)

    def plan(self) -> Plan:
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
        return Plan(graph, homes, self.reads, _requested(self._wanted), self._sizes, located)

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
