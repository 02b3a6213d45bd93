"""Decide in which Region each task of a graph runs. Pure: reads task states, changes none.

One pass in topological order, then one back:

- a task that reads Region R runs in R;
- a task whose inputs are all in R runs in R;
- a task with inputs in several Regions runs where most of their bytes are;
- a task that needs no Region runs with its consumers, where they are in one Region.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING

from dask_regions.names import region_of_resource
from dask_regions.placement.payload import Marker, Memo, find_markers, is_data

if TYPE_CHECKING:
    from distributed.scheduler import TaskState, WorkerState

__all__ = ["Plan", "make_plan", "region_of_task", "region_of_worker"]

#: Bytes of a result about which nothing is known, and of the handle on an array.
_UNKNOWN = 1000.0


@dataclass
class Plan:
    """The outcome.

    Attributes
    ----------
    homes
        Task to the Region that it is to be restricted to.
    reads
        Tasks that read marked arrays, to the Regions they read; more than one Region means that
        the guard on the worker will refuse.
    """

    homes: dict[TaskState, str] = field(default_factory=dict)
    reads: dict[TaskState, tuple[str, ...]] = field(default_factory=dict)


def region_of_worker(worker: WorkerState) -> str | None:
    """Return the Region of a worker's pool, or None where it belongs to none."""
    return next(filter(None, map(region_of_resource, worker.resources or ())), None)


def region_of_task(task: TaskState) -> str | None:
    """Return the Region that a task is restricted to, or None."""
    return next(filter(None, map(region_of_resource, task.resource_restrictions or ())), None)


def make_plan(tasks: Iterable[TaskState]) -> Plan:
    """Place the tasks that have not started.

    Parameters
    ----------
    tasks
        Tasks of the graph that arrived, with their dependencies; those that were placed before, or
        that the user restricted to workers, hosts or a Region, keep what they have.
    """
    fresh = {task for task in tasks if task.state == "released" and task.run_spec is not None}
    order = list(TopologicalSorter({task: task.dependencies & fresh for task in fresh}).static_order())
    return _Planner(fresh).plan(order)


def _free(task: TaskState) -> bool:
    return not (task.worker_restrictions or task.host_restrictions or region_of_task(task))


def _where_it_is(task: TaskState) -> str | None:
    """Return the Region whose workers alone hold a result, or None."""
    regions = {region_of_worker(worker) for worker in task.who_has or ()}
    return regions.pop() if len(regions) == 1 else None


class _Planner:
    def __init__(self, fresh: set[TaskState]) -> None:
        self._fresh = fresh
        self._plan = Plan()
        self._memo: Memo = {}
        self._handles: dict[TaskState, frozenset[Marker]] = {}
        self._sizes: dict[TaskState, float] = {}
        self._volume: defaultdict[str, float] = defaultdict(float)

    def plan(self, order: list[TaskState]) -> Plan:
        for task in order:
            self._place(task)
        for task in reversed(order):
            self._follow_consumers(task)
        return self._plan

    def _place(self, task: TaskState) -> None:
        markers = find_markers(task.run_spec, self._memo)
        if is_data(task.run_spec):
            self._sizes[task] = _UNKNOWN
        else:
            markers = markers.union(*(self._handle(dependency) for dependency in task.dependencies))
            self._sizes[task] = self._estimate(task, markers)
        regions = tuple(sorted({marker.region for marker in markers}))
        if regions and not is_data(task.run_spec):
            self._plan.reads[task] = regions
            self._volume[regions[0]] += self._sizes[task]
        region = regions[0] if regions else self._where_inputs_are(task)
        if region is not None and _free(task):
            self._plan.homes[task] = region

    def _handle(self, task: TaskState) -> frozenset[Marker]:
        """Return the marks of a task that only holds an array, also one of an earlier graph."""
        if task not in self._handles:
            data = is_data(task.run_spec)
            self._handles[task] = find_markers(task.run_spec, self._memo) if data else frozenset()
        return self._handles[task]

    def _estimate(self, task: TaskState, markers: frozenset[Marker]) -> float:
        # Of reads: an even share of the array. Of all else: as large as the largest input, which is
        # too much for a reduction, but by the same factor in each Region.
        if markers:
            return sum(marker.nbytes for marker in markers) / max(1, len(task.group))
        return max(map(self._size, task.dependencies), default=_UNKNOWN)

    def _size(self, task: TaskState) -> float:
        if task.nbytes >= 0:
            return float(task.nbytes)
        return self._sizes.get(task, _UNKNOWN)

    def _where_inputs_are(self, task: TaskState) -> str | None:
        weights: defaultdict[str, float] = defaultdict(float)
        bound = False
        for dependency in task.dependencies:
            home = self._home(dependency)
            bound = bound or home is not None
            region = home or _where_it_is(dependency)
            if region is not None:
                # What many tasks need crosses once for all of them.
                weights[region] += self._size(dependency) / max(1, len(dependency.dependents))
        if not bound:
            return None  # its inputs are somewhere by chance: leave Dask free to spread the work
        # Equal weights: one answer for the whole graph, or the tasks after it would be split too.
        return max(weights, key=lambda region: (weights[region], self._volume[region], region), default=None)

    def _home(self, task: TaskState) -> str | None:
        return self._plan.homes.get(task) or region_of_task(task)

    def _follow_consumers(self, task: TaskState) -> None:
        if task in self._plan.homes or not _free(task):
            return
        regions = {self._home(consumer) for consumer in task.dependents if consumer in self._fresh}
        if len(regions) == 1 and (region := regions.pop()) is not None:
            self._plan.homes[task] = region
