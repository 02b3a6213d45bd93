"""Collection search: the parameters of Item search, asked of the Collections.

Collections are few and made from ``datasets.yaml`` as much as from the store, so they are searched in
memory: each is looked at as if it were an Item, by the code that both engines' Items go through, with one
behaviour whatever the engine. https://github.com/stac-api-extensions/collection-search
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

from dask_regions import boxes
from dask_regions.catalog import expression as ast
from dask_regions.catalog.asking import paging
from dask_regions.catalog.asking.evaluate import evaluate
from dask_regions.catalog.asking.query import Order, SearchQuery
from dask_regions.catalog.asking.values import SortKey
from dask_regions.catalog.indexing import Indexed, indexed
from dask_regions.catalog.queryables import BEGAN, ENDED, GEOMETRY, schema
from dask_regions.catalog.timestamps import EARLIEST, LATEST
from dask_regions.errors import RequestError
from dask_regions.names import REGIONS_FIELD

__all__ = ["QUERYABLE_NAMES", "Found", "describe", "search"]

#: A filter or a sort of Collections may name these, which every summary of a Collection has in full.
QUERYABLE_NAMES = ("id", "title", "start_datetime", "end_datetime", "regions")
_INTERNAL = (BEGAN.name, ENDED.name)
# Collections belong to no generation: what they say changes with the catalog, but not which they are.
_GENERATION = "collections"


@dataclass(frozen=True)
class Found:
    """One page of Collections.

    Attributes
    ----------
    collections
        STAC Collections.
    token
        Of the next page; None on the last.
    matched
        Number of Collections on all pages.
    """

    collections: list[dict[str, Any]]
    token: str | None
    matched: int


def describe(url: str) -> dict[str, Any]:
    """Return what filters of Collections may name, as JSON Schema that is served at `url`."""
    document = schema(url, "Queryables of Collections")
    properties = document["properties"]
    chosen = {name: properties[name] for name in (GEOMETRY, *QUERYABLE_NAMES) if name in properties}
    chosen["start_datetime"] = chosen["start_datetime"] | {"title": "Start of the earliest Item"}
    chosen["end_datetime"] = chosen["end_datetime"] | {"title": "End of the latest Item"}
    return {**document, "properties": chosen}


def search(query: SearchQuery, collections: Sequence[dict[str, Any]]) -> Found:
    """Return the Collections that match, by id where the query names no other order.

    Raises
    ------
    RequestError
        Naming ``filter``, ``query`` or ``sortby``, where it names what Collections do not have; or ``token``.
    """
    _check(query)
    if not query.sortby:
        query = replace(query, sortby=(SortKey("id"),))
    after = paging.decode(query)
    if after is not None and after.generation != _GENERATION:
        raise paging.renewed()
    subjects = ((_subject(collection), collection) for collection in collections)
    matching = [
        (_Position(query.order, subject), collection)
        for subject, collection in subjects
        if evaluate(query.condition, subject)
    ]
    matching.sort(key=lambda match: match[0])
    rest = [match for match in matching if after is None or match[0].is_after(after.values)]
    page = paging.cut([collection for _, collection in rest[: query.limit]])
    token = None
    if len(page) < len(rest):
        token = paging.encode(query, paging.After(_GENERATION, rest[len(page) - 1][0].values))
    return Found(page, token, len(matching))


def _check(query: SearchQuery) -> None:
    sorted_by = (("sortby", key.field) for key in query.sortby)
    filtered = (
        (parameter, name)
        for parameter in ("filter", "query")
        if (condition := getattr(query, parameter)) is not None
        for name in _names(condition)
    )
    for parameter, name in chain(sorted_by, filtered):
        if name not in QUERYABLE_NAMES:
            there = ", ".join(QUERYABLE_NAMES)
            raise RequestError(parameter, f"Collections have no queryable {name!r}; they have {there}")


def _names(node: Any) -> Iterator[str]:
    match node:
        case ast.And(parts) | ast.Or(parts):
            for part in parts:
                yield from _names(part)
        case ast.Not(part):
            yield from _names(part)
        case ast.Comparison(_, left, right):
            yield from chain(_names(left), _names(right))
        case ast.In(operand) | ast.Like(operand) | ast.IsNull(operand) | ast.CaseFolded(operand):
            yield from _names(operand)
        case ast.Array(_, operand):
            yield from _names(operand)
        case ast.Property(queryable):
            # Temporal functions ask for the ends of what has datetimes.
            yield from () if queryable.name in _INTERNAL else (queryable.name,)


def _subject(collection: Mapping[str, Any]) -> Indexed:
    """Look at a Collection as if it were an Item; an open end of its extent matches any time."""
    summaries = collection["summaries"]
    start, end = collection["extent"]["temporal"]["interval"][0]
    bbox = collection["extent"]["spatial"]["bbox"][0]
    values = chain.from_iterable(summary for summary in summaries.values() if isinstance(summary, list))
    properties = {
        "title": collection["title"],
        "description": collection["description"],
        "keywords": [*(value for value in values if isinstance(value, str)), collection["license"]],
        "regions": list(collection[REGIONS_FIELD]),
        "start_datetime": start or EARLIEST,
        "end_datetime": end or LATEST,
    }
    item = {"id": collection["id"], "collection": collection["id"], "bbox": bbox, "properties": properties}
    subject = indexed(item)
    for name, known in (("start_datetime", start), ("end_datetime", end)):
        if known is None:
            del subject.values[name]
    return replace(subject, geometry=boxes.geometry(boxes.flat(bbox), both_sides=True))


class _Position:
    """Where a Collection stands in an order; Collections without a value come last in both directions."""

    def __init__(self, order: Sequence[Order], subject: Indexed) -> None:
        self._order = order
        # No array can be sorted by.
        self.values: tuple[Any, ...] = tuple(subject.values.get(key.queryable.name) for key in order)

    def __lt__(self, other: _Position) -> bool:
        return other.is_after(self.values)

    def is_after(self, values: Sequence[Any]) -> bool:
        for key, mine, theirs in zip(self._order, self.values, values, strict=True):
            if mine != theirs:
                if mine is None or theirs is None:
                    return mine is None
                return bool(mine > theirs) is not key.descending
        return False
