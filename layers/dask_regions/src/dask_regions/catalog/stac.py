"""STAC documents made from what the store holds and from the configuration; no I/O."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit

from dask_regions.catalog.asking.values import Fields
from dask_regions.names import REGIONS_FIELD

if TYPE_CHECKING:
    from dask_regions.models import Dataset

__all__ = ["STAC_VERSION", "collection", "complete", "link", "merge", "select", "with_links"]

STAC_VERSION = "1.1.0"
_GEOJSON = "application/geo+json"
_SCHEMA = "application/schema+json"
_RELATION = "http://www.opengis.net/def/rel/ogc/1.0/"
#: These name a document; the fields extension cannot leave it out.
_ALWAYS = ("type", "stac_version", "id", "collection")
# The fields extension, used without naming a field, gives a valid document and no more.
_INTERVAL = ("properties.datetime", "properties.start_datetime", "properties.end_datetime")
_ITEM_NEEDS = ("geometry", "bbox", "links", "assets", *_INTERVAL)
_COLLECTION_NEEDS = ("description", "license", "extent", "links")


def merge(copies: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return one Item for the copies of it that several Regions hold.

    The first copy's asset keeps its ``href``; those of the others become alternates, with the
    Region in their key where the key is taken. What is alike is shared with the copies, none of which is
    changed: copying all of it would take longer than reading it.

    Parameters
    ----------
    copies
        Items of one Collection and id, in a fixed order.
    """
    first, *rest = copies
    properties = dict(first["properties"])
    assets = {key: _own(asset) for key, asset in first.get("assets", {}).items()}
    for copy in rest:
        others = copy["properties"]
        regions: list[str] = others.get("regions", [])
        properties["regions"] = sorted({*properties.get("regions", []), *regions})
        schemes = {**others.get("storage:schemes", {}), **properties.get("storage:schemes", {})}
        if schemes:
            properties["storage:schemes"] = schemes
        for key, asset in copy.get("assets", {}).items():
            _add_alternates(assets.setdefault(key, _own(asset)), asset, "-".join(regions))
    return {**first, "properties": properties, "assets": assets}


def _own(asset: Mapping[str, Any]) -> dict[str, Any]:
    """Return an asset to which alternates can be added."""
    return {**asset, "alternate": dict(asset["alternate"])} if "alternate" in asset else dict(asset)


def _add_alternates(mine: dict[str, Any], asset: Mapping[str, Any], region: str) -> None:
    alternates: dict[str, Any] = mine.setdefault("alternate", {})
    offered = dict(asset.get("alternate", {}))
    if asset["href"] != mine["href"]:
        offered["s3"] = {name: asset[name] for name in ("href", "storage:refs") if name in asset}
    for name, alternate in offered.items():
        if alternate not in alternates.values():
            alternates[name if name not in alternates else f"{name}-{region}"] = alternate
    if not alternates:
        del mine["alternate"]


def complete(
    item: Mapping[str, Any], freshness: Mapping[str, Mapping[str, Any]], base: str
) -> dict[str, Any]:
    """Return an Item as the API answers with it: with its links, and the state of its Regions."""
    properties = {**item["properties"], REGIONS_FIELD: _regions_of(item, freshness)}
    return with_links({**item, "properties": properties}, base)


def with_links(item: Mapping[str, Any], base: str) -> dict[str, Any]:
    """Return an Item with the links of this API; links of the store to elsewhere are kept."""
    of_collection = f"{base}/collections/{item['collection']}"
    structural = [
        link("self", f"{of_collection}/items/{quote(item['id'], safe='')}", _GEOJSON),
        link("parent", of_collection),
        link("collection", of_collection),
        link("root", f"{base}/"),
    ]
    relations = {each["rel"] for each in structural}
    kept = [each for each in item.get("links", []) if each["rel"] not in relations]
    return {**item, "links": structural + kept}


