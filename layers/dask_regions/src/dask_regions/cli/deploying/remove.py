"""``dask-regions remove``: take the system in AWS down, or Regions of it."""

from __future__ import annotations

from pathlib import Path

import click

from dask_regions.aws.deployment.account import who
from dask_regions.cli.conventions import console, json_option, show_json, show_notes, table
from dask_regions.cli.deploying.system import confirm, find, progress, samconfig_option, yes_option
from dask_regions.deploy.taking_down import Removal, look_up, take_down

__all__ = ["remove"]


@click.command()
@click.argument("regions", nargs=-1, metavar="[REGION]...")
@yes_option
@click.option("--dry-run", is_flag=True, help="Show what would be removed.")
@samconfig_option
@json_option
def remove(regions: tuple[str, ...], yes: bool, dry_run: bool, samconfig: Path | None, as_json: bool) -> None:
    """Take the system in AWS down: all of it, or each REGION, also one that datasets.yaml has no more.

    In any order, and after a deployment that failed half-way. Results in scratch buckets and the catalog go,
    too; datasets are in buckets of their own, and stay.

    \b
    Examples:
      dask-regions remove
      dask-regions remove us-west-2 --yes
    """
    system, say = find(samconfig), progress()
    account, _ = who(system.client)
    removal = look_up(system, regions)
    if not removal.stacks:
        say(f"account {account} has no stack of {system.name} {'there' if regions else 'in any Region'}")
    else:
        _show(removal)
    if dry_run:
        _answer(removal, [], as_json=as_json)
        return
    if removal.stacks:
        confirm(f"Delete these from account {account}?", yes=yes)
    _answer(removal, take_down(removal, say), as_json=as_json)


def _show(removal: Removal) -> None:
    rows = [[stack.region, stack.name, stack.status] for stack in removal.stacks]
    console(progress=True).print(table(["Region", "stack", "status"], rows))


def _answer(removal: Removal, left: list[str], *, as_json: bool) -> None:
    if as_json:
        stacks = [{"region": stack.region, "stack": stack.name} for stack in removal.stacks]
        show_json({"stacks": stacks, "left": left})
        return
    show_notes(left)
