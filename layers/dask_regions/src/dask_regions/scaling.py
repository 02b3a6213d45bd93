"""How many ECS tasks a Region's pool should have: decided from numbers, without any I/O.

One ECS task runs several Dask workers, which live and die together. In this module, every *task* in a name
is an ECS task.

Damping is what keeps a pool from growing and shrinking in turn. Its numbers that are code are an
input of :func:`decide` (:class:`Damping`); the rules are in the docstring of that function, and
:func:`count_to_set` keeps to the pool's bounds, undamped. The rest is time, which a decision
about one moment cannot see, and stays in the templates:

- the alarms in ``regional_stack/workers.yaml``: ``MissingThreshold`` (ECS tasks that must be missing,
  at one datapoint) and ``ScaleInPeriods`` (consecutive datapoints with a surplus); a datapoint spans 10 s;
- the scheduler measures for them every ``PUBLISH_SECONDS`` (10 by default);
- ``statemachines/scale_pool.asl.json``: ``LetItSettle`` (10 s between two looks at a pool) and
  ``TooManyRounds`` (after 360 looks).

Examples
--------
>>> from dask_regions.models import Pool
>>> demand = PoolDemand(region="us-west-2", ecs_tasks=1, workers=2, threads=4, threads_per_ecs_task=4,
...                     seconds=900.0, runnable=300, unassigned=280)
>>> desired_tasks(demand, Pool(minimum_tasks=1, maximum_tasks=5), Damping(target_seconds=90.0))
3
"""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from dask_regions.models import Pool
from dask_regions.settings import Settings

__all__ = [
    "Damping",
    "Decision",
    "Difference",
    "PoolDemand",
    "PoolState",
    "SchedulerActivity",
    "SchedulerCounts",
    "at_rest",
    "count_to_set",
    "decide",
    "desired_tasks",
    "difference",
]

Action = Literal["grow", "shrink", "wait", "hold", "rest"]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Damping(_Model):
    """The numbers that say how fast a pool follows its work.

    Attributes
    ----------
    target_seconds
        Seconds in which a pool should finish the work it has; default 90. It should not be much shorter
        than the start of an ECS task, or the pool asks for more than can help.
    memory_target
        Fraction of a pool's memory that results may fill before it wants more ECS tasks, above 0 and at
        most 1; default 0.6, where Dask starts to spill to disk (``distributed.worker.memory.target``).
    shrink_fraction
        Fraction of the surplus that goes in one round, above 0 and at most 1, rounded down to whole ECS
        tasks, but one at least; default 0.5, so that work which comes back soon still finds the others.
    """

    target_seconds: float = Field(default=90.0, gt=0, allow_inf_nan=False)
    memory_target: float = Field(default=0.6, gt=0, le=1)
    shrink_fraction: float = Field(default=0.5, gt=0, le=1)

    @classmethod
    def from_settings(cls, settings: Settings) -> Damping:
        """Return the damping that ``TARGET_DURATION`` asks for; the rest has its defaults."""
        return cls(target_seconds=settings.target_duration)


class PoolDemand(_Model):
    """What the scheduler knows of a pool, measured at one moment.

    Attributes
    ----------
    region
        The pool's Region.
    ecs_tasks, workers, threads
        What is connected and takes work; retiring workers are not counted.
    threads_per_ecs_task
        Threads that one more ECS task would bring.
    retiring
        Ids of the ECS tasks that were retired and still wait to be stopped.
    seconds
        Estimated work in thread-seconds: of Dask tasks that are processing, queued or without a
        worker. Dask tasks that wait for others are not counted.
    runnable
        Number of those Dask tasks.
    unassigned
        How many of them no worker has yet.
    memory_used, memory_limit
        Bytes of results that the pool holds (in memory or spilled), and its memory.
    """

    region: str
    ecs_tasks: int = Field(default=0, ge=0)
    workers: int = Field(default=0, ge=0)
    threads: int = Field(default=0, ge=0)
    threads_per_ecs_task: int = Field(default=1, ge=1)
    retiring: tuple[str, ...] = ()
    seconds: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    runnable: int = Field(default=0, ge=0)
    unassigned: int = Field(default=0, ge=0)
    memory_used: int = Field(default=0, ge=0)
    memory_limit: int = Field(default=0, ge=0)

    @property
    def memory_fraction(self) -> float:
        """Fraction of the memory that results fill, 0 to 1; 0 where no limit is known."""
        return min(1.0, self.memory_used / self.memory_limit) if self.memory_limit else 0.0


