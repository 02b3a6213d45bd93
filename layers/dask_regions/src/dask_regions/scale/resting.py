"""When no pool may have more than its minimum: the scheduler is stopped, or the month's budget is spent."""

from __future__ import annotations

from dask_regions.aws.ecs import SchedulerService
from dask_regions.aws.spending import read_spending
from dask_regions.errors import NotFoundError
from dask_regions.models import Pool
from dask_regions.settings import Settings

__all__ = ["NO_TASKS", "allowed", "scheduler_is_stopped", "spent"]

#: Bounds that nobody can configure: datasets.yaml allows each pool one ECS task at least.
NO_TASKS = Pool.model_construct(minimum_tasks=0, maximum_tasks=0)


def spent(settings: Settings) -> str:
    """Return why pools are stopped; empty where the budget is not spent."""
    return read_spending(settings.system_name, settings.aws_region).stopped


def allowed(pool: Pool, settings: Settings) -> Pool:
    """Return the bounds that a pool has now: none at all where the budget is spent."""
    return NO_TASKS if spent(settings) else pool


def scheduler_is_stopped(settings: Settings) -> bool:
    """Tell whether the scheduler does not run because it should not.

    Raises
    ------
    UnavailableError
        Where ECS does not answer.
    """
    region = settings.require("aws_region")
    try:
        return SchedulerService(region, settings.system_name).counts().desired == 0
    except NotFoundError:
        return False
