"""From samples to a table, ratios and bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median, quantiles
from typing import Any, NamedTuple

from benchmarks.catalog.client import Load
from benchmarks.catalog.imports import Start
from benchmarks.catalog.queries import QUERIES

__all__ = ["Outcome", "Verdict", "as_json", "bars", "percentile_99", "tables"]

#: The bars of the comparison, of SQLite (seconds) and of the import.
_TIMES_BETTER, _PAGE_SECONDS, _IMPORT_SHARE = 2.0, 0.010, 0.5


@dataclass
class Outcome:
    """All that was measured; what was left out is empty.

    Attributes
    ----------
    latencies
        Query to server (``ours``, ``handler``, ``peer``) to seconds of each answer, one at a time.
    loads
        Query to server to what came of many connections.
    sqlite
        What was asked to seconds of each call of the handler.
    starts
        Subject to its start.
    differing
        Query to how the servers' answers differ; empty where they agree.
    setting
        What else there is to know, in words, by subject.
    """

    latencies: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    loads: dict[str, dict[str, Load]] = field(default_factory=dict)
    sqlite: dict[str, list[float]] = field(default_factory=dict)
    starts: dict[str, Start] = field(default_factory=dict)
    differing: dict[str, str] = field(default_factory=dict)
    setting: dict[str, str] = field(default_factory=dict)


class Verdict(NamedTuple):
    """Whether a bar is met."""

    bar: str
    met: bool
    sentence: str


def percentile_99(seconds: Sequence[float]) -> float:
    """Return the 99th percentile; the largest of fewer than 100."""
    return quantiles(seconds, n=100)[-1] if len(seconds) >= 100 else max(seconds)


def bars(outcome: Outcome) -> list[Verdict]:
    """Return the bars that these samples can tell about."""
    verdicts = []
    for name, servers in outcome.latencies.items():
        if "peer" in servers and "ours" in servers:
            verdicts.append(_faster(name, servers["ours"], servers["peer"], outcome.differing.get(name)))
    for name, loads in outcome.loads.items():
        if "peer" in loads and "ours" in loads:
            verdicts.append(_more(name, loads["ours"], loads["peer"]))
    for name, seconds in outcome.sqlite.items():
        sentence = (
            f"{name}: median {median(seconds) * 1e3:.1f} ms, p99 {percentile_99(seconds) * 1e3:.1f} ms, "
            f"{_PAGE_SECONDS * 1e3:.0f} ms allowed"
        )
        verdicts.append(Verdict("SQLite", median(seconds) <= _PAGE_SECONDS, sentence))
    if outcome.starts:
        verdicts += _starts(outcome.starts)
    return verdicts


def _faster(name: str, ours: Sequence[float], peer: Sequence[float], differing: str | None) -> Verdict:
    if differing:
        return Verdict("latency", False, f"{name}: the answers differ: {differing}")
    ratios = [median(peer) / median(ours), percentile_99(peer) / percentile_99(ours)]
    sentence = f"{name}: median {ratios[0]:.1f} times better, p99 {ratios[1]:.1f} times"
    return Verdict("latency", min(ratios) >= _TIMES_BETTER, f"{sentence}, {_TIMES_BETTER:.0f} wanted")


def _more(name: str, ours: Load, peer: Load) -> Verdict:
    ratio = ours.rate / peer.rate if peer.rate else float("inf")
    failures = f", {ours.failures} failures" if ours.failures else ""
    sentence = f"{name}: {ours.rate:.0f} answers/s, peer {peer.rate:.0f}: {ratio:.1f} times{failures}"
    return Verdict("throughput", ratio >= _TIMES_BETTER and not ours.failures, sentence)


def _starts(starts: Mapping[str, Start]) -> list[Verdict]:
    verdicts = []
    for attribute, words in (("cached", "with bytecode"), ("bare", "without bytecode")):
        ours, other = (getattr(starts[name], attribute) for name in ("ours", "FastAPI + Mangum"))
        sentence = f"{words}: {ours * 1e3:.0f} ms, FastAPI + Mangum {other * 1e3:.0f} ms: {ours / other:.2f}"
        verdicts.append(Verdict("import", ours <= _IMPORT_SHARE * other, sentence))
    return verdicts


def tables(outcome: Outcome) -> str:
    """Return everything as tables in Markdown."""
    parts = [
        _latencies(outcome.latencies),
        _loads(outcome.loads),
        _sqlite(outcome.sqlite),
        _start_table(outcome.starts),
        _bar_table(bars(outcome)),
    ]
    return "\n\n".join(part for part in parts if part)


def _latencies(latencies: Mapping[str, Mapping[str, Sequence[float]]]) -> str:
    head = ["median / p99, ms", "ours", "handler alone", "peer", "peer : ours", "peer : handler"]
    rows = []
    for name, servers in latencies.items():
        ratios = [_ratios(servers.get("peer"), servers.get(own)) for own in ("ours", "handler")]
        rows.append(
            [QUERIES[name].title, *(_ms(servers.get(s)) for s in ("ours", "handler", "peer")), *ratios]
        )
    return _table(head, rows)


def _loads(loads: Mapping[str, Mapping[str, Load]]) -> str:
    head = ["answers/s, 16 connections (median / p99, ms)", "ours", "handlers alone", "peer", "ours : peer"]
    rows = []
    for name, servers in loads.items():
        ours, peer = servers.get("ours"), servers.get("peer")
        ratio = f"{ours.rate / peer.rate:.1f}" if ours and peer and peer.rate else ""
        rows.append(
            [QUERIES[name].title, *(_rate(servers.get(s)) for s in ("ours", "handler", "peer")), ratio]
        )
    return _table(head, rows)


def _sqlite(sqlite: Mapping[str, Sequence[float]]) -> str:
    rows = [[name, _ms(seconds)] for name, seconds in sqlite.items()]
    return _table(["SQLite, handler alone", "median / p99, ms"], rows)


def _start_table(starts: Mapping[str, Start]) -> str:
    rows = [[name, f"{s.cached * 1e3:.0f}", f"{s.bare * 1e3:.0f}"] for name, s in starts.items()]
    return _table(["start of a process, ms", "with bytecode", "without"], rows)


def _bar_table(verdicts: Sequence[Verdict]) -> str:
    rows = [[v.bar, "met" if v.met else "**missed**", v.sentence] for v in verdicts]
    return _table(["bar", "", ""], rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return ""
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows])


def _ms(seconds: Sequence[float] | None) -> str:
    return f"{median(seconds) * 1e3:.1f} / {percentile_99(seconds) * 1e3:.1f}" if seconds else ""


def _ratios(peer: Sequence[float] | None, ours: Sequence[float] | None) -> str:
    if not peer or not ours:
        return ""
    return f"{median(peer) / median(ours):.1f} / {percentile_99(peer) / percentile_99(ours):.1f}"


def _rate(load: Load | None) -> str:
    if load is None or not load.latencies:
        return "" if load is None else f"none, {load.failures} failures"
    failures = f", {load.failures} failures" if load.failures else ""
    return f"{load.rate:.0f} ({_ms(load.latencies)}){failures}"


def as_json(outcome: Outcome) -> dict[str, Any]:
    """Return the outcome as it is stored."""
    return {
        "latencies": outcome.latencies,
        "loads": {
            query: {server: load._asdict() for server, load in servers.items()}
            for query, servers in outcome.loads.items()
        },
        "sqlite": outcome.sqlite,
        "starts": {name: asdict(start) for name, start in outcome.starts.items()},
        "differing": outcome.differing,
        "setting": outcome.setting,
        "bars": [verdict._asdict() for verdict in bars(outcome)],
    }