class PoolState(_Model):
    """What ECS knows of the pool's service, in ECS tasks, and the bounds it must keep."""

    region: str
    desired: int = Field(ge=0)
    running: int = Field(default=0, ge=0)
    pending: int = Field(default=0, ge=0)
    pool: Pool


class SchedulerCounts(_Model):
    """How many schedulers should run and do, 0 or 1 each."""

    desired: int = Field(ge=0)
    running: int = Field(default=0, ge=0)


class SchedulerActivity(_Model):
    """Whether anybody uses the scheduler.

    Attributes
    ----------
    clients
        Connected clients.
    tasks
        Dask tasks that the scheduler knows, results that somebody holds included.
    idle_seconds
        Seconds since there was last one or the other, or since the scheduler started; 0 while there is.
    """

    clients: int = Field(ge=0)
    tasks: int = Field(ge=0)
    idle_seconds: float = Field(ge=0)


class Decision(_Model):
    """What to do with a pool now, and why.

    Attributes
    ----------
    action
        ``grow`` and ``shrink`` set the service's desired count; ``wait`` looks again soon, because
        the pool is not yet what was asked for; ``hold`` ends the execution. ``rest`` lowers the count
        and retires nobody: there is no scheduler, or the month's budget is spent.
    desired
        ECS tasks that the service should have, an absolute number.
    current
        The service's desired count that this was decided on. If it has changed meanwhile, the
        decision is void.
    tasks_to_retire
        ECS tasks to empty before the count is lowered.
    reason
        One sentence for the operator.
    round
        How often this execution has looked at the pool, from 1.
    tasks
        Ids of the ECS tasks that were retired for this decision.
    """

    region: str
    action: Action
    desired: int = Field(ge=0)
    current: int = Field(ge=0)
    tasks_to_retire: int = Field(default=0, ge=0)
    reason: str
    round: int = Field(default=1, ge=1)
    tasks: tuple[str, ...] = ()


class Difference(_Model):
    """ECS tasks that a pool wants and does not have, and has and does not want."""

    missing: int = Field(ge=0)
    surplus: int = Field(ge=0)


def desired_tasks(demand: PoolDemand, pool: Pool, damping: Damping) -> int:
    """Return how many ECS tasks a pool should have.

    Parameters
    ----------
    demand
        The pool's work and memory.
    pool
        Bounds of the answer, which always holds between ``minimum_tasks`` and ``maximum_tasks``.
    damping
        ``target_seconds`` and ``memory_target`` count here.
    """
    by_time = math.ceil(demand.seconds / damping.target_seconds / demand.threads_per_ecs_task)
    # More threads than Dask tasks would idle.
    useful = math.ceil(demand.runnable / demand.threads_per_ecs_task)
    wanted = min(max(by_time, 1), useful)
    return min(max(wanted, _by_memory(demand, damping), pool.minimum_tasks), pool.maximum_tasks)


def _by_memory(demand: PoolDemand, damping: Damping) -> int:
    if not demand.memory_limit or not demand.ecs_tasks:
        return 0
    bytes_per_ecs_task = demand.memory_limit / demand.ecs_tasks
    return math.ceil(demand.memory_used / (bytes_per_ecs_task * damping.memory_target))


def difference(demand: PoolDemand, pool: Pool, damping: Damping) -> Difference:
    """Return what the alarms watch: both numbers are 0 for a pool at rest."""
    desired = desired_tasks(demand, pool, damping)
    return Difference(
        missing=max(0, desired - demand.ecs_tasks), surplus=_surplus(demand, desired, demand.ecs_tasks)
    )


