"""``dask-regions scheduler``: start and stop the scheduler, and look whether anybody uses it."""

from __future__ import annotations

import click

from dask_regions.aws.ecs import SchedulerService
from dask_regions.cli.conventions import CommandError, ExitCode, json_option, show_json
from dask_regions.cli.pools import scheduler_client
from dask_regions.cli.system import Options, System
from dask_regions.errors import DaskRegionsError
from dask_regions.scaling import SchedulerActivity

__all__ = ["scheduler"]


_DONE = {
    "start": "the scheduler starts; `dask-regions scheduler status` shows when it runs",
    "stop": "the scheduler stops; within five minutes the pools go to their minimum",
}


@click.command()
@click.argument("action", type=click.Choice(["start", "stop", "status"]))
@json_option
@click.pass_obj
def scheduler(options: Options, action: str, as_json: bool) -> None:
    """Start or stop the scheduler, or show whether it runs and who uses it.

    A stopped scheduler costs nothing and is a wanted state: it raises no alarm, updates leave it stopped,
    and the pools go to their minimum. What it computes, and results in the workers' memory, are lost. A
    started one answers after about a minute. The exit code of `status` is 5 where the scheduler should run
    and does not.

    \b
    Example:
      dask-regions scheduler stop
    """
    if action == "status":
        _status(options, as_json)
    else:
        _set(options, action, as_json)


def _status(options: Options, as_json: bool) -> None:
    system = System.find(options)
    region = system.configuration().client_region.name
    with system.environment():
        counts = SchedulerService(region, system.settings.system_name).counts()
        activity, problem = _activity(system, region) if counts.running else (None, None)
    if as_json:
        used = activity.model_dump() if activity else None
        show_json({**counts.model_dump(), "activity": used, "problem": problem})
    elif counts.desired == 0:
        click.echo("stopped, as it should be; `dask-regions scheduler start` starts it")
    elif counts.running:
        click.echo(f"runs; {_used(activity) if activity else problem}")
    if counts.desired and not counts.running:
        raise CommandError(
            "the scheduler should run and does not; after a minute, look at the events of its ECS service "
            f"{system.settings.system_name}-scheduler in {region}",
            ExitCode.DOWN,
        )


def _set(options: Options, action: str, as_json: bool) -> None:
    desired = int(action == "start")
    system = System.find(options)
    region = system.configuration().client_region.name
    with system.environment():
        service = SchedulerService(region, system.settings.system_name)
        before = service.counts().desired
        service.set_desired(desired)
    if as_json:
        show_json({"region": region, "before": before, "desired": desired})
    else:
        click.echo(_DONE[action] if before != desired else f"nothing to do: the count is {desired} already")


def _activity(system: System, region: str) -> tuple[SchedulerActivity | None, str | None]:
    client = scheduler_client(system, region)
    if client is None:
        return None, "it was not asked who uses it; set SCHEDULER_URL to see that"
    try:
        return client.activity(), None
    except DaskRegionsError as error:
        return None, str(error)


def _used(activity: SchedulerActivity) -> str:
    if activity.clients or activity.tasks:
        return f"{activity.clients} clients, {activity.tasks} Dask tasks"
    return f"nobody has used it for {activity.idle_seconds / 60:.0f} minutes"
