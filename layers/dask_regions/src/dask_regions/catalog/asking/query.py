"""One validated search, made from the parameters of a GET or the body of a POST."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cached_property, partial
from typing import Any, NamedTuple

from dask_regions import boxes
from dask_regions.catalog import geometry
from dask_regions.catalog.asking import filter as cql2_filter
from dask_regions.catalog.asking import parameters
from dask_regions.catalog.asking.parameters import DEFAULT_LIMIT, Fields, SortKey
from dask_regions.catalog.asking.query_extension import parse_query
from dask_regions.catalog.expression import (
    Always,
    And,
    Comparison,
    Expression,
    In,
    Property,
    Spatial,
    Text,
    Value,
)
from dask_regions.catalog.queryables import BEGAN, ENDED, QUERYABLES, Queryable
from dask_regions.catalog.timestamps import Interval
from dask_regions.errors import RequestError

__all__ = ["PARAMETERS", "Order", "SearchQuery"]

_CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"


class Order(NamedTuple):
    """One key that Items are in order of; those without a value come last in both directions.

    Attributes
    ----------
    queryable
        Texts are in order of code points, which is that of UTF-8 bytes.
    descending
        The largest first.
    """

    queryable: Queryable
    descending: bool = False

    @property
    def total(self) -> bool:
        """Whether every Item has a value."""
        return self.queryable.name in _TOTAL


_TOTAL = frozenset({"id", "collection", BEGAN.name, ENDED.name, "year"})


@dataclass(frozen=True)
class SearchQuery:
    """What is searched.

    Attributes
    ----------
    collections, ids
        Any of these; None is all.
    bbox
        West, south, east, north in degrees (CRS84); west above east crosses the antimeridian.
        Longitudes beyond 180, e.g. of a grid from 0 to 360, are turned into -180 to 180.
    intersects
        GeoJSON geometry.
    datetime
        Items whose instant or interval intersects it.
    filter
        CQL2, parsed.
    query
        Of the query extension, parsed.
    q
        Free text, parsed: any of these phrases.
    sortby
        Order of the Items; by default the latest start first, then Collection and id.
    limit
        Items on a page; 1 to 1000, default 10.
    token
        Where to go on, from the previous page's ``next`` link.

    Raises
    ------
    RequestError
        Naming the parameter that is wrong.
    """

    collections: tuple[str, ...] | None = None
    ids: tuple[str, ...] | None = None
    bbox: boxes.BoundingBox | None = None
    intersects: dict[str, Any] | None = None
    datetime: Interval | None = None
    filter: Expression | None = None
    query: Expression | None = None
    q: tuple[tuple[str, ...], ...] | None = None
    sortby: tuple[SortKey, ...] = ()
    fields: Fields | None = None
    limit: int = DEFAULT_LIMIT
    token: str | None = None

    @cached_property
    def condition(self) -> Expression:
        """What an Item has to match: every parameter that selects, as one expression."""
        parts = tuple(self._conditions())
        return And(parts) if len(parts) > 1 else parts[0] if parts else Always(value=True)

    def _conditions(self) -> Iterator[Expression]:
        for name, values in (("collection", self.collections), ("id", self.ids)):
            if values is not None:
                named = Property(QUERYABLES[name])
                yield In(named, tuple(dict.fromkeys(values))) if values else Always(value=False)
        if self.bbox is not None:
            yield Spatial("s_intersects", boxes.geometry(self.bbox, both_sides=True))
        if self.intersects is not None:
            yield Spatial("s_intersects", self.intersects)
        if self.datetime is not None and self.datetime.end is not None:
            yield Comparison("<=", Property(BEGAN), Value(self.datetime.end))
        if self.datetime is not None and self.datetime.start is not None:
            yield Comparison(">=", Property(ENDED), Value(self.datetime.start))
        if self.q is not None:
            yield Text(self.q)
        yield from (part for part in (self.query, self.filter) if part is not None)

    @cached_property
    def order(self) -> tuple[Order, ...]:
        """What Items are in order of; Collection and id at the end leave no ties."""
        keys = [
            # Intervals have no datetime, and are in order too: by where they begin.
            Order(BEGAN if key.field == "datetime" else QUERYABLES[key.field], key.descending)
            for key in self.sortby
        ] or [Order(BEGAN, descending=True)]
        keys += [Order(QUERYABLES[name]) for name in ("collection", "id")]
        first: dict[str, Order] = {}
        for key in keys:
            # Once both are among them there are no ties, and nothing more to be in order of.
            if not {"collection", "id"} <= first.keys():
                first.setdefault(key.queryable.name, key)
        return tuple(first.values())

    @cached_property
    def fingerprint(self) -> str:
        """The same for all pages of a search, whatever their size."""
        return hashlib.sha256(repr((self.condition, self.order)).encode()).hexdigest()[:16]

    @classmethod
    def from_parameters(cls, given: Mapping[str, str], *, limit: int = DEFAULT_LIMIT) -> SearchQuery:
        """Make a query from the decoded parameters of a GET; `limit` is that of a request that names none."""
        for name, value in given.items():
            if not parameters.encodable(value):
                raise RequestError(name, "is not valid UTF-8")
        values: dict[str, Any] = {
            name: value for name, value in given.items() if value or name not in PARAMETERS
        }
        for name in {"collections", "ids", "bbox", "q"} & values.keys():
            values[name] = values[name].split(",")
        # As many digits as Python reads.
        if re.fullmatch(r"[+-]?\d{1,4000}", values.get("limit", ""), re.ASCII):
            values["limit"] = int(values["limit"])
        # A plus sign that was not escaped arrives as a space.
        if "datetime" in values:
            values["datetime"] = values["datetime"].replace(" ", "+")
        if "sortby" in values:
            values["sortby"] = [parameters.sort_key(part) for part in values["sortby"].split(",")]
        if "fields" in values:
            values["fields"] = parameters.fields(values["fields"].split(","))
        for name in {"intersects", "query"} & values.keys():
            values[name] = parameters.decode_json(values[name], name)
        if "filter" in values and values.setdefault("filter-lang", "cql2-text") == "cql2-json":
            values["filter"] = parameters.decode_json(values["filter"], "filter")
        return cls._checked(values, limit)

    @classmethod
    def from_values(cls, values: Mapping[str, Any], *, limit: int = DEFAULT_LIMIT) -> SearchQuery:
        """Make a query from the members of the JSON body of a POST; null counts as absent."""
        if values.get("fields", {}) is None:
            # stac-api-validator expects it; the extension gives null a meaning inside of fields only.
            raise RequestError("fields", "is null; leave it out, or give an object with include and exclude")
        values = {name: value for name, value in values.items() if value is not None}
        if isinstance(values.get("collections"), str):
            values["collections"] = [values["collections"]]
        return cls._checked(values, limit)

    @classmethod
    def _checked(cls, values: Mapping[str, Any], limit: int) -> SearchQuery:
        for name in values:
            if name not in PARAMETERS:
                raise RequestError(name, f"is not a parameter; there are {', '.join(PARAMETERS)}")
        if values.get("filter-crs") not in (None, _CRS84):
            raise RequestError("filter-crs", f"only {_CRS84} is supported; leave it out")
        if "bbox" in values and "intersects" in values:
            raise RequestError("intersects", "cannot be combined with bbox; leave one of them out")
        language = cql2_filter.checked(values.get("filter-lang", "cql2-json"))
        checked = {name: _CHECKS[name](value) for name, value in values.items() if name in _CHECKS}
        if "filter" in values:
            checked["filter"] = cql2_filter.parse(values["filter"], language)
        return cls(**{"limit": limit, **checked})


# What a value, decoded from JSON or from text, has to be.
_CHECKS: Mapping[str, Callable[[Any], Any]] = {
    "collections": partial(parameters.texts, "collections"),
    "ids": partial(parameters.texts, "ids"),
    "bbox": boxes.parse,
    "intersects": partial(geometry.parse, parameter="intersects"),
    "datetime": parameters.interval,
    "query": parse_query,
    "q": parameters.phrases,
    "sortby": parameters.sort_keys,
    "fields": parameters.selection,
    "limit": parameters.limit,
    "token": parameters.token,
}
#: Every parameter of a search, as callers write them.
PARAMETERS = (*(field.name for field in fields(SearchQuery)), "filter-lang", "filter-crs")
