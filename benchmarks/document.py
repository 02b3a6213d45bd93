"""Write the outcome of a benchmark into a document, between two comments."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

__all__ = ["machine", "replace"]


def replace(document: Path, name: str, parts: Iterable[str]) -> None:
    """Replace what is between the two comments of a document.

    Parameters
    ----------
    document
        Markdown, with ``<!-- NAME: begin -->`` and ``<!-- NAME: end -->``.
    name
        In the comments.
    parts
        Paragraphs; empty ones are left out.

    Raises
    ------
    ValueError
        Where the document lacks the comments.
    """
    opening, closing = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, begin, rest = document.read_text(encoding="utf-8").partition(opening)
    _, end, after = rest.partition(closing)
    if not begin or not end:
        raise ValueError(f"{document} lacks {opening} or {closing}; add both where the outcome belongs")
    body = "\n\n".join(part for part in parts if part)
    document.write_text(f"{before}{opening}\n{body}\n{closing}{after}", encoding="utf-8")


def machine(command: str, setting: str, *packages: str) -> str:
    """Return when, by what and on what it was measured, in one sentence."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    return (
        f"`{command}`, {datetime.now(UTC):%Y-%m-%d}: {setting}{os.cpu_count()} cores, {memory:.0f} GB, "
        f"Linux {platform.release()}, Python {platform.python_version()}, {versions}."
    )
