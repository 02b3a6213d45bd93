"""What of an Item is searched."""

from __future__ import annotations

from dask_regions.catalog.indexing import indexed
from dask_regions.catalog.timestamps import parse_timestamp
from testing.catalog.random_searches import ITEMS


def test_an_item_is_indexed_by_where_it_begins_and_ends() -> None:
    item = next(item for item in ITEMS if item["properties"]["datetime"] is None)
    entry = indexed(item)
    assert entry.values["began"] == parse_timestamp(item["properties"]["start_datetime"])
    assert entry.values["ended"] == parse_timestamp(item["properties"]["end_datetime"])
    assert entry.values["year"] == int(item["properties"]["start_datetime"][:4])
    assert "datetime" not in entry.values


def test_equal_geometries_are_one() -> None:
    first, second = (
        indexed({**ITEMS[0], "geometry": {"type": "Point", "coordinates": coordinates}})
        for coordinates in ([5, 5], [5.0, 5.0, 100])
    )
    assert first.geometry_digest == second.geometry_digest
    assert first.geometry_digest is not None
