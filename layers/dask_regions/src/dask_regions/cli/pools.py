"""``dask-regions pools`` and ``scale``: look at the pools, and size one by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import click

from dask_regions.aws.ecs import PoolService
from dask_regions.aws.scheduler import SchedulerClient
from dask_regions.cli.conventions import (
    CommandError,
    ExitCode,
    console,
    json_option,
    show_json,
    show_notes,
    table,
)
from dask_regions.cli.system import Options, System, pool_of
from dask_regions.errors import DaskRegionsError, RequestError
from dask_regions.names import token_secret
from dask_regions.scaling import Damping, Decision, PoolDemand, PoolState, decide

__all__ = ["pools", "scale", "scheduler_client"]

_NOT_ASKED = "the scheduler was not asked; set SCHEDULER_URL to see the work that waits"


@dataclass(frozen=True)
class _Pool:
    """What is known of a pool; without the scheduler, neither its demand nor a decision.

    `problem` says why the scheduler's part is missing.
    """

    state: PoolState
    demand: PoolDemand | None = None
    decision: Decision | None = None
    problem: str | None = None


@click.command()
@json_option
@click.pass_obj
def pools(options: Options, as_json: bool) -> None:
    """Show every Region's pool: its ECS tasks, the work that waits for it, and what scaling makes of it.

    Where a scheduler is configured and does not answer for a pool, the exit code is 4.

    \b
    Example:
      dask-regions pools
    """
    system = System.find(options)
    configuration = system.configuration()
    with system.environment():
        scheduler = scheduler_client(system, configuration.client_region.name)
        looks = [
            _look(system, scheduler, PoolService(region, system.settings.system_name).state(pool))
            for region, pool in configuration.pools.items()
        ]
    notes = [note for look in looks if (note := _note(look, asked=scheduler is not None))]
    if as_json:
        show_json({"pools": [_document(look) for look in looks], "notes": list(dict.fromkeys(notes))})
    else:
        _show(looks, notes)
    unknown = [look.state.region for look in looks if look.problem]
    if unknown:
        raise CommandError(
            f"the scheduler did not say what work {', '.join(unknown)} has; the reason is above. Check that "
            "its ECS service runs, or that the local system does",
            ExitCode.DEGRADED,
        )


def scheduler_client(system: System, region: str) -> SchedulerClient | None:
    """Return a client of the scheduler's HTTP routes; None where nothing says where it is."""
    settings = system.settings
    if settings.scheduler_url is None:
        return None
    secret = settings.scheduler_secret or token_secret(settings.system_name)
    return SchedulerClient.from_settings(
        replace(settings, scheduler_secret=secret, aws_region=settings.aws_region or region)
    )


def _look(system: System, scheduler: SchedulerClient | None, state: PoolState) -> _Pool:
    if scheduler is None:
        return _Pool(state)
    try:
        demand = scheduler.demand(state.region)
    except DaskRegionsError as error:
        return _Pool(state, problem=str(error))
    return _Pool(state, demand, decide(demand, state, Damping.from_settings(system.settings)))


def _note(look: _Pool, *, asked: bool) -> str | None:
    if not asked:
        return _NOT_ASKED
    return look.decision.reason if look.decision else look.problem


def _document(look: _Pool) -> dict[str, object]:
    return {
        "region": look.state.region,
        "service": look.state.model_dump(mode="json", exclude={"region"}),
        "demand": look.demand.model_dump(mode="json", exclude={"region"}) if look.demand else None,
        "decision": look.decision.model_dump(mode="json", include={"action", "desired", "reason"})
        if look.decision
        else None,
    }


def _show(looks: Sequence[_Pool], notes: Sequence[str]) -> None:
    columns = ["Region", "bounds", "desired", "running", "pending", "workers", "to run", "waiting", "memory"]
    console().print(table(columns, [_row(look) for look in looks], right=frozenset(columns[2:])))
    show_notes(notes)


def _row(look: _Pool) -> list[object]:
    state, demand = look.state, look.demand
    bounds = f"{state.pool.minimum_tasks} to {state.pool.maximum_tasks}"
    work: list[object] = [None, None, None, None]
    if demand is not None:
        work = [demand.workers, demand.runnable, demand.unassigned, f"{demand.memory_fraction:.0%}"]
    return [state.region, bounds, state.desired, state.running, state.pending, *work]


@click.command()
@click.argument("region")
@click.argument("tasks", type=click.IntRange(min=0))
@json_option
@click.pass_obj
def scale(options: Options, region: str, tasks: int, as_json: bool) -> None:
    """Set how many ECS tasks the pool of REGION should have.

    TASKS is an absolute number within the pool's bounds in datasets.yaml. Scaling goes on from
    there: it grows with the work that waits, and shrinks when there is none.

    \b
    Example:
      dask-regions scale us-west-2 2
    """
    system = System.find(options)
    pool = pool_of(system.configuration(), region)
    if not pool.minimum_tasks <= tasks <= pool.maximum_tasks:
        raise RequestError(
            "TASKS",
            f"{tasks} is outside the bounds of {region}, {pool.minimum_tasks} to {pool.maximum_tasks}; "
            "choose within them, or change them in datasets.yaml and deploy",
        )
    with system.environment():
        service = PoolService(region, system.settings.system_name)
        before = service.state(pool).desired
        service.set_desired(tasks)
    if as_json:
        show_json({"region": region, "before": before, "desired": tasks})
    else:
        click.echo(f"{region}: {before} -> {tasks} ECS tasks; `dask-regions pools` shows them start")
