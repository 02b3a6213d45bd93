"""Measure ``update_graph`` with and without placement: ``python -m benchmarks.planning``.

Both schedulers run in this process, in turn, several times, on graphs of some 100,000 tasks. The stock
scheduler gets the same graph without marks. Workers are processes of their own, and no task ever ends,
so that what is measured is the arrival of the graph alone.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import statistics
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
from distributed import Client, Scheduler

from benchmarks.planning.graphs import EAST, GRAPHS, WEST
from dask_regions.placement.hooks.scheduler.plugin import PlacementPlugin

_START_SECONDS = 300


@dataclass
class Run:
    """One arrival of a graph.

    Attributes
    ----------
    seconds
        Of ``update_graph``, by the scheduler's own event.
    piece
        Longest piece of event loop that placement took, in seconds.
    tasks
        Of the scheduler afterwards.
    nbytes
        Memory that was allocated and stays, where it was traced.
    """

    seconds: float
    piece: float
    tasks: int
    nbytes: float = 0.0


@dataclass
class Row:
    """What is reported of a graph: medians, of paired runs for the ratio."""

    graph: str
    tasks: int
    stock_seconds: float
    seconds: float
    ratio: float
    piece_seconds: float
    bytes_per_task: float | None

    def __str__(self) -> str:
        memory = "" if self.bytes_per_task is None else f"{self.bytes_per_task:.0f}"
        return (
            f"| `{self.graph}` | {self.tasks:,} | {self.stock_seconds:.2f} | {self.seconds:.2f} "
            f"| {self.ratio:.3f} | {self.piece_seconds * 1000:.0f} | {memory} |"
        )


@click.command()
@click.option("--repeats", default=5, show_default=True, help="runs of each graph on each scheduler")
@click.option("--graphs", default="", help="part of a graph's name")
@click.option("--memory", is_flag=True, help="measure memory, too: some minutes more for each graph")
@click.option("--output", type=click.Path(path_type=Path), help="where to write the figures, in JSON")
def main(repeats: int, graphs: str, memory: bool, output: Path | None) -> None:
    """Measure what placement costs the scheduler when a graph arrives."""
    logging.getLogger("distributed").setLevel(logging.ERROR)
    click.echo("| graph | tasks | stock s | ours s | ours : stock | longest piece ms | bytes a task |")
    click.echo("| --- | --- | --- | --- | --- | --- | --- |")
    rows = []
    for name in GRAPHS:
        if graphs in name:
            rows.append(_row(name, repeats, memory))
            click.echo(str(rows[-1]))
    if output:
        output.write_text(json.dumps([asdict(row) for row in rows], indent=1))


def _row(name: str, repeats: int, memory: bool) -> Row:
    pairs = [[asyncio.run(_run(name, ours)) for ours in (False, True)] for _ in range(repeats)]
    stock, ours = zip(*pairs, strict=True)
    traced = [asyncio.run(_run(name, ours, traced=True)) for ours in (False, True)] if memory else []
    return Row(
        graph=name,
        tasks=ours[0].tasks,
        stock_seconds=statistics.median(run.seconds for run in stock),
        seconds=statistics.median(run.seconds for run in ours),
        ratio=statistics.median(own.seconds / other.seconds for other, own in pairs),
        piece_seconds=max(run.piece for run in ours),
        bytes_per_task=(traced[1].nbytes - traced[0].nbytes) / ours[0].tasks if memory else None,
    )


async def _run(name: str, ours: bool, traced: bool = False) -> Run:
    """Send one graph to a new scheduler."""
    preload = ["dask_regions.placement.processes.scheduler_preload"] if ours else []
    settings: dict[str, Any] = {"port": 0, "host": "127.0.0.1", "dashboard_address": ":0", "preload": preload}
    async with Scheduler(**settings) as scheduler:
        with _workers(scheduler.address):
            async with Client(scheduler.address, asynchronous=True) as client:
                await client.wait_for_workers(4, timeout=_START_SECONDS)
                return await _arrive(scheduler, client, name, ours, traced)


@contextmanager
def _workers(address: str) -> Iterator[None]:
    command = [
        "-m",
        "distributed.cli.dask_worker",
        address,
        "--nthreads",
        "1",
        "--no-nanny",
        "--no-dashboard",
    ]
    command += ["--preload", "dask_regions.placement.processes.worker_preload"]
    processes = [
        subprocess.Popen(
            [sys.executable, *command, "--resources", f"region-{region}=1"],
            env={**os.environ, "AWS_REGION": region},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for region in (WEST, WEST, EAST, EAST)
    ]
    try:
        yield
    finally:
        for process in processes:
            process.kill()  # their tasks never end
            process.wait()


async def _arrive(scheduler: Scheduler, client: Client, name: str, ours: bool, traced: bool) -> Run:
    arrived: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    def on_event(event: tuple[float, Any]) -> None:
        message = event[1]
        if isinstance(message, dict) and message.get("action") == "update-graph" and not arrived.done():
            arrived.set_result(message["metrics"]["duration_seconds"])

    client.subscribe_topic("scheduler", on_event)
    await client.run_on_scheduler(int)
    pieces = _timed(scheduler) if ours else [0.0]
    array = GRAPHS[name](ours)
    gc.collect()
    if traced:
        tracemalloc.start()
    future = client.compute(array)
    seconds = await arrived
    run = Run(seconds, max(pieces), len(scheduler.tasks))
    if traced:
        gc.collect()
        run.nbytes = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
    await future.cancel()
    return run


def _timed(scheduler: Scheduler) -> list[float]:
    """Time what placement does on the event loop."""
    pieces = [0.0]
    plugin = scheduler.plugins[PlacementPlugin.name]
    update_graph = plugin.update_graph

    def timed(*args: Any, **kwargs: Any) -> None:
        start = time.perf_counter()
        update_graph(*args, **kwargs)
        pieces.append(time.perf_counter() - start)

    vars(plugin).update(update_graph=timed)
    return pieces


if __name__ == "__main__":
    main()
