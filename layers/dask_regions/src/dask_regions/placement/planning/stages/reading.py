"""First stage: which tasks of a graph read or write marked data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from dask._task_spec import Alias, DataNode, GraphNode, Task
from dask.typing import Key

from dask_regions.data.marker import Marker
from dask_regions.placement.planning.fused import unfuse
from dask_regions.placement.planning.payload import Memo, find_markers, holds_nothing
from dask_regions.placement.planning.replicas import regions_of_all

__all__ = ["Reads", "find_reads", "take_apart"]

_Markers = frozenset[Marker]


@dataclass(frozen=True)
class Reads:
    """The reads and writes of a graph. Where they are to be done is not said here.

    Attributes
    ----------
    graph
        The graph that was given, with fused tasks taken apart where no Region has all that they read.
    markers
        Key of each task that reads or writes to the markers of the data.
    multi_region
        Tasks that need data of several Regions at once, and cannot be taken apart; the guard on the
        worker will refuse.
    names
        Tasks that were taken out of a fused one: key to the name that each had inside, and the key of the
        task around it.
    readers
        Number of tasks that read each marked data.
    """

    graph: dict[Key, GraphNode]
    markers: Mapping[Key, _Markers]
    multi_region: tuple[Key, ...]
    names: Mapping[Key, tuple[Key, Key]] = field(default_factory=dict)
    readers: Counter[Marker] = field(default_factory=Counter)

    def share(self, key: Key) -> float | None:
        """Return an even share of the data that a task reads with others, in bytes; None of no read."""
        markers = self.markers.get(key)
        return None if markers is None else sum(marker.nbytes / self.readers[marker] for marker in markers)


def find_reads(graph: dict[Key, GraphNode]) -> Reads:
    """Find the tasks that read or write marked data.

    A task reads what it holds itself, and what the tasks it depends on hold: Dask keeps an array to read
    in a task of its own, of which the readers take their parts.
    """
    memo: Memo = {}
    markers = _find(graph, graph, memo)
    reads = Reads(graph, markers, (), readers=_count_readers(markers))
    return take_apart(reads, list(_without_a_region(markers)), memo)


def take_apart(reads: Reads, fused: Collection[Key], memo: Memo | None = None) -> Reads:
    """Take fused tasks apart, and look for the reads among what they are made of.

    Those that are not fused count as of several Regions.
    """
    if not fused:
        return reads
    memo = {} if memo is None else memo
    tasks, markers, names = dict(reads.graph), dict(reads.markers), dict(reads.names)
    multi_region = list(reads.multi_region)
    pending = list(fused)
    while pending:
        key = pending.pop()
        parts = unfuse(tasks[key])
        if parts is None:
            multi_region.append(key)
            continue
        tasks.update(parts.tasks)
        names |= {part: (name, key) for part, name in parts.names.items()}
        markers_of_parts = _find(parts.tasks, tasks, memo)
        markers.pop(key, None)
        markers |= markers_of_parts
        pending += _without_a_region(markers_of_parts)
    return Reads(tasks, markers, tuple(multi_region), names, _count_readers(markers))


def _find(tasks: Mapping[Key, GraphNode], graph: Mapping[Key, GraphNode], memo: Memo) -> dict[Key, _Markers]:
    markers_of_tasks: dict[Key, _Markers] = {}
    holders: dict[Key, _Markers] = {}
    for key, node in tasks.items():
        if type(node) is Alias or (type(node) is Task and holds_nothing(node, memo)):
            continue
        if markers := find_markers(node, memo):
            (holders if isinstance(node, DataNode) else markers_of_tasks)[key] = markers
    if tasks is not graph:
        holders |= _holders_outside(tasks, graph, memo)
    if not holders:
        return markers_of_tasks
    holding = holders.keys()
    for key, node in tasks.items():
        inputs = node.dependencies
        if inputs and not holding.isdisjoint(inputs):
            markers = frozenset().union(*(holders[name] for name in holding & inputs))
            markers_of_tasks[key] = markers_of_tasks[key] | markers if key in markers_of_tasks else markers
    return markers_of_tasks


def _holders_outside(
    tasks: Mapping[Key, GraphNode], graph: Mapping[Key, GraphNode], memo: Memo
) -> dict[Key, _Markers]:
    """Return the tasks outside a fused task that hold an array of which its parts take."""
    outside = set().union(*(node.dependencies for node in tasks.values())) - tasks.keys()
    nodes = ((key, graph.get(key)) for key in outside)
    return {
        key: markers
        for key, node in nodes
        if isinstance(node, DataNode) and (markers := find_markers(node, memo))
    }


def _without_a_region(markers_of_tasks: Mapping[Key, _Markers]) -> Iterator[Key]:
    """Yield the tasks of whose data no Region has all."""
    for key, markers in markers_of_tasks.items():
        if len(markers) > 1 and not regions_of_all(markers):
            yield key


def _count_readers(markers_of_tasks: Mapping[Key, _Markers]) -> Counter[Marker]:
    # Most tasks share one set of markers: counting the sets first is much the faster.
    readers: Counter[Marker] = Counter()
    for markers, tasks in Counter(markers_of_tasks.values()).items():
        readers.update(dict.fromkeys(markers, tasks))
    return readers
