"""The three steps of the ``scale_pool`` state machine, each safe to repeat."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from dask_regions.aws.configuration import load_configuration
from dask_regions.aws.ecs import PoolService
from dask_regions.aws.scheduler import SchedulerClient
from dask_regions.errors import ConfigurationError, UnavailableError
from dask_regions.models import Pool
from dask_regions.scale.events import region_of_event
from dask_regions.scale.history import DecisionRecord, History
from dask_regions.scale.resting import NO_TASKS, allowed, scheduler_is_stopped, spent
from dask_regions.scaling import Damping, Decision, PoolDemand, at_rest, count_to_set, decide
from dask_regions.settings import Settings

__all__ = ["read_pool", "retire_workers", "set_pool"]


def read_pool(event: Mapping[str, Any], settings: Settings, history: History) -> Decision:
    """Look at a pool's demand and at its ECS service, and decide.

    Parameters
    ----------
    event
        An alarm's, ``{"region": ...}``, or the decision of the round before.
    settings
        Where scheduler and configuration are, and the pool's damping.
    history
        Gets the decision with what it was made on.

    Raises
    ------
    ConfigurationError, NotFoundError, RequestError
        Where the Region has no pool, or the event names none.
    UnavailableError
        Where scheduler or ECS do not answer.
    """
    region = region_of_event(event)
    pool, round_ = _pool(region, settings), int(event.get("round", 0)) + 1
    service = PoolService(region, settings.system_name)
    if why := spent(settings):
        return at_rest(service.state(NO_TASKS), why, round_=round_)
    demand = _demand(region, settings)
    state = service.state(pool)
    if demand is None:
        return at_rest(state, "the scheduler is stopped", round_=round_)
    damping = Damping.from_settings(settings)
    decision = decide(demand, state, damping, round_=round_)
    time = datetime.now(UTC)
    history.add(DecisionRecord(time=time, decision=decision, demand=demand, state=state, damping=damping))
    return decision


def _demand(region: str, settings: Settings) -> PoolDemand | None:
    """Return a pool's demand; None where the scheduler is stopped on purpose and there can be none."""
    try:
        return SchedulerClient.from_settings(settings).demand(region)
    except UnavailableError:
        if scheduler_is_stopped(settings):
            return None
        raise


def retire_workers(decision: Decision, settings: Settings) -> Decision:
    """Empty the ECS tasks that should go, and lower the count by those that could be emptied.

    To repeat it changes nothing: the scheduler counts ECS tasks that are already retired towards those
    to retire.

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

    Nothing is done where the count has changed since the decision, by another execution or by an
    earlier try of this step; the next round decides on what is there then.

    Raises
    ------
    NotFoundError
        Where the Region has no such service.
    UnavailableError
        Where ECS does not answer, or protects a task that was retired.
    """
    service = PoolService(decision.region, settings.system_name)
    state = service.state(allowed(_pool(decision.region, settings), settings))
    running: list[str] = []
    if decision.action == "rest" and state.desired == decision.current:
        # Protected ECS tasks would outlast the lower count.
        service.expose(service.tasks(), [])
    if decision.tasks and state.desired == decision.current:
        running = service.tasks()
        # ECS may stop the retired ones from now on, and no other.
        service.expose(decision.tasks, [task for task in running if task not in decision.tasks])
    desired = count_to_set(decision, state, running)
    if desired != state.desired:
        service.set_desired(desired)
    return decision.model_copy(update={"desired": desired})


def _pool(region: str, settings: Settings) -> Pool:
    pools = load_configuration(settings).pools
    if region not in pools:
        raise ConfigurationError(
            f"Region {region} has no pool in the configuration in force; add one to datasets.yaml and "
            "publish it, or delete the Region's stack"
        )
    return pools[region]
