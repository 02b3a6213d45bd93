"""One validated search, made from the parameters of a GET or the body of a POST."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from dask_regions.catalog import filter as cql2_filter
from dask_regions.catalog import geometry, parameters
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
from dask_regions.catalog.query_extension import parse_query
from dask_regions.catalog.queryables import BEGAN, ENDED, QUERYABLES, Queryable, find
from dask_regions.catalog.timestamps import Interval, parse_interval
from dask_regions.errors import RequestError

__all__ = ["MAXIMUM_LIMIT", "PARAMETERS", "Fields", "Order", "SearchQuery", "SortKey"]

#: Items on one page at most; a larger limit is lowered to it, as OGC API - Features asks.
MAXIMUM_LIMIT = 1000
_CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
# OpenSearch takes 65,536 in one list.
_MAXIMUM_IDS = 50_000


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


class SortKey(BaseModel):
    """One entry of ``sortby``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    field: str
    direction: Literal["asc", "desc"] = "asc"

    @field_validator("field")
    @classmethod
    def _sortable(cls, value: str) -> str:
        queryable = find(value, "sortby")
        if queryable.kind == "strings":
            raise RequestError("sortby", f"{value!r} is an array and has no order; choose another property")
        return queryable.name


class Fields(BaseModel):
    """Which members of Items to answer with; dotted paths such as ``properties.scenario``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    include: tuple[str, ...] | None = ()
    exclude: tuple[str, ...] | None = ()


class SearchQuery(BaseModel):
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

    model_config = ConfigDict(extra="forbid", frozen=True)

    collections: tuple[str, ...] | None = Field(default=None, max_length=_MAXIMUM_IDS)
    ids: tuple[str, ...] | None = Field(default=None, max_length=_MAXIMUM_IDS)
    bbox: tuple[float, float, float, float] | None = None
    intersects: dict[str, Any] | None = None
    datetime: Interval | None = None
    filter: Any = None
    query: Any = None
    q: Any = None
    sortby: tuple[SortKey, ...] = Field(default=(), max_length=5)
    fields: Fields | None = None
    limit: int = 10
    token: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _together(cls, values: Any) -> Any:
        values = dict(values)
        language, crs = values.pop("filter-lang", None), values.pop("filter-crs", None)
        if crs not in (None, _CRS84):
            raise RequestError("filter-crs", f"only {_CRS84} is supported; leave it out")
        language = cql2_filter.checked(language) if language is not None else "cql2-json"
        if values.get("filter") is not None:
            values["filter"] = cql2_filter.parse(values["filter"], language)
        if values.get("bbox") is not None and values.get("intersects") is not None:
            raise RequestError("intersects", "cannot be combined with bbox; leave one of them out")
        return values

    @field_validator("bbox", mode="before")
    @classmethod
    def _bbox(cls, value: Any) -> Any:
        return None if value is None else parameters.bbox(value)

    @field_validator("intersects", mode="before")
    @classmethod
    def _intersects(cls, value: Any) -> Any:
        return None if value is None else geometry.parse(value, "intersects")

    @field_validator("datetime", mode="before")
    @classmethod
    def _datetime(cls, value: Any) -> Any:
        if value is None or isinstance(value, Interval):
            return value
        if not isinstance(value, str):
            raise RequestError("datetime", f"must be text, not {value!r}")
        return parse_interval(value)

    @field_validator("query", mode="before")
    @classmethod
    def _query(cls, value: Any) -> Any:
        return None if value is None else parse_query(value)

    @field_validator("q", mode="before")
    @classmethod
    def _q(cls, value: Any) -> Any:
        return None if value is None else parameters.phrases(value)

    @field_validator("limit", mode="before")
    @classmethod
    def _limit(cls, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise RequestError("limit", f"must be a whole number from 1 to {MAXIMUM_LIMIT}, not {value!r}")
        return min(value, MAXIMUM_LIMIT)

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
            yield Spatial("s_intersects", geometry.from_bbox(*self.bbox))
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
            Order(BEGAN if key.field == "datetime" else QUERYABLES[key.field], key.direction == "desc")
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

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy, with other values for some parameters; they are not checked."""
        copied = super().model_copy(update=update, deep=deep)
        for name in ("condition", "order", "fingerprint"):
            # What was made from the parameters before is copied too.
            copied.__dict__.pop(name, None)
        return copied

    @classmethod
    def from_parameters(cls, given: Mapping[str, str]) -> SearchQuery:
        """Make a query from the decoded parameters of a GET."""
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
        return cls._validated(values)

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> SearchQuery:
        """Make a query from the members of the JSON body of a POST; null counts as absent."""
        if values.get("fields", {}) is None:
            # stac-api-validator expects it; the extension gives null a meaning inside of fields only.
            raise RequestError("fields", "is null; leave it out, or give an object with include and exclude")
        values = {name: value for name, value in values.items() if value is not None}
        if isinstance(values.get("collections"), str):
            values["collections"] = [values["collections"]]
        return cls._validated(values)

    @classmethod
    def _validated(cls, values: dict[str, Any]) -> SearchQuery:
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            detail = error.errors()[0]
            name = str(detail["loc"][0]) if detail["loc"] else "body"
            if detail["type"] == "extra_forbidden" and len(detail["loc"]) == 1:
                raise RequestError(name, f"is not a parameter; there are {', '.join(PARAMETERS)}") from error
            raise RequestError(name, detail["msg"]) from error


#: Every parameter of a search, as callers write them.
PARAMETERS = (*SearchQuery.model_fields, "filter-lang", "filter-crs")
