"""Syncs of a catalog in a few words, for the tests of both engines."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dask_regions.catalog.asking.query import SearchQuery
from dask_regions.catalog.changes import Put, RegionOutcome, Remove
from dask_regions.catalog.engines import Store, Writer, open_catalog
from dask_regions.catalog.generations import SwapResult
from dask_regions.catalog.opensearch import OpenSearchCatalog

__all__ = ["ids", "left_behind", "make_item", "put", "seen", "source_of", "sync", "write"]

Items = Sequence[Mapping[str, Any]]

_GLOBE = {"type": "Polygon", "coordinates": [[[-180, -90], [180, -90], [180, 90], [-180, 90], [-180, -90]]]}


def source_of(item: Mapping[str, Any]) -> str:
    """Return what an Item is said to be made from."""
    return f"{item['collection']}/{item['id']}/"


def put(items: Iterable[Mapping[str, Any]], fingerprint: str = "1") -> list[Put]:
    """Return what tells a writer of new Items."""
    return [Put(source_of(item), fingerprint, item) for item in items]


def write(store: Writer, generation: str, region: str, items: Items) -> dict[str, int]:
    """Make Items all that a Region has in a generation; return how many there are per Collection."""
    by_collection: dict[str, list[Mapping[str, Any]]] = {}
    for item in items:
        by_collection.setdefault(item["collection"], []).append(item)
    for collection in sorted({"cmip6", "era5", *by_collection}):
        wanted = by_collection.get(collection, [])
        sources = {source_of(item) for item in wanted}
        gone = [known.source for known in store.known(region, collection) if known.source not in sources]
        store.write(generation, region, collection, [*put(wanted), *map(Remove, gone)])
    return {collection: len(wanted) for collection, wanted in by_collection.items()}


def sync(
    store: Writer,
    generation: str,
    items_of: Mapping[str, Items],
    failed: Mapping[str, str] | None = None,
    declared: Mapping[str, Sequence[str]] | None = None,
) -> SwapResult:
    """Run a whole sync, after which each Region in `items_of` has these Items."""
    outcomes = {region: RegionOutcome(error=error) for region, error in (failed or {}).items()}
    store.begin(generation, [*items_of, *outcomes])
    for region, items in items_of.items():
        counts = write(store, generation, region, items)
        outcomes.setdefault(region, RegionOutcome(counts))
    if declared is None:
        declared = {region: ["cmip6", "era5"] for region in ("us-west-2", "us-east-1", *items_of)}
    return store.swap(generation, outcomes, declared)


def ids(store: Store, **parameters: Any) -> list[str]:
    """Return the ids of the Items that a search finds, in its order."""
    query = SearchQuery.from_values({"limit": 1000, **parameters})
    return [item["id"] for item in store.search(query).items]


def seen(url: str) -> dict[str, Any]:
    """Return all that a reader sees who comes anew."""
    reader = open_catalog(url)
    return {
        "items": reader.search(SearchQuery(limit=1000)).items,
        # It says in which generation the search goes on.
        "token": reader.search(SearchQuery(limit=1)).token,
        "freshness": reader.freshness(),
        "collections": reader.collections(),
    }


def left_behind(url: str) -> set[str]:
    """Return the indexes or files that neither the live generation uses nor the one before it."""
    if url.startswith("sqlite:///"):
        pointer = Path(url.removeprefix("sqlite:///"))
        content = json.loads(pointer.read_text())
        kept = {f"{pointer.stem}-{content[name]}{pointer.suffix}" for name in ("live", "previous")}
        return {file.name for file in pointer.parent.glob(f"{pointer.stem}-*")} - kept
    control = OpenSearchCatalog(url)._control
    live, _ = control.live()
    there = set(control._client.request("GET", [f"{control.names.prefix}*", "_alias"]))
    return there - live.indexes - {control.names.control, control.names.geometries}


def make_item(item_id: str, region: str = "us-west-2", **changes: Any) -> dict[str, Any]:
    """Return an Item of a Region, with changes of its members."""
    properties = {
        "datetime": None,
        "start_datetime": "2000-01-01T00:00:00Z",
        "end_datetime": "2009-12-31T23:59:59Z",
        "regions": [region],
        "variables": ["air_temperature"],
        "storage:schemes": {f"s3-{region}": {"type": "aws-s3", "region": region}},
        **changes.pop("properties", {}),
    }
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "id": item_id,
        "collection": "cmip6",
        "geometry": _GLOBE,
        "bbox": [-180.0, -90.0, 180.0, 90.0],
        "links": [],
        "assets": {
            "data": {
                "href": f"s3://bucket-{region}/{item_id}",
                "storage:refs": [f"s3-{region}"],
                "alternate": {"fsx": {"href": f"file:///fsx/{region}/{item_id}"}},
            }
        },
        "properties": properties,
        **changes,
    }
