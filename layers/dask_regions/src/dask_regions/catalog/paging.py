"""Order of a search's Items, and the opaque token that continues it after a given Item."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from dask_regions.catalog.filter import Sql
from dask_regions.catalog.query import SearchQuery
from dask_regions.catalog.queryables import QUERYABLES
from dask_regions.errors import RequestError

__all__ = ["After", "SortColumn", "after", "decode", "directions", "encode", "order"]


class SortColumn(NamedTuple):
    """An SQL expression that is never NULL, and its direction."""

    expression: str
    descending: bool = False


class After(NamedTuple):
    """The generation of the catalog that a token continues in, and the last Item's sort values."""

    generation: str
    values: tuple[Any, ...]


def order(query: SearchQuery) -> list[SortColumn]:
    """Return the columns that order a search; Collection and id at the end leave no ties.

    Items without a value come last in both directions. ``datetime`` means where an Item begins, so
    that intervals are in order too.
    """
    columns: list[SortColumn] = []
    for key in query.sortby:
        descending, name = key.direction == "desc", QUERYABLES[key.field].column
        if key.field == "datetime":
            columns.append(SortColumn("began", descending))
        elif key.field in ("id", "collection"):
            columns.append(SortColumn(name, descending))
        else:
            columns += [SortColumn(f"({name} IS NULL)"), SortColumn(f"coalesce({name}, '')", descending)]
    columns = columns or [SortColumn("began", descending=True)]
    ordered = {column.expression for column in columns}
    tiebreak = (QUERYABLES["collection"].column, QUERYABLES["id"].column)
    return columns + [SortColumn(name) for name in tiebreak if name not in ordered]


def after(columns: Sequence[SortColumn], values: Sequence[Any]) -> Sql:
    """Return the condition that an Item comes after the one with these sort values."""
    text, bound = "0", tuple[Any, ...]()
    for column, value in zip(reversed(columns), reversed(values), strict=True):
        comparison = "<" if column.descending else ">"
        text = f"({column.expression} {comparison} ? OR ({column.expression} = ? AND {text}))"
        bound = (value, value, *bound)
    # Implied by the rest; it lets SQLite seek in the index.
    first = "<=" if columns[0].descending else ">="
    return Sql(f"({columns[0].expression} {first} ? AND {text})", (values[0], *bound))


def directions(columns: Sequence[SortColumn]) -> str:
    """Return the columns as the text of an ORDER BY."""
    return ", ".join(f"{column.expression} {'DESC' if column.descending else 'ASC'}" for column in columns)


def encode(query: SearchQuery, position: After) -> str:
    """Return the token of the next page."""
    content = json.dumps([query.fingerprint, position.generation, position.values])
    return base64.urlsafe_b64encode(content.encode()).decode().rstrip("=")


def decode(query: SearchQuery, columns: Sequence[SortColumn]) -> After | None:
    """Return where the query's token continues; None where it has no token.

    Raises
    ------
    RequestError
        Naming ``token``, where it is not one of ours or belongs to another search.
    """
    if query.token is None:
        return None
    try:
        padded = query.token + "=" * (-len(query.token) % 4)
        text = base64.b64decode(padded, altchars=b"-_", validate=True).decode()
        fingerprint, generation, values = json.loads(text)
        json.dumps([generation, values], ensure_ascii=False).encode()
        sound = len(values) == len(columns) and all(isinstance(value, (str, bool, int)) for value in values)
    except (ValueError, TypeError, RecursionError) as error:
        raise RequestError("token", "is not a token of this API; follow the next link") from error
    if (
        not sound
        or not isinstance(generation, str)
        or not all(abs(v) < 2 for v in values if isinstance(v, int))
    ):
        raise RequestError("token", "is not a token of this API; follow the next link")
    if fingerprint != query.fingerprint:
        raise RequestError("token", "belongs to another search; follow the next link of this one")
    return After(generation, tuple(values))
