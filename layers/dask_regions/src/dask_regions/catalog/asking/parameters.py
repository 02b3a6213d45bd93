"""Every parameter of a search, declared once: where it may occur, how it is read, and what it selects.

From this table come the routes' parameters (:mod:`dask_regions.catalog.web.routes`), the OpenAPI document and
:class:`~dask_regions.catalog.asking.query.SearchQuery`, which has a field of the same name, unless its
``_together`` uses the parameter up, as it does ``filter-lang`` and ``filter-crs``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, TypeAlias

from dask_regions import boxes
from dask_regions.boxes import BoundingBox
from dask_regions.catalog import geometry
from dask_regions.catalog.asking import aggregation, values
from dask_regions.catalog.asking.cql2 import filter as cql2_filter
from dask_regions.catalog.asking.query_extension import parse_query
from dask_regions.catalog.expression import (
    Always,
    Comparison,
    Expression,
    In,
    Property,
    Spatial,
    Text,
    Value,
)
from dask_regions.catalog.queryables import BEGAN, ENDED, QUERYABLES
from dask_regions.catalog.timestamps import Interval
from dask_regions.http.bodies import decode_json
from dask_regions.http.parameters import Parameter, Schema

__all__ = ["TABLE", "SearchParameter", "of_search"]

Search: TypeAlias = Literal["items", "collections", "aggregate"]

_ITEMS: Sequence[Search] = ("items", "aggregate")
_PAGES: Sequence[Search] = ("items", "collections")
_ALL: Sequence[Search] = ("items", "collections", "aggregate")

_TEXT: Schema = {"type": "string"}
_TEXTS: Schema = {"type": "array", "items": _TEXT}
_JSON: Schema = {"type": "string", "format": "json"}
_OBJECT: Schema = {"type": "object"}
_PATHS: Schema = {"type": "array", "items": _TEXT, "nullable": True}
_SORT_KEY: Schema = {
    "type": "object",
    "required": ["field"],
    "properties": {"field": _TEXT, "direction": {"type": "string", "enum": ["asc", "desc"]}},
}
_BOX: Schema = {"type": "array", "items": {"type": "number"}, "minItems": 4, "maxItems": 6}
_TIME: Schema = {"type": "string", "example": "2070-01-01T00:00:00Z/.."}
_LANGUAGE: Schema = {"type": "string", "enum": ["cql2-text", "cql2-json"]}
_REFERENCE_SYSTEM: Schema = {"type": "string", "enum": [values.CRS84]}
_LIMIT: Schema = {"type": "integer", "minimum": 1}
_AGGREGATIONS: Schema = {
    "type": "array",
    "items": {"type": "string", "enum": [aggregation.TOTAL, *aggregation.AGGREGATIONS]},
}


def _selects_all(_: Any) -> Iterator[Expression]:
    yield from ()


@dataclass(frozen=True, kw_only=True)
class SearchParameter(Parameter):
    """One parameter of searches.

    Attributes
    ----------
    searches
        Those that take it: of Items, of Collections, and the counting of Items.
    costly
        Whether it can make a search take long. Of several, the later in the table is told to the caller.
    selects
        The conditions that a parsed value puts on what is found; by default none.
    """

    searches: Sequence[Search]
    costly: bool = False
    selects: Callable[[Any], Iterable[Expression]] = _selects_all


def of_search(search: Search) -> tuple[SearchParameter, ...]:
    """Return the parameters of one kind of search."""
    return tuple(parameter for parameter in TABLE if search in parameter.searches)


def _one_of(queryable: str, texts: Sequence[str]) -> Iterator[Expression]:
    named = Property(QUERYABLES[queryable])
    yield In(named, tuple(dict.fromkeys(texts))) if texts else Always(value=False)


def _in_box(box: BoundingBox) -> Iterator[Expression]:
    yield Spatial("s_intersects", boxes.geometry(box, both_sides=True))


def _intersecting(geojson: dict[str, Any]) -> Iterator[Expression]:
    yield Spatial("s_intersects", geojson)


def _within(interval: Interval) -> Iterator[Expression]:
    if interval.end is not None:
        yield Comparison("<=", Property(BEGAN), Value(interval.end))
    if interval.start is not None:
        yield Comparison(">=", Property(ENDED), Value(interval.start))


def _saying(phrases: tuple[tuple[str, ...], ...]) -> Iterator[Expression]:
    yield Text(phrases)


def _itself(condition: Expression) -> Iterator[Expression]:
    yield condition


#: Every parameter, in the order in which they are listed to callers.
TABLE: tuple[SearchParameter, ...] = (
    SearchParameter(
        name="aggregations",
        description="What to count.",
        searches=("aggregate",),
        query=_AGGREGATIONS,
        body=_AGGREGATIONS,
        parse=aggregation.chosen,
    ),
    SearchParameter(
        name="collections",
        description="Ids of Collections; below a Collection, only its own.",
        searches=_ITEMS,
        query=_TEXTS,
        body=_TEXTS,
        decode=values.split,
        parse=values.collections,
        selects=partial(_one_of, "collection"),
    ),
    SearchParameter(
        name="ids",
        description="Ids of Items.",
        searches=_ITEMS,
        query=_TEXTS,
        body=_TEXTS,
        decode=values.split,
        parse=partial(values.texts, "ids"),
        selects=partial(_one_of, "id"),
    ),
    SearchParameter(
        name="intersects",
        description="GeoJSON geometry; not together with bbox.",
        searches=_ITEMS,
        query=_JSON,
        body=_OBJECT,
        decode=partial(decode_json, parameter="intersects"),
        parse=partial(geometry.parse, parameter="intersects"),
        selects=_intersecting,
        costly=True,
    ),
    SearchParameter(
        name="bbox",
        description=(
            "West, south, east, north in degrees, or with heights; west above east crosses the antimeridian."
        ),
        searches=_ALL,
        query=_BOX,
        body=_BOX,
        decode=values.split,
        parse=boxes.parse,
        selects=_in_box,
    ),
    SearchParameter(
        name="datetime",
        description=(
            "Instant, start/end, start/.. or ../end (RFC 3339), which intersects that of what is found."
        ),
        searches=_ALL,
        query=_TIME,
        body=_TIME,
        decode=values.decode_timestamps,
        parse=values.interval,
        selects=_within,
    ),
    SearchParameter(
        name="q",
        description="Free text: any of these texts, each of which is words that follow each other.",
        searches=_ALL,
        query=_TEXTS,
        body=_TEXTS,
        decode=values.split,
        parse=values.phrases,
        selects=_saying,
        costly=True,
    ),
    SearchParameter(
        name="query",
        description="Query extension.",
        searches=_ALL,
        query=_JSON,
        body=_OBJECT,
        decode=partial(decode_json, parameter="query"),
        parse=parse_query,
        selects=_itself,
        costly=True,
    ),
    SearchParameter(
        # It is read together with filter-lang, and so decoded by SearchQuery.
        name="filter",
        description="CQL2; /queryables lists what it may name.",
        searches=_ALL,
        query={"type": "string", "example": "a_contains(variables, 'air_temperature') AND scenario = 'A1B'"},
        body={},
        parse=cql2_filter.parse_filter,
        selects=_itself,
        costly=True,
    ),
    SearchParameter(
        name="filter-lang",
        description="Of filter; by default cql2-text in a query string and cql2-json in a body.",
        searches=_ALL,
        query=_LANGUAGE,
        body=_LANGUAGE,
        parse=cql2_filter.checked,
    ),
    SearchParameter(
        name="filter-crs",
        description="Of filter.",
        searches=_ALL,
        query=_REFERENCE_SYSTEM,
        body=_REFERENCE_SYSTEM,
        parse=values.reference_system,
    ),
    SearchParameter(
        name="sortby",
        description=(
            "Queryables, in a query string with a minus sign for descending order; "
            "what has no value comes last."
        ),
        searches=_PAGES,
        query={
            "type": "array",
            "items": _TEXT,
            "maxItems": values.MAXIMUM_SORT_KEYS,
            "example": ["-datetime"],
        },
        body={"type": "array", "items": _SORT_KEY, "maxItems": values.MAXIMUM_SORT_KEYS},
        decode=values.decode_sort_keys,
        parse=values.sort_keys,
    ),
    SearchParameter(
        name="fields",
        description=(
            "Members to answer with; in a query string with a minus sign before those to leave out."
        ),
        searches=_PAGES,
        query={"type": "array", "items": _TEXT, "example": ["id", "properties.scenario", "-assets"]},
        body={"type": "object", "properties": {"include": _PATHS, "exclude": _PATHS}},
        decode=values.decode_fields,
        parse=values.fields,
    ),
    SearchParameter(
        name="limit",
        description=(
            f"Of the page; larger ones are lowered to {values.MAXIMUM_LIMIT}. "
            "A page ends early where it would not fit."
        ),
        searches=_PAGES,
        query=_LIMIT,
        body=_LIMIT,
        decode=values.decode_limit,
        parse=values.limit,
    ),
    SearchParameter(
        name="token",
        description="Of the next page: follow the link next.",
        searches=_PAGES,
        query=_TEXT,
        body=_TEXT,
        parse=values.token,
    ),
)
