"""Measure the catalog beside stac-fastapi-opensearch: ``python -m benchmarks.catalog``."""

from __future__ import annotations

import json
import shlex
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import click

from benchmarks.catalog import imports, opensearch, ours, peer
from benchmarks.catalog.client import Client, post
from benchmarks.catalog.document import update
from benchmarks.catalog.items import MAX_ITEMS, Archive, configure
from benchmarks.catalog.measure import Handlers, Server, difference, latencies, loads, sqlite_pages
from benchmarks.catalog.queries import QUERIES
from benchmarks.catalog.report import Outcome, as_json, bars, percentile_99, tables

_PARTS = ("opensearch", "sqlite", "imports")


@dataclass(frozen=True)
class _Order:
    """What to run; see the command's options."""

    items: int
    sqlite_items: int
    requests: int
    seconds: float
    starts: int
    environments: int
    workers: int
    connections: int


@click.command()
@click.option("--items", default=500_000, show_default=True, type=click.IntRange(1000, MAX_ITEMS))
@click.option("--sqlite-items", default=200_000, show_default=True, type=click.IntRange(1000, MAX_ITEMS))
@click.option("--requests", default=250, show_default=True, help="of each kind, to each server")
@click.option("--seconds", default=10.0, show_default=True, help="of each kind, by 16 connections")
@click.option("--connections", default=16, show_default=True, help="at once")
@click.option("--starts", default=7, show_default=True, help="of each import")
@click.option("--environments", default=3, show_default=True, help="execution environments of our function")
@click.option("--workers", default=2, show_default=True, help="uvicorn workers of the peer")
@click.option("--parts", default=",".join(_PARTS), show_default=True, help="what to measure")
@click.option("--opensearch", "address", help="an empty server that runs already, instead of one of our own")
@click.option("--loaded", is_flag=True, help="the server has the Items of an earlier run")
@click.option("--output", type=click.Path(path_type=Path), default=ours.ROOT / ".cache/catalog/outcome.json")
@click.option(
    "--document",
    type=click.Path(path_type=Path, exists=True),
    help="gets the tables, e.g. docs/benchmarks.md",
)
def main(
    parts: str, address: str | None, loaded: bool, output: Path, document: Path | None, **sizes: float
) -> None:
    """Measure the catalog beside stac-fastapi-opensearch, SQLite, and what starting costs."""
    order, outcome = _Order(**sizes), Outcome()  # type: ignore[arg-type]
    with TemporaryDirectory(prefix="dask-regions-catalog-") as temporary:
        directory = Path(temporary)
        datasets = directory / "datasets.yaml"
        configuration = configure(datasets)
        if "opensearch" in parts:
            with opensearch.running(address) as url:
                archive = Archive(order.items, configuration)
                _compare(order, url, archive, datasets, outcome, loaded=loaded)
        if "sqlite" in parts:
            archive = Archive(order.sqlite_items, configuration)
            _sqlite(order, f"sqlite:///{directory}/catalog.sqlite", archive, datasets, outcome)
        if "imports" in parts:
            _say("starting processes")
            outcome.starts = imports.measure(datasets, order.starts)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(as_json(outcome), indent=1), encoding="utf-8")
    click.echo(f"\n{tables(outcome)}\n")
    missed = [verdict for verdict in bars(outcome) if not verdict.met]
    click.echo(f"{len(missed)} bars missed. All samples: {output}")
    if document is not None:
        update(document, outcome, f'make bench-catalog ARGS="{shlex.join(sys.argv[1:])}"')


def _compare(
    order: _Order, url: str, archive: Archive, datasets: Path, outcome: Outcome, *, loaded: bool
) -> None:
    """Load both, see whether they agree, and measure."""
    if not loaded:
        with _timed(outcome, "loading both"), ThreadPoolExecutor(1) as pool:
            own = pool.submit(ours.load, opensearch.catalog_url(url), archive, parallel=True)
            peer.load(url, archive)
            own.result()
        with _timed(outcome, "merging segments"):
            opensearch.settle(url)
    outcome.setting |= _setting(order, url)
    with _servers(order, url, datasets) as servers:
        outcome.setting["answers"] = _sizes(servers)
        for query in QUERIES.values():
            _say(query.title)
            if how := difference(query, servers["ours"], servers["peer"]):
                outcome.differing[query.name] = how
                _say(f"  the answers differ: {how}")
            outcome.latencies[query.name] = latencies(query, servers, order.requests, rounds=5)
            outcome.loads[query.name] = loads(query, servers, order.connections, order.seconds)
            _show(outcome, query.name)


@contextmanager
def _servers(order: _Order, url: str, datasets: Path) -> Iterator[Mapping[str, Server]]:
    catalog, log = opensearch.catalog_url(url), datasets.parent
    with ExitStack() as stack:
        front = stack.enter_context(ours.serving(catalog, datasets, order.environments, log / "ours.log"))
        handlers = stack.enter_context(Handlers.running(catalog, datasets, order.environments))
        other = stack.enter_context(peer.serving(url, order.workers, log / "peer.log"))
        yield {"ours": Client(front), "handler": handlers, "peer": Client(other)}


def _sqlite(order: _Order, url: str, archive: Archive, datasets: Path, outcome: Outcome) -> None:
    with _timed(outcome, "loading SQLite"):
        ours.load(url, archive)
    with Handlers.running(url, datasets, 1) as handler:
        outcome.sqlite = sqlite_pages(handler, order.sqlite_items, order.requests)


def _sizes(servers: Mapping[str, Server]) -> str:
    query = QUERIES["page 1"]
    request = post(query.path, query.bodies(1)[0])
    sizes = {name: len(json.dumps(servers[name].ask([request])[0])) for name in ("ours", "peer")}
    return (
        f"page 1 is {sizes['ours'] / 1e3:.0f} kB of JSON from ours, {sizes['peer'] / 1e3:.0f} from the peer"
    )


def _setting(order: _Order, url: str) -> dict[str, str]:
    return {
        "data": f"{order.items:,} Items in {opensearch.describe(url)}",
        "ours": f"the function behind local mode's front, {order.environments} execution environments at "
        "most, where Lambda would start one for each request under way; handlers alone: the same number "
        "of processes, without HTTP",
        "peer": f"stac-fastapi-opensearch {peer.version()}, uvicorn with {order.workers} workers, "
        + ", ".join(f"`{name}={value}`" for name, value in peer.SETTINGS.items()),
        "client": f"one process, connections kept, no compression; one at a time, then {order.connections} "
        f"for {order.seconds:g} s",
    }


def _show(outcome: Outcome, name: str) -> None:
    for server, seconds in outcome.latencies[name].items():
        load = outcome.loads[name][server]
        _say(
            f"  {server:<8} {median(seconds) * 1e3:7.1f} ms, p99 {percentile_99(seconds) * 1e3:7.1f} ms, "
            f"{load.rate:7.1f} answers/s, {load.failures} failures"
        )


@contextmanager
def _timed(outcome: Outcome, what: str) -> Iterator[None]:
    _say(what)
    start = time.monotonic()
    yield
    outcome.setting[what] = f"{time.monotonic() - start:.0f} s"


def _say(words: str) -> None:
    click.echo(f"{time.strftime('%H:%M:%S')} {words}", err=True)


if __name__ == "__main__":
    main()
