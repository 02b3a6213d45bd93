"""STAC documents made from what the store holds and from the configuration; no I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any
from urllib.parse import quote

from dask_regions.catalog.query import Fields
from dask_regions.models import Dataset

__all__ = ["STAC_VERSION", "collection", "merge", "select", "with_links"]

STAC_VERSION = "1.1.0"
_GEOJSON = "application/geo+json"
#: Without these an Item is no GeoJSON Feature; the fields extension cannot leave them out.
_ALWAYS = ("type", "stac_version", "id", "collection", "geometry", "bbox", "links")


def merge(copies: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return one Item for the copies of it that several Regions hold.

    The first copy's asset keeps its ``href``; those of the others become alternates, with the
    Region in their key where the key is taken.

    Parameters
    ----------
    copies
        Items of one Collection and id, in a fixed order.
    """
    merged: dict[str, Any] = deepcopy(dict(copies[0]))
    for copy in copies[1:]:
        properties, others = merged["properties"], copy["properties"]
        regions: list[str] = others.get("regions", [])
        properties["regions"] = sorted({*properties.get("regions", []), *regions})
        schemes = {**others.get("storage:schemes", {}), **properties.get("storage:schemes", {})}
        if schemes:
            properties["storage:schemes"] = schemes
        for key, asset in copy.get("assets", {}).items():
            mine = merged.setdefault("assets", {}).setdefault(key, deepcopy(asset))
            _add_alternates(mine, asset, "-".join(regions))
    return merged


def _add_alternates(mine: dict[str, Any], asset: Mapping[str, Any], region: str) -> None:
    alternates: dict[str, Any] = mine.setdefault("alternate", {})
    offered = dict(asset.get("alternate", {}))
    if asset["href"] != mine["href"]:
        offered["s3"] = {name: asset[name] for name in ("href", "storage:refs") if name in asset}
    for name, alternate in offered.items():
        if alternate not in alternates.values():
            alternates[name if name not in alternates else f"{name}-{region}"] = deepcopy(alternate)
    if not alternates:
        del mine["alternate"]


def with_links(item: Mapping[str, Any], base: str) -> dict[str, Any]:
    """Return an Item with the links of this API; links of the store to elsewhere are kept."""
    of_collection = f"{base}/collections/{item['collection']}"
    structural = [
        _link("self", f"{of_collection}/items/{quote(item['id'], safe='')}", _GEOJSON),
        _link("parent", of_collection),
        _link("collection", of_collection),
        _link("root", f"{base}/"),
    ]
    relations = {link["rel"] for link in structural}
    kept = [link for link in item.get("links", []) if link["rel"] not in relations]
    return {**item, "links": structural + kept}


def select(item: Mapping[str, Any], fields: Fields) -> dict[str, Any]:
    """Apply the fields extension: only what is included, without what is excluded.

    An excluded path beats an included one; what makes an Item a Feature always stays.
    """
    selected: dict[str, Any] = deepcopy(dict(item))
    if fields.include:
        selected = {}
        for path in (*_ALWAYS, *fields.include):
            _copy(item, selected, path.split(".", 1))
    for path in fields.exclude:
        if path not in _ALWAYS:
            _remove(selected, path.split(".", 1))
    return selected


def _copy(source: Mapping[str, Any], target: dict[str, Any], path: Sequence[str]) -> None:
    name, rest = path[0], path[1:]
    if name not in source:
        return
    if not rest:
        target[name] = source[name]
    elif isinstance(source[name], dict) and target.get(name) is not source[name]:
        _copy(source[name], target.setdefault(name, {}), rest[0].split(".", 1))


def _remove(target: dict[str, Any], path: Sequence[str]) -> None:
    name, rest = path[0], path[1:]
    if not rest:
        target.pop(name, None)
    elif isinstance(target.get(name), dict):
        target[name] = dict(target[name])
        _remove(target[name], rest[0].split(".", 1))


def collection(
    dataset: Dataset,
    held: Mapping[str, Any] | None,
    freshness: Mapping[str, Mapping[str, Any]],
    base: str,
) -> dict[str, Any]:
    """Return the STAC Collection of a dataset.

    Parameters
    ----------
    dataset
        Its entry in the configuration.
    held
        Its entry of the store's ``collections()``; None where the store has no Items of it.
    freshness
        The store's ``freshness()``; Regions are told apart as synced, stale, or never synced.
    base
        Base URL of the API, without a slash at its end.
    """
    url = f"{base}/collections/{dataset.id}"
    held = held or {}
    regions = sorted({*dataset.regions, *held.get("summaries", {}).get("regions", [])})
    return {
        "type": "Collection",
        "stac_version": STAC_VERSION,
        "id": dataset.id,
        "title": dataset.title,
        "description": dataset.description,
        "license": dataset.license,
        "extent": {
            "spatial": {"bbox": [held.get("bbox") or [-180.0, -90.0, 180.0, 90.0]]},
            "temporal": {"interval": [held.get("interval") or [None, None]]},
        },
        "summaries": {**held.get("summaries", {}), "regions": regions},
        "dask_regions:sync": {region: _sync_state(freshness.get(region)) for region in regions},
        "links": _collection_links(url, base),
    }


def _collection_links(url: str, base: str) -> list[dict[str, str]]:
    queryables = "http://www.opengis.net/def/rel/ogc/1.0/queryables"
    return [
        _link("self", url),
        _link("root", f"{base}/"),
        _link("parent", f"{base}/"),
        _link("items", f"{url}/items", _GEOJSON),
        _link(queryables, f"{url}/queryables", "application/schema+json"),
    ]


def _sync_state(state: Mapping[str, Any] | None) -> dict[str, Any]:
    # The error itself stays in the store: it may name resources that are nobody else's business.
    return {"synced": state and state["synced"], "stale": bool(state and state["stale"])}


def _link(relation: str, href: str, media_type: str = "application/json") -> dict[str, str]:
    return {"rel": relation, "href": href, "type": media_type}
