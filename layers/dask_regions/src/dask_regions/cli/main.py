"""The group ``dask-regions``: options for every command, errors in one line, commands of other packages."""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import click
from botocore.exceptions import BotoCoreError, ClientError

from dask_regions.aws.stepfunctions import SIGN_IN
from dask_regions.cli.check import check
from dask_regions.cli.conventions import ExitCode, exit_code
from dask_regions.cli.deploying.config import config
from dask_regions.cli.deploying.deploy import deploy
from dask_regions.cli.deploying.images import images
from dask_regions.cli.deploying.leave import leave
from dask_regions.cli.deploying.publish import publish
from dask_regions.cli.deploying.quotas import quotas
from dask_regions.cli.deploying.remove import remove
from dask_regions.cli.pools import pools, scale
from dask_regions.cli.scheduler import scheduler
from dask_regions.cli.search import search
from dask_regions.cli.sync import sync
from dask_regions.cli.system import Options
from dask_regions.errors import ConfigurationError, DaskRegionsError
from dask_regions.settings import set_default

__all__ = ["main"]

_PLUGINS = "dask_regions.commands"
_TRACEBACK = "DASK_REGIONS_TRACEBACK"


class _Group(click.Group):
    """Shows our errors in one line, and loads the commands that other packages declare."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        declared = {point.name for point in entry_points(group=_PLUGINS)}
        return sorted({*super().list_commands(ctx), *declared})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if (own := super().get_command(ctx, cmd_name)) is not None:
            return own
        for point in entry_points(group=_PLUGINS, name=cmd_name):
            command: click.Command = point.load()
            return command
        return None

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (DaskRegionsError, BotoCoreError, ClientError) as error:
            if ctx.params["traceback"]:
                raise
            for line in _lines(error):
                click.echo(f"error: {line}", err=True)
            ctx.exit(exit_code(error))


def _lines(error: Exception) -> list[str]:
    if isinstance(error, ConfigurationError):
        return [" ".join(problem.split()) for problem in error.problems]
    text = " ".join(str(error).split())
    return [text if isinstance(error, DaskRegionsError) else f"AWS: {text}; {SIGN_IN}"]


def _epilog() -> str:
    """Return the exit codes as the last part of the help."""
    return "\b\nExit codes:\n" + "\n".join(f"  {code.value}  {code.meaning}" for code in ExitCode)


@click.group(
    cls=_Group,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=_epilog(),
)
@click.version_option(package_name="dask-regions")
@click.option(
    "--local",
    type=click.Path(file_okay=False, path_type=Path),
    default=".local",
    envvar="DASK_REGIONS_LOCAL",
    show_default=True,
    show_envvar=True,
    help="State directory of the local system. If one runs there, commands act on it.",
)
@click.option("--aws", is_flag=True, help="Act on the system in AWS even if a local one runs.")
@click.option(
    "--traceback", is_flag=True, envvar=_TRACEBACK, show_envvar=True, help="Show where an error comes from."
)
@click.pass_context
def main(ctx: click.Context, local: Path, aws: bool, traceback: bool) -> None:  # noqa: ARG001
    """One Dask cluster across AWS Regions: find data, compute beside them, scale each Region.

    \b
    On this machine, without an AWS account:
      dask-regions demo                    the main job, from an empty catalog to a figure
      dask-regions local                   the same system, running until Ctrl-C
    \b
    In an AWS account:
      dask-regions quotas                  what the account allows, beside what the system needs
      dask-regions deploy                  bring the Regions of datasets.yaml up, or change them
      dask-regions remove                  take them down again
    \b
    While a system runs, here or in AWS:
      dask-regions sync                    fill the catalog from what the Regions hold
      dask-regions search --variable air_temperature --scenario A1B
      dask-regions pools                   ECS tasks and waiting work of every Region
      dask-regions scale us-west-2 2       set the ECS tasks of one Region's pool
      dask-regions scheduler stop          stop the scheduler, and start it again

    \b
    Explicit options beat the environment, and the environment beats the defaults:
      SYSTEM_NAME      name of the system                          (dask-regions)
      DATASETS_FILE    Regions, pools and datasets                 (datasets.yaml)
      DASK_REGIONS_API address of the catalog's STAC API
      SCHEDULER_URL    address of the scheduler's web server, for the waiting work in `pools`
      NO_COLOR         if set, no colours; without a terminal there are none
    """
    set_default(AWS_MAX_ATTEMPTS="3")  # a person waits
    ctx.obj = Options(local=local, aws=aws)


for _command in (
    check,
    config,
    deploy,
    images,
    leave,
    pools,
    publish,
    quotas,
    remove,
    scale,
    scheduler,
    search,
    sync,
):
    main.add_command(_command)
