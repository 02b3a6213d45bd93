"""Watch the scheduler: stop it where nobody uses it, and say where it should run and does not answer.

A scheduler that is stopped, by hand or here, is a wanted state: nothing alarms, and the pools go to their
minimum.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Literal

from pydantic import BaseModel, ConfigDict

from dask_regions.aws.configuration import load_configuration
from dask_regions.aws.ecs import PoolService, SchedulerService
from dask_regions.aws.metric_lines import MetricUnit, write_metrics
from dask_regions.aws.scheduler import SchedulerClient
from dask_regions.aws.stepfunctions import start_scaling
from dask_regions.errors import NotFoundError, UnavailableError
from dask_regions.names import (
    DESIRED_METRIC,
    DOWN_METRIC,
    REGION_DIMENSION,
    RUNNING_METRIC,
    SYSTEM_DIMENSION,
)
from dask_regions.scaling import PoolState, SchedulerActivity, SchedulerCounts
from dask_regions.settings import Settings

__all__ = ["Watch", "judge", "publish", "watch_scheduler"]


class Watch(BaseModel):
    """What a look at the scheduler came to.

    Attributes
    ----------
    state
        ``used``, ``idle``, ``stopped`` (wanted), ``down`` (not wanted), or ``stop``: idle for so long
        that it is stopped now.
    reason
        One sentence for the operator.
    resting
        Regions whose pools were sent to their minimum.
    pools
        The pools as ECS has them; those whose Region does not answer, or has none, are left out.
    """

    model_config = ConfigDict(frozen=True)

    state: Literal["used", "idle", "stopped", "down", "stop"]
    reason: str
    resting: tuple[str, ...] = ()
    pools: tuple[PoolState, ...] = ()


def judge(counts: SchedulerCounts, activity: SchedulerActivity | str, idle_minutes: int) -> Watch:
    """Judge what was seen of the scheduler.

    Parameters
    ----------
    counts
        Of its ECS service.
    activity
        What the scheduler says, or why it says nothing; not looked at where no scheduler should run.
    idle_minutes
        After which an idle scheduler is stopped; 0 is never.
    """
    if counts.desired == 0:
        return Watch(state="stopped", reason="The scheduler is stopped, as it should be")
    if isinstance(activity, str):
        return Watch(state="down", reason=f"{counts.running} of {counts.desired} run, and {activity}")
    if activity.clients or activity.tasks:
        return Watch(state="used", reason=f"{activity.clients} clients, {activity.tasks} Dask tasks")
    minutes = activity.idle_seconds / 60
    if idle_minutes and minutes >= idle_minutes:
        return Watch(state="stop", reason=f"Nobody has used the scheduler for {minutes:.0f} minutes")
    return Watch(state="idle", reason=f"Nobody uses the scheduler, for {minutes:.0f} minutes so far")


def watch_scheduler(settings: Settings) -> Watch:
    """Look at the scheduler, stop it where it is idle, and send the pools of a stopped one to their minimum.

    Safe to repeat.

    Raises
    ------
    UnavailableError
        Where ECS or Step Functions do not answer.
    NotFoundError
        Where there is no such service.
    """
    service = SchedulerService(settings.require("aws_region"), settings.system_name)
    counts = service.counts()
    watch = judge(counts, _activity(settings) if counts.desired else "", settings.scheduler_idle_minutes)
    if watch.state == "stop":
        service.set_desired(0)
    pools = tuple(_pools(settings))
    resting = _rest(pools, settings) if watch.state in ("stop", "stopped") else ()
    return watch.model_copy(update={"pools": pools, "resting": resting})


def publish(watch: Watch, settings: Settings) -> None:
    """Publish whether the scheduler is down, and what the pools have, through the function's log."""
    down = float(watch.state == "down")
    write_metrics({SYSTEM_DIMENSION: settings.system_name}, {DOWN_METRIC: (MetricUnit.Count, down)})
    for pool in watch.pools:
        write_metrics(
            {SYSTEM_DIMENSION: settings.system_name, REGION_DIMENSION: pool.region},
            {
                DESIRED_METRIC: (MetricUnit.Count, float(pool.desired)),
                RUNNING_METRIC: (MetricUnit.Count, float(pool.running)),
            },
        )


def _activity(settings: Settings) -> SchedulerActivity | str:
    try:
        return SchedulerClient.from_settings(settings).activity()
    except UnavailableError as error:
        return str(error)


def _pools(settings: Settings) -> Iterator[PoolState]:
    for region, pool in load_configuration(settings).pools.items():
        with suppress(NotFoundError, UnavailableError):
            yield PoolService(region, settings.system_name).state(pool)


def _rest(pools: Sequence[PoolState], settings: Settings) -> tuple[str, ...]:
    """Start scale_pool for every pool above its minimum, and return their Regions."""
    resting = tuple(state.region for state in pools if state.desired > state.pool.minimum_tasks)
    for region in resting:
        start_scaling(settings.require("scale_pool_arn"), region)
    return resting
