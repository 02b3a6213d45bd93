"""``dask-regions config``: write samconfig.toml."""

from __future__ import annotations

from pathlib import Path

import click

from dask_regions.cli.conventions import CommandError, ExitCode
from dask_regions.cli.deploying.system import find, samconfig_option
from dask_regions.deploy.samconfig.environments import render

__all__ = ["config"]


@click.command()
@samconfig_option
@click.option("--check", is_flag=True, help="Write nothing; exit code 1 where it would change.")
def config(samconfig: Path | None, check: bool) -> None:
    """Write samconfig.toml from datasets.yaml, an environment of sam for each stack.

    `dask-regions deploy` does it, too: run this to see what a change of datasets.yaml means.

    \b
    Examples:
      dask-regions config
      dask-regions config --check
    """
    system = find(samconfig)
    text = render(system.configuration, system.checkout)
    path = system.samconfig
    if path.exists() and path.read_text(encoding="utf-8") == text:
        click.echo(f"{path} is up to date")
        return
    if check:
        raise CommandError(
            f"{path} is not what {system.datasets} says; run `dask-regions config`", ExitCode.FAILED
        )
    path.write_text(text, encoding="utf-8")
    click.echo(f"{path} is written")
