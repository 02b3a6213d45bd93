"""Root-task queueing for tasks that are restricted to a Region, as Dask has it for those that are not.

Dask sends every restricted task to a worker at once (``Scheduler.is_rootish``, distributed/scheduler.py),
so that a pool reads far ahead of what it can reduce. Here each Region has a queue of its own. Two things
differ from Dask's queue: "many tasks" is measured against the Region's threads, and a worker that is a
round trip away gets enough tasks ahead to stay busy until the next one can arrive.

The scheduler has no hook for this, so methods of it are replaced.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from time import time
from typing import TYPE_CHECKING, Any

from distributed.core import Status
from distributed.diagnostics.plugin import SchedulerPlugin

from dask_regions.names import region_resource
from dask_regions.placement.hooks.replacing import overrides_of
from dask_regions.placement.hooks.scheduler.ahead import NEAR_SECONDS, RoundTrips, tasks_ahead
from dask_regions.placement.hooks.scheduler.callbacks import add_plugin
from dask_regions.placement.hooks.scheduler.region_queue import RegionQueue, RunningWorkers, only_region
from dask_regions.placement.planning.cluster import region_of_worker

if TYPE_CHECKING:
    from dask.typing import Key
    from distributed.collections import HeapSet
    from distributed.scheduler import Recs, Scheduler, TaskGroup, TaskState, WorkerState

__all__ = ["RegionQueueing", "queue_by_region"]

#: Recommendations, messages to clients, messages to workers: what a transition answers.
_Answer = tuple[dict[Any, Any], dict[Any, Any], dict[Any, Any]]


class RegionQueueing(SchedulerPlugin):
    """Queue the root tasks of each Region, and send them when a worker of it has room.

    Parameters
    ----------
    scheduler
        The scheduler whose methods it takes the place of.
    """

    name = "dask-regions-queueing"

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._round_trips = RoundTrips()
        # Workers that had room when last looked at. Checked again before one is used: the scheduler
        # does not announce that a worker is paused or left.
        self._free: defaultdict[str, set[WorkerState]] = defaultdict(set)
        self._asked: dict[str, TaskGroup] = {}
        self._threads: dict[str, tuple[tuple[int, ...], int]] = {}
        self._valid: dict[str, tuple[tuple[int, ...], set[WorkerState]]] = {}
        self._running = RunningWorkers(scheduler.running)
        self._queue = RegionQueue(key=scheduler.queued.key)
        for ts in scheduler.queued.sorted():
            self._queue.add(ts)
        self._stock_valid_workers = scheduler.valid_workers
        self._stock_check = scheduler.check_idle_saturated
        self._stock_validate_queued = scheduler.validate_queued
        self._stock = dict(scheduler._TRANSITIONS_TABLE)

    def take_place(self) -> None:
        """Take the place of the scheduler's own methods."""
        scheduler, overrides = self._scheduler, overrides_of(self._scheduler)
        transitions = {
            **self._stock,
            ("waiting", "processing"): self._waiting_processing,
            ("waiting", "queued"): self._waiting_queued,
            ("queued", "processing"): self._queued_processing,
            ("no-worker", "processing"): self._no_worker_processing,
        }
        # Taken back last, when the scheduler's own methods and sets are in their places.
        overrides.on_take_back(self._hand_over, scheduler.queued, scheduler.running)
        overrides.replace(scheduler, "queued", self._queue)
        overrides.replace(scheduler, "running", self._running)
        overrides.replace(scheduler, "valid_workers", self.valid_workers)
        overrides.replace(scheduler, "check_idle_saturated", self.check_idle_saturated)
        overrides.replace(scheduler, "validate_queued", self._validate_queued)
        overrides.replace(
            scheduler, "stimulus_queue_slots_maybe_opened", self.stimulus_queue_slots_maybe_opened
        )
        overrides.replace(scheduler, "_TRANSITIONS_TABLE", transitions)
        add_plugin(scheduler, self, self.name)
        for ws in scheduler.workers.values():
            self.check_idle_saturated(ws)

    def _hand_over(self, queued: HeapSet[TaskState], running: set[WorkerState]) -> None:
        """Give Dask's own sets what ours hold; restricted tasks go to workers at once, as Dask sends them."""
        running.clear()
        running.update(self._running)
        queued.clear()
        waiting: Recs = {}
        for ts in self._queue.sorted():
            queued.add(ts)
            if only_region(ts) is not None:
                waiting[ts.key] = "waiting"
        self._queue.clear()
        self._scheduler.transitions(waiting, f"dask-regions-detach-{time()}")

    def remove_worker(self, scheduler: Scheduler, worker: str, *, stimulus_id: str, **_: Any) -> None:
        """Let the queue of a Region without workers wait where the user is told, and in time an error is."""
        self._round_trips.forget(worker)
        for region in list(self._queue.heaps):
            if region is None or self.threads(region):
                continue
            self._free.pop(region, None)
            # They come to "no-worker" by way of "waiting".
            waiting: Recs = {ts.key: "waiting" for ts in self._queue.heaps[region].sorted()}
            scheduler.transitions(waiting, stimulus_id)

    def threads(self, region: str) -> int:
        """Return how many threads a Region's workers have, those of paused workers included."""
        scheduler = self._scheduler
        members = scheduler.resources.get(region_resource(region), {})
        now = (scheduler._workers_added_total, scheduler._workers_removed_total, len(members))
        known = self._threads.get(region)
        if known is None or known[0] != now:
            known = self._threads[region] = (now, sum(scheduler.workers[each].nthreads for each in members))
        return known[1]

    def valid_workers(self, ts: TaskState) -> set[WorkerState] | None:
        """Return what the scheduler's own method does; for a Region without collecting it for every task."""
        region = only_region(ts)
        if region is None or (members := self._scheduler.resources.get(region_resource(region))) is None:
            valid: set[WorkerState] | None = self._stock_valid_workers(ts)
            return valid
        now = (self._running.version, len(members))
        known = self._valid.get(region)
        if known is None or known[0] != now:
            known = self._valid[region] = (now, self._stock_valid_workers(ts) or set())
        return known[1]

    def check_idle_saturated(self, ws: WorkerState, occ: float = -1.0) -> None:
        """Update what the scheduler knows of a worker, and whether it has room for its Region's tasks."""
        self._stock_check(ws, occ)
        region = region_of_worker(ws)
        if region is None:
            return
        if ws.status == Status.running and self._room(ws, self._asked.get(region)) > 0:
            self._free[region].add(ws)
        else:
            self._free[region].discard(ws)

    def stimulus_queue_slots_maybe_opened(self, *, stimulus_id: str) -> None:
        """Send queued tasks, first those with the highest priority, to the workers that have room."""
        while self._queue.heaps:
            ts = min(self._ready(), key=self._queue.key, default=None)
            if ts is None:
                return
            self._scheduler.transitions({ts.key: "processing"}, stimulus_id)
            if ts.state == "queued":
                return

    def _ready(self) -> Iterator[TaskState]:
        for region, heap in self._queue.heaps.items():
            first = heap.peek()
            if self._scheduler.idle_task_count if region is None else self._pick(region, first):
                yield first

    def _is_root(self, ts: TaskState, region: str) -> bool:
        """Tell what ``Scheduler.is_rootish`` would, were the Region the whole cluster."""
        if not ts._queueable or ts.actor or ts.loose_restrictions:
            return False
        scheduler = self._scheduler
        threads = self.threads(region)
        if not threads or math.isinf(scheduler.WORKER_SATURATION):
            return False
        if ts.run_spec and ts.run_spec.data_producer:
            return True
        group = ts.group
        return bool(
            len(group) > threads * 2
            and len(group.dependencies) < scheduler.rootish_tg_threshold
            and sum(map(len, group.dependencies)) < scheduler.rootish_tg_dependencies_threshold
        )

    def _room(self, ws: WorkerState, group: TaskGroup | None) -> int:
        """Return how many root tasks more a worker may have."""
        saturation = self._scheduler.WORKER_SATURATION
        if math.isinf(saturation):
            return 1
        slots = max(math.ceil(saturation * ws.nthreads), 1)
        round_trip = self._round_trips.of(ws)
        if group is not None and round_trip >= NEAR_SECONDS:
            duration = self._scheduler._get_prefix_duration(group.prefix)
            done = group.states["memory"] + group.states["released"] + group.states["forgotten"]
            used = max(ws.nbytes, ws.metrics.get("memory", 0))
            nbytes = group.nbytes_total / done if done else 0
            slots += tasks_ahead(round_trip, duration, ws.nthreads, (used, ws.memory_limit), nbytes)
        return slots - (len(ws.processing) - len(ws.long_running))

    def _pick(self, region: str, ts: TaskState) -> WorkerState | None:
        """Return the worker of a Region with the fewest tasks per thread, if it has room."""
        self._asked[region] = ts.group
        free = self._free[region]
        while free:
            ws = min(free, key=_load)
            if ws in self._running and self._room(ws, ts.group) > 0:
                return ws
            free.discard(ws)
        return None

    def _waiting_processing(self, scheduler: Scheduler, key: Key, stimulus_id: str) -> _Answer:
        ts = scheduler.tasks[key]
        region = only_region(ts)
        if region is None or not self._is_root(ts, region):
            return self._as_stock("waiting", "processing", key, stimulus_id)
        ws = self._pick(region, ts)
        if ws is None:
            return {key: "queued"}, {}, {}
        return self._send(ts, ws, stimulus_id)

    def _waiting_queued(self, scheduler: Scheduler, key: Key, stimulus_id: str) -> _Answer:
        ts = scheduler.tasks[key]
        if only_region(ts) is None:
            return self._as_stock("waiting", "queued", key, stimulus_id)
        if scheduler.validate:
            scheduler._validate_ready(ts)
        self._enqueue(ts)
        return {}, {}, {}

    def _queued_processing(self, scheduler: Scheduler, key: Key, stimulus_id: str) -> _Answer:
        ts = scheduler.tasks[key]
        region = only_region(ts)
        if region is None:
            return self._as_stock("queued", "processing", key, stimulus_id)
        ws = self._pick(region, ts)
        if ws is None:
            return {}, {}, {}
        self._queue.discard(ts)
        return self._send(ts, ws, stimulus_id)

    def _no_worker_processing(self, scheduler: Scheduler, key: Key, stimulus_id: str) -> _Answer:
        """Serve what waited for a pool: the first worker to join must not get all of it at once."""
        ts = scheduler.tasks[key]
        region = only_region(ts)
        if region is None or not self._is_root(ts, region):
            return self._as_stock("no-worker", "processing", key, stimulus_id)
        scheduler.unrunnable.pop(ts, None)
        ws = self._pick(region, ts)
        if ws is None:
            self._enqueue(ts)
            return {}, {}, {}
        return self._send(ts, ws, stimulus_id)

    def _enqueue(self, ts: TaskState) -> None:
        ts.state = "queued"
        self._queue.add(ts)

    def _send(self, ts: TaskState, ws: WorkerState, stimulus_id: str) -> _Answer:
        answer: _Answer = self._scheduler._add_to_processing(ts, ws, stimulus_id=stimulus_id)
        return answer

    def _as_stock(self, start: str, finish: str, key: Key, stimulus_id: str) -> _Answer:
        answer: _Answer = self._stock[start, finish](self._scheduler, key, stimulus_id)
        return answer

    def _validate_queued(self, key: Key) -> None:
        """Check what the scheduler's own method checks, but that the task is restricted."""
        ts = self._scheduler.tasks[key]
        if only_region(ts) is None:
            self._stock_validate_queued(key)
            return
        restrictions, ts.resource_restrictions = ts.resource_restrictions, None
        try:
            self._stock_validate_queued(key)
        finally:
            ts.resource_restrictions = restrictions


def _load(ws: WorkerState) -> float:
    return len(ws.processing) / float(ws.nthreads)


def queue_by_region(scheduler: Scheduler) -> RegionQueueing:
    """Queue the root tasks of each Region on a scheduler that has not started to work.

    Tasks that are restricted to no Region take Dask's own way.
    """
    queueing = RegionQueueing(scheduler)
    queueing.take_place()
    return queueing
