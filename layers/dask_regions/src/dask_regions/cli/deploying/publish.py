"""``dask-regions publish``: hand a configuration to the system that runs."""

from __future__ import annotations

from pathlib import Path

import click

from dask_regions.aws.configuration import publish as publish_file
from dask_regions.cli.conventions import console, json_option, show_json
from dask_regions.cli.system import Options, System
from dask_regions.config import load
from dask_regions.deploy.checking.rules import check

__all__ = ["publish"]


@click.command()
@click.argument("file", type=click.Path(path_type=Path), required=False)
@json_option
@click.pass_obj
def publish(options: Options, file: Path | None, as_json: bool) -> None:
    """Publish datasets.yaml: functions and scheduler follow within a minute.

    Nothing restarts, and a sync of the catalog starts. That is all that a new dataset needs whose bucket the
    stacks know; for a new bucket or Region run `dask-regions deploy`, which publishes, too.

    \b
    Examples:
      dask-regions publish
      dask-regions publish other/datasets.yaml
    """
    system = System.find(options)
    path = file or system.settings.datasets_file or Path("datasets.yaml")
    configuration = check(path) if system.local is None else load(path)
    name, region = configuration.system.name, configuration.client_region.name
    with system.environment():
        version = publish_file(name, region, path)
    if as_json:
        show_json({"system": name, "region": region, "version": version})
        return
    console().print(f"{path} is in force: version {version} of {name} in {region}")
