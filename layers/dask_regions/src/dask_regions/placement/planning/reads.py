"""Which tasks of a graph read or write marked data, and in which Region they are to do it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from dask._task_spec import Alias, DataNode, GraphNode, Task
from dask.typing import Key

from dask_regions.data.marker import Marker
from dask_regions.placement.planning.fused import unfuse
from dask_regions.placement.planning.payload import Memo, find_markers, holds_nothing

__all__ = ["Reads", "find_reads", "take_apart"]

_Markers = frozenset[Marker]


@dataclass(frozen=True)
class Reads:
    """The reads and writes of a graph.

    Attributes
    ----------
    graph
        What was given, with fused tasks taken apart where no Region has all that they read.
    markers
        Key of each task that reads or writes to the marks of the data.
    torn
        Tasks that read several Regions and cannot be taken apart; the guard on the worker refuses.
    names
        What was taken apart: key to the name that the task had, and the key of the task around it.
    """

    graph: dict[Key, GraphNode]
    markers: Mapping[Key, _Markers]
    torn: tuple[Key, ...]
    names: Mapping[Key, tuple[Key, Key]] = field(default_factory=dict)

    def share(self, key: Key) -> float | None:
        """Return an even share of the data that a task reads with others, in bytes; None of no read."""
        markers = self.markers.get(key)
        return None if markers is None else sum(marker.nbytes / self._readers[marker] for marker in markers)

    @cached_property
    def _readers(self) -> Counter[Marker]:
        return Counter(marker for markers in self.markers.values() for marker in markers)

    def choose(self, alive: Collection[str], client_region: str) -> dict[Key, str]:
        """Return the Region of each read.

        Of the Regions that hold the same data: those whose pools have workers; then where most other
        data of the graph are read; then the client's own; then the first.
        """
        fixed = Counter({region: 0 for markers in set(self.markers.values()) for region in _regions(markers)})
        for marker in set().union(*self.markers.values()):
            if len(marker.regions) == 1:
                fixed[marker.regions[0]] += marker.nbytes or 1
        chosen: dict[_Markers, str] = {}
        for markers in set(self.markers.values()):
            regions = _regions(markers)
            chosen[markers] = max(
                regions,
                key=lambda region: (
                    region in alive,
                    fixed[region],
                    region == client_region,
                    -regions.index(region),
                ),
            )
        return {key: chosen[markers] for key, markers in self.markers.items()}


def find_reads(graph: dict[Key, GraphNode]) -> Reads:
    """Find the tasks that read or write marked data.

    A task reads what it holds itself, and what the tasks it depends on hold: Dask keeps an array to read
    in a task of its own, of which the readers take their parts.
    """
    memo: Memo = {}
    found, torn = _find(graph, graph, memo)
    return take_apart(Reads(graph, found, ()), torn, memo)


def take_apart(reads: Reads, fused: Collection[Key], memo: Memo | None = None) -> Reads:
    """Take fused tasks apart, and look for the reads among what they are made of.

    Those that are not fused count as torn.
    """
    if not fused:
        return reads
    memo = {} if memo is None else memo
    tasks, found, names = dict(reads.graph), dict(reads.markers), dict(reads.names)
    torn = list(reads.torn)
    pending = list(fused)
    while pending:
        key = pending.pop()
        parts = unfuse(tasks[key])
        if parts is None:
            torn.append(key)
            continue
        tasks.update(parts.tasks)
        names |= {part: (name, key) for part, name in parts.names.items()}
        markers, more = _find(parts.tasks, tasks, memo)
        found.pop(key, None)
        found |= markers
        pending += more
    return Reads(tasks, found, tuple(torn), names)


def _find(
    tasks: Mapping[Key, GraphNode], graph: Mapping[Key, GraphNode], memo: Memo
) -> tuple[dict[Key, _Markers], list[Key]]:
    found: dict[Key, _Markers] = {}
    holders: dict[Key, _Markers] = {}
    for key, node in tasks.items():
        if type(node) is Alias or (type(node) is Task and holds_nothing(node, memo)):
            continue
        if markers := find_markers(node, memo):
            (holders if isinstance(node, DataNode) else found)[key] = markers
    if tasks is not graph:
        holders |= _holders_outside(tasks, graph, memo)
    held = holders.keys()
    if held:
        for key, node in tasks.items():
            inputs = node.dependencies
            if inputs and not held.isdisjoint(inputs):
                markers = frozenset().union(*(holders[name] for name in held & inputs))
                found[key] = found[key] | markers if key in found else markers
    torn = [key for key, markers in found.items() if len(markers) > 1 and not _shared(markers)]
    return found, torn


def _holders_outside(
    tasks: Mapping[Key, GraphNode], graph: Mapping[Key, GraphNode], memo: Memo
) -> dict[Key, _Markers]:
    """Parts of a fused task may take from tasks outside it that hold an array."""
    outside = set().union(*(node.dependencies for node in tasks.values())) - tasks.keys()
    nodes = ((key, graph.get(key)) for key in outside)
    return {
        key: markers
        for key, node in nodes
        if isinstance(node, DataNode) and (markers := find_markers(node, memo))
    }


def _shared(markers: _Markers) -> list[str]:
    first, *rest = markers
    return [region for region in first.regions if all(region in other.regions for other in rest)]


def _regions(markers: _Markers) -> list[str]:
    """Return the Regions that have all of the marked data; of what is torn, the first mark's."""
    return _shared(markers) or [min(markers).regions[0]]
