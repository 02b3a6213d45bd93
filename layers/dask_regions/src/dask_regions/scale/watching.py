"""Watch the scheduler: stop it where nobody uses it, and say where it should run and does not answer.

A scheduler that is stopped, by hand or here, is a wanted state: nothing alarms, and the pools go to their
minimum.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from dask_regions.aws.configuration import load_configuration
from dask_regions.aws.ecs import PoolService, SchedulerService
from dask_regions.aws.metric_lines import MetricUnit, write_metrics
from dask_regions.aws.scheduler import SchedulerClient
from dask_regions.aws.stepfunctions import start_scaling
from dask_regions.errors import NotFoundError, UnavailableError
from dask_regions.models import Pool
from dask_regions.names import DOWN_METRIC, SYSTEM_DIMENSION
from dask_regions.scaling import SchedulerActivity, SchedulerCounts
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
    """

    model_config = ConfigDict(frozen=True)

    state: Literal["used", "idle", "stopped", "down", "stop"]
    reason: str
    resting: tuple[str, ...] = ()


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
    if watch.state in ("stop", "stopped"):
        return watch.model_copy(update={"resting": tuple(_rest(settings))})
    return watch


def publish(watch: Watch, settings: Settings) -> None:
    """Publish whether the scheduler is down as a CloudWatch metric, through the function's log."""
    down = float(watch.state == "down")
    write_metrics({SYSTEM_DIMENSION: settings.system_name}, {DOWN_METRIC: (MetricUnit.Count, down)})


def _activity(settings: Settings) -> SchedulerActivity | str:
    try:
        return SchedulerClient.from_settings(settings).activity()
    except UnavailableError as error:
        return str(error)


def _rest(settings: Settings) -> list[str]:
    """Start scale_pool for every pool above its minimum, and return their Regions."""
    pools = load_configuration(settings).pools
    resting = [region for region, pool in pools.items() if _is_above(region, pool, settings)]
    for region in resting:
        start_scaling(settings.require("scale_pool_arn"), region)
    return resting


def _is_above(region: str, pool: Pool, settings: Settings) -> bool:
    try:
        return PoolService(region, settings.system_name).state(pool).desired > pool.minimum_tasks
    except NotFoundError:
        return False  # its stack is not deployed
