"""Let tasks that wait in vain for a Region's workers fail with an error that names the pool.

Dask fails them after ``no-workers-timeout`` itself, with an error that names a resource
(``Scheduler._check_unrunnable_task_timeouts``, distributed 2026.8.0).
"""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from dask_regions.errors import EmptyPoolError
from dask_regions.placement.hooks.replacing import overrides_of
from dask_regions.placement.planning.cluster import region_of_task

if TYPE_CHECKING:
    from dask.typing import Key
    from distributed.scheduler import Recs, Scheduler, TaskState

__all__ = ["name_empty_pools"]


def name_empty_pools(scheduler: Scheduler) -> None:
    """Let tasks that wait for an empty pool until ``no-workers-timeout`` fail with EmptyPoolError."""
    stock: Callable[..., set[Key]] = scheduler._check_unrunnable_task_timeouts

    def check(timestamp: float, recommendations: Recs, stimulus_id: str) -> set[Key]:
        overdue = list(_overdue(scheduler, timestamp))
        for task, region in overdue:
            recommendations.update(_fail(scheduler, task, region, stimulus_id))
        failed = stock(timestamp, recommendations=recommendations, stimulus_id=stimulus_id)
        return failed | {task.key for task, _ in overdue}

    overrides_of(scheduler).replace(scheduler, "_check_unrunnable_task_timeouts", check)


def _fail(scheduler: Scheduler, task: TaskState, region: str, stimulus_id: str) -> Recs:
    error = EmptyPoolError(
        f"pool {region} had no workers for {scheduler.no_workers_timeout:.0f} s, and task "
        f"{task.key!r} can run nowhere else. Scale it with: dask-regions scale {region} 1; "
        "then compute again"
    )
    return scheduler.transition(
        task.key,
        "erred",
        exception=pickle.dumps(error),
        cause=task.key,
        stimulus_id=stimulus_id,
    )


def _overdue(scheduler: Scheduler, timestamp: float) -> Iterable[tuple[TaskState, str]]:
    timeout = scheduler.no_workers_timeout or math.inf
    for task, since in scheduler.unrunnable.items():
        if timestamp <= since + timeout:
            return  # the others have waited for less
        region = region_of_task(task)
        if region is not None:
            yield task, region
