"""What the commands of this package act on: the checkout they run in, and its configuration."""

from __future__ import annotations

from pathlib import Path

import click

from dask_regions.deploy.checking.rules import check
from dask_regions.deploy.checkout import Checkout
from dask_regions.deploy.plan import System
from dask_regions.deploy.sam import Say
from dask_regions.settings import Settings, set_default

__all__ = ["confirm", "find", "progress", "samconfig_option", "yes_option"]

samconfig_option = click.option(
    "--samconfig",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File with the environments of sam; by default samconfig.toml of the repository.",
)
yes_option = click.option("--yes", is_flag=True, help="Ask nothing.")


def find(samconfig: Path | None) -> System:
    """Return the system that ``datasets.yaml`` describes, in AWS also where a local one runs.

    Raises
    ------
    ConfigurationError
        Where this is no checkout, or ``datasets.yaml`` is wrong.
    """
    checkout = Checkout.find(Path.cwd())
    settings = Settings.from_environment()
    datasets = settings.datasets_file or checkout.root / "datasets.yaml"
    configuration = check(datasets, checkout.root)
    set_default(AWS_DEFAULT_REGION=configuration.client_region.name)
    path = (samconfig or checkout.root / "samconfig.toml").absolute()
    return System(configuration, checkout, path, datasets)


def progress() -> Say:
    """Return a function that writes what is going on to standard error."""

    def say(line: str) -> None:
        click.echo(line, err=True)

    return say


def confirm(question: str, *, yes: bool) -> None:
    """Ask once whether to go on; end the command where the answer is no.

    Raises
    ------
    click.Abort
        Where the answer is no, or there is nobody to ask.
    """
    if not yes:
        click.confirm(question, abort=True, err=True)
