"""Sets of the scheduler with more to tell: its queue, by Region, and the workers that run."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any

from distributed.collections import HeapSet

from dask_regions.names import region_of_resource

if TYPE_CHECKING:
    from distributed.scheduler import TaskState

__all__ = ["RegionQueue", "RunningWorkers", "only_region"]


def only_region(ts: TaskState) -> str | None:
    """Return the Region of a task that is restricted to a Region and to nothing else, or None."""
    restrictions = ts.resource_restrictions
    if not restrictions or len(restrictions) > 1 or ts.worker_restrictions or ts.host_restrictions:
        return None
    [(resource, units)] = restrictions.items()
    # Units ask the worker to limit how many run at once: a user's own restriction, which Dask serves.
    return None if units else region_of_resource(resource)


class RegionQueue(HeapSet):  # type: ignore[type-arg, unused-ignore]
    """``Scheduler.queued``: one set to all who look at it, with a heap per Region inside.

    Tasks that are restricted to no Region have a heap too, under None.
    """

    __slots__ = ("heaps",)

    def __init__(self, *, key: Any) -> None:
        super().__init__(key=key)
        self.heaps: dict[str | None, HeapSet[TaskState]] = {}

    def __contains__(self, value: object) -> bool:
        return any(value in heap for heap in self.heaps.values())

    def __len__(self) -> int:
        return sum(map(len, self.heaps.values()))

    def __iter__(self) -> Iterator[TaskState]:
        return chain.from_iterable(self.heaps.values())

    def add(self, value: TaskState) -> None:
        """Add a task to the heap of its Region."""
        if value in self:
            return
        region = only_region(value)
        heap = self.heaps.get(region)
        if heap is None:
            heap = self.heaps[region] = HeapSet(key=self.key)
        heap.add(value)

    def discard(self, value: TaskState) -> None:
        """Remove a task, whichever Region it is in: it may have been restricted to another since."""
        for region, heap in self.heaps.items():
            if value in heap:
                heap.discard(value)
                if not heap:
                    del self.heaps[region]
                return

    def peek(self) -> TaskState:
        """Return the first task of all."""
        if not self.heaps:
            raise KeyError("peek into empty set")
        first: TaskState = min((heap.peek() for heap in self.heaps.values()), key=self.key)
        return first

    def pop(self) -> TaskState:
        """Remove and return the first task of all."""
        first = self.peek()
        self.discard(first)
        return first

    def peekright(self) -> TaskState:
        """Return a task that is not before the first."""
        if not self.heaps:
            raise KeyError("peek into empty set")
        last: TaskState = max((heap.peekright() for heap in self.heaps.values()), key=self.key)
        return last

    def popright(self) -> TaskState:
        """Remove and return a task that is not before the first."""
        last = self.peekright()
        self.discard(last)
        return last

    def sorted(self) -> Iterator[TaskState]:
        """Iterate in order."""
        return iter(sorted(self, key=self.key))

    def clear(self) -> None:
        """Remove all tasks."""
        self.heaps.clear()


class RunningWorkers(set):  # type: ignore[type-arg]
    """``Scheduler.running``, whose ``version`` says whether it has changed."""

    version = 0

    def add(self, value: Any) -> None:
        self.version += 1
        super().add(value)

    def discard(self, value: Any) -> None:
        self.version += 1
        super().discard(value)
