"""One validated search, made from the parameters of a GET or the body of a POST."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from dask_regions.catalog import filter as cql2_filter
from dask_regions.catalog.queryables import find
from dask_regions.catalog.timestamps import Interval, parse_interval
from dask_regions.errors import RequestError

__all__ = ["MAXIMUM_LIMIT", "PARAMETERS", "Fields", "SearchQuery", "SortKey"]

#: Items on one page at most; a larger limit is lowered to it, as OGC API - Features asks.
MAXIMUM_LIMIT = 1000
_CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
_MAXIMUM_NESTING = 60


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

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


class SearchQuery(BaseModel):
    """What is searched.

    Attributes
    ----------
    collections, ids
        Any of these; None is all.
    bbox
        West, south, east, north in degrees (CRS84); west above east crosses the antimeridian.
        Longitudes beyond 180, e.g. of a grid from 0 to 360, are turned into -180 to 180.
    datetime
        Items whose instant or interval intersects it.
    filter
        CQL2 as JSON, parsed and free of unknown properties.
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

    collections: tuple[str, ...] | None = None
    ids: tuple[str, ...] | None = None
    bbox: tuple[float, float, float, float] | None = None
    datetime: Interval | None = None
    filter: dict[str, Any] | bool | None = None
    sortby: tuple[SortKey, ...] = Field(default=(), max_length=5)
    fields: Fields | None = None
    limit: int = 10
    token: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _filter(cls, values: Any) -> Any:
        values = dict(values)
        language, crs = values.pop("filter-lang", None), values.pop("filter-crs", None)
        if crs not in (None, _CRS84):
            raise RequestError("filter-crs", f"only {_CRS84} is supported; leave it out")
        if values.get("filter") is not None:
            values["filter"] = cql2_filter.parse(
                values["filter"], "cql2-json" if language is None else language
            )
        if values.get("intersects") is not None:
            raise RequestError("intersects", "is not supported; use bbox with the geometry's bounding box")
        values.pop("intersects", None)
        return values

    @field_validator("bbox", mode="before")
    @classmethod
    def _bbox(cls, value: Any) -> Any:
        if value is None:
            return None
        numbers = [_number(number) for number in value] if isinstance(value, (list, tuple)) else []
        if len(numbers) == 6:
            numbers = [*numbers[:2], *numbers[3:5]]
        if len(numbers) != 4:
            raise RequestError("bbox", "must be 4 numbers (west,south,east,north), or 6 with heights")
        if numbers[1] > numbers[3]:
            raise RequestError("bbox", f"south {numbers[1]} is above north {numbers[3]}; swap them")
        west, east = _longitudes(numbers[0], numbers[2])
        return west, numbers[1], east, numbers[3]

    @field_validator("datetime", mode="before")
    @classmethod
    def _datetime(cls, value: Any) -> Any:
        if value is None or isinstance(value, Interval):
            return value
        if not isinstance(value, str):
            raise RequestError("datetime", f"must be text, not {value!r}")
        return parse_interval(value)

    @field_validator("limit", mode="before")
    @classmethod
    def _limit(cls, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise RequestError("limit", f"must be a whole number from 1 to {MAXIMUM_LIMIT}, not {value!r}")
        return min(value, MAXIMUM_LIMIT)

    @property
    def fingerprint(self) -> str:
        """The same for all pages of a search, whatever their size."""
        canonical = self.model_dump_json(exclude={"limit", "token", "fields"})
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, str]) -> SearchQuery:
        """Make a query from the decoded parameters of a GET."""
        for name, value in parameters.items():
            if not _encodable(value):
                raise RequestError(name, "is not valid UTF-8")
        values: dict[str, Any] = {
            name: value for name, value in parameters.items() if value or name not in PARAMETERS
        }
        for name in {"collections", "ids", "bbox"} & values.keys():
            values[name] = values[name].split(",")
        if re.fullmatch(r"[+-]?\d{1,18}", values.get("limit", ""), re.ASCII):
            values["limit"] = int(values["limit"])
        # A plus sign that was not escaped arrives as a space.
        if "datetime" in values:
            values["datetime"] = values["datetime"].replace(" ", "+")
        if "sortby" in values:
            values["sortby"] = [_sort_key(part) for part in values["sortby"].split(",")]
        if "fields" in values:
            values["fields"] = _fields(values["fields"].split(","))
        if "filter" in values and values.setdefault("filter-lang", "cql2-text") == "cql2-json":
            values["filter"] = _json(values["filter"], "filter")
        return cls._validated(values)

    @classmethod
    def from_body(cls, body: str) -> SearchQuery:
        """Make a query from the JSON body of a POST."""
        values = _json(body or "{}", "body")
        if not isinstance(values, dict):
            raise RequestError("body", 'must be a JSON object, e.g. {"collections": ["cmip6"]}')
        return cls._validated({name: value for name, value in values.items() if value is not None})

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


def _number(value: Any) -> float:
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise RequestError("bbox", f"{value!r} is not a number of degrees")
    return number


def _longitudes(west: float, east: float) -> tuple[float, float]:
    if east - west >= 360:
        return -180.0, 180.0
    west, east = ((x + 180.0) % 360.0 - 180.0 if abs(x) > 180 else x for x in (west, east))
    return west, east


def _sort_key(text: str) -> dict[str, str]:
    text = text.strip()
    return {"field": text.lstrip("+-"), "direction": "desc" if text.startswith("-") else "asc"}


def _fields(parts: list[str]) -> dict[str, list[str]]:
    parts = [part.strip() for part in parts]
    return {
        "include": [part.lstrip("+") for part in parts if part and not part.startswith("-")],
        "exclude": [part[1:] for part in parts if part.startswith("-")],
    }


def _json(text: str, parameter: str) -> Any:
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
        # Half of a surrogate pair is JSON, but no text that a store or an answer could hold.
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise RequestError(parameter, f"is not valid JSON: {error}") from error
    if _depth(value) > _MAXIMUM_NESTING:
        raise RequestError(parameter, f"is nested deeper than {_MAXIMUM_NESTING}; make it flatter")
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _depth(value: Any) -> int:
    depth, level = 0, [value]
    while level:
        depth += 1
        containers = [entry for entry in level if isinstance(entry, (dict, list))]
        level = [
            child for entry in containers for child in (entry.values() if isinstance(entry, dict) else entry)
        ]
    return depth
