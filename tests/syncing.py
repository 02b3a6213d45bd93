"""Syncs of a catalog in a few words, for the tests of both engines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dask_regions.catalog.store import Outcome, Put, Remove, Writer

__all__ = ["put", "source_of", "sync", "write"]

Items = Sequence[Mapping[str, Any]]


def source_of(item: Mapping[str, Any]) -> str:
    """Return what an Item is said to be made from."""
    return f"{item['collection']}/{item['id']}/"


def put(items: Iterable[Mapping[str, Any]], fingerprint: str = "1") -> list[Put]:
    """Return what tells a writer of new Items."""
    return [Put(source_of(item), fingerprint, item) for item in items]


def write(store: Writer, generation: str, region: str, items: Items) -> dict[str, int]:
    """Make Items all that a Region has in a generation; return how many there are per Collection."""
    held: dict[str, list[Mapping[str, Any]]] = {}
    for item in items:
        held.setdefault(item["collection"], []).append(item)
    for collection in sorted({"cmip6", "era5", *held}):
        wanted = held.get(collection, [])
        sources = {source_of(item) for item in wanted}
        gone = [known.source for known in store.known(region, collection) if known.source not in sources]
        store.write(generation, region, collection, [*put(wanted), *map(Remove, gone)])
    return {collection: len(wanted) for collection, wanted in held.items()}


def sync(
    store: Writer,
    generation: str,
    held: Mapping[str, Items],
    failed: Mapping[str, str] | None = None,
    declared: Mapping[str, Sequence[str]] | None = None,
) -> dict[str, Any]:
    """Run a whole sync, after which each Region in `held` has these Items."""
    outcomes = {region: Outcome(error=error) for region, error in (failed or {}).items()}
    store.begin(generation, [*held, *outcomes])
    for region, items in held.items():
        counts = write(store, generation, region, items)
        outcomes.setdefault(region, Outcome(counts))
    if declared is None:
        declared = {region: ["cmip6", "era5"] for region in ("us-west-2", "us-east-1", *held)}
    return store.swap(generation, outcomes, declared)
