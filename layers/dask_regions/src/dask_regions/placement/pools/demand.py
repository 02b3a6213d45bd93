"""What each pool has to do and what it has, measured on the scheduler.

Units of work are thread-seconds by the durations that Dask has learned for a prefix, or its
``unknown-task-duration`` where it has learned none yet.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from itertools import chain

from distributed import Scheduler
from distributed.core import Status
from distributed.scheduler import WorkerState

from dask_regions.placement.hooks.scheduler.tasks import task_seconds
from dask_regions.placement.planning.cluster import region_of_task, region_of_worker
from dask_regions.placement.pools.configured import configured_pools
from dask_regions.scaling import PoolDemand
from dask_regions.settings import Settings

__all__ = ["ecs_task", "measure", "workers_by_ecs_task"]

_NUMBER = re.compile(r"-\d+$")
_TAKES_WORK = frozenset({Status.init, Status.running, Status.paused})


def ecs_task(ws: WorkerState) -> str:
    """Return the id of the ECS task that a worker runs in, from its name ``<region>.<id>-<n>``."""
    return _NUMBER.sub("", str(ws.name).removeprefix(f"{region_of_worker(ws)}."))


def workers_by_ecs_task(scheduler: Scheduler, region: str) -> dict[str, list[WorkerState]]:
    """Return a pool's workers by the ECS task they live and die with, whatever their status."""
    workers: defaultdict[str, list[WorkerState]] = defaultdict(list)
    for ws in scheduler.workers.values():
        if region_of_worker(ws) == region:
            workers[ecs_task(ws)].append(ws)
    return dict(workers)


def measure(scheduler: Scheduler, pools: Iterable[str] | None = None) -> dict[str, PoolDemand]:
    """Measure every pool.

    Parameters
    ----------
    scheduler
        Read only; must be called on its event loop. Linear in queued Dask tasks and in workers.
    pools
        Regions to report even if they have neither workers nor work; those of the
        configuration as it was last read by default.

    Returns
    -------
    dict
        Region to demand. Dask tasks that any Region may run count only once a worker has them.
    """
    unassigned = _unassigned(scheduler)
    regions = set(configured_pools() if pools is None else pools) | set(unassigned)
    regions |= {region for ws in scheduler.workers.values() if (region := region_of_worker(ws))}
    demands = {}
    for region in sorted(regions):
        number, seconds = unassigned.get(region, (0, 0.0))
        demands[region] = _measure_pool(region, workers_by_ecs_task(scheduler, region), number, seconds)
    return demands


def _unassigned(scheduler: Scheduler) -> dict[str, tuple[int, float]]:
    """Return, per Region, number and thread-seconds of Dask tasks that only it can run and no worker has."""
    number: defaultdict[str, int] = defaultdict(int)
    seconds: defaultdict[str, float] = defaultdict(float)
    durations: dict[str, float] = {}
    for ts in chain(scheduler.queued, scheduler.unrunnable):
        region = region_of_task(ts)
        if region is None:
            continue
        prefix = ts.prefix
        if prefix.name not in durations:
            durations[prefix.name] = task_seconds(scheduler, prefix)
        number[region] += 1
        seconds[region] += durations[prefix.name]
    return {region: (number[region], seconds[region]) for region in number}


def _measure_pool(
    region: str, by_ecs_task: dict[str, list[WorkerState]], unassigned: int, seconds: float
) -> PoolDemand:
    everything = list(chain.from_iterable(by_ecs_task.values()))
    workers = [ws for ws in everything if ws.status in _TAKES_WORK]
    working = {ecs_task(ws) for ws in workers}
    threads = sum(ws.nthreads for ws in workers)
    return PoolDemand(
        region=region,
        ecs_tasks=len(working),
        workers=len(workers),
        threads=threads,
        threads_per_ecs_task=round(threads / len(working)) or 1 if working else _threads_of_new_ecs_task(),
        retiring=tuple(sorted(set(by_ecs_task) - working)),
        seconds=seconds + sum(ws.occupancy for ws in everything),
        runnable=unassigned + sum(len(ws.processing) for ws in everything),
        unassigned=unassigned,
        memory_used=sum(ws.nbytes for ws in everything),
        memory_limit=sum(ws.memory_limit for ws in workers),
    )


def _threads_of_new_ecs_task() -> int:
    """Return what the task definition says, for a pool that has nothing to measure."""
    settings = Settings.from_environment()
    return settings.workers_per_task * settings.threads_per_worker
