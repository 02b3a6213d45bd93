"""Root-task queueing for tasks that a Region binds, as Dask has it for tasks that nothing binds.

Dask sends every restricted task to a worker at once (``Scheduler.is_rootish``, distributed/scheduler.py),
so that a pool reads far ahead of what it can reduce. Here each Region has a queue of its own. Two things
differ from Dask's queue: "many tasks" is measured against the Region's threads, and a worker that is a
round trip away gets enough tasks ahead to stay busy until the next one can arrive.

The scheduler has no hook for this. What is replaced on its instance is listed in :func:`install` and
tested in ``tests/contract/test_queueing_hooks.py``.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any

from distributed.collections import HeapSet
from distributed.core import Status
from distributed.diagnostics.plugin import SchedulerPlugin

from dask_regions.names import region_of_resource, region_resource
from dask_regions.placement.hooks.scheduler.ahead import NEAR, RoundTrips, tasks_ahead
from dask_regions.placement.planning.cluster import region_of_worker

if TYPE_CHECKING:
    from dask.typing import Key
    from distributed.scheduler import Recs, Scheduler, TaskGroup, TaskState, WorkerState

__all__ = ["RegionQueue", "RegionQueueing", "bound_to", "install"]

#: Recommendations, messages to clients, messages to workers: what a transition answers.
_Outcome = tuple[dict[Any, Any], dict[Any, Any], dict[Any, Any]]


def bound_to(ts: TaskState) -> str | None:
    """Return the Region of a task that is bound to a Region and to nothing else, or None."""
    restrictions = ts.resource_restrictions
    if not restrictions or len(restrictions) > 1 or ts.worker_restrictions or ts.host_restrictions:
        return None
    [(resource, units)] = restrictions.items()
    # Units ask the worker to limit how many run at once: a user's own restriction, which Dask serves.
    return None if units else region_of_resource(resource)


class RegionQueue(HeapSet):  # type: ignore[type-arg, unused-ignore]
    """``Scheduler.queued``: one set to all who look at it, with a heap per Region inside.

    Tasks that no Region binds have a heap too, under None.
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
        region = bound_to(value)
        heap = self.heaps.get(region)
        if heap is None:
            heap = self.heaps[region] = HeapSet(key=self.key)
        heap.add(value)

    def discard(self, value: TaskState) -> None:
        """Remove a task, whichever Region it is in: it may have been bound to another since."""
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


class _Running(set):  # type: ignore[type-arg]
    """``Scheduler.running``, which tells when it has changed."""

    version = 0

    def add(self, value: Any) -> None:
        self.version += 1
        super().add(value)

    def discard(self, value: Any) -> None:
        self.version += 1
        super().discard(value)


