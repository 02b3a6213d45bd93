"""Measure ``update_graph`` with and without placement: ``python -m benchmarks.planning``.

Both schedulers run in this process, one after the other, several times, on graphs of some 100,000 tasks.
The stock scheduler gets the same graph without marks. Workers are processes of their own, and no task
ever ends, so that what is measured is the arrival of the graph alone.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import statistics
import subprocess
import sys
import time
import tracemalloc
from dataclasses import dataclass
from typing import Any

import dask.array as da
from distributed import Client, Scheduler

from benchmarks.planning.graphs import EAST, GRAPHS, WEST

CLIENT = "eu-west-2"


@dataclass
class Run:
    """One arrival of a graph: seconds of ``update_graph``, longest seconds of event loop in placement."""

    seconds: float
    loop: float
    tasks: int
    nbytes: float


def _worker(address: str, region: str) -> subprocess.Popen[bytes]:
    command = ["-m", "distributed.cli.dask_worker", address, "--nthreads", "1", "--no-nanny"]
    command += ["--no-dashboard", "--resources", f"region-{region}=1"]
    command += ["--preload", "dask_regions.placement.worker_preload"]
    return subprocess.Popen(
        [sys.executable, *command],
        env={**os.environ, "AWS_REGION": region},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


async def measure(name: str, ours: bool, traced: bool) -> Run:
    """Send one graph to a new scheduler."""
    preload = ["dask_regions.placement.preload"] if ours else []
    async with Scheduler(port=0, host="127.0.0.1", dashboard_address=":0", preload=preload) as scheduler:
        workers = [_worker(scheduler.address, region) for region in (WEST, WEST, EAST, EAST)]
        try:
            async with Client(scheduler.address, asynchronous=True) as client:
                await client.wait_for_workers(len(workers), timeout=120)
                return await _arrive(scheduler, client, GRAPHS[name](ours), ours, traced)
        finally:
            for worker in workers:
                worker.kill()
                worker.wait()


async def _arrive(scheduler: Scheduler, client: Client, array: da.Array, ours: bool, traced: bool) -> Run:
    pieces = _time_pieces(scheduler) if ours else [0.0]
    gc.collect()
    if traced:
        tracemalloc.start()
    future = client.compute(array)
    before = 0
    while not (events := _arrivals(scheduler)):
        await asyncio.sleep(0.05)
    nbytes = 0.0
    if traced:
        gc.collect()
        nbytes = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()
    run = Run(events[0]["metrics"]["duration_seconds"], max(pieces), len(scheduler.tasks), nbytes)
    future.cancel()
    return run


def _arrivals(scheduler: Scheduler) -> list[dict[str, Any]]:
    return [
        event
        for _, event in scheduler.get_events("scheduler")
        if isinstance(event, dict) and event.get("action") == "update-graph"
    ]


def _time_pieces(scheduler: Scheduler) -> list[float]:
    """Time what placement does on the event loop."""
    pieces: list[float] = [0.0]
    plugin = scheduler.plugins["dask-regions-placement"]
    update_graph = plugin.update_graph

    def timed(*args: Any, **kwargs: Any) -> None:
        start = time.perf_counter()
        update_graph(*args, **kwargs)
        pieces.append(time.perf_counter() - start)

    plugin.update_graph = timed
    return pieces


async def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--graphs", help="part of a graph's name", default="")
    parser.add_argument("--json", help="where to write the runs")
    arguments = parser.parse_args()
    rows = []
    print("| graph | tasks | stock s | ours s | ratio | longest piece ms | bytes a task |")
    print("|---|---|---|---|---|---|---|")
    for name in GRAPHS:
        if arguments.graphs not in name:
            continue
        runs: dict[bool, list[Run]] = {False: [], True: []}
        for _ in range(arguments.repeats):
            for ours in (False, True):
                runs[ours].append(await measure(name, ours, traced=False))
        memory = [(await measure(name, ours, traced=True)).nbytes for ours in (False, True)]
        stock, own = (statistics.median(run.seconds for run in runs[ours]) for ours in (False, True))
        ratio = statistics.median(b.seconds / a.seconds for a, b in zip(runs[False], runs[True], strict=True))
        tasks = runs[True][0].tasks
        row = {
            "graph": name,
            "tasks": tasks,
            "stock": stock,
            "ours": own,
            "ratio": ratio,
            "piece": max(run.loop for run in runs[True]),
            "bytes": (memory[1] - memory[0]) / tasks,
        }
        rows.append(row)
        print(
            f"| `{name}` | {tasks:,} | {stock:.2f} | {own:.2f} | {ratio:.3f} "
            f"| {row['piece'] * 1000:.0f} | {row['bytes']:.0f} |",
            flush=True,
        )
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump(rows, file, indent=1)


if __name__ == "__main__":
    asyncio.run(_main())
