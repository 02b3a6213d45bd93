"""What a Collection holds, counted once when its generation is made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dask_regions.catalog.opensearch.client import Client
from dask_regions.catalog.opensearch.control import Control
from dask_regions.catalog.opensearch.documents import Target
from dask_regions.catalog.opensearch.fields import field_of, identifier
from dask_regions.catalog.queryables import BEGAN, ENDED, FACETS
from dask_regions.catalog.timestamps import from_microseconds

__all__ = ["Summaries", "summary_id"]

# A summary with more values than this is left out of its Collection.
_VALUES = 100
_REGIONS = 1000
_SIDES = {"west": "min", "south": "min", "east": "max", "north": "max"}


def summary_id(items: str) -> str:
    """Return the ``_id`` of the control document that sums up an index of Items."""
    return identifier("summary", items)


class Summaries:
    """Makes the documents that :meth:`dask_regions.catalog.engines.Store.collections` answers with."""

    def __init__(self, client: Client, control: Control) -> None:
        self._client, self._control = client, control

    def make(self, target: Target) -> tuple[int, dict[str, int]]:
        """Store the summary of an index; return the number of its Items, in all and by Region."""
        answer = self._client.search(target.items, _request())
        count, aggregated = answer["hits"]["total"]["value"], answer["aggregations"]
        content = {
            "id": target.collection,
            "items": count,
            "bbox": _bbox(aggregated),
            "interval": _interval(aggregated),
            "summaries": _values(aggregated),
        }
        source = {"kind": "summary", "generation": target.generation, "content": content}
        self._control.replace(summary_id(target.items), source)
        regions = {bucket["key"]: bucket["doc_count"] for bucket in aggregated["holders"]["buckets"]}
        return count, dict(sorted(regions.items()))


def _request() -> dict[str, Any]:
    asked: dict[str, Any] = {
        side: {function: {"field": f"extent.{side}"}} for side, function in _SIDES.items()
    }
    # Of whole numbers: an aggregate is a double, exact for microseconds from 1684 to 2255 only.
    for name, queryable, order in (("first", BEGAN, "asc"), ("last", ENDED, "desc")):
        asked[name] = {"terms": {"field": field_of(queryable), "size": 1, "order": {"_key": order}}}
    asked["holders"] = {"terms": {"field": "regions", "size": _REGIONS}}
    for queryable in FACETS:
        values = {"field": field_of(queryable), "size": _VALUES + 1, "order": {"_key": "asc"}}
        asked[f"values:{queryable.name}"] = {"terms": values}
    return {"size": 0, "track_total_hits": True, "aggs": asked}


def _bbox(aggregated: Mapping[str, Any]) -> list[float] | None:
    sides = [aggregated[side]["value"] for side in _SIDES]
    return None if None in sides else sides


def _interval(aggregated: Mapping[str, Any]) -> list[str] | None:
    ends = [bucket["key"] for name in ("first", "last") for bucket in aggregated[name]["buckets"]]
    return [from_microseconds(end).replace(".000000Z", "Z") for end in ends] or None


def _values(aggregated: Mapping[str, Any]) -> dict[str, list[str | int]]:
    summaries = {}
    for queryable in FACETS:
        values = [bucket["key"] for bucket in aggregated[f"values:{queryable.name}"]["buckets"]]
        if 0 < len(values) <= _VALUES:
            summaries[queryable.name] = values
    return summaries
