"""Notice when a pool is lost or silent, tell the user, and let go on what can.

Every message goes to the clients through the topic ``POOL_TOPIC``; see ``docs/decisions/0013-failures.md``
for what is told when.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from time import monotonic, time
from typing import TYPE_CHECKING, Any

from distributed.diagnostics.plugin import SchedulerPlugin

from dask_regions.names import POOL_TOPIC
from dask_regions.placement.failures.failover import Move, fail_over, regions_with_workers
from dask_regions.placement.hooks.replacing import overrides_of
from dask_regions.placement.hooks.scheduler.callbacks import add_plugin, call_every
from dask_regions.placement.hooks.scheduler.empty_pools import name_empty_pools
from dask_regions.placement.hooks.scheduler.tasks import forgive
from dask_regions.placement.planning.cluster import region_of_task, region_of_worker

if TYPE_CHECKING:
    from dask.typing import Key
    from distributed.scheduler import Scheduler, WorkerState

__all__ = ["PoolWatch", "watch_pools"]

logger = logging.getLogger(__name__)

#: Seconds that a pool may be without workers before the user is told: a restart takes less.
PATIENCE_SECONDS = 2.0
#: Seconds without a heartbeat, of which there are one to four in 2 s, before the user is told.
SILENCE_SECONDS = 15.0
#: Workers of a pool that are lost within this many seconds count as one failure of a task: an ECS task takes
#: ten with it, a link the whole pool, and ``allowed-failures`` (3) is meant for tasks that kill workers.
BURST_SECONDS = 5.0

_LOOK_SECONDS = 1.0


class PoolWatch(SchedulerPlugin):
    """Tells of pools without workers and of workers that do not answer, and fails over.

    Parameters
    ----------
    scheduler
        The scheduler it is added to.
    move
        Restricts a task to another Region.
    patience
        Seconds that a pool may be without workers.
    silence
        Seconds that a worker may be without a heartbeat.
    """

    name = "dask-regions-watch"

    def __init__(
        self,
        scheduler: Scheduler,
        move: Move,
        *,
        patience: float = PATIENCE_SECONDS,
        silence: float = SILENCE_SECONDS,
    ) -> None:
        self._scheduler, self._move = scheduler, move
        self._patience, self._silence = patience, silence
        self._regions: dict[str, str] = {}
        self._timers: dict[str, object] = {}
        self._empty: set[str] = set()
        self._reported: set[str] = set()
        self._silent: dict[str, int] = {}
        self._bursts: dict[str, tuple[float, set[Key]]] = {}
        call_every(scheduler, self.name, self._look_for_silence, _LOOK_SECONDS)

    def update_graph(self, *_: Any, **__: Any) -> None:
        """Tell again what is still so: another client may have joined, who has not heard of it."""
        self._reported.clear()

    def add_worker(self, scheduler: Scheduler, worker: str) -> None:
        """Remember the Region of a worker."""
        region = region_of_worker(scheduler.workers[worker])
        if region is not None:
            self._regions[worker] = region

    def remove_worker(self, scheduler: Scheduler, worker: str, **_: Any) -> None:
        """Watch its pool where it was the last one, and forgive its tasks."""
        region = self._regions.pop(worker, None)
        if region is None:
            return
        self._forgive(region, worker)
        if region not in regions_with_workers(scheduler):
            self._expect(region)

    def transition(self, key: Key, start: str, finish: str, *_: Any, **__: Any) -> None:
        """Watch the pool of a task that no worker can run."""
        if "no-worker" not in (start, finish):
            return
        region = region_of_task(self._scheduler.tasks[key])
        if region is None:
            return
        if finish == "no-worker":
            self._expect(region)
        elif finish == "processing" and region in self._empty:
            self._empty.discard(region)
            self._reported.discard(region)
            self._tell(region, "served", 0, f"pool {region} has workers again; the tasks that waited go on.")

    async def before_close(self) -> None:
        """Stop the timers."""
        self.stop()

    def stop(self) -> None:
        """Wait for no pool any more."""
        for timer in self._timers.values():
            self._scheduler.loop.remove_timeout(timer)
        self._timers.clear()

    def _expect(self, region: str) -> None:
        if region not in self._timers and region not in self._reported:
            self._timers[region] = self._scheduler.loop.call_later(self._patience, self._report, region)

    def _report(self, region: str) -> None:
        del self._timers[region]
        if region in regions_with_workers(self._scheduler):
            return
        outcome = fail_over(self._scheduler, region, self._move)
        if outcome.moved:
            others = " and ".join(sorted(outcome.moved))
            number = sum(outcome.moved.values())
            self._tell(
                region,
                "moved",
                number,
                f"pool {region} has no workers; {number} tasks continue in {others}, "
                "which holds the same data.",
            )
        if outcome.waiting:
            self._empty.add(region)
            self._reported.add(region)
            self._tell(
                region,
                "empty",
                outcome.waiting,
                f"pool {region} has no workers; {outcome.waiting} tasks wait. "
                f"Scale it with: dask-regions scale {region} 1",
            )

    def _forgive(self, region: str, worker: str) -> None:
        """Take back that the tasks of a worker are suspected, where they already are for the same failure."""
        events = (event for _, event in self._scheduler.get_events(worker))
        removed = [event for event in events if event.get("action") == "remove-worker"]
        if not removed or removed[-1]["expected"]:
            return
        begun, suspected = self._bursts.get(region, (0.0, set()))
        if monotonic() - begun > BURST_SECONDS:
            begun, suspected = monotonic(), set()
        for key in removed[-1]["processing-tasks"]:
            task = self._scheduler.tasks.get(key)
            if key in suspected and task is not None:
                forgive(task)
            suspected.add(key)
        self._bursts[region] = (begun, suspected)

    def _look_for_silence(self) -> None:
        now = time()
        silent: defaultdict[str, list[WorkerState]] = defaultdict(list)
        for address, region in self._regions.items():
            worker = self._scheduler.workers.get(address)
            if worker is not None and now - worker.last_seen > self._silence:
                silent[region].append(worker)
        for region in {*silent, *self._silent}:
            self._compare(region, silent.get(region, []))

    def _compare(self, region: str, silent: list[WorkerState]) -> None:
        before = self._silent.pop(region, 0)
        if silent:
            self._silent[region] = max(before, len(silent))
        if len(silent) > before:
            of = sum(other == region for other in self._regions.values())
            ttl = self._scheduler.worker_ttl
            end = f" After {ttl:.0f} s they are given up, and their tasks run on others." if ttl else ""
            tasks = sum(len(worker.processing) for worker in silent)
            self._tell(
                region,
                "silent",
                tasks,
                f"{len(silent)} of {of} workers of pool {region} have not answered for "
                f"{self._silence:.0f} s; they have {tasks} tasks.{end}",
            )
        elif before and not silent and region in self._regions.values():
            self._tell(region, "answers", 0, f"pool {region} answers again.")

    def _tell(self, region: str, state: str, tasks: int, message: str) -> None:
        logger.warning(message)
        event = {"region": region, "state": state, "tasks": tasks, "message": message}
        self._scheduler.log_event(POOL_TOPIC, event)


def watch_pools(scheduler: Scheduler, move: Move) -> PoolWatch:
    """Watch the pools of a scheduler, and give tasks that wait in vain an error that names the pool.

    Parameters
    ----------
    scheduler
        Whose workers are watched.
    move
        Restricts a task to another Region; :meth:`PlacementPlugin.move`.
    """
    watch = PoolWatch(scheduler, move)
    overrides_of(scheduler).on_take_back(watch.stop)
    add_plugin(scheduler, watch, watch.name)
    name_empty_pools(scheduler)
    return watch
