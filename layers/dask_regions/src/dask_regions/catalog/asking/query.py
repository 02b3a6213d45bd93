"""One validated search, made from the parameters of a GET or the body of a POST."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from dask_regions.boxes import BoundingBox
from dask_regions.catalog.asking import parameters
from dask_regions.catalog.asking.cql2 import filter as cql2_filter
from dask_regions.catalog.asking.values import CRS84, DEFAULT_LIMIT, Fields, SortKey, reference_system
from dask_regions.catalog.expression import Always, And, Expression
from dask_regions.catalog.queryables import BEGAN, ENDED, QUERYABLES, Queryable
from dask_regions.catalog.timestamps import Interval
from dask_regions.errors import RequestError
from dask_regions.http.bodies import decode_json
from dask_regions.http.parameters import decode, parse

__all__ = ["PARAMETERS", "Order", "SearchQuery"]


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
    """One validated search: the value of every parameter that a search has.

    It is made from requests by :meth:`from_parameters` and :meth:`from_values`, and knows no engine. What
    each parameter may be and what it selects is declared in :mod:`dask_regions.catalog.asking.parameters`.

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
    bbox: BoundingBox | None = None
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
        for parameter in parameters.TABLE:
            value = getattr(self, parameter.name, None)
            if value is not None:
                yield from parameter.selects(value)

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
    def from_parameters(cls, texts: Mapping[str, str], *, limit: int = DEFAULT_LIMIT) -> SearchQuery:
        """Make a query from the texts of a query string.

        Parameters
        ----------
        limit
            That of a request that names none.
        """
        values = decode(texts, _OF_A_SEARCH)
        if "filter" in values and values.setdefault("filter-lang", "cql2-text") == "cql2-json":
            values["filter"] = decode_json(values["filter"], "filter")
        return cls._parsed(values, limit)

    @classmethod
    def from_values(cls, values: Mapping[str, Any], *, limit: int = DEFAULT_LIMIT) -> SearchQuery:
        """Make a query from the members of a JSON body; null counts as absent."""
        if values.get("fields", {}) is None:
            # stac-api-validator expects it; the extension gives null a meaning inside of fields only.
            raise RequestError("fields", "is null; leave it out, or give an object with include and exclude")
        return cls._parsed({name: value for name, value in values.items() if value is not None}, limit)

    @classmethod
    def _parsed(cls, values: Mapping[str, Any], limit: int) -> SearchQuery:
        for name in values:
            if name not in PARAMETERS:
                raise RequestError(name, f"is not a parameter; there are {', '.join(PARAMETERS)}")
        parsed = parse(_together(values), _OF_A_SEARCH)
        return cls(**{"limit": limit, **parsed})


def _together(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values with those that belong together as one: a filter comes with its language."""
    values = dict(values)
    reference_system(values.pop("filter-crs", CRS84))
    if "bbox" in values and "intersects" in values:
        raise RequestError("intersects", "cannot be combined with bbox; leave one of them out")
    language = cql2_filter.checked(values.pop("filter-lang", "cql2-json"))
    if "filter" in values:
        # It comes last, as it takes longest.
        values["filter"] = cql2_filter.Filter(values.pop("filter"), language)
    return values


_OF_A_SEARCH = parameters.of_search("items")
#: Every parameter of a search, as callers write them.
PARAMETERS = tuple(parameter.name for parameter in _OF_A_SEARCH)
