"""What passes between a sync and an engine: what is known of sources, what changed, and how Regions ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Known", "Put", "RegionOutcome", "Remove"]


@dataclass(frozen=True)
class Known:
    """What the live generation knows of a source: a store or a file in a Region's bucket.

    Attributes
    ----------
    source
        Its key or prefix.
    fingerprint
        Changes whenever the source does.
    item_id
        Id of the Item made from it; None where it was skipped.
    reason
        Why it was skipped.
    """

    source: str
    fingerprint: str
    item_id: str | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Put:
    """A source that is new or has changed: its Item, or why there is none."""

    source: str
    fingerprint: str
    item: Mapping[str, Any] | None
    reason: str | None = None


@dataclass(frozen=True)
class Remove:
    """A source that is gone, with its Item."""

    source: str


@dataclass(frozen=True)
class RegionOutcome:
    """What a Region has to have in the new generation, or why its part of the sync failed.

    It is not what is stored: that is counted by the engine, and compared with this.

    Attributes
    ----------
    items
        Collection to the number of Items that the Region has to have in the new generation.
    error
        What went wrong; the Region then keeps what it has in the live generation.
    """

    items: Mapping[str, int] = field(default_factory=dict)
    error: str | None = None
