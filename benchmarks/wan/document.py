"""Write the outcome into a document, between two comments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.document import machine, replace
from benchmarks.wan.network import Link
from benchmarks.wan.peers import PEERS
from benchmarks.wan.report import Cell, bars, planned, table
from testing.workloads import WORKLOADS, Size

__all__ = ["update"]

_PACKAGES = ("dask", "distributed", "xarray", "zarr", "flox", "numpy")


def update(
    document: Path,
    results: Mapping[tuple[str, str], Cell],
    peers: Sequence[str],
    size: Size,
    link: Link,
    command: str,
) -> None:
    """Replace what is between the two comments of a document.

    Parameters
    ----------
    document
        Markdown, with ``<!-- wan: begin -->`` and ``<!-- wan: end -->``.
    results, peers, size, link
        The outcome, and of what.
    command
        That reproduces it.

    Raises
    ------
    ValueError
        Where the document lacks the comments.
    """
    parts = [
        _setting(link, command),
        table(results, peers, size),
        _legend(peers),
        _bars(results, size),
        _estimates(results),
        _minima(results, size),
    ]
    replace(document, "wan", parts)


def _setting(link: Link, command: str) -> str:
    setting = f"round trip {link.rtt:g} ms, {link.rate:g} Mbit/s from each Region; "
    return machine(command, setting, *_PACKAGES)


def _legend(peers: Sequence[str]) -> str:
    return (
        "MB between Regions on the wire and seconds, both medians; the quartiles of the seconds in "
        "parentheses. " + " ".join(f"*{name}*: {PEERS[name].title}." for name in peers)
    )


def _bars(results: Mapping[tuple[str, str], Cell], size: Size) -> str:
    rows = [
        f"| {verdict.bar} | {'met' if verdict.met else '**missed**'} | {verdict.sentence} |"
        for verdict in bars(results, size)
    ]
    return "\n".join(["| bar | | |", "|---|---|---|", *rows]) if rows else ""


def _estimates(results: Mapping[tuple[str, str], Cell]) -> str:
    rows = [
        f"| {name} | {expected / 1e6:.2f} | {metered / 1e6:.2f} |"
        for name, expected, metered in planned(results)
    ]
    head = ["| `dask_regions.plan` | expected MB | metered MB |", "|---|---|---|"]
    return "\n".join([*head, *rows]) if rows else ""


def _minima(results: Mapping[tuple[str, str], Cell], size: Size) -> str:
    names = dict.fromkeys(workload for workload, _ in results)
    rows = [f"| {name} | {WORKLOADS[name].minimum(size):,} | {WORKLOADS[name].reason} |" for name in names]
    return "\n".join(["| workload | fewest bytes that cross | why |", "|---|---|---|", *rows])
