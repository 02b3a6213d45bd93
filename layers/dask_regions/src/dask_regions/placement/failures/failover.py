"""Let the tasks of a pool that is lost go on in Regions that hold the same data.

The rule, for the unfinished tasks that were restricted to the lost Region:

- what reads data moves to the Region of an alive replica, and stays where there is none;
- what takes a result that stays, stays with it;
- everything else moves with its inputs, and what has no inputs with its consumers.

Nothing moves back when the pool returns: what it would compute again has been computed.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from operator import attrgetter
from time import time
from typing import TYPE_CHECKING

from dask_regions.data.marker import Marker
from dask_regions.names import REGION_ANNOTATION, region_of_resource
from dask_regions.placement.hooks.scheduler.tasks import holds_data
from dask_regions.placement.planning.cluster import region_of_task, region_of_worker
from dask_regions.placement.planning.payload import Memo, find_markers
from dask_regions.placement.planning.replicas import replica_after_loss

if TYPE_CHECKING:
    from distributed.scheduler import Recs, Scheduler, TaskState

__all__ = ["Failover", "Move", "fail_over", "regions_with_workers", "substitutes", "waiting"]

#: Restrict a task to another Region.
Move = Callable[["TaskState", str], None]


@dataclass(frozen=True)
class Failover:
    """How many tasks of a lost pool continue elsewhere, and how many wait for it.

    Attributes
    ----------
    moved
        Number of tasks that continue, by the Region that they continue in.
    waiting
        Number of tasks that are ready and that only the lost pool can run.
    """

    moved: Mapping[str, int] = field(default_factory=dict)
    waiting: int = 0


def regions_with_workers(scheduler: Scheduler) -> set[str]:
    """Return the Regions whose pools take work now."""
    return {region for worker in scheduler.running if (region := region_of_worker(worker))}


def waiting(scheduler: Scheduler, region: str) -> list[TaskState]:
    """Return the tasks that are ready, that no worker has, and that only a Region's pool can run."""
    return [
        task
        for tasks in (scheduler.unrunnable, scheduler.queued)
        for task in tasks
        if region_of_task(task) == region
    ]


def fail_over(scheduler: Scheduler, lost: str, move: Move) -> Failover:
    """Restrict anew what can run elsewhere, and start what is ready.

    Parameters
    ----------
    scheduler
        Must be called on its event loop. Linear in its tasks.
    lost
        Region whose pool has no workers.
    move
        Called with each task that continues elsewhere, and the Region where.
    """
    everything = list(scheduler.tasks.values())
    mine = [task for task in everything if task.state != "erred" and region_of_task(task) == lost]
    homes = substitutes(mine, lost, regions_with_workers(scheduler), _load(everything))
    ready = [task for task in waiting(scheduler, lost) if task in homes]
    stimulus = f"dask-regions-fail-over-{time()}"
    for task, region in homes.items():
        move(task, region)
    # Recommendations are processed last in, first out. What was queued is scheduled by way of "waiting".
    ready.sort(key=attrgetter("priority"), reverse=True)
    recommendations: Recs = {
        task.key: "waiting" if task.state == "queued" else "processing" for task in ready
    }
    scheduler.transitions(recommendations, stimulus)
    return Failover(Counter(homes.values()), len(waiting(scheduler, lost)))


def substitutes(
    tasks: Iterable[TaskState], lost: str, alive: Collection[str], load: Mapping[str, int]
) -> dict[TaskState, str]:
    """Decide where tasks of a lost pool continue. Pure: reads task states, changes none.

    Parameters
    ----------
    tasks
        All that are restricted to the lost Region, in any state.
    lost
        The lost Region.
    alive
        Regions whose pools have workers.
    load
        Unfinished tasks by Region: where there are several replicas, that with the most is taken, because
        what the graph combines is there.

    Returns
    -------
    dict
        Task to its new Region; those that stay are missing.
    """
    mine = set(tasks)
    rule = _Rule(mine, [region for region in alive if region != lost], load)
    order = list(TopologicalSorter({task: task.dependencies & mine for task in mine}).static_order())
    for task in order:
        rule.follow_inputs(task)
    for task in reversed(order):
        rule.follow_consumers(task)
    return rule.homes


class _Rule:
    def __init__(self, mine: set[TaskState], alive: Collection[str], load: Mapping[str, int]) -> None:
        self.homes: dict[TaskState, str] = {}
        self._stays: set[TaskState] = set()
        self._mine, self._alive, self._load = mine, alive, load
        self._memo: Memo = {}

    def follow_inputs(self, task: TaskState) -> None:
        if holds_data(task):
            return  # an array to read from: it goes where it is read
        markers = self._markers(task)
        # What is finished and held somewhere does not have to be computed where it stays.
        blocked = any(
            dependency in self._stays and not dependency.who_has for dependency in task.dependencies
        )
        if blocked or _pinned_by_user(task) or task.run_spec is None:
            self._stays.add(task)
        elif markers:
            self._set(task, replica_after_loss(markers, self._alive, self._load))
        elif task.dependencies:
            self._set(task, self._where_inputs_are(task))

    def follow_consumers(self, task: TaskState) -> None:
        if task in self.homes or task in self._stays:
            return
        homes = Counter(self.homes[consumer] for consumer in task.dependents if consumer in self.homes)
        if homes:
            self.homes[task] = homes.most_common(1)[0][0]

    def _set(self, task: TaskState, region: str | None) -> None:
        if region is None:
            self._stays.add(task)
        else:
            self.homes[task] = region

    def _markers(self, task: TaskState) -> frozenset[Marker]:
        handles = [dependency.run_spec for dependency in task.dependencies if holds_data(dependency)]
        markers = find_markers(task.run_spec, self._memo)
        return markers.union(*(find_markers(handle, self._memo) for handle in handles))

    def _where_inputs_are(self, task: TaskState) -> str | None:
        volume: defaultdict[str, int] = defaultdict(int)
        for dependency in task.dependencies:
            region = self.homes.get(dependency) or region_of_task(dependency)
            if region is not None and region in self._alive:
                volume[region] += max(1, dependency.nbytes)
        return max(volume, key=lambda region: (volume[region], region), default=None)


def _pinned_by_user(task: TaskState) -> bool:
    asked = task.annotations or {}
    regions = filter(None, map(region_of_resource, asked.get("resources") or ()))
    restricted = task.worker_restrictions or task.host_restrictions
    return bool(restricted or isinstance(asked.get(REGION_ANNOTATION), str) or next(regions, None))


def _load(tasks: Iterable[TaskState]) -> Counter[str]:
    unfinished = (task for task in tasks if task.state != "memory")
    return Counter(region for task in unfinished if (region := region_of_task(task)))
