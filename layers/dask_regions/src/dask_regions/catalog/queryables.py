"""What can be searched, declared once: it makes the engines' fields and the API's queryables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from dask_regions.errors import RequestError

__all__ = ["BEGAN", "ENDED", "FACETS", "GEOMETRY", "QUERYABLES", "Kind", "Queryable", "find", "schema"]

Kind = Literal["string", "timestamp", "strings", "integer"]

_JSON_SCHEMA: dict[Kind, dict[str, Any]] = {
    "string": {"type": "string"},
    "timestamp": {"type": "string", "format": "date-time"},
    "strings": {"type": "array", "items": {"type": "string"}},
    "integer": {"type": "integer"},
}
#: Spatial functions of CQL2 call an Item's geometry so; it is no queryable of the other operators.
GEOMETRY = "geometry"


@dataclass(frozen=True, slots=True)
class Queryable:
    """A property of Items that filters and sorts may name.

    Attributes
    ----------
    name
        As in the Item, e.g. ``cmip6:table_id``.
    kind
        ``string``, ``timestamp`` (RFC 3339), ``strings`` (an array of strings) or ``integer``.
    title
        One line for people.
    """

    name: str
    kind: Kind
    title: str


QUERYABLES: dict[str, Queryable] = {
    queryable.name: queryable
    for queryable in (
        Queryable("id", "string", "Id of the Item, unique in its Collection"),
        Queryable("collection", "string", "Id of the Collection"),
        Queryable("title", "string", "Title of the Item"),
        Queryable("datetime", "timestamp", "The instant of Items that have one; null for intervals"),
        Queryable("start_datetime", "timestamp", "Start of Items that are intervals"),
        Queryable("end_datetime", "timestamp", "End of Items that are intervals"),
        Queryable("year", "integer", "Year in which the Item begins, in UTC; made from its datetimes"),
        Queryable("variables", "strings", "Names of the data variables, e.g. air_temperature"),
        Queryable("regions", "strings", "AWS Regions that hold the data, e.g. us-west-2"),
        Queryable("scenario", "string", "Emission scenario, e.g. A1B"),
        Queryable("cmip6:activity_id", "string", "CMIP6 activity, e.g. ScenarioMIP"),
        Queryable("cmip6:institution_id", "string", "CMIP6 institution, e.g. MOHC"),
        Queryable("cmip6:source_id", "string", "CMIP6 model, e.g. UKESM1-0-LL"),
        Queryable("cmip6:experiment_id", "string", "CMIP6 experiment, e.g. ssp585"),
        Queryable("cmip6:variant_label", "string", "CMIP6 ensemble member, e.g. r1i1p1f2"),
        Queryable("cmip6:table_id", "string", "CMIP6 table, e.g. Amon"),
        Queryable("cmip6:variable_id", "string", "CMIP6 variable, e.g. tas"),
        Queryable("cmip6:grid_label", "string", "CMIP6 grid, e.g. gn"),
        Queryable("cmip6:frequency", "string", "CMIP6 frequency, e.g. mon"),
    )
}
#: Queryables that have few values, which Collections sum up.
FACETS = tuple(
    queryable
    for queryable in QUERYABLES.values()
    if queryable.kind != "timestamp" and queryable.name not in ("id", "collection", "title")
)
#: Where an Item's instant or interval begins and ends: every Item has them, and no request can name them.
BEGAN = Queryable("began", "timestamp", "Start of the interval, or the instant")
ENDED = Queryable("ended", "timestamp", "End of the interval, or the instant")


def find(name: str, parameter: str) -> Queryable:
    """Return a queryable by the name a request uses, with or without ``properties.`` before it.

    Raises
    ------
    RequestError
        Naming `parameter`, where there is no such queryable.
    """
    queryable = QUERYABLES.get(name.removeprefix("properties."))
    if queryable is None:
        raise RequestError(
            parameter,
            f"{name!r} is not a queryable; /queryables lists those there are: {', '.join(QUERYABLES)}",
        )
    return queryable


def schema(
    url: str, title: str, summaries: Mapping[str, Sequence[str | int]] | None = None
) -> dict[str, Any]:
    """Return the queryables as JSON Schema (OGC API - Features - Part 3, "Queryables").

    Parameters
    ----------
    url
        Where this document is served: its ``$id``.
    title
        What it describes.
    summaries
        Values that occur, by queryable; they become ``enum``.
    """
    properties: dict[str, Any] = {GEOMETRY: {"title": "Geometry of the Item", "format": "geometry-any"}}
    for queryable in QUERYABLES.values():
        entry = {"title": queryable.title, **_JSON_SCHEMA[queryable.kind]}
        values = (summaries or {}).get(queryable.name)
        if values and queryable.kind == "strings":
            entry["items"] = {"type": "string", "enum": list(values)}
        elif values:
            entry["enum"] = list(values)
        properties[queryable.name] = entry
    return {
        "$schema": "https://json-schema.org/draft/2019-09/schema",
        "$id": url,
        "type": "object",
        "title": title,
        "properties": properties,
        "additionalProperties": False,
    }