def _surplus(demand: PoolDemand, wanted: int, have: int) -> int:
    """Return how many of the ECS tasks that a pool has it may do without; none while work has no worker."""
    return 0 if demand.unassigned else max(0, have - wanted)


def decide(demand: PoolDemand, state: PoolState, damping: Damping, *, round_: int = 1) -> Decision:
    """Decide what to do with a pool.

    Parameters
    ----------
    demand, state
        What the scheduler and ECS say of the pool.
    damping
        How fast the pool follows its work.
    round_
        How often this execution has looked at the pool, from 1; it is handed on.

    Notes
    -----
    Four rules damp beside the numbers. ECS tasks that were asked for and are still starting count as
    there, so that no burst is answered twice. While they start, nothing shrinks. While a Dask task has
    no worker, nothing shrinks either. And a decision is void once the count that it was made on has
    changed (:func:`count_to_set`).
    """
    demanded = desired_tasks(demand, state.pool, damping)
    have = state.desired
    action, desired = _action(demand, demanded, have, damping)
    return Decision(
        region=demand.region,
        action=action,
        desired=desired,
        current=have,
        tasks_to_retire=have - desired if action == "shrink" else 0,
        reason=_reason(demand, state, demanded, action, desired),
        round=round_,
    )


def at_rest(state: PoolState, why: str, *, round_: int = 1) -> Decision:
    """Decide what to do with a pool for which there is no work: it goes to its minimum.

    Parameters
    ----------
    state
        What ECS says of the pool.
    why
        Beginning of the reason, e.g. ``the scheduler is stopped``.
    """
    desired = min(state.desired, state.pool.minimum_tasks)
    rest = desired < state.desired
    verdict = f"lower {state.desired} to {desired} ECS tasks" if rest else f"{state.desired} ECS tasks stay"
    return Decision(
        region=state.region,
        action="rest" if rest else "hold",
        desired=desired,
        current=state.desired,
        reason=f"{state.region}: {why}: {verdict}",
        round=round_,
    )


def _action(demand: PoolDemand, wanted: int, have: int, damping: Damping) -> tuple[Action, int]:
    if wanted > have:
        return "grow", wanted
    if demand.ecs_tasks < have:
        return "wait", have
    if surplus := _surplus(demand, wanted, have):
        return "shrink", have - max(1, int(surplus * damping.shrink_fraction))
    return "hold", have


def count_to_set(decision: Decision, state: PoolState, running: Collection[str] = ()) -> int:
    """Return the count that a service gets: the decision's, as far as it still holds.

    Parameters
    ----------
    decision
        With the ``tasks`` that were retired for it.
    state
        The service as it is now. Where its count is not the decision's ``current``, another execution
        was faster, and the count stays: the next round decides on what is there then.
    running
        Ids of the ECS tasks that the service runs now. A retired one that is not among them stopped by
        itself and is being replaced: to lower the count for it would cost another. Where there are none,
        nothing is known.
    """
    if state.desired != decision.current:
        return state.desired
    stopped = len(set(decision.tasks) - set(running)) if running else 0
    return min(max(decision.desired + stopped, state.pool.minimum_tasks), state.pool.maximum_tasks)


def _reason(demand: PoolDemand, state: PoolState, wanted: int, action: Action, desired: int) -> str:
    work = (
        f"{demand.runnable} Dask tasks to run ({demand.seconds:.0f} thread-seconds, "
        f"{demand.unassigned} without a worker), {demand.memory_fraction:.0%} of memory used"
    )
    bounds = f"between {state.pool.minimum_tasks} and {state.pool.maximum_tasks}"
    verdict = {
        "grow": f"grow from {state.desired} to {desired} ECS tasks",
        "shrink": f"shrink from {state.desired} to {desired} ECS tasks on the way to {wanted}",
        "wait": f"{demand.ecs_tasks} of {state.desired} ECS tasks are connected, wait for the others",
        "hold": f"{state.desired} ECS tasks stay",
    }[action]
    if action == "hold" and wanted < state.desired:
        verdict += f" although {wanted} would do, because work waits"
    return f"{demand.region}: {work}; {wanted} wanted {bounds}: {verdict}"
