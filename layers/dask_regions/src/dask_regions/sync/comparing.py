"""Compare what a bucket lists with what the catalog knows: two streams in the order of their keys."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, TypeVar

from dask_regions.catalog.changes import Known
from dask_regions.harvest.base import Source

__all__ = ["Pair", "compare"]


_T = TypeVar("_T")


class Pair(NamedTuple):
    """A source as it is listed, and as it is known; one of them may be absent."""

    listed: Source | None
    known: Known | None

    @property
    def key(self) -> str:
        """Key of the source."""
        if self.listed is not None:
            return self.listed.key
        assert self.known is not None
        return self.known.source

    @property
    def unchanged(self) -> bool:
        """Whether the source is listed as it is known."""
        return (
            self.listed is not None
            and self.known is not None
            and self.listed.fingerprint == self.known.fingerprint
        )


def compare(listed: Iterable[Source], known: Iterable[Known]) -> Iterator[Pair]:
    """Yield every source that is listed or known, once, in order; holds one of each.

    Raises
    ------
    ValueError
        Where a stream is not in order, which would make Items look gone.
    """
    there = _ordered(listed, lambda source: source.key, "listing")
    before = _ordered(known, lambda item: item.source, "catalog")
    source, old = next(there, None), next(before, None)
    while source is not None or old is not None:
        if old is None or (source is not None and source.key < old.source):
            yield Pair(source, None)
            source = next(there, None)
        elif source is None or old.source < source.key:
            yield Pair(None, old)
            old = next(before, None)
        else:
            yield Pair(source, old)
            source, old = next(there, None), next(before, None)


def _ordered(entries: Iterable[_T], key: Callable[[_T], str], what: str) -> Iterator[_T]:
    previous: str | None = None
    for entry in entries:
        if previous is not None and key(entry) <= previous:
            raise ValueError(f"the {what} is not in the order of keys: {key(entry)!r} after {previous!r}")
        previous = key(entry)
        yield entry
