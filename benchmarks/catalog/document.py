"""Write the outcome into a document, between two comments."""

from __future__ import annotations

from pathlib import Path

from benchmarks.catalog.queries import LIMIT, QUERIES
from benchmarks.catalog.report import Outcome, tables
from benchmarks.document import machine, replace

__all__ = ["update"]


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
    parts = [machine(command, "", "cql2"), _setting(outcome), tables(outcome), _notes(outcome)]
    replace(document, "catalog", parts)


def _setting(outcome: Outcome) -> str:
    return "\n".join(f"- {subject}: {words}" for subject, words in outcome.setting.items())


def _notes(outcome: Outcome) -> str:
    notes = [f"- {query.title}: {query.note}." for query in QUERIES.values() if query.note]
    notes += [
        f"- {QUERIES[name].title}: **answers differ**: {how}." for name, how in outcome.differing.items()
    ]
    return "\n".join([f"Each page has {LIMIT} Items.", *notes]) if outcome.latencies else ""
