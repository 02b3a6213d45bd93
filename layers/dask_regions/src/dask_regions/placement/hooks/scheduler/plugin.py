"""The scheduler's side of placement: restrict tasks to Regions, and count.

The plan comes from :mod:`.materialize`. Dask calls ``SchedulerPlugin.update_graph`` after annotations and
before transitions, on the event loop, so it only writes the plan down.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from distributed.diagnostics.plugin import SchedulerPlugin

from dask_regions.errors import ConfigurationError
from dask_regions.names import REGION_ANNOTATION, region_of_resource, region_resource
from dask_regions.placement.hooks.scheduler.materialize import current_plan
from dask_regions.placement.planning.cluster import region_of_task, region_of_worker

if TYPE_CHECKING:
    from dask.typing import Key
    from distributed.scheduler import Scheduler, TaskState

__all__ = ["PlacementPlugin", "Records", "plugin_of", "records"]

logger = logging.getLogger(__name__)

#: Number of workers to remember: those that left are needed to name the Region of their transfers.
_MAX_WORKERS = 10_000


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
    """

    name = "dask-regions-placement"

    def __init__(self, scheduler: Scheduler, client_region: str | None = None) -> None:
        self._scheduler = scheduler
        self.client_region = client_region or "client"
        self._workers: dict[str, str] = {}
        self._restrictions: dict[tuple[str, bool, tuple[tuple[str, float], ...]], dict[str, float]] = {}
        #: Restrictions of tasks that read, by their id, to the Region: they tell a read without
        #: remembering each.
        self._reading: dict[int, str] = {}
        #: Reads that the user restricted.
        self._bound_reads: dict[Key, str] = {}
        self._finished: Counter[str] = Counter()
        self._finished_reads: Counter[tuple[str, str]] = Counter()

    def update_graph(
        self, scheduler: Scheduler, *, annotations: Mapping[str, Mapping[Key, Any]], **_: Any
    ) -> None:
        """Restrict the tasks of a graph that has arrived to the Regions it was planned for."""
        plan = current_plan()
        if plan is None:
            return
        for (region, reads), keys in plan.by_region.items():
            self._restrict_all(scheduler.tasks, keys, region, reads)
        # `client.submit` under `dask.annotate(region=...)` has its annotation beside its graph.
        for key, region in annotations.get(REGION_ANNOTATION, {}).items():
            if isinstance(region, str):
                self._restrict_all(scheduler.tasks, [key], region, reads=False)
        unplaceable = plan.reads.multi_region
        if unplaceable:
            logger.warning(
                "%d tasks read data of several Regions at once and will fail, e.g. %s; please report it",
                len(unplaceable),
                unplaceable[0],
            )

    def _restrict_all(
        self, tasks: Mapping[Key, TaskState], keys: list[Key], region: str, reads: bool
    ) -> None:
        # Every task of a graph passes here, on the event loop: the loop is as short as can be.
        restrictions = self._shared(region, reads, ())
        others = []
        for task in map(tasks.get, keys):
            if task is None:
                continue
            if (
                task.resource_restrictions is None
                and task.worker_restrictions is None
                and task.host_restrictions is None
                and task.state == "released"
            ):
                task.resource_restrictions = restrictions
            else:
                others.append(task)
        for task in others:
            self._restrict_bound(task, region, reads)

    def _restrict_bound(self, task: TaskState, region: str, reads: bool) -> None:
        """Restrict a task that the user, or an earlier graph, has restricted already; or leave it so."""
        if task.state != "released":
            return
        if not (task.worker_restrictions or task.host_restrictions or region_of_task(task)):
            self._restrict(task, region, reads=reads)
        elif reads:
            self._bound_reads[task.key] = region

    def _restrict(self, task: TaskState, region: str, *, reads: bool) -> None:
        others = tuple((task.resource_restrictions or {}).items())
        task.resource_restrictions = self._shared(region, reads, others)

    def _shared(self, region: str, reads: bool, others: tuple[tuple[str, float], ...]) -> dict[str, float]:
        # Zero units: the resource says where, and does not limit how many. Tasks share one dict, or
        # placement would cost the scheduler some 200 bytes a task.
        restrictions = self._restrictions.get((region, reads, others))
        if restrictions is None:
            restrictions = {**dict(others), region_resource(region): 0}
            self._restrictions[region, reads, others] = restrictions
            if reads:
                self._reading[id(restrictions)] = region
        return restrictions

    def move(self, task: TaskState, region: str) -> None:
        """Restrict a task that was placed to another Region."""
        reads = id(task.resource_restrictions) in self._reading
        old = region_of_task(task)
        restrictions = (task.resource_restrictions or {}).items()
        task.resource_restrictions = {
            name: units for name, units in restrictions if region_of_resource(name) != old
        }
        self._restrict(task, region, reads=reads)

    def transition(self, key: Key, start: str, finish: str, *_: Any, **kwargs: Any) -> None:
        """Count finished tasks."""
        if start == "processing" and finish == "memory":
            self._count(self._scheduler.tasks[key], kwargs.get("worker", ""))
        elif finish == "forgotten":
            self._bound_reads.pop(key, None)

    def add_worker(self, scheduler: Scheduler, worker: str) -> None:
        """Remember the Region of a worker."""
        self._workers.pop(worker, None)  # the newest are last
        self._workers[worker] = region_of_worker(scheduler.workers[worker]) or self.client_region
        if len(self._workers) > _MAX_WORKERS:
            gone = (address for address in self._workers if address not in scheduler.workers)
            self._workers.pop(next(gone, ""), None)

    def records(self) -> Records:
        """Return what was counted so far."""
        return Records(
            client_region=self.client_region,
            workers=dict(self._workers),
            tasks=dict(self._finished),
            reads=dict(self._finished_reads),
        )

    def _count(self, task: TaskState, worker: str) -> None:
        ran_in = self._workers.get(worker, self.client_region)
        self._finished[ran_in] += 1
        region = self._reading.get(id(task.resource_restrictions)) or self._bound_reads.get(task.key)
        if region is not None:
            self._finished_reads[region, ran_in] += 1


def records(dask_scheduler: Scheduler) -> Records:
    """Return the plugin's records; for ``client.run_on_scheduler(records)``.

    Raises
    ------
    ConfigurationError
        Where the scheduler has no such plugin.
    """
    return plugin_of(dask_scheduler).records()


def plugin_of(scheduler: Scheduler) -> PlacementPlugin:
    """Return a scheduler's plugin.

    Raises
    ------
    ConfigurationError
        Where it has none.
    """
    plugin = scheduler.plugins.get(PlacementPlugin.name)
    if not isinstance(plugin, PlacementPlugin):
        raise ConfigurationError(
            f"the scheduler at {scheduler.address} was started without placement; start it with: "
            "python -m dask_regions.placement.processes.scheduler"
        )
    return plugin
