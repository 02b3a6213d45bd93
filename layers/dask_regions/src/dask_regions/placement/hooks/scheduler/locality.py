"""Keep Dask's own traffic inside a Region: work stealing, replicas, and what a transfer costs.

Dask knows one bandwidth and no Regions. A task that is bound to a Region cannot be stolen across
(``Scheduler.valid_workers``); what is left are tasks that no Region binds, and copies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from time import time
from typing import TYPE_CHECKING, Any

from dask_regions.placement.hooks.replacing import overrides_of
from dask_regions.placement.planning.cluster import region_of_task, region_of_worker

if TYPE_CHECKING:
    from dask.typing import Key
    from distributed.active_memory_manager import ActiveMemoryManagerExtension
    from distributed.scheduler import Scheduler, TaskState, WorkerState
    from distributed.stealing import WorkStealing

__all__ = ["Locality", "keep_traffic_in_regions", "nearby"]

#: Bytes per second between two Regions, 200 Mbit/s, until Dask has measured the two workers.
WAN_BANDWIDTH = 25e6
#: Seconds until the first byte from another Region.
WAN_LATENCY = 0.08
#: Seconds of silence after which a holder is not preferred any more, whatever the scheduler still believes:
#: several heartbeats, of which a large cluster's workers send one every few seconds.
_SILENCE_SECONDS = 10.0
#: Number of questions of workers for sources to remember.
_MAX_QUESTIONS = 10_000


def nearby(holders: Iterable[WorkerState], region: str | None, now: float) -> list[str]:
    """Return the addresses to fetch a result from: those in the Region, or all where none answers there.

    Parameters
    ----------
    holders
        Workers that hold the result.
    region
        Region of the worker that needs it; None for a worker of no pool.
    now
        Seconds since the epoch, as ``WorkerState.last_seen``.
    """
    holders = list(holders)
    near = [ws for ws in holders if region_of_worker(ws) == region and now - ws.last_seen < _SILENCE_SECONDS]
    return [ws.address for ws in near or holders]


class Locality:
    """What takes the place of the scheduler's methods that know no Regions.

    It holds the stock methods and asks them wherever Regions do not matter.
    """

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._stock_message: Callable[[TaskState], dict[str, Any]] = scheduler._task_to_msg
        self._stock_cost: Callable[[TaskState, WorkerState], float] = scheduler.get_comm_cost
        self._stealing: WorkStealing | None = scheduler.extensions.get("stealing")
        self._memory: ActiveMemoryManagerExtension | None = scheduler.extensions.get("amm")
        #: Workers that asked for the sources of a key.
        self._asked: set[tuple[str, Key]] = set()
        if self._stealing is not None:
            self._stock_thief = self._stealing._get_thief
        if self._memory is not None:
            self._stock_dropper = self._memory._find_dropper

    def take_place(self) -> None:
        """Take the place of the scheduler's own methods."""
        scheduler, overrides = self._scheduler, overrides_of(self._scheduler)
        overrides.replace(scheduler, "_task_to_msg", self.task_to_msg)
        overrides.replace(scheduler, "get_comm_cost", self.get_comm_cost)
        overrides.replace(scheduler, "stream_handlers", self.refresh_who_has, key="request-refresh-who-has")
        if self._stealing is not None:
            overrides.replace(self._stealing, "_get_thief", self.get_thief)
        if self._memory is not None:
            overrides.replace(self._memory, "_find_dropper", self.find_dropper)

    def task_to_msg(self, ts: TaskState) -> dict[str, Any]:
        """Tell a worker of the replicas in its own Region only, where there are any.

        A worker that cannot reach them asks again, see :meth:`refresh_who_has`.
        """
        message = self._stock_message(ts)
        if ts.processing_on is not None:
            for dependency in ts.dependencies:
                holders = dependency.who_has or ()
                if len(holders) > 1:
                    region = region_of_worker(ts.processing_on)
                    message["who_has"][dependency.key] = tuple(nearby(holders, region, time()))
        return message

    def refresh_who_has(self, keys: Iterable[Key], worker: str, stimulus_id: str) -> None:
        """Answer a worker whose sources are busy or gone.

        The first time it is told of the near ones: they may just have been busy. Who asks again for the same
        key learns of the other Regions' replicas too: a worker does not tell the scheduler that a source
        lacked the key, so the same answer would be given for ever.
        """
        keys = list(keys)
        ws = self._scheduler.workers.get(worker)
        if ws is None:
            return
        region = region_of_worker(ws)
        known = {key: ts for key in keys if (ts := self._scheduler.tasks.get(key)) is not None}
        replicated = {key: ts.who_has for key, ts in known.items() if ts.who_has and len(ts.who_has) > 1}
        if replicated:
            now = time()
            who_has = {
                key: [ws.address for ws in holders]
                if (worker, key) in self._asked
                else nearby(holders, region, now)
                for key, holders in replicated.items()
            }
            if len(self._asked) > _MAX_QUESTIONS:
                self._asked.clear()
            self._asked.update((worker, key) for key in replicated)
            message = {"op": "refresh-who-has", "who_has": who_has, "stimulus_id": stimulus_id}
            self._scheduler.stream_comms[worker].send(message)
        rest = [key for key in keys if key not in replicated]
        if rest:
            self._scheduler.handle_request_refresh_who_has(rest, worker, stimulus_id)

    def get_comm_cost(self, ts: TaskState, ws: WorkerState) -> float:
        """Return the seconds to fetch a task's inputs to a worker, those from another Region at its price.

        A task that is bound to a Region pays the same on all of its workers, so Dask's estimate serves.
        """
        region = region_of_worker(ws)
        if region is None or ts.resource_restrictions or not ts.dependencies:
            return self._stock_cost(ts, ws)
        seconds = 0.0
        for dependency in ts.dependencies:
            holders = dependency.who_has or ()
            if ws not in holders:
                near = any(region_of_worker(holder) == region for holder in holders)
                seconds += (
                    dependency.get_nbytes() / self._scheduler.bandwidth
                    if near or not holders
                    else WAN_LATENCY + dependency.get_nbytes() / self._wan_bandwidth(ws, holders)
                )
        return seconds

    def _wan_bandwidth(self, ws: WorkerState, holders: Iterable[WorkerState]) -> float:
        measured = self._scheduler.bandwidth_workers
        known = [measured[pair] for holder in holders if (pair := (ws.address, holder.address)) in measured]
        return max(known, default=WAN_BANDWIDTH) or WAN_BANDWIDTH

    def get_thief(
        self,
        scheduler: Scheduler,
        ts: TaskState,
        potential_thieves: set[WorkerState],
        *,
        occupancies: dict[WorkerState, float],
    ) -> WorkerState | None:
        """Return who may steal a task; nobody to whom an input would have to cross.

        Nobody steals a task of which an input crosses to its worker: under way, it would cross again.
        """
        if ts.processing_on is not None and _crosses(ts, ts.processing_on):
            return None
        if ts.dependencies and not ts.resource_restrictions and ts.processing_on is not None:
            potential_thieves = self._without_crossing(ts, ts.processing_on, potential_thieves)
            if not potential_thieves:
                return None
        thief: WorkerState | None = self._stock_thief(
            scheduler, ts, potential_thieves, occupancies=occupancies
        )
        return thief

    @staticmethod
    def _without_crossing(ts: TaskState, victim: WorkerState, thieves: set[WorkerState]) -> set[WorkerState]:
        regions = [
            {region_of_worker(holder) for holder in dependency.who_has or ()}
            for dependency in ts.dependencies
        ]
        complete = set.intersection(*regions) if regions else set()
        complete.add(region_of_worker(victim))
        return {ws for ws in thieves if region_of_worker(ws) in complete}

    def find_dropper(
        self, ts: TaskState, candidates: set[WorkerState] | None, pending_drop: set[WorkerState]
    ) -> WorkerState | None:
        """Return which replica may go; not the last of a Region where a task still waits for it."""
        if ts.who_has and len(ts.who_has) > 1:
            kept = self._needed(ts, pending_drop)
            if kept:
                candidates = (candidates if candidates is not None else ts.who_has) - kept
        chosen: WorkerState | None = self._stock_dropper(ts, candidates, pending_drop)
        return chosen

    @staticmethod
    def _needed(ts: TaskState, pending_drop: set[WorkerState]) -> set[WorkerState]:
        """Return the holders that are alone in a Region that needs the result."""
        needing = {region_of_task(waiter) for waiter in ts.waiters or ()} - {None}
        if not needing:
            return set()
        by_region: dict[str | None, list[WorkerState]] = {}
        for ws in (ts.who_has or set()) - pending_drop:
            by_region.setdefault(region_of_worker(ws), []).append(ws)
        return {
            holders[0] for region, holders in by_region.items() if region in needing and len(holders) == 1
        }


def _crosses(ts: TaskState, ws: WorkerState) -> bool:
    """Whether an input of a task is held, and not in the Region of a worker."""
    region = region_of_worker(ws)
    return any(
        dependency.who_has and all(region_of_worker(holder) != region for holder in dependency.who_has)
        for dependency in ts.dependencies
    )


def keep_traffic_in_regions(scheduler: Scheduler) -> None:
    """Keep stealing, replicas and their transfers inside Regions where they can be."""
    Locality(scheduler).take_place()
