"""How commands show things, and ``dask-regions check``."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from dask_regions.cli.system import Options, System

__all__ = ["check", "console", "table"]

#: Wide enough that a pipe gets whole rows.
_PIPE_WIDTH = 1000


def console() -> Console:
    """Return a console on standard output as it is now; rows are not cut where it is no terminal."""
    found = Console(highlight=False)
    return found if found.is_terminal else Console(highlight=False, width=_PIPE_WIDTH)


def table(columns: list[str], rows: list[list[object]], right: frozenset[str] = frozenset()) -> Table:
    """Return a table of texts; columns in `right` are numbers."""
    found = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        found.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        found.add_row(*(Text("-" if cell is None else str(cell)) for cell in row))
    return found


@click.command()
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.pass_obj
def check(options: Options, file: Path | None) -> None:
    """Validate datasets.yaml, and show what it says.

    Every mistake is reported at once, each with its line and how to mend it.

    \b
    Examples:
      dask-regions check
      dask-regions check other/datasets.yaml
    """
    configuration = System.find(options).configuration(file)
    rows: list[list[object]] = [
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