def _regions_of(
    item: Mapping[str, Any], freshness: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Return per Region where an Item's data are, from the storage and alternate-assets extensions."""
    properties = item["properties"]
    schemes = properties.get("storage:schemes", {})
    regions = {region: _region(freshness.get(region)) for region in properties.get("regions", ())}
    for asset in item.get("assets", {}).values():
        for place in (asset, *asset.get("alternate", {}).values()):
            for region, kind, href in _places(place, schemes):
                hrefs = regions.setdefault(region, _region(freshness.get(region)))[kind]
                if href not in hrefs:
                    hrefs.append(href)
    return regions


def _places(
    place: Mapping[str, Any], schemes: Mapping[str, Mapping[str, Any]]
) -> Iterator[tuple[str, str, str]]:
    """Yield Region, ``s3`` or ``fsx``, and the URL or path there."""
    href = place.get("href", "")
    kind = {"s3": "s3", "file": "fsx"}.get(href.partition("://")[0])
    for reference in place.get("storage:refs", ()):
        region = schemes.get(reference, {}).get("region")
        if kind and region:
            yield region, kind, href if kind == "s3" else unquote(urlsplit(href).path)


def _region(state: Mapping[str, Any] | None) -> dict[str, Any]:
    # The error itself stays in the store: it may name resources that are nobody else's business.
    synced = state["synced"] if state else None
    return {"s3": [], "fsx": [], "synced": synced, "stale": bool(state and state["stale"])}


def select(documents: Sequence[Mapping[str, Any]], fields: Fields) -> list[dict[str, Any]]:
    """Apply the fields extension to Items, or to Collections.

    The most specific path decides, and an included one beats the same path excluded. What names the
    document stays. Where nothing is included, everything is; but where the request says so (``include`` is
    empty or null, or there is no ``exclude`` either), only what a valid document needs.
    """
    collections = any(document.get("type") == "Collection" for document in documents)
    everything = bool(fields.exclude) and fields.include is None
    needed = () if everything or fields.include else _COLLECTION_NEEDS if collections else _ITEM_NEEDS
    chosen = _Chosen()
    for paths, wanted in (
        (needed, True),
        (fields.exclude, False),
        ((*(fields.include or ()), *_ALWAYS), True),
    ):
        for path in paths:
            chosen.add(path.split("."), wanted)
    return [_selected(document, chosen, everything) for document in documents]


@dataclass(slots=True)
class _Chosen:
    """A tree of paths: a document is walked once, however many there are."""

    wanted: bool | None = None
    below: dict[str, _Chosen] = field(default_factory=dict)

    def add(self, path: Sequence[str], wanted: bool) -> None:
        node = self
        for name in path:
            node = node.below.setdefault(name, _Chosen())
        node.wanted = wanted


def _selected(document: Mapping[str, Any], chosen: _Chosen, everything: bool) -> dict[str, Any]:
    selected = {}
    for name, value in document.items():
        of_name = chosen.below.get(name)
        wanted = everything if of_name is None or of_name.wanted is None else of_name.wanted
        if isinstance(value, dict) and of_name is not None and of_name.below:
            below = _selected(value, of_name, wanted)
            if below or wanted:
                selected[name] = below
        elif wanted:
            selected[name] = value
    return selected


def collection(
    dataset: Dataset,
    stored: Mapping[str, Any] | None,
    freshness: Mapping[str, Mapping[str, Any]],
    base: str,
) -> dict[str, Any]:
    """Return the STAC Collection of a dataset.

    Parameters
    ----------
    dataset
        Its entry in the configuration.
    stored
        Its entry of the store's ``collections()``; None where the store has no Items of it.
    freshness
        The store's ``freshness()``.
    base
        Base URL of the API, without a slash at its end.
    """
    url = f"{base}/collections/{dataset.id}"
    stored = stored or {}
    regions = {copy.region: _region_of(copy, freshness) for copy in dataset.copies()}
    summaries = dict(stored.get("summaries", {}))
    summaries["regions"] = sorted({*regions, *summaries.get("regions", ())})
    return {
        "type": "Collection",
        "stac_version": STAC_VERSION,
        "id": dataset.id,
        "title": dataset.title,
        "description": dataset.description,
        "license": dataset.license,
        "extent": {
            "spatial": {"bbox": [stored.get("bbox") or [-180.0, -90.0, 180.0, 90.0]]},
            "temporal": {"interval": [stored.get("interval") or [None, None]]},
        },
        "summaries": summaries,
        REGIONS_FIELD: regions,
        "links": _collection_links(url, base),
    }


def _region_of(copy: Dataset, freshness: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    where = {"s3": [f"s3://{copy.bucket}/{copy.prefix}"], "fsx": [copy.fsx_path] if copy.fsx_path else []}
    return {**_region(freshness.get(copy.region)), **where}


def _collection_links(url: str, base: str) -> list[dict[str, str]]:
    return [
        link("self", url),
        link("root", f"{base}/"),
        link("parent", f"{base}/"),
        link("items", f"{url}/items", _GEOJSON),
        link(f"{_RELATION}queryables", f"{url}/queryables", _SCHEMA),
        link("aggregate", f"{url}/aggregate"),
        link("aggregations", f"{url}/aggregations"),
    ]


def link(relation: str, href: str, media_type: str = "application/json") -> dict[str, str]:
    """Return a STAC link."""
    return {"rel": relation, "href": href, "type": media_type}
