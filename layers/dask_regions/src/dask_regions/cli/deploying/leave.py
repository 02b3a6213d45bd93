"""``dask-regions leave``: take a Region out of the network, and keep it."""

from __future__ import annotations

from pathlib import Path

import click

from dask_regions.cli.conventions import json_option, show_json
from dask_regions.cli.deploying.system import find, progress, samconfig_option
from dask_regions.deploy.joining import leave as leave_network
from dask_regions.deploy.plan import select
from dask_regions.errors import RequestError

__all__ = ["leave"]


@click.command()
@click.argument("region")
@samconfig_option
@json_option
def leave(region: str, samconfig: Path | None, as_json: bool) -> None:
    """Take REGION out of the network: its peerings, routes and names go, its stacks stay, and cost.

    `dask-regions deploy REGION` brings it back; `dask-regions remove REGION` deletes it.

    \b
    Example:
      dask-regions leave us-west-2
    """
    system = find(samconfig)
    if region == system.client:
        raise RequestError(
            "REGION", f"{region} is the client Region, which the others are joined with; name a worker Region"
        )
    select(system.configuration, [region])
    leave_network(system, region, progress())
    if as_json:
        show_json({"left": region})
    else:
        click.echo(f"{region} has left; `dask-regions deploy {region}` brings it back")
