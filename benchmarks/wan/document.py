"""Write the outcome into a document, between two comments."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from benchmarks.wan.network import Link
from benchmarks.wan.peers import PEERS
from benchmarks.wan.report import Cell, bars, planned, table
from benchmarks.wan.workloads import WORKLOADS, Size

__all__ = ["update"]

_BEGIN, _END = "<!-- wan: begin -->", "<!-- wan: end -->"
_PACKAGES = ("dask", "distributed", "xarray", "zarr", "flox", "numpy")


def update(
    document: Path,
    found: Mapping[tuple[str, str], Cell],
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
    found, peers, size, link
        The outcome, and of what.
    command
        That reproduces it.

    Raises
    ------
    ValueError
        Where the document lacks the comments.
    """
    before, begin, rest = document.read_text(encoding="utf-8").partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise ValueError(f"{document} lacks {_BEGIN} or {_END}; add both where the outcome belongs")
    parts = [
        _setting(link, command),
        table(found, peers, size),
        _legend(peers),
        _bars(found, size),
        _estimates(found),
        _minima(found, size),
    ]
    body = "\n\n".join(part for part in parts if part)
    document.write_text(f"{before}{_BEGIN}\n{body}\n{_END}{after}", encoding="utf-8")


def _setting(link: Link, command: str) -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    versions = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    return (
        f"`{command}`, {datetime.now(UTC):%Y-%m-%d}: round trip {link.rtt:g} ms, {link.rate:g} Mbit/s from "
        f"each Region; {os.cpu_count()} cores, {memory:.0f} GB, Linux {platform.release()}, Python "
        f"{platform.python_version()}, {versions}."
    )


def _legend(peers: Sequence[str]) -> str:
    return (
        "MB between Regions on the wire and seconds, both medians; the quartiles of the seconds in "
        "parentheses. " + " ".join(f"*{name}*: {PEERS[name].title}." for name in peers)
    )


def _bars(found: Mapping[tuple[str, str], Cell], size: Size) -> str:
    rows = [
        f"| {verdict.bar} | {'met' if verdict.met else '**missed**'} | {verdict.sentence} |"
        for verdict in bars(found, size)
    ]
    return "\n".join(["| bar | | |", "|---|---|---|", *rows]) if rows else ""


def _estimates(found: Mapping[tuple[str, str], Cell]) -> str:
    rows = [
        f"| {name} | {expected / 1e6:.2f} | {metered / 1e6:.2f} |"
        for name, expected, metered in planned(found)
    ]
    head = ["| `dask_regions.plan` | expected MB | metered MB |", "|---|---|---|"]
    return "\n".join([*head, *rows]) if rows else ""


def _minima(found: Mapping[tuple[str, str], Cell], size: Size) -> str:
    names = dict.fromkeys(workload for workload, _ in found)
    rows = [f"| {name} | {WORKLOADS[name].minimum(size):,} | {WORKLOADS[name].reason} |" for name in names]
    return "\n".join(["| workload | fewest bytes that cross | why |", "|---|---|---|", *rows])
