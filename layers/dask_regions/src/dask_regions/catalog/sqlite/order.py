"""The order of a search as ranges of an index: a page starts where the one before ended, however deep."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from dask_regions.catalog.asking.query import Order
from dask_regions.catalog.sqlite.schema import column
from dask_regions.catalog.sqlite.where import Sql, conjunction

__all__ = ["SortKey", "ranges", "sort_keys"]


class SortKey(NamedTuple):
    """A column that Items are in order of.

    Attributes
    ----------
    column
        Quoted.
    descending
        The largest first.
    total
        Whether it is never NULL.
    """

    column: str
    descending: bool
    total: bool


def sort_keys(order: Sequence[Order]) -> list[SortKey]:
    """Return the columns of a search's order; the ``place`` stands for Collection and id at its end."""
    keys = [SortKey(column(key.queryable), key.descending, key.total) for key in order]
    tiebreak = [SortKey(f'"{name}"', descending=False, total=True) for name in ("collection", "id")]
    return [*keys[:-2], SortKey("place", descending=False, total=True)] if keys[-2:] == tiebreak else keys


def ranges(keys: Sequence[SortKey], position: Sequence[Any] | None) -> Iterator[tuple[Sql, str]]:
    """Cut what comes after a position into ranges, one after the other, each with its ORDER BY.

    They are what is alike in all keys but the last and above in the last; then what is alike in all but the
    last two and above in the last but one; and so on. With one condition for all of it SQLite would walk over
    everything that is alike in the first key, and few keys tell as many Items alike as where they begin.

    Parameters
    ----------
    position
        One value per key; None for the start.
    """
    if position is None:
        yield from _from(keys, [], None)
        return
    for index in reversed(range(len(keys))):
        alike = [_equal(key, value) for key, value in zip(keys[:index], position, strict=False)]
        # After what has no value comes nothing.
        if position[index] is not None:
            yield from _from(keys[index:], alike, position[index])


def _from(keys: Sequence[SortKey], alike: list[Sql], value: Any) -> Iterator[tuple[Sql, str]]:
    head = keys[0]
    present = ", ".join((_direction(head), *map(_complete, keys[1:])))
    if value is not None:
        yield (
            conjunction([*alike, Sql(f"{head.column} {'<' if head.descending else '>'} ?", (value,))]),
            present,
        )
    elif head.total:
        yield conjunction(alike), present
    else:
        yield conjunction([*alike, Sql(f"{head.column} IS NOT NULL")]), present
    if not head.total:
        yield conjunction([*alike, Sql(f"{head.column} IS NULL")]), ", ".join(map(_complete, keys[1:]))


def _equal(key: SortKey, value: Any) -> Sql:
    return Sql(f"{key.column} IS NULL") if value is None else Sql(f"{key.column} = ?", (value,))


def _complete(key: SortKey) -> str:
    return _direction(key) if key.total else f"{key.column} IS NULL, {_direction(key)}"


def _direction(key: SortKey) -> str:
    return f"{key.column} {'DESC' if key.descending else 'ASC'}"
