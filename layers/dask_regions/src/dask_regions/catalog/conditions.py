"""A search's parameters as one SQL condition over the table ``item``."""

from __future__ import annotations

import json

from dask_regions.catalog.filter import Sql, to_sql
from dask_regions.catalog.query import SearchQuery

__all__ = ["conditions"]


def conditions(query: SearchQuery) -> Sql:
    """Return the condition that an Item matches; order, limit and token are not part of it."""
    parts = [Sql("1")]
    if query.collections is not None:
        parts.append(_any_of('"collection"', query.collections))
    if query.ids is not None:
        parts.append(_any_of('"id"', query.ids))
    if query.bbox is not None:
        parts.append(_overlaps(query.bbox))
    if query.datetime is not None and query.datetime.end is not None:
        parts.append(Sql("began <= ?", (query.datetime.end,)))
    if query.datetime is not None and query.datetime.start is not None:
        parts.append(Sql("ended >= ?", (query.datetime.start,)))
    if query.filter is not None:
        parts.append(to_sql(query.filter))
    return Sql(
        " AND ".join(part.text for part in parts), tuple(value for part in parts for value in part.values)
    )


def _any_of(column: str, values: tuple[str, ...]) -> Sql:
    # One bound array: SQLite limits how many values a statement binds.
    return Sql(f"{column} IN (SELECT value FROM json_each(?))", (json.dumps(values),))  # noqa: S608


def _overlaps(bbox: tuple[float, float, float, float]) -> Sql:
    """Compare bounding boxes; either may cross the antimeridian, which is west above east."""
    west, south, east, north = bbox
    spans = [(west, east)] if west <= east else [(west, 180.0), (-180.0, east)]
    longitudes = " OR ".join(
        ["(CASE WHEN west <= east THEN west <= ? AND east >= ? ELSE west <= ? OR east >= ? END)"] * len(spans)
    )
    values = tuple(value for first, last in spans for value in (last, first, last, first))
    return Sql(f"south <= ? AND north >= ? AND ({longitudes})", (north, south, *values))
