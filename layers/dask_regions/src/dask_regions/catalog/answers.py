"""What every engine answers a search with; no engine and no request is known here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["Bucket", "Page"]


@dataclass(frozen=True)
class Page:
    """One page of a search.

    Attributes
    ----------
    items
        STAC Items as they were written, copies of several Regions merged, without the API's links.
    token
        Where the next page begins; None on the last.
    matched
        Number of Items on all pages.
    """

    items: list[dict[str, Any]]
    token: str | None
    matched: int


@dataclass(frozen=True)
class Bucket:
    """A value and the number of Items that have it."""

    key: str | int
    frequency: int
