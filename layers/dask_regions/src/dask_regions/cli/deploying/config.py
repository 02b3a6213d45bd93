"""``dask-regions config``: write samconfig.toml."""

from __future__ import annotations

from pathlib import Path

import click

from dask_regions.cli.conventions import CommandError, ExitCode, json_option, show_json
from dask_regions.cli.deploying.system import find, samconfig_option
from dask_regions.deploy.samconfig.environments import render

__all__ = ["config"]


@click.command()
@samconfig_option
@click.option("--check", is_flag=True, help="Write nothing; exit code 1 where it would change.")
@json_option
def config(samconfig: Path | None, check: bool, as_json: bool) -> None:
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
    changed = not path.exists() or path.read_text(encoding="utf-8") != text
    if changed and not check:
        path.write_text(text, encoding="utf-8")
    if as_json:
        show_json({"samconfig": path, "changed": changed})
    elif not check:
        click.echo(f"{path} {'is written' if changed else 'is up to date'}")
    if changed and check:
        problem = f"{path} is not what {system.datasets} says; run `dask-regions config`"
        raise CommandError(problem, ExitCode.FAILED)
