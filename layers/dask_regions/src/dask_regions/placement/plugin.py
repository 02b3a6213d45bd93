"""The scheduler's side of placement: restrict tasks to Regions, count, and report empty pools.

Reads SchedulerPlugin hooks only. ``update_graph`` runs after annotations and before transitions
(distributed/scheduler.py:4976), on the event loop, and Dask only logs its exceptions: where placement
fails, the guard in :mod:`dask_regions.placement.marker` makes it loud.
"""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from distributed.diagnostics.plugin import SchedulerPlugin

from dask_regions.errors import ConfigurationError
from dask_regions.names import POOL_TOPIC, region_resource
from dask_regions.placement.plan import make_plan, region_of_task, region_of_worker

if TYPE_CHECKING:
    from dask.typing import Key
    from distributed.scheduler import Scheduler

__all__ = ["PlacementPlugin", "Records", "records"]

logger = logging.getLogger(__name__)

#: Seconds that a pool may be without workers before the user is told: a restart takes less.
_PATIENCE = 2.0
#: Workers to remember: those that left are needed to name the Region of their transfers.
_REMEMBERED = 10_000


@dataclass(frozen=True)
class Records:
    """What the scheduler saw since it started.

    Attributes
    ----------
    client_region
        Region of scheduler and notebooks; ``client`` where the scheduler was not told.
    workers
        Region of every connected worker, and of the last thousands that left, by address. Workers
        outside a pool count as the client Region's.
    tasks
        Tasks that finished, by the Region they ran in.
    reads
        Tasks that read marked arrays and finished, by Region of the data and Region they ran in.
    """

    client_region: str
    workers: dict[str, str]
    tasks: dict[str, int]
    reads: dict[tuple[str, str], int]


class PlacementPlugin(SchedulerPlugin):
    """Restrict every new task to the Region of its data.

    Parameters
    ----------
    scheduler
        The scheduler it is added to.
    client_region
        Region of scheduler and notebooks.
    patience
        Seconds that a pool may be without workers before that is reported.
    """

    name = "dask-regions-placement"

    def __init__(
        self, scheduler: Scheduler, client_region: str | None = None, patience: float = _PATIENCE
    ) -> None:
        self._scheduler = scheduler
        self._client_region = client_region or "client"
        self._patience = patience
        self._workers: dict[str, str] = {}
        self._reads: dict[Key, tuple[str, ...]] = {}
        self._finished: Counter[str] = Counter()
        self._finished_reads: Counter[tuple[str, str]] = Counter()
        self._waiting: Counter[str] = Counter()
        self._timers: dict[str, object] = {}
        self._reported: set[str] = set()
        self._told: set[str] = set()

    def update_graph(self, scheduler: Scheduler, *, tasks: list[Key], **_: Any) -> None:
        """Place the tasks of a graph that has arrived."""
        self._told.clear()  # another client may have joined, who has not heard of it
        plan = make_plan(scheduler.tasks[key] for key in tasks)
        for task, region in plan.homes.items():
            # Zero units: the resource says where, and does not limit how many.
            task.resource_restrictions = {**(task.resource_restrictions or {}), region_resource(region): 0}
        for task, regions in plan.reads.items():
            self._reads[task.key] = regions
        torn = [task.key for task, regions in plan.reads.items() if len(regions) > 1]
        if torn:
            logger.warning(
                "%d tasks read data of several Regions at once and will fail, e.g. %s; please report it",
                len(torn),
                torn[0],
            )

    def transition(self, key: Key, start: str, finish: str, *_: Any, **kwargs: Any) -> None:
        """Count finished tasks, and watch those that no worker can run."""
        if start == "processing" and finish == "memory":
            self._count(key, kwargs.get("worker", ""))
        elif finish == "forgotten":
            self._reads.pop(key, None)
        if "no-worker" in (start, finish):
            region = region_of_task(self._scheduler.tasks[key])
            if region is not None:
                self._watch(region, arrived=finish == "no-worker", runs=finish == "processing")

    def add_worker(self, scheduler: Scheduler, worker: str) -> None:
        """Remember the Region of a worker."""
        self._workers.pop(worker, None)  # the newest are last
        self._workers[worker] = region_of_worker(scheduler.workers[worker]) or self._client_region
        if len(self._workers) > _REMEMBERED:
            gone = (address for address in self._workers if address not in scheduler.workers)
            self._workers.pop(next(gone, ""), None)

    async def before_close(self) -> None:
        """Stop the timers."""
        for timer in self._timers.values():
            self._scheduler.loop.remove_timeout(timer)
        self._timers.clear()

    def records(self) -> Records:
        """Return what was counted so far."""
        return Records(
            client_region=self._client_region,
            workers=dict(self._workers),
            tasks=dict(self._finished),
            reads=dict(self._finished_reads),
        )

    def _count(self, key: Key, worker: str) -> None:
        ran_in = self._workers.get(worker, self._client_region)
        self._finished[ran_in] += 1
        for region in self._reads.get(key, ()):
            self._finished_reads[region, ran_in] += 1

    def _watch(self, region: str, *, arrived: bool, runs: bool) -> None:
        self._waiting[region] += 1 if arrived else -1
        if arrived and region not in self._timers and region not in self._told:
            self._timers[region] = self._scheduler.loop.call_later(self._patience, self._report, region)
        if not self._waiting[region] and region in self._reported:
            self._reported.discard(region)
            self._told.discard(region)
            if runs:
                self._tell(region, "served", f"pool {region} has workers again; the tasks that waited go on.")

    def _report(self, region: str) -> None:
        self._timers.pop(region, None)
        waiting = self._waiting[region]
        alive = any(region_of_worker(worker) == region for worker in self._scheduler.running)
        if waiting and not alive:
            self._reported.add(region)
            self._told.add(region)
            self._tell(
                region,
                "empty",
                f"pool {region} has no workers; {waiting} tasks wait. "
                f"Scale it with: dask-regions scale {region} 1",
            )

    def _tell(self, region: str, state: str, message: str) -> None:
        logger.warning(message)
        event = {"region": region, "state": state, "tasks": self._waiting[region], "message": message}
        self._scheduler.log_event(POOL_TOPIC, event)


def records(dask_scheduler: Scheduler) -> Records:
    """Return the plugin's records; for ``client.run_on_scheduler(records)``.

    Raises
    ------
    ConfigurationError
        Where the scheduler has no such plugin.
    """
    plugin = dask_scheduler.plugins.get(PlacementPlugin.name)
    if not isinstance(plugin, PlacementPlugin):
        raise ConfigurationError(
            f"the scheduler at {dask_scheduler.address} was started without placement; start it with: "
            "python -m dask_regions.placement.scheduler"
        )
    return plugin.records()
