"""From runs to a table, ratios and bars."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import exp, log
from statistics import median, quantiles
from typing import Any, NamedTuple

from testing.workloads import WORKLOADS, Size

__all__ = ["Cell", "Run", "Verdict", "as_json", "bars", "cells", "planned", "table"]

#: The bars of the crossing: so many times the minimum, and bytes of control traffic.
_FACTOR, _CONTROL = 1.1, 1_000_000
_TIMES_FASTER = 3.0


@dataclass(frozen=True)
class Run:
    """One workload, run once by one peer.

    Attributes
    ----------
    peer, workload, repeat
        What ran.
    seconds
        From building the expression to having the result; None where it failed.
    wire
        Rows of (sending Region, receiving Region, bytes of IP packets).
    transfers
        The same as ``dask_regions.transfers`` metered them; None for peers.
    planned
        Bytes that ``dask_regions.plan`` expected to cross; None where it was not asked.
    error
        Why there is no result, or how it differs from the right one.
    trace
        See ``benchmarks.wan.session``.
    """

    peer: str
    workload: str
    repeat: int
    seconds: float | None
    wire: Sequence[tuple[str, str, int]] = ()
    transfers: Sequence[tuple[str, str, int]] | None = None
    planned: int | None = None
    error: str | None = None
    trace: Sequence[Any] = field(default=(), repr=False)

    @property
    def crossed(self) -> int:
        """Bytes on the wire between Regions."""
        return sum(nbytes for source, target, nbytes in self.wire if source != target)

    @property
    def metered(self) -> int | None:
        """Bytes of results between Regions."""
        if self.transfers is None:
            return None
        return sum(nbytes for source, target, nbytes in self.transfers if source != target)


@dataclass(frozen=True)
class Cell:
    """All runs of a workload by a peer.

    Attributes
    ----------
    seconds, low, high
        Median, and the quartiles about it (the extremes, where there are fewer than four runs).
    crossed, most
        Median and largest bytes on the wire.
    error
        Of the first run that failed; then the numbers are of the others, or None.
    """

    seconds: float | None
    low: float
    high: float
    crossed: float | None
    most: int
    metered: float | None
    planned: int | None
    error: str | None

    @property
    def noise(self) -> float:
        """Seconds between the quartiles."""
        return self.high - self.low


class Verdict(NamedTuple):
    """Whether a bar is met: ``crossing`` and ``best peer`` of a workload, ``hand`` over all workloads."""

    bar: str
    workload: str | None
    met: bool
    sentence: str


def cells(runs: Iterable[Run]) -> dict[tuple[str, str], Cell]:
    """Return the cells by workload and peer."""
    grouped: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        grouped.setdefault((run.workload, run.peer), []).append(run)
    return {key: _cell(group) for key, group in grouped.items()}


def _cell(runs: Sequence[Run]) -> Cell:
    good = [run for run in runs if run.error is None and run.seconds is not None]
    error = next((run.error for run in runs if run.error is not None), None)
    seconds = [run.seconds for run in good if run.seconds is not None]
    if not seconds:
        return Cell(None, 0.0, 0.0, None, 0, None, None, error)
    low, high = min(seconds), max(seconds)
    if len(seconds) >= 4:
        low, _, high = quantiles(seconds, n=4, method="inclusive")
    metered = [run.metered for run in good if run.metered is not None]
    return Cell(
        median(seconds),
        low,
        high,
        median(run.crossed for run in good),
        max(run.crossed for run in good),
        median(metered) if metered else None,
        good[-1].planned,
        error,
    )


def table(results: Mapping[tuple[str, str], Cell], peers: Sequence[str], size: Size) -> str:
    """Return the table in Markdown: bytes and seconds of every peer, and ratios to ours."""
    head = ["workload", "minimum MB", *(f"{peer} MB / s" for peer in peers)]
    ratios = [peer for peer in peers if peer != "ours"] if "ours" in peers else []
    head += [f"{peer} : ours, s" for peer in ratios]
    rows = [head, ["---"] * len(head)]
    for name in dict.fromkeys(workload for workload, _ in results):
        workload = WORKLOADS[name]
        row = [f"{name} {workload.title}", f"{workload.minimum(size) / 1e6:.1f}"]
        row += [_text(results.get((name, peer))) for peer in peers]
        row += [_ratio(results.get((name, peer)), results.get((name, "ours"))) for peer in ratios]
        rows.append(row)
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _text(cell: Cell | None) -> str:
    if cell is None:
        return ""
    failed = f"fails: {cell.error}".replace("|", "/").replace("\n", " ") if cell.error else ""
    if cell.seconds is None or cell.crossed is None:
        return failed
    numbers = f"{cell.crossed / 1e6:.1f} / {cell.seconds:.1f} ({cell.low:.1f}-{cell.high:.1f})"
    return f"{numbers}; sometimes {failed}" if failed else numbers


def _ratio(peer: Cell | None, ours: Cell | None) -> str:
    if peer is None or ours is None or peer.seconds is None or ours.seconds is None:
        return ""
    return f"{peer.seconds / ours.seconds:.1f}"


def bars(results: Mapping[tuple[str, str], Cell], size: Size) -> list[Verdict]:
    """Return the bars of the benchmark that these cells can tell about.

    Notes
    -----
    A run on the wire is counted with all its headers and messages. Slower beyond noise is: by more than the
    larger of the two distances between quartiles.
    """
    ours = {workload: cell for (workload, peer), cell in results.items() if peer == "ours"}
    verdicts = [_crossing(name, cell, size) for name, cell in ours.items()]
    verdicts += [verdict for name, cell in ours.items() if (verdict := _best(name, cell, results))]
    speedups = {
        name: hand.seconds / cell.seconds
        for name, cell in ours.items()
        if cell.seconds and (hand := results.get((name, "hand"))) and hand.seconds
    }
    if speedups:
        mean = exp(sum(map(log, speedups.values())) / len(speedups))
        sentence = (
            f"geometric mean over {', '.join(speedups)}: {mean:.2f} times faster than hand-pinned Dask, "
            f"at least {_TIMES_FASTER:.0f} wanted"
        )
        verdicts.append(Verdict("hand", None, mean >= _TIMES_FASTER, sentence))
    return verdicts


def _crossing(name: str, cell: Cell, size: Size) -> Verdict:
    allowed = _FACTOR * WORKLOADS[name].minimum(size) + _CONTROL
    if cell.crossed is None or cell.error:
        return Verdict("crossing", name, False, f"{name}: fails: {cell.error}")
    sentence = f"{name}: {cell.crossed / 1e6:.2f} MB cross, {allowed / 1e6:.2f} MB allowed"
    return Verdict("crossing", name, cell.crossed <= allowed, sentence)


def _best(name: str, cell: Cell, results: Mapping[tuple[str, str], Cell]) -> Verdict | None:
    peers = {
        peer: other
        for (workload, peer), other in results.items()
        if workload == name and peer != "ours" and other.seconds is not None
    }
    if not peers or cell.seconds is None:
        return None
    peer, best = min(peers.items(), key=lambda item: item[1].seconds or 0.0)
    seconds = best.seconds or 0.0
    noise = max(cell.noise, best.noise)
    sentence = f"{name}: {cell.seconds:.2f} s, best peer ({peer}) {seconds:.2f} s, noise {noise:.2f} s"
    return Verdict("best peer", name, cell.seconds <= seconds + noise, sentence)


def planned(results: Mapping[tuple[str, str], Cell]) -> list[tuple[str, int, float]]:
    """Return workload, bytes expected to cross and bytes metered, where there are both."""
    return [
        (workload, cell.planned, cell.metered)
        for (workload, peer), cell in results.items()
        if peer == "ours" and cell.planned is not None and cell.metered is not None
    ]


def as_json(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Return the runs as they are stored."""
    return [asdict(run) for run in runs]
