"""Aggregation extension: how many Items match, and how they spread over the values of some queryables.

https://github.com/stac-api-extensions/aggregation
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from dask_regions.catalog.answers import Bucket
from dask_regions.catalog.queryables import QUERYABLES
from dask_regions.errors import RequestError

__all__ = ["AGGREGATIONS", "TOTAL", "Aggregation", "chosen", "describe", "document"]

#: Name of the aggregation that counts the Items.
TOTAL = "total_count"


class Aggregation(NamedTuple):
    """How often each value of a queryable occurs."""

    name: str
    queryable: str


AGGREGATIONS = {
    aggregation.name: aggregation
    for aggregation in (
        Aggregation("collection_frequency", "collection"),
        Aggregation("region_frequency", "regions"),
        Aggregation("variable_frequency", "variables"),
        Aggregation("scenario_frequency", "scenario"),
        Aggregation("year_frequency", "year"),
    )
}


def chosen(value: Any) -> list[str]:
    """Return the names that the parameter ``aggregations`` lists: an array, or text with commas.

    Without it there is none, as the extension asks.

    Raises
    ------
    RequestError
        Naming ``aggregations``.
    """
    names = [] if value in (None, "") else value.split(",") if isinstance(value, str) else value
    if not isinstance(names, list):
        raise RequestError("aggregations", f"must be an array of names, not {value!r}")
    for name in names:
        if name != TOTAL and (not isinstance(name, str) or name not in AGGREGATIONS):
            there = ", ".join((TOTAL, *AGGREGATIONS))
            raise RequestError("aggregations", f"there is no {name!r}; there are {there}")
    return list(dict.fromkeys(names))


def describe() -> list[dict[str, str]]:
    """Return what can be asked for, as ``/aggregations`` lists it."""
    return [
        {"name": TOTAL, "data_type": "integer"},
        *(
            {
                "name": aggregation.name,
                "data_type": "frequency_distribution",
                "frequency_distribution_data_type": _data_type(aggregation.queryable),
            }
            for aggregation in AGGREGATIONS.values()
        ),
    ]


def document(
    names: Sequence[str], total: int, buckets: Mapping[str, Sequence[Bucket]]
) -> list[dict[str, Any]]:
    """Return the answer's aggregations, in the order in which they were asked for.

    Parameters
    ----------
    names
        From :func:`chosen`.
    total, buckets
        As :meth:`dask_regions.catalog.engines.Store.aggregate` returns them.
    """
    return [
        {"name": TOTAL, "data_type": "integer", "value": total}
        if name == TOTAL
        else _distribution(AGGREGATIONS[name], buckets[AGGREGATIONS[name].queryable])
        for name in names
    ]


def _distribution(aggregation: Aggregation, buckets: Sequence[Bucket]) -> dict[str, Any]:
    data_type = _data_type(aggregation.queryable)
    return {
        "name": aggregation.name,
        "data_type": data_type,
        "buckets": [
            {"key": str(bucket.key), "data_type": data_type, "frequency": bucket.frequency}
            for bucket in buckets
        ],
    }


def _data_type(queryable: str) -> str:
    return "numeric" if QUERYABLES[queryable].kind == "integer" else "string"
