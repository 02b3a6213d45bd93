"""Write the outcome into a document, between two comments."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from benchmarks.catalog.queries import LIMIT, QUERIES
from benchmarks.catalog.report import Outcome, tables

__all__ = ["update"]

_BEGIN, _END = "<!-- catalog: begin -->", "<!-- catalog: end -->"


def update(document: Path, outcome: Outcome, command: str) -> None:
    """Replace what is between the two comments of a document.

    Parameters
    ----------
    document
        Markdown, with ``<!-- catalog: begin -->`` and ``<!-- catalog: end -->``.
    outcome
        What was measured.
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
    parts = [_machine(command), _setting(outcome), tables(outcome), _notes(outcome)]
    body = "\n\n".join(part for part in parts if part)
    document.write_text(f"{before}{_BEGIN}\n{body}\n{_END}{after}", encoding="utf-8")


def _machine(command: str) -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return (
        f"`{command}`, {datetime.now(UTC):%Y-%m-%d}: {os.cpu_count()} cores, {memory:.0f} GB, Linux "
        f"{platform.release()}, Python {platform.python_version()}, cql2 {version('cql2')}."
    )


def _setting(outcome: Outcome) -> str:
    return "\n".join(f"- {subject}: {words}" for subject, words in outcome.setting.items())


def _notes(outcome: Outcome) -> str:
    notes = [f"- {query.title}: {query.note}." for query in QUERIES.values() if query.note]
    notes += [
        f"- {QUERIES[name].title}: **answers differ**: {how}." for name, how in outcome.differing.items()
    ]
    return "\n".join([f"Each page has {LIMIT} Items.", *notes]) if outcome.latencies else ""
