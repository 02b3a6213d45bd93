"""The commands ``dask-regions demo`` and ``dask-regions local``."""

from __future__ import annotations

import shlex
import signal
import threading
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table

from dask_regions.cli.conventions import console as make_console
from dask_regions.cli.conventions import json_option, show_json
from dask_regions.cli.system import Options
from dask_regions_local.settings import ROOT

if TYPE_CHECKING:
    from dask_regions_local.emulator.system import LocalSystem

__all__ = ["demo", "local"]

_directory = click.option(
    "--directory",
    type=click.Path(file_okay=False, path_type=Path),
    help="State directory: data, catalog, logs and results. Default: the one of `dask-regions --local`.",
)


@click.command()
@_directory
@click.option("--keep", is_flag=True, help="Keep the system running afterwards, until Ctrl-C.")
@json_option
@click.pass_obj
def demo(options: Options, directory: Path | None, keep: bool, as_json: bool) -> None:
    """Run the main job on this machine: from an empty catalog to a figure.

    Starts the whole system, fills its catalog, finds air temperature under two emission scenarios
    in two Regions, compares them without moving them, and shows what crossed. Writes demo.png and
    demo.nc into the state directory.

    \b
    Examples:
      dask-regions demo
      dask-regions demo --keep             then open the dashboard that it prints
    """
    from dask_regions_local.demo.run import run

    console = make_console(progress=as_json)
    where = directory or options.local
    with run(where, console) as system:
        if as_json:
            files = {"figure": str(where / "demo.png"), "result": str(where / "demo.nc")}
            show_json(files | (_addresses(system) if keep else {}))
        if keep:
            _until_stopped(console, system, directory)
        else:
            console.print("\nStopped; [bold]dask-regions demo --keep[/bold] leaves it running.")


@click.command()
@_directory
@json_option
@click.pass_obj
def local(options: Options, directory: Path | None, as_json: bool) -> None:
    """Run the whole system on this machine until Ctrl-C.

    Deploys the templates into an emulation of AWS, and starts a real Dask scheduler and the workers
    of every Region's pool. While it runs, `search`, `sync`, `pools` and `scale` act on it.

    \b
    Examples:
      dask-regions local
      dask-regions local --directory scratch
    """
    from dask_regions_local.demo import data
    from dask_regions_local.emulator.system import LocalSystem

    console = make_console(progress=as_json)
    where = directory or options.local
    with console.status("making the data"):
        data.make(where)
    with ExitStack() as stack:
        with console.status("starting the system") as status:
            system = stack.enter_context(LocalSystem(where, root=ROOT, progress=status.update))
        if as_json:
            show_json(_addresses(system))
        _until_stopped(console, system, directory)


def _addresses(system: LocalSystem) -> dict[str, str]:
    return {
        "api_url": system.api_url,
        "dashboard_url": system.dashboard_url,
        "scheduler_address": system.scheduler_address,
        "aws_endpoint": system.aws_endpoint,
    }


def _address_table(system: LocalSystem) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    for name, value in zip(
        ("STAC API", "dashboard", "scheduler", "AWS"), _addresses(system).values(), strict=True
    ):
        table.add_row(name, value)
    return table


def _until_stopped(console: Console, system: LocalSystem, directory: Path | None) -> None:
    """Show the addresses, and wait for Ctrl-C; on SIGTERM the system itself ends us."""
    console.print(_address_table(system))
    console.print("\nRunning; Ctrl-C stops it. In another terminal:")
    # The other commands look into their own default, and do not know of --directory.
    where = f" --local {shlex.quote(str(directory))}" if directory else ""
    console.print(f"  dask-regions{where} search --variable air_temperature", soft_wrap=True, markup=False)
    console.print(
        f"  export DASK_REGIONS_API={system.api_url} DASK_REGIONS_SCHEDULER={system.scheduler_address}",
        soft_wrap=True,
    )
    with suppress(KeyboardInterrupt):
        threading.Event().wait()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C would cut the clean-up short
    console.print("\nstopping")
