"""``dask-regions check``: validate the configuration."""

from __future__ import annotations

from pathlib import Path

import click

from dask_regions.cli.conventions import console, json_option, show_json, table
from dask_regions.cli.system import Options, System
from dask_regions.deploy.checking.buckets import check_buckets
from dask_regions.deploy.checking.rules import check as check_file
from dask_regions.models import Configuration

__all__ = ["check"]


@click.command()
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option(
    "--buckets", is_flag=True, help="Also ask S3 where the buckets are, and whether they may be read."
)
@json_option
@click.pass_obj
def check(options: Options, file: Path | None, buckets: bool, as_json: bool) -> None:
    """Validate datasets.yaml, and show what it says.

    Every mistake is reported at once, each with its line and how to mend it: also what the templates would
    refuse. Nothing is asked of AWS but with --buckets.

    \b
    Examples:
      dask-regions check
      dask-regions check --buckets
      dask-regions check other/datasets.yaml
    """
    system = System.find(options)
    path = file or system.settings.datasets_file or Path("datasets.yaml")
    # A local system runs what no template has to take.
    own = system.local is not None and file is None
    configuration = system.configuration(path) if own else check_file(path)
    if buckets:
        with system.environment():
            check_buckets(configuration)
    if as_json:
        show_json(_document(configuration))
        return
    rows = [
        [
            region.name,
            "client" if region.client else "",
            region.cidr,
            f"{region.pool.minimum_tasks} to {region.pool.maximum_tasks}" if region.pool else None,
            ", ".join(dataset.id for dataset in configuration.datasets_of(region.name)) or None,
        ]
        for region in configuration.regions
    ]
    console().print(table(["Region", "", "CIDR", "ECS tasks", "datasets"], rows))


def _document(configuration: Configuration) -> dict[str, object]:
    regions = [
        {
            "region": region.name,
            "client": region.client,
            "cidr": region.cidr,
            "pool": region.pool.model_dump() if region.pool else None,
            "datasets": [dataset.id for dataset in configuration.datasets_of(region.name)],
        }
        for region in configuration.regions
    ]
    return {"regions": regions}
