"""Run the benchmark: ``python -m benchmarks.wan --help``."""

from __future__ import annotations

import json
import shlex
import signal
import sys
import tempfile
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import xarray as xr

from benchmarks.wan.cluster import Cluster, TimeLimitError
from benchmarks.wan.document import update
from benchmarks.wan.network import ROOT, Link, check_machine
from benchmarks.wan.peers import PEERS
from benchmarks.wan.report import Run, as_json, bars, cells, planned, table
from testing.workload_data import VARIABLE, make
from testing.workloads import FULL_SIZE, SMALL_SIZE, WORKLOADS, Size

__all__ = ["main"]

#: Run once by every peer before anything is measured: connections are open and code is imported after it.
_WARM_UP = "i"


def _names(known: Mapping[str, object]) -> click.ParamType:
    class Names(click.ParamType):
        name = "names"

        def convert(
            self, value: object, param: click.Parameter | None, ctx: click.Context | None
        ) -> list[str]:
            chosen = list(known) if value == "all" else str(value).split(",")
            unknown = [name for name in chosen if name not in known]
            if unknown:
                self.fail(f"unknown: {', '.join(unknown)}; choose from {', '.join(known)}", param, ctx)
            return chosen

    return Names()


@click.command()
@click.option("--workloads", type=_names(WORKLOADS), default="all", help=f"of {','.join(WORKLOADS)}")
@click.option("--peers", type=_names(PEERS), default="all", help=f"of {','.join(PEERS)}")
@click.option("--repeats", default=5, show_default=True, help="runs of each workload by each peer")
@click.option("--rtt", default=80.0, show_default=True, help="round trip between Regions, in ms")
@click.option("--rate", default=200.0, show_default=True, help="what each Region can send, in Mbit/s")
@click.option("--seconds", default=300.0, show_default=True, help="limit of a single run")
@click.option("--small", is_flag=True, help="datasets of 8 MB instead of 200 MB")
@click.option("--trace", is_flag=True, help="tell when each kind of task ran, and where")
@click.option("--output", type=click.Path(path_type=Path), default=ROOT / ".cache/wan/runs.json")
@click.option("--data", type=click.Path(path_type=Path), default=ROOT / ".cache/wan", help="for the datasets")
@click.option(
    "--document",
    type=click.Path(path_type=Path, exists=True),
    help="gets the tables, e.g. docs/benchmarks.md",
)
def main(
    workloads: Sequence[str],
    peers: Sequence[str],
    repeats: int,
    rtt: float,
    rate: float,
    seconds: float,
    small: bool,
    trace: bool,
    output: Path,
    data: Path,
    document: Path | None,
) -> None:
    """Measure what crosses between Regions, and how long it takes, against peers."""
    if lacking := check_machine():
        raise click.ClickException(lacking)
    # Like Ctrl-C: leave through the context managers.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    size, link = SMALL_SIZE if small else FULL_SIZE, Link(rtt, rate)
    order = _Order(workloads, peers, repeats, seconds, trace)
    runs = []
    with closing(_measure(order, make(data, size), link)) as measured:
        for run in measured:
            _show(run)
            runs.append(run)
            output.parent.mkdir(parents=True, exist_ok=True)
            output.write_text(json.dumps(as_json(runs), indent=1), encoding="utf-8")
    _conclude(runs, peers, size)
    click.echo(f"\nEvery run: {output}")
    if document is not None:
        command = f'make bench-wan ARGS="{shlex.join(sys.argv[1:])}"'
        update(document, cells(runs), peers, size, link, command)


@dataclass(frozen=True)
class _Order:
    """What to run; ``seconds`` limits a run."""

    workloads: Sequence[str]
    peers: Sequence[str]
    repeats: int
    seconds: float
    trace: bool


def _measure(order: _Order, stores: Mapping[str, Path], link: Link) -> Generator[Run]:
    """Run everything, the peers in turn, so that what else the machine does meets all of them."""
    with tempfile.TemporaryDirectory(prefix="dask-regions-wan-") as temporary, ExitStack() as stack:
        directory = Path(temporary)
        expected = _expect({*order.workloads, _WARM_UP}, stores, directory)
        clusters = {}
        for peer in order.peers:
            click.echo(f"starting {peer}: {PEERS[peer].title}", err=True)
            cluster = Cluster(PEERS[peer], link, stores, expected, directory / peer)
            clusters[peer] = stack.enter_context(cluster)
            _run(cluster, peer, _WARM_UP, 0, order)
            cluster.pause()
        for repeat in range(1, order.repeats + 1):
            for workload in order.workloads:
                for peer, cluster in clusters.items():
                    cluster.resume()
                    run = _run(cluster, peer, workload, repeat, order)
                    cluster.pause()
                    yield run


def _expect(workloads: set[str], stores: Mapping[str, Path], directory: Path) -> dict[str, Path]:
    """Compute the right results in memory."""
    loaded = {
        dataset: xr.open_zarr(stores[dataset], consolidated=True, chunks=None)[VARIABLE].load()
        for dataset in {dataset for name in workloads for dataset in WORKLOADS[name].datasets}
    }
    expected = {}
    for name in workloads:
        workload = WORKLOADS[name]
        expected[name] = directory / f"{name}.npy"
        # In float64, also where the data are float32.
        arrays = [loaded[dataset].astype(float) for dataset in workload.datasets]
        np.save(expected[name], workload.build(*arrays).values)
    return expected


def _run(cluster: Cluster, peer: str, workload: str, repeat: int, order: _Order) -> Run:
    try:
        done = cluster.run(workload, order.seconds, trace=order.trace)
    except TimeLimitError as error:
        return Run(peer, workload, repeat, None, error=str(error))
    return Run(
        peer,
        workload,
        repeat,
        done["seconds"],
        done["wire"],
        done.get("transfers"),
        done.get("planned"),
        done.get("error"),
        done.get("trace", ()),
    )


def _show(run: Run) -> None:
    seconds = "no result" if run.seconds is None else f"{run.seconds:6.2f} s"
    notes = [f"{name} {nbytes / 1e6:.2f} MB" for name, nbytes in _also(run)]
    notes += [run.error] if run.error else []
    head = f"{run.repeat} {run.workload:>5} {run.peer:<7} {seconds}"
    click.echo(f"{head}  {run.crossed / 1e6:8.2f} MB  {'; '.join(notes)}")
    for prefix, region, tasks, start, stop, computing, transferring in run.trace:
        click.echo(
            f"      {start:6.2f}-{stop:6.2f} s  {prefix:<40} {region:<10} {tasks:>5} tasks  "
            f"{computing:6.2f} s computing {transferring:6.2f} s transferring"
        )


def _also(run: Run) -> Iterator[tuple[str, int]]:
    if run.metered is not None:
        yield "metered", run.metered
    if run.planned is not None:
        yield "planned", run.planned


def _conclude(runs: Sequence[Run], peers: Sequence[str], size: Size) -> None:
    results = cells(runs)
    click.echo(f"\n{table(results, peers, size)}\n")
    for verdict in bars(results, size):
        click.echo(f"{'met   ' if verdict.met else 'MISSED'} {verdict.sentence}")
    for name, expected, metered in planned(results):
        click.echo(f"{name}: {expected / 1e6:.2f} MB planned, {metered / 1e6:.2f} MB metered")


if __name__ == "__main__":
    main()
