"""What a sync writes into the embedded store and what is refused; test_catalog_engines is of every engine."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from dask_regions.catalog.changes import Put, RegionOutcome, Remove
from dask_regions.catalog.sqlite import SqliteCatalog
from dask_regions.errors import NotFoundError, RequestError, UnavailableError
from testing.catalog.generations import ids, make_item, put, sync, write

WEST, EAST = "us-west-2", "us-east-1"
DECLARED = {WEST: ["cmip6", "era5"], EAST: ["cmip6", "era5"]}


@pytest.fixture
def store(tmp_path: Path) -> SqliteCatalog:
    return SqliteCatalog(f"sqlite:///{tmp_path}/catalog.sqlite")


def outcomes(**items: int) -> dict[str, RegionOutcome]:
    return {WEST: RegionOutcome(items)}


def test_writing_into_a_generation_that_is_not_under_way_is_refused(store: SqliteCatalog) -> None:
    sync(store, "g1", {WEST: [make_item("a")]})
    for changes in (put([make_item("b")]), []):
        with pytest.raises(NotFoundError, match="g1 is done"):
            store.write("g1", WEST, "cmip6", changes)
        with pytest.raises(NotFoundError, match="g9 has not begun"):
            store.write("g9", WEST, "cmip6", changes)
    with pytest.raises(NotFoundError, match="g9 has not begun"):
        store.swap("g9", {}, DECLARED)


def test_a_count_is_verified_also_where_nothing_was_written(store: SqliteCatalog) -> None:
    sync(store, "g1", {WEST: [make_item("a")]})
    store.begin("g2", [WEST])
    with pytest.raises(UnavailableError, match="are stored"):
        store.swap("g2", outcomes(cmip6=2), DECLARED)


def test_a_region_that_does_not_report_is_not_swapped_in(store: SqliteCatalog) -> None:
    store.begin("g1", [WEST])
    with pytest.raises(UnavailableError, match=WEST):
        store.swap("g1", {}, DECLARED)


def test_skipped_sources_alone_make_a_generation(store: SqliteCatalog) -> None:
    store.begin("g1", [WEST])
    store.write("g1", WEST, "cmip6", [Put("x", "1", None, "no time axis")])
    assert store.swap("g1", outcomes(), DECLARED)["changed"] is True
    assert [entry.reason for entry in store.known(WEST, "cmip6")] == ["no time axis"]


def test_two_sources_of_one_item_are_united_and_parted_again(store: SqliteCatalog) -> None:
    zarr, netcdf = make_item("a"), make_item("a")
    netcdf["assets"] = {"netcdf": {"href": "s3://bucket/a.nc"}}
    store.begin("g1", [WEST])
    store.write("g1", WEST, "cmip6", [Put("a.zarr", "1", zarr), Put("a.nc", "1", netcdf)])
    store.swap("g1", outcomes(cmip6=1), DECLARED)
    item = store.item("cmip6", "a")
    assert item is not None
    assert item["assets"].keys() == {"data", "netcdf"}
    store.begin("g2", [WEST])
    store.write("g2", WEST, "cmip6", [Remove("a.zarr")])
    store.swap("g2", outcomes(cmip6=1), DECLARED)
    item = store.item("cmip6", "a")
    assert item is not None
    assert item["assets"].keys() == {"netcdf"}


def test_a_region_that_was_not_to_be_synced_keeps_its_items(store: SqliteCatalog) -> None:
    sync(store, "g1", {WEST: [make_item("w1")], EAST: [make_item("e1", EAST)]})
    synced = store.freshness()[EAST]
    store.begin("g2", [WEST])
    store.write("g2", EAST, "cmip6", put([make_item("unasked", EAST)]))
    write(store, "g2", WEST, [make_item("w2")])
    store.swap("g2", outcomes(cmip6=1), DECLARED)
    assert ids(store) == ["e1", "w2"]
    assert store.freshness()[EAST] == synced


def test_copies_of_other_regions_are_found_whatever_the_order_of_writing(store: SqliteCatalog) -> None:
    sync(store, "g1", {EAST: [make_item("a", EAST)]})
    first = store.item("cmip6", "a")
    sync(store, "g2", {WEST: [make_item("a")]})
    both = store.item("cmip6", "a")
    sync(store, "g3", {EAST: []})
    sync(store, "g4", {EAST: [make_item("a", EAST)]})
    assert store.item("cmip6", "a") == both != first


def test_a_collection_that_is_no_longer_declared_is_not_carried_over(store: SqliteCatalog) -> None:
    retired = [make_item("kept", EAST), make_item("gone", EAST, collection="era5")]
    sync(store, "g1", {WEST: [make_item("a")], EAST: retired})
    declared = {WEST: ["cmip6"], EAST: ["cmip6"]}
    sync(store, "g2", {WEST: [make_item("a")]}, failed={EAST: "no route"}, declared=declared)
    assert ids(store) == ["a", "kept"]
    assert [collection["id"] for collection in store.collections()] == ["cmip6"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"properties": {"scenario": 585}}, "scenario must be a string, not 585; quote it"),
        ({"properties": {"variables": "tas"}}, "variables must be a list of strings"),
        ({"properties": {"start_datetime": "yesterday"}}, "not an RFC 3339 timestamp"),
        ({"properties": {"start_datetime": 1990}}, "not a timestamp"),
        ({"properties": {"start_datetime": "2020-01-01T00:00:00Z"}}, "before it begins"),
        ({"properties": {"note": float("nan")}}, "cannot be written as JSON"),
        ({"properties": {"note": "\ud800"}}, "cannot be written as JSON"),
        ({"geometry": {"type": "Point"}}, "not a GeoJSON geometry"),
        (
            {"geometry": {"type": "Polygon", "coordinates": [[[0, 0], [2, 2], [2, 0], [0, 2], [0, 0]]]}},
            "Self",
        ),
        ({"bbox": [1, 2, 3]}, "bbox must be 4 or 6 numbers"),
        ({"collection": "era5"}, "is of the Collection era5, not of cmip6"),
    ],
)
def test_an_item_that_is_wrong_is_refused_by_name(
    store: SqliteCatalog, changes: dict[str, Any], message: str
) -> None:
    sync(store, "g0", {WEST: [make_item("before")]})
    store.begin("g1", [WEST])
    with pytest.raises(RequestError, match=f"^Item a: .*{message}"):
        store.write("g1", WEST, "cmip6", put([make_item("fine"), make_item("a", **changes)]))
    assert ids(store) == ["before"]


def test_several_writers_of_one_generation_lose_nothing(store: SqliteCatalog, tmp_path: Path) -> None:
    shared = [make_item(f"s{n}") for n in range(40)]
    store.begin("g1", [WEST, EAST])

    def sync_region(region: str) -> dict[str, int]:
        mine = [make_item(f"{region}-{n}", region) for n in range(20)]
        copies = [make_item(item["id"], region) for item in shared]
        writer = SqliteCatalog(f"sqlite:///{tmp_path}/catalog.sqlite")
        for start in range(0, 60, 7):
            writer.write("g1", region, "cmip6", put([*copies, *mine][start : start + 7]))
        return {"cmip6": 60}

    with ThreadPoolExecutor(2) as pool:
        counts = dict(zip((WEST, EAST), pool.map(sync_region, (WEST, EAST)), strict=True))
    store.swap("g1", {region: RegionOutcome(items) for region, items in counts.items()}, DECLARED)
    assert len(ids(store)) == 80
    both = {"op": "a_contains", "args": [{"property": "regions"}, [WEST, EAST]]}
    assert ids(store, filter=both) == sorted(item["id"] for item in shared)
