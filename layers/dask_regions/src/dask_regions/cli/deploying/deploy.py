"""``dask-regions deploy``: bring the system up, or change it."""

from __future__ import annotations

import shlex
from importlib.metadata import version
from pathlib import Path

import click
from rich.text import Text

from dask_regions.aws.deployment.stacks import look
from dask_regions.cli.conventions import console, json_option, show_json, table
from dask_regions.cli.deploying.quotas import warn_of_quotas
from dask_regions.cli.deploying.system import confirm, find, progress, samconfig_option, yes_option
from dask_regions.deploy.bringing_up import bring_up, commands
from dask_regions.deploy.checking.buckets import check_buckets
from dask_regions.deploy.images.building import (
    Builder,
    CodeBuildBuilder,
    DockerBuilder,
    NoBuilder,
    has_docker,
)
from dask_regions.deploy.plan import Plan, System, plan, select
from dask_regions.deploy.sam import Sam, Say
from dask_regions.errors import ConfigurationError
from dask_regions.names import client_stack

__all__ = ["deploy"]

#: Label of each address that is shown in the end, to the output of the client Region's stack that has it.
_ADDRESSES = {"catalog": "ApiUrl", "scheduler": "SchedulerAddress", "dashboard": "DashboardUrl"}


@click.command()
@click.argument("regions", nargs=-1, metavar="[REGION]...")
@yes_option
@click.option(
    "--build",
    type=click.Choice(["docker", "codebuild", "none"]),
    help="How images are built that are not there; by default Docker where it runs.",
)
@click.option("--tag", help="Tag of the images, for this run; to keep it, write ImageTag into datasets.yaml.")
@click.option("--dry-run", is_flag=True, help="Show the commands, and do nothing; needs no account.")
@samconfig_option
@json_option
def deploy(
    regions: tuple[str, ...],
    yes: bool,
    build: str | None,
    tag: str | None,
    dry_run: bool,
    samconfig: Path | None,
    as_json: bool,
) -> None:
    """Bring the system up in AWS, or change it: all of it, or each REGION.

    Run it again after any change of datasets.yaml, and after it failed: it does what is not done yet.

    \b
    Examples:
      dask-regions deploy
      dask-regions deploy us-west-2 --yes
    """
    system, say = find(samconfig), progress()
    sam = Sam(system.checkout, system.samconfig, say)
    if dry_run:
        _show_commands(system, regions, sam, as_json=as_json)
        return
    system.checkout.program("sam")
    made = plan(system, regions, tag, version("dask-regions"))
    _show(made)
    warn_of_quotas(system, made.regions)
    warn_of_buckets(system, say)
    confirm("Go on?", yes=yes)
    bring_up(made, sam, _builder(system, build, sam), say)
    _show_outcome(system, made, as_json=as_json)


def warn_of_buckets(system: System, say: Say) -> None:
    """Tell which buckets are elsewhere or may not be read; other Regions are deployed nevertheless."""
    try:
        check_buckets(system.configuration)
    except ConfigurationError as error:
        for problem in error.problems:
            say(problem)


def _show_commands(system: System, regions: tuple[str, ...], sam: Sam, *, as_json: bool) -> None:
    configuration = system.configuration
    lines = list(commands(select(configuration, regions), configuration.client_region, sam))
    if as_json:
        show_json({"commands": lines})
        return
    for line in lines:
        click.echo(shlex.join(line))


def _builder(system: System, build: str | None, sam: Sam) -> Builder:
    if build == "docker" or (build is None and has_docker()):
        return DockerBuilder(system.checkout, system.client, sam.say)
    if build == "codebuild":
        return CodeBuildBuilder(system.checkout, system.client, system.name, sam, sam.say)
    return NoBuilder(system.client, system.name)


def _show(made: Plan) -> None:
    console(progress=True).print(Text(f"account {made.account}, as {made.identity}", style="dim"))
    rows = [[region, stack, step.value] for region, stack, step in made.steps()]
    console(progress=True).print(table(["Region", "stack", "to do"], rows))


def _show_outcome(system: System, made: Plan, *, as_json: bool) -> None:
    """Show the addresses, what it costs, and how to remove it."""
    stack = look(system.client, client_stack(system.name))
    outputs = stack.outputs if stack else {}
    addresses = {what: outputs[name] for what, name in _ADDRESSES.items() if name in outputs}
    if as_json:
        show_json({"regions": [region.name for region in made.regions], "addresses": addresses})
        return
    console().print(table(["", "address"], list(addresses.items())))
    click.echo("what it costs: docs/cost.md; to take it down: `dask-regions remove`")
