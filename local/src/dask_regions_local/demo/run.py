"""The main job, each step through the real component: start, sync, find, compute, draw, report."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pystac_client
import xarray as xr
from pystac_client.exceptions import APIError
from rich.console import Console
from rich.markup import escape
from rich.status import Status
from rich.table import Table

import dask_regions
from dask_regions.aws.stepfunctions import follow, start
from dask_regions.client.prices import PRICES_DATE, dollars
from dask_regions.client.text import size
from dask_regions.errors import NotFoundError, UnavailableError
from dask_regions.settings import environment
from dask_regions_local.demo import data, figure, job
from dask_regions_local.emulator.aws import CREDENTIALS
from dask_regions_local.emulator.system import LocalSystem
from dask_regions_local.settings import ROOT

if TYPE_CHECKING:
    from pystac import Item

    from dask_regions.client.transfers import Transfers

__all__ = ["Comparison", "run"]


@dataclass(frozen=True)
class Comparison:
    """What the main job computed, where, and what it moved.

    Attributes
    ----------
    result
        See :func:`dask_regions_local.demo.job.compute`; in memory.
    regions
        Scenario to the Region that holds it.
    sizes
        Scenario to the bytes of its air temperature, none of which moved.
    moved
        What crossed between Regions.
    """

    result: xr.Dataset
    regions: Mapping[str, str]
    sizes: Mapping[str, int]
    moved: Transfers


@contextmanager
def run(directory: Path, console: Console) -> Iterator[LocalSystem]:
    """Run the main job, and yield the system that it ran on; afterwards nothing is left running.

    Parameters
    ----------
    directory
        State directory; ``demo.png`` and ``demo.nc`` are written into it.
    console
        Where progress and report are shown.
    """
    with _step(console, "Make the data") as step:
        buckets = data.make(directory)
        step.done(f"{len(buckets)} buckets below {directory / 's3'}")
    with ExitStack() as stack:
        with _step(console, "Start the system") as step:
            system = stack.enter_context(LocalSystem(directory, root=ROOT, progress=step.now))
            step.done(f"client Region {system.client_region}, pools in {' and '.join(system.regions)}")
        with _step(console, "Sync the catalog") as step:
            before, after = _sync(system)
            step.done(f"{f'had {before}' if before else 'was empty'}, has {after} Items")
        with _step(console, "Find the data") as step:
            items = {scenario: _find(system, scenario) for scenario in job.SCENARIOS}
            step.done(", ".join(f"{scenario} is in {_region(items[scenario])}" for scenario in items))
        with _step(console, "Compute beside the data") as step:
            comparison = _compare(system, items, console)
            step.done(f"{sum(comparison.moved.tasks.values())} Dask tasks")
        with _step(console, "Draw the figure") as step:
            file = _save(directory, comparison)
            step.done(str(file))
        _report(console, system, comparison, file)
        yield system


class _Step:
    """A step that runs: takes what it does now, and its result in words."""

    def __init__(self, title: str, status: Status) -> None:
        self.result = ""
        self._title, self._status = title, status

    def now(self, text: str) -> None:
        self._status.update(escape(f"{self._title}: {text}"))

    def done(self, text: str) -> None:
        self.result = text


@contextmanager
def _step(console: Console, title: str) -> Iterator[_Step]:
    """Show a step while it runs, and its result and duration after."""
    started = time.monotonic()
    with console.status(title) as status:
        step = _Step(title, status)
        yield step
    seconds = time.monotonic() - started
    result = escape(step.result)  # paths may have brackets
    console.print(f"[green]✓[/green] {title:<24} {result}  [dim]{seconds:.1f} s[/dim]", soft_wrap=True)


def _sync(system: LocalSystem) -> tuple[int, int]:
    """Run the state machine; returns how many Items the catalog had and has."""
    before = _count(system)
    with environment(AWS_ENDPOINT_URL=system.aws_endpoint, **CREDENTIALS):
        *_, execution = follow(start(system.client_region), system.client_region, seconds=0.2)
    if execution.status != "SUCCEEDED":
        raise UnavailableError(
            f"the sync ended as {execution.status} ({execution.error}: {(execution.cause or '')[:1000]}); "
            f"{system.directory / 'logs'} has the logs of its functions"
        )
    return before, _count(system)


def _count(system: LocalSystem) -> int:
    try:
        return sum(1 for _ in pystac_client.Client.open(system.api_url).search().items())
    except APIError as error:
        raise UnavailableError(
            f"the catalog does not answer ({error}); {system.directory / 'logs'} has the logs of its function"
        ) from error


def _find(system: LocalSystem, scenario: str) -> list[Item]:
    """Ask the catalog as a scientist would; every year counts, and the maps need their own."""
    catalog = pystac_client.Client.open(system.api_url)
    question = job.question(scenario)
    first, last = job.PERIOD
    items = list(catalog.search(filter=question).items())
    mapped = catalog.search(filter=question, datetime=f"{first}-01-01T00:00:00Z/{last}-12-31T23:59:59Z")
    if not items or not any(mapped.items()):
        raise NotFoundError(
            f"the catalog has no {job.VARIABLE} of scenario {scenario} in {first}-{last}; look at what it "
            "has with `dask-regions search`"
        )
    return items


def _region(items: list[Item]) -> str:
    return str(items[0].properties["regions"][0])


def _compare(system: LocalSystem, items: Mapping[str, list[Item]], console: Console) -> Comparison:
    with dask_regions.connect(system.scheduler_address, on_message=console.print) as client:
        datasets = {scenario: dask_regions.open_dataset(items[scenario], client) for scenario in items}
        lazy = job.compute(*(datasets[scenario] for scenario in job.SCENARIOS))
        with dask_regions.transfers(client) as moved:
            result = lazy.compute()
    return Comparison(
        result=result,
        regions={scenario: _region(items[scenario]) for scenario in items},
        sizes={name: dataset[job.VARIABLE].nbytes for name, dataset in datasets.items()},
        moved=moved,
    )


def _save(directory: Path, comparison: Comparison) -> Path:
    result = comparison.result.assign_attrs(
        title="Air temperature over North America, scenarios A1B and E1", source=data.ATTRIBUTION
    )
    result.to_netcdf(directory / "demo.nc", engine="h5netcdf")
    file = directory / "demo.png"
    figure.draw(result, file, comparison.regions)
    return file


def _report(console: Console, system: LocalSystem, comparison: Comparison, file: Path) -> None:
    moved, home = comparison.moved, system.client_region
    console.print("\n[bold]Where the work ran[/bold]")
    for region, count in sorted(moved.tasks.items()):
        reads = {source: number for (source, reader), number in moved.reads.items() if reader == region}
        described = ", ".join(f"{number} read data of {source}" for source, number in reads.items())
        console.print(f"  {region:<12} {count:>4} Dask tasks{f', {described}' if described else ''}")
    console.print("\n[bold]What crossed between Regions[/bold]")
    for (source, target), nbytes in sorted(moved.between.items()):
        if source != target:
            console.print(f"  {source} to {target}: {size(nbytes)}")
    whole = {(region, home): comparison.sizes[name] for name, region in comparison.regions.items()}
    total = sum(whole.values())
    console.print(
        f"  together {size(moved.crossed)}, {moved.crossed / total:.1%} of the data, about "
        f"${moved.dollars:.7f}; moving the data to {home}: {size(total)}, about ${dollars(whole):.7f}",
        soft_wrap=True,
    )
    console.print(f"  [dim]dollars are estimates at prices assumed on {PRICES_DATE}[/dim]")
    for note in moved.notes:
        console.print(f"  [dim]{escape(note)}[/dim]")
    console.print("\n[bold]Where to look[/bold]")
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2))
    table.add_row("  figure", escape(str(file)))
    table.add_row("  values", escape(str(file.with_suffix(".nc"))))
    table.add_row("  STAC API", system.api_url)
    table.add_row("  dashboard", system.dashboard_url)
    console.print(table)
