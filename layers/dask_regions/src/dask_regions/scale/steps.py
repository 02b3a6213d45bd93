"""The three steps of the ``scale_pool`` state machine, each safe to repeat."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dask_regions import config
from dask_regions.aws.ecs import PoolService
from dask_regions.aws.scheduler import SchedulerClient
from dask_regions.errors import ConfigurationError, RequestError
from dask_regions.models import Pool
from dask_regions.names import REGION_DIMENSION
from dask_regions.scaling import Decision, PoolState, decide
from dask_regions.settings import Settings

__all__ = ["read_pool", "region_of_event", "retire_workers", "set_pool"]


def region_of_event(event: Mapping[str, Any]) -> str:
    """Return the Region that an event is about.

    Parameters
    ----------
    event
        A CloudWatch Alarm State Change, whose metric's dimension names the Region, or
        ``{"region": ...}``. The event's own ``region`` is not taken from an alarm: a bus in
        another Region may overwrite it.

    Raises
    ------
    RequestError
        Where it names no Region.
    """
    detail = event.get("detail")
    if detail is None:
        if isinstance(event.get("region"), str):
            return str(event["region"])
        raise RequestError("region", 'send {"region": "us-west-2"} or a CloudWatch Alarm State Change')
    metrics = detail.get("configuration", {}).get("metrics", [])
    for metric in metrics:
        dimensions = metric.get("metricStat", {}).get("metric", {}).get("dimensions", {})
        if REGION_DIMENSION in dimensions:
            return str(dimensions[REGION_DIMENSION])
    raise RequestError(
        "detail.configuration.metrics",
        f"alarm {detail.get('alarmName', '')!r} watches no metric with the dimension {REGION_DIMENSION}; "
        "give its metric this dimension",
    )


def read_pool(event: Mapping[str, Any], settings: Settings) -> Decision:
    """Look at a pool's demand and at its ECS service, and decide.

    Raises
    ------
    ConfigurationError, NotFoundError, RequestError
        Where the Region has no pool, or the event names none.
    UnavailableError
        Where scheduler or ECS do not answer.
    """
    region = region_of_event(event)
    pool = _pool(region, settings)
    demand = SchedulerClient.from_settings(settings).demand(region)
    state = PoolService(region, settings.system_name).state(pool)
    return decide(demand, state, settings.target_duration, round_=int(event.get("round", 0)) + 1)


def retire_workers(decision: Decision, settings: Settings) -> Decision:
    """Empty the ECS tasks that should go, and lower the count by those that could be emptied.

    Raises
    ------
    UnavailableError
        Where the scheduler does not answer.
    """
    client = SchedulerClient.from_settings(settings)
    tasks = tuple(client.retire(decision.region, decision.tasks_to_retire))
    return decision.model_copy(update={"tasks": tasks, "desired": decision.current - len(tasks)})


def set_pool(decision: Decision, settings: Settings) -> Decision:
    """Set the service's desired count in the pool's Region, an absolute number within its bounds.

    Nothing is done where the count has changed since the decision: another execution was faster,
    and the next round decides on what is there now.

    Raises
    ------
    NotFoundError
        Where the Region has no such service.
    UnavailableError
        Where ECS does not answer, or protects a task that was retired.
    """
    pool = _pool(decision.region, settings)
    service = PoolService(decision.region, settings.system_name)
    state = service.state(pool)
    if state.desired != decision.current:
        return decision.model_copy(update={"desired": state.desired})
    desired = _expose(decision, service) if decision.tasks else decision.desired
    desired = _within(desired, state)
    if desired != state.desired:
        service.set_desired(desired)
    return decision.model_copy(update={"desired": desired})


def _expose(decision: Decision, service: PoolService) -> int:
    """Return the count after the retired ECS tasks, which ECS may stop from now on."""
    running = service.tasks()
    service.expose(decision.tasks, [task for task in running if task not in decision.tasks])
    # One that stopped by itself is being replaced: to lower the count for it would cost another.
    gone = len(set(decision.tasks) - set(running)) if running else 0
    return decision.desired + gone


def _within(desired: int, state: PoolState) -> int:
    return min(max(desired, state.pool.minimum_tasks), state.pool.maximum_tasks)


def _pool(region: str, settings: Settings) -> Pool:
    file = settings.require("datasets_file")
    pools = config.load(file).pools
    if region not in pools:
        raise ConfigurationError(f"{file}: Region {region} has no pool; add one, or remove its alarms")
    return pools[region]