class RegionQueueing(SchedulerPlugin):
    """Queue the root tasks of each Region, and send them when a worker of it has room.

    Parameters
    ----------
    scheduler
        The scheduler whose methods it takes the place of; see :func:`install`.
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
        self._running = _Running(scheduler.running)
        self._queue = RegionQueue(key=scheduler.queued.key)
        for ts in scheduler.queued.sorted():
            self._queue.add(ts)
        self._stock_valid_workers = scheduler.valid_workers
        self._stock_check = scheduler.check_idle_saturated
        self._stock_validate_queued = scheduler.validate_queued
        self._stock = dict(scheduler._TRANSITIONS_TABLE)

    def install(self) -> None:
        """Take the place of the scheduler's own methods."""
        scheduler = self._scheduler
        transitions = {
            **self._stock,
            ("waiting", "processing"): self._waiting_processing,
            ("waiting", "queued"): self._waiting_queued,
            ("queued", "processing"): self._queued_processing,
            ("no-worker", "processing"): self._no_worker_processing,
        }
        scheduler.queued = self._queue
        scheduler.running = self._running
        # Attributes of the instance, which hide the methods of its class.
        vars(scheduler).update(
            valid_workers=self.valid_workers,
            check_idle_saturated=self.check_idle_saturated,
            validate_queued=self._validate_queued,
            stimulus_queue_slots_maybe_opened=self.stimulus_queue_slots_maybe_opened,
            _TRANSITIONS_TABLE=transitions,
        )
        scheduler.add_plugin(self)
        for ws in scheduler.workers.values():
            self.check_idle_saturated(ws)

    def remove_worker(self, scheduler: Scheduler, worker: str, *, stimulus_id: str, **_: Any) -> None:
        """Let the queue of a Region without workers wait where the user is told, and in time an error is."""
        self._round_trips.forget(worker)
        for region in list(self._queue.heaps):
            if region is None or self.threads(region):
                continue
            self._free.pop(region, None)
            # By way of "waiting" they end up in "no-worker".
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
        region = bound_to(ts)
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
        if group is not None and round_trip >= NEAR:
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

    def _waiting_processing(self, scheduler: Scheduler, key: Key, stimulus_id: str) -> _Outcome:
        ts = scheduler.tasks[key]
        region = bound_to(ts)
        if region is None or not self._is_root(ts, region):
            return self._as_stock("waiting", "processing", key, stimulus_id)
        ws = self._pick(region, ts)
        if ws is None:
            return {key: "queued"}, {}, {}
        return self._send(ts, ws, stimulus_id)

    def _waiting_queued(self, scheduler: Scheduler, key: Key, stimulus_id: str) -> _Outcome:
        ts = scheduler.tasks[key]
        if bound_to(ts) is None:
            return self._as_stock("waiting", "queued", key, stimulus_id)
        if scheduler.validate:
            scheduler._validate_ready(ts)
        self._enqueue(ts)
        return {}, {}, {}

    def _queued_processing(self, scheduler: Scheduler, key: Key, stimulus_id: str) -> _Outcome:
        ts = scheduler.tasks[key]
        region = bound_to(ts)
        if region is None:
            return self._as_stock("queued", "processing", key, stimulus_id)
        ws = self._pick(region, ts)
        if ws is None:
            return {}, {}, {}
        self._queue.discard(ts)
        return self._send(ts, ws, stimulus_id)

    def _no_worker_processing(self, scheduler: Scheduler, key: Key, stimulus_id: str) -> _Outcome:
        """Serve what waited for a pool: the first worker to join must not get all of it at once."""
        ts = scheduler.tasks[key]
        region = bound_to(ts)
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

    def _send(self, ts: TaskState, ws: WorkerState, stimulus_id: str) -> _Outcome:
        outcome: _Outcome = self._scheduler._add_to_processing(ts, ws, stimulus_id=stimulus_id)
        return outcome

    def _as_stock(self, start: str, finish: str, key: Key, stimulus_id: str) -> _Outcome:
        outcome: _Outcome = self._stock[start, finish](self._scheduler, key, stimulus_id)
        return outcome

    def _validate_queued(self, key: Key) -> None:
        """Check what the scheduler's own method checks, but that the task is restricted."""
        ts = self._scheduler.tasks[key]
        if bound_to(ts) is None:
            self._stock_validate_queued(key)
            return
        restrictions, ts.resource_restrictions = ts.resource_restrictions, None
        try:
            self._stock_validate_queued(key)
        finally:
            ts.resource_restrictions = restrictions


def _load(ws: WorkerState) -> float:
    return len(ws.processing) / float(ws.nthreads)


def install(scheduler: Scheduler) -> RegionQueueing:
    """Queue the root tasks of each Region on a scheduler that has not started to work.

    Notes
    -----
    Replaced on the instance: ``queued``, ``running``, ``valid_workers``, ``check_idle_saturated``,
    ``validate_queued``, ``stimulus_queue_slots_maybe_opened``, and four entries of
    ``_TRANSITIONS_TABLE``. Tasks that no Region binds take Dask's own way.
    """
    queueing = RegionQueueing(scheduler)
    queueing.install()
    return queueing
