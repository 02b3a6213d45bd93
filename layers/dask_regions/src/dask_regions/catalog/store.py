"""What every engine of the catalog offers: to the API (:class:`Store`) and to a sync (:class:`Writer`).

A generation is a whole catalog. Readers see the live one; a sync builds the next beside it from the
changes alone, and shows it to readers at once. The generation before it is kept, so that searches under
way can page on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from dask_regions.catalog.asking.query import SearchQuery
from dask_regions.errors import RequestError, UnavailableError

__all__ = ["Bucket", "Known", "Outcome", "Page", "Put", "Remove", "Store", "Writer", "too_slow"]


@dataclass(frozen=True)
class Page:
    """One page of a search.

    Attributes
    ----------
    items
        STAC Items as they were written, copies of several Regions merged, without the API's links.
    token
        Of the next page; None on the last.
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


class Store(Protocol):
    """What the API needs; every answer is of one generation of the catalog."""

    def search(self, query: SearchQuery) -> Page:
        """Return one page of the Items that match, ended early where it would outgrow Lambda's answer.

        Raises
        ------
        RequestError
            Naming ``token``, where the page it asks for is gone.
        """

    def item(self, collection: str, item_id: str) -> dict[str, Any] | None:
        """Return one Item, copies of several Regions merged, or None."""

    def aggregate(self, query: SearchQuery, names: Sequence[str]) -> tuple[int, dict[str, list[Bucket]]]:
        """Return how many Items match, and per queryable the values that occur among them.

        ``names`` are queryables; an Item counts once for each value of an array. Buckets come by frequency,
        the largest first, then by key; Items without a value are in none.
        """

    def collections(self) -> list[dict[str, Any]]:
        """Return what is held per Collection, by id.

        Each has ``id``, ``items`` (count), ``bbox`` (4 degrees, or None), ``interval`` (RFC 3339) and
        ``summaries`` (queryable to the values that occur, where they are at most 100).
        """

    def freshness(self) -> dict[str, dict[str, Any]]:
        """Return per Region ``synced`` (RFC 3339, or None), ``stale`` and ``error`` (of the last sync)."""


def too_slow(query: SearchQuery, seconds: float) -> RequestError | UnavailableError:
    """Return the error of a search that was stopped: it names the parameter that can make it cheaper.

    Parameters
    ----------
    seconds
        That it was given.
    """
    given = next(
        (name for name in ("filter", "query", "q", "intersects") if getattr(query, name) is not None), None
    )
    if given is None:
        return UnavailableError(f"the search took longer than {seconds:.0f} s and was stopped; try again")
    return RequestError(
        given, f"took longer than {seconds:.0f} s to search for, and was stopped; give it fewer conditions"
    )


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
        Of the Item made from it; None where it was skipped.
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
class Outcome:
    """How a Region's part of a sync ended.

    Attributes
    ----------
    items
        Collection to the number of Items that the Region has to have in the new generation.
    error
        What went wrong; the Region then keeps what it has in the live generation.
    """

    items: Mapping[str, int] = field(default_factory=dict)
    error: str | None = None


class Writer(Protocol):
    """What a sync needs. Every method may be repeated with the same arguments, also after a crash."""

    def begin(self, generation: str, regions: Sequence[str]) -> None:
        """Start a generation that readers do not see; it is based on the live one."""

    def known(self, region: str, collection: str, prefix: str = "") -> Iterator[Known]:
        """Yield what the live generation knows of a Region's sources, in the order of their UTF-8 bytes."""

    def write(self, generation: str, region: str, collection: str, changes: Iterable[Put | Remove]) -> int:
        """Apply changes to a generation; return how many. With none, nothing is written.

        Raises
        ------
        NotFoundError
            Where the generation has not begun, is live already, or was overtaken by another.
        RequestError
            Naming the Item, where one is wrong.
        """

    def swap(
        self, generation: str, outcomes: Mapping[str, Outcome], declared: Mapping[str, Sequence[str]]
    ) -> dict[str, Any]:
        """Verify a generation and make it live; a repetition answers as before.

        Where nothing changed no generation is made: the live one is noted to be fresh.

        Parameters
        ----------
        outcomes
            Of the Regions that were synced; others keep what they have, and how fresh it is.
        declared
            Region to the Collections it holds, of every Region there is; the rest is forgotten.

        Returns
        -------
        dict
            ``generation`` (the live one), ``items`` (in all), ``regions`` (Region to count), ``changed``
            (whether a new generation was made) and ``failed`` (Region to error).

        Raises
        ------
        UnavailableError
            Where the counts do not agree with what is stored, or another sync was swapped in meanwhile;
            the live generation stays.
        """
