"""``dask-regions sync``, ``pools`` and ``scale``: act on a running system."""

from __future__ import annotations

from dataclasses import replace

import click
from rich.status import Status
from rich.text import Text

from dask_regions.aws.ecs import PoolService
from dask_regions.aws.scheduler import SchedulerClient
from dask_regions.aws.stepfunctions import Execution, SyncReport, follow, start
from dask_regions.cli.show import console, table
from dask_regions.cli.system import Options, System
from dask_regions.errors import DaskRegionsError, NotFoundError, RequestError, UnavailableError
from dask_regions.models import Configuration, Pool
from dask_regions.names import token_secret
from dask_regions.scaling import Damping, PoolDemand, PoolState, decide

__all__ = ["pools", "scale", "sync"]


@click.command()
@click.option("--region", "regions", multiple=True, help="Only this Region; may be repeated.")
@click.option("--state-machine", metavar="ARN", help="Where the client Region has several systems.")
@click.option("--no-wait", is_flag=True, help="Start it and return at once.")
@click.pass_obj
def sync(options: Options, regions: tuple[str, ...], state_machine: str | None, no_wait: bool) -> None:
    """Bring the catalog up to date with what the Regions hold.

    Starts the state machine that also runs every night at 00:00 UTC, and waits for it. Readers see
    the old catalog until the new one is complete; a Region that fails keeps its old Items.

    \b
    Examples:
      dask-regions sync
      dask-regions sync --region us-west-2
    """
    system = System.find(options)
    configuration = system.configuration()
    for region in regions:
        _pool(configuration, region)
    client_region = configuration.client_region.name
    with system.environment():
        execution = start(client_region, regions, state_machine=state_machine)
        if no_wait:
            click.echo(execution.arn)
            return
        with console().status("syncing") as status:
            execution = _wait(execution, client_region, status)
    _show_sync(execution)


def _wait(execution: Execution, region: str, status: Status) -> Execution:
    for current in follow(execution, region):
        execution = current
        status.update(f"syncing: {current.status.lower()}")
    return execution


def _show_sync(execution: Execution) -> None:
    report = execution.report()
    if report is not None:
        _show_report(report)
    if execution.status != "SUCCEEDED":
        reason = "some Regions failed" if report else _reason(execution)
        raise UnavailableError(
            f"the sync ended as {execution.status} ({reason}); mend the cause, then run `dask-regions sync` "
            f"again. Its history: {execution.arn}"
        )


def _reason(execution: Execution) -> str:
    return ": ".join(text for text in (execution.error, execution.cause) if text) or "no reason given"


def _show_report(report: SyncReport) -> None:
    columns = [
        "Region",
        "Items",
        "added",
        "changed",
        "removed",
        "skipped",
        "LIST",
        "GET",
        "seconds",
        "dollars",
    ]
    rows: list[list[object]] = []
    for region, one in report.regions.items():
        if region in report.failed:
            rows.append([region, "failed", *([None] * 8)])
            continue
        counts = [one.items, one.added, one.changed, one.removed, one.skipped, one.lists, one.gets]
        rows.append([region, *counts, one.seconds, f"{one.dollars:.4f}"])
    console().print(table(columns, rows, right=frozenset(columns[1:])))
    for region, reason in report.failed.items():
        console().print(Text(f"{region} keeps its old Items: {reason}", style="red"))
    for one in report.regions.values():
        for example in one.examples:
            console().print(Text(f"skipped {example}", style="dim"))
    news = "is in sync" if report.changed else "was in sync already"
    click.echo(
        f"the catalog {news}: {report.items} Items, {report.seconds:.0f} s, about ${report.dollars:.4f} of "
        f"requests; all that was skipped is in the staging bucket, {report.report}"
    )


@click.command()
@click.pass_obj
def pools(options: Options) -> None:
    """Show every Region's pool: its ECS tasks, the work that waits for it, and what scaling makes of it.

    \b
    Example:
      dask-regions pools
    """
    system = System.find(options)
    configuration = system.configuration()
    rows: list[list[object]] = []
    notes: list[str] = []
    with system.environment():
        scheduler = _scheduler(system, configuration.client_region.name)
        for region, pool in configuration.pools.items():
            state = PoolService(region, system.settings.system_name).state(pool)
            demand = _demand(scheduler, region, notes)
            rows.append(_pool_row(state, demand))
            if demand is not None:
                notes.append(decide(demand, state, Damping.from_settings(system.settings)).reason)
    columns = ["Region", "bounds", "desired", "running", "pending", "workers", "to run", "waiting", "memory"]
    console().print(table(columns, rows, right=frozenset(columns[2:])))
    for note in dict.fromkeys(notes):
        console().print(Text(note, style="dim"))


def _scheduler(system: System, region: str) -> SchedulerClient | None:
    settings = system.settings
    if settings.scheduler_url is None:
        return None
    secret = settings.scheduler_secret or token_secret(settings.system_name)
    return SchedulerClient.from_settings(
        replace(settings, scheduler_secret=secret, aws_region=settings.aws_region or region)
    )


def _demand(scheduler: SchedulerClient | None, region: str, notes: list[str]) -> PoolDemand | None:
    if scheduler is None:
        notes.append("the scheduler was not asked; set SCHEDULER_URL to see the work that waits")
        return None
    try:
        return scheduler.demand(region)
    except DaskRegionsError as error:
        notes.append(str(error))
        return None


def _pool_row(state: PoolState, demand: PoolDemand | None) -> list[object]:
    bounds = f"{state.pool.minimum_tasks} to {state.pool.maximum_tasks}"
    work: list[object] = [None, None, None, None]
    if demand is not None:
        work = [demand.workers, demand.runnable, demand.unassigned, f"{demand.memory_fraction:.0%}"]
    return [state.region, bounds, state.desired, state.running, state.pending, *work]


@click.command()
@click.argument("region")
@click.argument("tasks", type=click.IntRange(min=0))
@click.pass_obj
def scale(options: Options, region: str, tasks: int) -> None:
    """Set how many ECS tasks the pool of REGION should have.

    TASKS is an absolute number within the pool's bounds in datasets.yaml. Scaling goes on from
    there: it grows with the work that waits, and shrinks when there is none.

    \b
    Example:
      dask-regions scale us-west-2 2
    """
    system = System.find(options)
    pool = _pool(system.configuration(), region)
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
    click.echo(f"{region}: {before} -> {tasks} ECS tasks; `dask-regions pools` shows them start")


def _pool(configuration: Configuration, region: str) -> Pool:
    found = configuration.pools.get(region)
    if found is None:
        raise NotFoundError(
            f"{region} is no Region with a pool; datasets.yaml has {', '.join(configuration.pools) or 'none'}"
        )
    return found
