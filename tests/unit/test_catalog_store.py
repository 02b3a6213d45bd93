"""The embedded store: generations, order and paging, and what a search matches."""

from __future__ import annotations

import base64
import json
import os
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dask_regions.catalog.query import SearchQuery
from dask_regions.catalog.sqlite import SqliteCatalog
from dask_regions.catalog.store import Bucket, Known, Outcome, Put, Remove
from dask_regions.errors import ConfigurationError, NotFoundError, RequestError, UnavailableError
from tests import syncing
from tests.strategies import ITEMS, find, items, searches
from tests.syncing import put, source_of, sync, write

WEST, EAST = "us-west-2", "us-east-1"
DECLARED = {WEST: ["cmip6", "era5"], EAST: ["cmip6", "era5"]}


def ring(west: float, south: float, east: float, north: float) -> list[list[list[float]]]:
    return [[[west, south], [east, south], [east, north], [west, north], [west, south]]]


def make_item(item_id: str, region: str = WEST, **changes: Any) -> dict[str, Any]:
    box = {"geometry": {"type": "Polygon", "coordinates": ring(-10.0, -10.0, 10.0, 10.0)}}
    return syncing.make_item(item_id, region, **{**box, "bbox": [-10.0, -10.0, 10.0, 10.0], **changes})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "catalog.sqlite"


@pytest.fixture
def store(path: Path) -> SqliteCatalog:
    return SqliteCatalog(f"sqlite:///{path}")


def ids(store: SqliteCatalog, **parameters: Any) -> list[str]:
    query = SearchQuery.model_validate({"limit": 1000, **parameters})
    return [item["id"] for item in store.search(query).items]


def outcomes(**items: int) -> dict[str, Outcome]:
    return {WEST: Outcome(items)}


def test_a_store_without_a_file_is_an_empty_catalog(store: SqliteCatalog, path: Path) -> None:
    assert store.search(SearchQuery()).items == []
    assert store.collections() == []
    assert store.freshness() == {}
    assert store.item("cmip6", "a") is None
    assert not path.exists()


def test_a_generation_is_invisible_until_it_is_swapped(store: SqliteCatalog) -> None:
    sync(store, "g1", {WEST: [make_item("old")]})
    store.begin("g2", [WEST])
    write(store, "g2", WEST, [make_item("new")])
    assert ids(store) == ["old"]
    assert store.item("cmip6", "new") is None
    result = store.swap("g2", outcomes(cmip6=1), DECLARED)
    assert ids(store) == ["new"]
    assert result == {"generation": "g2", "items": 1, "regions": {WEST: 1}, "changed": True, "failed": {}}


def test_begin_write_and_swap_can_be_repeated(store: SqliteCatalog) -> None:
    for _ in range(2):
        store.begin("g1", [WEST])
        assert store.write("g1", WEST, "cmip6", put([make_item("a"), make_item("b")])) == 2
    first = store.swap("g1", outcomes(cmip6=2), DECLARED)
    assert store.swap("g1", outcomes(cmip6=2), DECLARED) == first
    store.begin("g1", [WEST])
    assert ids(store) == ["a", "b"]


def test_writing_into_a_generation_that_is_not_under_way_is_refused(store: SqliteCatalog) -> None:
    sync(store, "g1", {WEST: [make_item("a")]})
    for changes in (put([make_item("b")]), []):
        with pytest.raises(NotFoundError, match="g1 is done"):
            store.write("g1", WEST, "cmip6", changes)
        with pytest.raises(NotFoundError, match="g9 has not begun"):
            store.write("g9", WEST, "cmip6", changes)
    with pytest.raises(NotFoundError, match="g9 has not begun"):
        store.swap("g9", {}, DECLARED)


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "x" * 101, "a\0b"])
def test_a_generation_that_could_be_another_file_is_refused(store: SqliteCatalog, name: str) -> None:
    with pytest.raises(RequestError, match="generation: "):
        store.begin(name, [WEST])


def test_a_count_that_does_not_agree_keeps_the_old_generation(store: SqliteCatalog) -> None:
    sync(store, "g1", {WEST: [make_item("old")]})
    store.begin("g2", [WEST])
    write(store, "g2", WEST, [make_item("new")])
    with pytest.raises(UnavailableError, match=r"has to have .*2.* and .*1.* are stored"):
        store.swap("g2", outcomes(cmip6=2), DECLARED)
    assert ids(store) == ["old"]
    assert store.swap("g2", outcomes(cmip6=1), DECLARED)["generation"] == "g2"
    assert ids(store) == ["new"]


def test_a_count_is_verified_also_where_nothing_was_written(store: SqliteCatalog) -> None:
    sync(store, "g1", {WEST: [make_item("a")]})
    store.begin("g2", [WEST])
    with pytest.raises(UnavailableError, match="are stored"):
        store.swap("g2", outcomes(cmip6=2), DECLARED)


def test_a_region_that_does_not_report_is_not_swapped_in(store: SqliteCatalog) -> None:
    store.begin("g1", [WEST])
    with pytest.raises(UnavailableError, match=WEST):
        store.swap("g1", {}, DECLARED)


def test_a_sync_without_changes_makes_no_generation_but_is_fresh(store: SqliteCatalog, path: Path) -> None:
    sync(store, "g1", {WEST: [make_item("a")]}, failed={EAST: "no route"})
    token = store.search(SearchQuery(limit=1, sortby=())).token
    store.begin("g2", [WEST, EAST])
    assert store.write("g2", WEST, "cmip6", []) == 0
    result = store.swap("g2", {**outcomes(cmip6=1), EAST: Outcome()}, DECLARED)
    assert result == {"generation": "g1", "items": 1, "regions": {WEST: 1}, "changed": False, "failed": {}}
    assert store.swap("g2", {}, DECLARED) == result
    assert token is None
    assert ids(store) == ["a"]
    assert store.freshness()[EAST]["stale"] is False
    assert generations(path) == {"g1"}


def generations(path: Path) -> set[str]:
    return {file.stem.removeprefix("catalog-") for file in path.parent.glob("catalog-*")}


def test_only_changes_are_written(store: SqliteCatalog) -> None:
    sync(store, "g1", {WEST: [make_item(name) for name in "abc"]})
    store.begin("g2", [WEST])
    changed = make_item("b", properties={"scenario": "E1"})
    moved = Put("elsewhere", "1", make_item("d"))
    store.write("g2", WEST, "cmip6", [*put([changed], "2"), Remove(source_of(make_item("c"))), moved])
    store.swap("g2", outcomes(cmip6=3), DECLARED)
    assert ids(store) == ["a", "b", "d"]
    assert ids(store, filter={"op": "=", "args": [{"property": "scenario"}, "E1"]}) == ["b"]
    assert ids(store, q="c") == []


def test_a_source_whose_item_gets_another_id_takes_the_old_one_along(store: SqliteCatalog) -> None:
    sync(store, "g1", {WEST: [make_item("a")]})
    store.begin("g2", [WEST])
    store.write("g2", WEST, "cmip6", [Put(source_of(make_item("a")), "2", make_item("b"))])
    store.swap("g2", outcomes(cmip6=1), DECLARED)
    assert ids(store) == ["b"]


def test_known_sources_come_in_the_order_of_their_bytes(store: SqliteCatalog) -> None:
    sources = ["a/", "a/b", "a0", "b", "ä", "z", "\U0001f30d", "\uffff"]
    store.begin("g1", [WEST])
    changes = [Put(source, f"f-{source}", None, "broken") for source in reversed(sources)]
    store.write("g1", WEST, "cmip6", [*changes, *put([make_item("i")])])
    assert list(store.known(WEST, "cmip6")) == []
    store.swap("g1", outcomes(cmip6=1), DECLARED)
    known = list(store.known(WEST, "cmip6"))
    expected = sorted([*sources, "cmip6/i/"], key=str.encode)
    assert [entry.source for entry in known] == expected
    assert Known("ä", "f-ä", None, "broken") in known
    assert Known("cmip6/i/", "1", "i", None) in known
    assert [entry.source for entry in store.known(WEST, "cmip6", "a/")] == ["a/", "a/b"]
    assert [entry.source for entry in store.known(WEST, "cmip6", "\U0001f30d")] == ["\U0001f30d"]
    assert list(store.known(EAST, "cmip6")) == []
    assert list(store.known(WEST, "era5")) == []


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


def test_a_failed_region_keeps_its_items_and_is_stale(store: SqliteCatalog) -> None:
    sync(store, "g1", {WEST: [make_item("w1")], EAST: [make_item("e1", EAST), make_item("both", EAST)]})
    synced = store.freshness()[EAST]["synced"]
    before = list(store.known(EAST, "cmip6"))
    half = [make_item("half", EAST), make_item("both", EAST, properties={"scenario": "A1B"})]
    result = sync(store, "g2", {WEST: [make_item("w2")], EAST: half}, failed={EAST: "no route"})
    assert ids(store) == ["both", "e1", "w2"]
    assert ids(store, q="a1b,half") == []
    assert list(store.known(EAST, "cmip6")) == before
    assert result["failed"] == {EAST: "no route"}
    assert store.freshness()[EAST] == {"synced": synced, "stale": True, "error": "no route"}
    assert store.freshness()[WEST]["stale"] is False


def test_a_region_that_was_not_to_be_synced_keeps_its_items(store: SqliteCatalog) -> None:
    sync(store, "g1", {WEST: [make_item("w1")], EAST: [make_item("e1", EAST)]})
    synced = store.freshness()[EAST]
    store.begin("g2", [WEST])
    store.write("g2", EAST, "cmip6", put([make_item("unasked", EAST)]))
    write(store, "g2", WEST, [make_item("w2")])
    store.swap("g2", outcomes(cmip6=1), DECLARED)
    assert ids(store) == ["e1", "w2"]
    assert store.freshness()[EAST] == synced


def test_a_region_that_recovers_is_no_longer_stale(store: SqliteCatalog) -> None:
    sync(store, "g1", {WEST: [make_item("w1")]}, failed={EAST: "no route"})
    assert store.freshness()[EAST] == {"synced": None, "stale": True, "error": "no route"}
    sync(store, "g2", {EAST: [make_item("e2", EAST)]})
    assert store.freshness()[EAST]["stale"] is False
    assert ids(store) == ["e2", "w1"]


def test_a_sync_in_which_every_region_failed_changes_no_item(store: SqliteCatalog) -> None:
    sync(store, "g1", {WEST: [make_item("w1")]})
    result = sync(store, "g2", {WEST: [make_item("w2")]}, failed={WEST: "denied"})
    assert result["generation"] == "g1"
    assert result["changed"] is False
    assert ids(store) == ["w1"]
    assert store.freshness()[WEST]["stale"] is True


def test_one_item_lists_all_regions_that_hold_it(store: SqliteCatalog) -> None:
    sync(store, "g1", {WEST: [make_item("a")], EAST: [make_item("a", EAST)]})
    item = store.item("cmip6", "a")
    assert item is not None
    assert item["properties"]["regions"] == [EAST, WEST]
    assert item["properties"]["storage:schemes"].keys() == {f"s3-{EAST}", f"s3-{WEST}"}
    hrefs = {alternate["href"] for alternate in item["assets"]["data"]["alternate"].values()}
    assert hrefs == {
        f"file:///fsx/{WEST}/a",
        f"file:///fsx/{EAST}/a",
        f"s3://bucket-{WEST}/a",
    }
    for region in (WEST, EAST):
        assert ids(store, filter={"op": "a_contains", "args": [{"property": "regions"}, [region]]}) == ["a"]


def test_copies_of_other_regions_are_found_whatever_the_order_of_writing(store: SqliteCatalog) -> None:
    sync(store, "g1", {EAST: [make_item("a", EAST)]})
    first = store.item("cmip6", "a")
    sync(store, "g2", {WEST: [make_item("a")]})
    both = store.item("cmip6", "a")
    sync(store, "g3", {EAST: []})
    sync(store, "g4", {EAST: [make_item("a", EAST)]})
    assert store.item("cmip6", "a") == both != first


def test_a_region_that_loses_its_copy_is_no_longer_listed(store: SqliteCatalog) -> None:
    sync(store, "g1", {WEST: [make_item("a")], EAST: [make_item("a", EAST)]})
    sync(store, "g2", {WEST: []})
    item = store.item("cmip6", "a")
    assert item is not None
    assert item["properties"]["regions"] == [EAST]


def test_a_region_that_is_no_longer_declared_is_forgotten(store: SqliteCatalog) -> None:
    sync(store, "g1", {WEST: [make_item("a")], EAST: [make_item("a", EAST), make_item("e", EAST)]})
    sync(store, "g2", {WEST: [make_item("a")]}, declared={WEST: ["cmip6"]})
    assert ids(store) == ["a"]
    item = store.item("cmip6", "a")
    assert item is not None
    assert item["properties"]["regions"] == [WEST]
    assert store.freshness().keys() == {WEST}


def test_a_collection_that_is_no_longer_declared_is_not_carried_over(store: SqliteCatalog) -> None:
    retired = [make_item("kept", EAST), make_item("gone", EAST, collection="era5")]
    sync(store, "g1", {WEST: [make_item("a")], EAST: retired})
    declared = {WEST: ["cmip6"], EAST: ["cmip6"]}
    sync(store, "g2", {WEST: [make_item("a")]}, failed={EAST: "no route"}, declared=declared)
    assert ids(store) == ["a", "kept"]
    assert [held["id"] for held in store.collections()] == ["cmip6"]


def test_a_generation_is_forgotten_with_the_declaration_alone(store: SqliteCatalog) -> None:
    sync(store, "g1", {WEST: [make_item("a")], EAST: [make_item("e", EAST)]})
    store.begin("g2", [WEST])
    result = store.swap("g2", outcomes(cmip6=1), {WEST: ["cmip6"]})
    assert (result["generation"], result["regions"]) == ("g2", {WEST: 1})
    assert ids(store) == ["a"]


def test_a_swap_that_is_overtaken_is_refused_and_leaves_nothing_behind(
    store: SqliteCatalog, path: Path
) -> None:
    sync(store, "g0", {WEST: [make_item("w")], EAST: [make_item("e", EAST)]})
    store.begin("g1", [WEST])
    write(store, "g1", WEST, [make_item("late")])
    sync(SqliteCatalog(f"sqlite:///{path}"), "g2", {WEST: [make_item("new")]})
    for refused in (
        lambda: store.swap("g1", outcomes(cmip6=1), DECLARED),
        lambda: store.write("g1", WEST, "cmip6", put([make_item("later")])),
    ):
        with pytest.raises(NotFoundError, match="a later sync has replaced it"):
            refused()
    assert ids(store) == ["e", "new"]
    assert generations(path) == {"g0", "g2"}


def test_a_sync_that_was_given_up_is_cleared_away_by_the_next(store: SqliteCatalog, path: Path) -> None:
    sync(store, "g0", {WEST: [make_item("w")]})
    store.begin("g1", [WEST])
    write(store, "g1", WEST, [make_item("lost")])
    assert generations(path) == {"g0", "g1"}
    sync(store, "g2", {WEST: [make_item("w")]})
    assert ids(store) == ["w"]
    sync(store, "g3", {WEST: [make_item("x")]})
    assert "g1" not in generations(path)


def test_only_the_live_and_the_previous_generation_are_kept(store: SqliteCatalog, path: Path) -> None:
    for number in range(1, 5):
        sync(store, f"g{number}", {WEST: [make_item(f"a{number}")]})
    assert generations(path) == {"g3", "g4"}
    assert sorted(file.name for file in path.parent.iterdir()) == [
        "catalog-g3.sqlite",
        "catalog-g4.sqlite",
        "catalog.sqlite",
        "catalog.sqlite.lock",
    ]


def test_pages_hold_every_item_once_in_order(store: SqliteCatalog) -> None:
    items = [
        make_item(f"i{n:02}", properties={"start_datetime": f"20{n % 5:02}-01-01T00:00:00Z"})
        for n in range(23)
    ]
    sync(store, "g1", {WEST: items})
    expected = sorted(items, key=lambda i: (-int(i["properties"]["start_datetime"][:4]), i["id"]))
    found, token, pages = [], None, 0
    while pages == 0 or token:
        page = store.search(SearchQuery(limit=5, token=token))
        found += [item["id"] for item in page.items]
        token, pages = page.token, pages + 1
        assert page.matched == 23
    assert found == [item["id"] for item in expected]
    assert pages == 5


def test_the_last_page_has_no_token_when_it_is_full(store: SqliteCatalog) -> None:
    sync(store, "g1", {WEST: [make_item(f"i{n}") for n in range(10)]})
    assert store.search(SearchQuery(limit=10)).token is None


@pytest.mark.parametrize("direction", ["asc", "desc"])
def test_items_without_the_sorted_property_come_last_and_are_paged(
    store: SqliteCatalog, direction: str
) -> None:
    scenarios = ["b", None, "a", None, "b"]
    items = [make_item(f"i{n}", properties={"scenario": s}) for n, s in enumerate(scenarios)]
    sync(store, "g1", {WEST: items})
    found, token = [], None
    for _ in scenarios:
        query = {"sortby": [{"field": "properties.scenario", "direction": direction}], "limit": 1}
        page = store.search(SearchQuery.model_validate({**query, "token": token}))
        found += [item["id"] for item in page.items]
        token = page.token
    assert token is None
    first = ["i2", "i0", "i4"] if direction == "asc" else ["i0", "i4", "i2"]
    assert found == [*first, "i1", "i3"]


def test_paging_goes_on_in_its_generation_and_ends_with_it(store: SqliteCatalog) -> None:
    sync(store, "g1", {WEST: [make_item(f"i{n}") for n in range(4)]})
    token = store.search(SearchQuery(limit=2)).token
    sync(store, "g2", {WEST: [make_item("new")]})
    page = store.search(SearchQuery(limit=2, token=token))
    assert [item["id"] for item in page.items] == ["i2", "i3"]
    sync(store, "g3", {WEST: [make_item("newer")]})
    with pytest.raises(RequestError, match=r"token: .* renewed"):
        store.search(SearchQuery(limit=2, token=token))


MADE_UP = [
    "", "x", "é", "////", "W10", "bnVsbA", "WzEsMiwzXQ", "WyJhIiwgImciLCBbOTk5OTk5OTk5OTk5OTk5OTk5OTldXQ",
    # Of this very search, but with values that no Item has, and of generations that are other files.
    *(
        base64.urlsafe_b64encode(json.dumps([SearchQuery().fingerprint, *rest]).encode()).decode()
        for rest in (
            ["g1", [None, "c", "a"]],
            ["g1", ["yesterday", "c", "a"]],
            ["g1", [5, "c", "a"]],
            ["g1", ["2000-01-01T00:00:00.000000Z", "c"]],
            ["g1", ["2000-01-01T00:00:00.000000Z", "c", "a", "a"]],
            ["g1", ["2000-01-01T00:00:00.000000Z", "c", {"a": 1}]],
            ["../g1", ["2000-01-01T00:00:00.000000Z", "c", "a"]],
            [None, ["2000-01-01T00:00:00.000000Z", "c", "a"]],
            ["g1", None],
        )
    ),
]  # fmt: skip


@pytest.mark.parametrize("token", MADE_UP)
def test_a_made_up_token_is_refused(store: SqliteCatalog, token: str) -> None:
    sync(store, "g1", {WEST: [make_item("a")]})
    with pytest.raises(RequestError, match="token"):
        store.search(SearchQuery(token=token))


def test_a_token_of_another_search_is_refused(store: SqliteCatalog) -> None:
    sync(store, "g1", {WEST: [make_item("a"), make_item("b")]})
    token = store.search(SearchQuery(limit=1)).token
    with pytest.raises(RequestError, match="another search"):
        store.search(SearchQuery(limit=1, token=token, ids=("a", "b")))


def test_a_page_ends_before_it_outgrows_an_answer_of_lambda(store: SqliteCatalog) -> None:
    items = [make_item(f"i{n}", properties={"note": '"' * 500_000}) for n in range(12)]
    sync(store, "g1", {WEST: items})
    found, token, pages = [], None, 0
    while pages == 0 or token:
        page = store.search(SearchQuery(limit=100, token=token))
        found += [item["id"] for item in page.items]
        token, pages = page.token, pages + 1
    assert found == sorted(item["id"] for item in items)
    assert pages > 1


@pytest.mark.parametrize(
    ("interval", "expected"),
    [
        ("2005-01-01T00:00:00Z", ["interval"]),
        ("1980-01-01T00:00:00Z/1999-12-31T00:00:00Z", ["instant"]),
        ("1990-06-01T00:00:00Z/2000-01-01T00:00:00Z", ["interval", "instant"]),
        ("../1990-06-01T00:00:00Z", ["instant"]),
        ("2009-12-31T23:59:59Z/..", ["interval"]),
        ("2010-01-01T00:00:00Z/..", []),
        ("1990-06-01T02:00:00+02:00", ["instant"]),
    ],
)
def test_datetime_matches_what_intersects_it(
    store: SqliteCatalog, interval: str, expected: list[str]
) -> None:
    instant = make_item("instant")
    instant["properties"] = {"datetime": "1990-06-01T00:00:00Z"}
    sync(store, "g1", {WEST: [make_item("interval"), instant]})
    assert ids(store, datetime=interval) == expected


@pytest.mark.parametrize(
    ("bbox", "expected"),
    [
        ([-5, -5, 5, 5], ["africa"]),
        ([170, -20, 175, 20], ["fiji"]),
        ([175, -20, 179, 20], ["fiji"]),
        ([-179, -20, -178, 20], ["fiji"]),
        ([100, -20, -150, 20], ["fiji"]),
        ([5, -20, -175, 20], ["africa", "fiji"]),
        ([20, 20, 30, 30], []),
        ([-5, -5, 0, 5, 5, 100], ["africa"]),
        ([181, 91, 182, 92], []),
        ([175, -20, 190, 20], ["fiji"]),
        ([190, -20, 200, 20], []),
        ([350, -5, 355, 5], ["africa"]),
        ([-190, -20, -175, 20], ["fiji"]),
        ([0, -90, 360, 90], ["africa", "fiji"]),
        ([20, -90, 540, 90], ["africa", "fiji"]),
    ],
)
def test_bbox_matches_across_the_antimeridian(
    store: SqliteCatalog, bbox: list[float], expected: list[str]
) -> None:
    fiji = [ring(174, -20, 180, -10)], [ring(-180, -20, -178, -10)]
    held = [
        make_item("africa"),
        make_item("fiji", geometry={"type": "MultiPolygon", "coordinates": [half[0] for half in fiji]}),
        make_item("none", geometry=None, bbox=None),
    ]
    sync(store, "g1", {WEST: held})
    assert ids(store, bbox=bbox) == expected


HOSTILE = ["x' OR '1'='1", 'a"; DROP TABLE item; --', "日本語 ☃", "100%_[*?]\\", ""]


@pytest.mark.parametrize("text", HOSTILE)
def test_any_text_is_only_ever_a_value(store: SqliteCatalog, text: str) -> None:
    items = [make_item(hostile, properties={"scenario": hostile}) for hostile in HOSTILE]
    sync(store, "g1", {WEST: [*items, make_item("plain", properties={"scenario": "A1B"})]})
    equals = {"op": "=", "args": [{"property": "scenario"}, text]}
    assert ids(store, filter=equals) == [text]
    assert ids(store, ids=[text]) == [text]
    assert ids(store, collections=[text]) == []
    found = store.item("cmip6", text)
    assert found is not None
    assert found["id"] == text
    assert len(ids(store)) == len(HOSTILE) + 1


def test_more_ids_than_sqlite_binds_are_searched(store: SqliteCatalog) -> None:
    sync(store, "g1", {WEST: [make_item("a")]})
    assert ids(store, ids=["a", *(str(n) for n in range(40_000))]) == ["a"]


def test_collections_tell_extent_and_summaries(store: SqliteCatalog) -> None:
    items = [make_item("a", properties={"scenario": "A1B"}), make_item("b", bbox=[0, 0, 20, 20])]
    sync(store, "g1", {WEST: items})
    assert store.collections() == [
        {
            "id": "cmip6",
            "items": 2,
            "bbox": [-10.0, -10.0, 20.0, 20.0],
            "interval": ["2000-01-01T00:00:00Z", "2009-12-31T23:59:59Z"],
            "summaries": {
                "year": [2000],
                "variables": ["air_temperature"],
                "regions": [WEST],
                "scenario": ["A1B"],
            },
        }
    ]


def test_aggregation_counts_values(store: SqliteCatalog) -> None:
    held = [
        make_item("a", properties={"scenario": "A1B", "variables": ["tas", "pr"]}),
        make_item("b", properties={"scenario": "A1B", "variables": ["tas"]}),
        make_item(
            "c", properties={"scenario": "E1", "variables": [], "start_datetime": "1990-01-01T00:00:00Z"}
        ),
        make_item("d", properties={"scenario": None}, collection="era5"),
    ]
    copy = make_item("a", EAST, properties={"scenario": "A1B", "variables": ["tas", "pr"]})
    sync(store, "g1", {WEST: held, EAST: [copy]})
    names = ["collection", "regions", "variables", "scenario", "year"]
    matched, buckets = store.aggregate(SearchQuery(), names)
    assert matched == 4
    assert buckets == {
        "collection": [Bucket("cmip6", 3), Bucket("era5", 1)],
        "regions": [Bucket(WEST, 4), Bucket(EAST, 1)],
        "variables": [Bucket("tas", 2), Bucket("air_temperature", 1), Bucket("pr", 1)],
        "scenario": [Bucket("A1B", 2), Bucket("E1", 1)],
        "year": [Bucket(2000, 3), Bucket(1990, 1)],
    }
    matched, buckets = store.aggregate(SearchQuery(collections=("era5",)), ["scenario", "year"])
    assert (matched, buckets) == (1, {"scenario": [], "year": [Bucket(2000, 1)]})
    assert SqliteCatalog("sqlite:////no/such").aggregate(SearchQuery(), ["year"]) == (0, {"year": []})


def test_an_item_without_any_datetime_is_refused_by_name(store: SqliteCatalog) -> None:
    store.begin("g1", [WEST])
    timeless = make_item("timeless", properties={"start_datetime": None})
    with pytest.raises(RequestError, match="Item timeless: has no datetime"):
        store.write("g1", WEST, "cmip6", put([timeless]))


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


def test_a_search_is_not_kept_waiting_by_a_writer(store: SqliteCatalog, path: Path) -> None:
    sync(store, "g1", {WEST: [make_item("old")]})
    store.begin("g2", [WEST])
    write(store, "g2", WEST, [make_item("new")])
    files = [file for file in path.parent.iterdir() if file.name != path.name]
    writers = [sqlite3.connect(file, isolation_level=None) for file in files]
    try:
        for writer in writers:
            writer.execute("BEGIN EXCLUSIVE")
        fresh = SqliteCatalog(f"sqlite:///{path}")
        assert ids(fresh) == ids(store) == ["old"]
        assert [known.item_id for known in fresh.known(WEST, "cmip6")] == ["old"]
        assert fresh.freshness().keys() == {WEST}
    finally:
        for writer in writers:
            writer.close()


def test_several_writers_of_one_generation_lose_nothing(store: SqliteCatalog, path: Path) -> None:
    shared = [make_item(f"s{n}") for n in range(40)]
    store.begin("g1", [WEST, EAST])

    def sync_region(region: str) -> dict[str, int]:
        mine = [make_item(f"{region}-{n}", region) for n in range(20)]
        copies = [make_item(item["id"], region) for item in shared]
        writer = SqliteCatalog(f"sqlite:///{path}")
        for start in range(0, 60, 7):
            writer.write("g1", region, "cmip6", put([*copies, *mine][start : start + 7]))
        return {"cmip6": 60}

    with ThreadPoolExecutor(2) as pool:
        counts = dict(zip((WEST, EAST), pool.map(sync_region, (WEST, EAST)), strict=True))
    store.swap("g1", {region: Outcome(held) for region, held in counts.items()}, DECLARED)
    assert len(ids(store)) == 80
    both = {"op": "a_contains", "args": [{"property": "regions"}, [WEST, EAST]]}
    assert ids(store, filter=both) == sorted(item["id"] for item in shared)


def test_a_file_that_is_no_catalog_is_reported(store: SqliteCatalog, path: Path) -> None:
    path.write_text("this is not SQLite" * 100)
    with pytest.raises(UnavailableError, match=path.name):
        store.search(SearchQuery())


def test_a_catalog_of_another_version_is_reported(store: SqliteCatalog, path: Path) -> None:
    sync(store, "g1", {WEST: [make_item("a")]})
    connection = sqlite3.connect(path.with_name("catalog-g1.sqlite"))
    connection.execute("PRAGMA user_version = 7")
    connection.close()
    for use in (
        lambda: store.search(SearchQuery()),
        lambda: list(store.known(WEST, "cmip6")),
        lambda: store.begin("g2", [WEST]),
    ):
        with pytest.raises(UnavailableError, match=r"another version.* delete the file and run"):
            use()


def test_a_catalog_in_one_sqlite_file_is_reported(store: SqliteCatalog, path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE generation (name)")
    connection.close()
    for use in (lambda: store.search(SearchQuery()), lambda: store.begin("g1", [WEST])):
        with pytest.raises(UnavailableError, match=r"catalog.sqlite was written by another version"):
            use()


def test_a_damaged_generation_is_reported(store: SqliteCatalog, path: Path) -> None:
    sync(store, "g1", {WEST: [make_item("a")]})
    path.with_name("catalog-g1.sqlite").write_bytes(b"this is not SQLite" * 1000)
    with pytest.raises(UnavailableError, match="catalog-g1"):
        SqliteCatalog(f"sqlite:///{path}").search(SearchQuery())


def test_a_generation_whose_file_is_gone_is_reported(store: SqliteCatalog, path: Path) -> None:
    sync(store, "g1", {WEST: [make_item("a")]})
    path.with_name("catalog-g1.sqlite").unlink()
    with pytest.raises(UnavailableError, match="sync_catalog"):
        SqliteCatalog(f"sqlite:///{path}").search(SearchQuery())


@pytest.mark.parametrize("url", ["", "sqlite:///", "postgres://x", "/mnt/catalog.sqlite"])
def test_a_url_that_is_not_sqlite_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="sqlite:////mnt/catalog"):
        SqliteCatalog(url)


EXAMPLES = int(os.environ.get("PROPERTY_EXAMPLES", "75"))
quick = settings(deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def fixed(tmp_path_factory: pytest.TempPathFactory) -> SqliteCatalog:
    store = SqliteCatalog(f"sqlite:///{tmp_path_factory.mktemp('catalog')}/catalog.sqlite")
    sync(store, "g1", {WEST: ITEMS})
    return store


def pages(store: SqliteCatalog, search: dict[str, Any], limit: int) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    token, matched = None, None
    while token is not None or matched is None:
        query = {
            name: value
            for name, value in {**search, "limit": limit, "token": token}.items()
            if value is not None
        }
        page = store.search(SearchQuery.from_body(json.dumps(query)))
        assert matched in (None, page.matched)
        assert len(page.items) == limit or page.token is None
        assert page.items or page.matched == 0
        found += [(item["collection"], item["id"]) for item in page.items]
        token, matched = page.token, page.matched
    assert matched == len(found)
    return found


@settings(quick, max_examples=EXAMPLES)
@given(search=searches(), limit=st.integers(1, 60))
def test_any_search_finds_the_right_items_in_order_whatever_the_page(
    fixed: SqliteCatalog, search: dict[str, Any], limit: int
) -> None:
    wanted = find(ITEMS, search)
    assert pages(fixed, search, 1000) == wanted
    assert pages(fixed, search, max(limit, len(wanted) // 8)) == wanted


@settings(quick, max_examples=EXAMPLES // 5)
@given(held=items(), wanted=st.lists(searches(), min_size=4, max_size=4))
def test_any_items_are_found_by_any_search(
    tmp_path_factory: pytest.TempPathFactory, held: list[dict[str, Any]], wanted: list[dict[str, Any]]
) -> None:
    store = SqliteCatalog(f"sqlite:///{tmp_path_factory.mktemp('catalog')}/catalog.sqlite")
    sync(store, "g1", {WEST: held})
    for search in wanted:
        assert pages(store, search, 3) == find(held, search)


def test_the_fixed_items_tell_searches_apart(fixed: SqliteCatalog) -> None:
    for search in ({"q": ["air"]}, {"bbox": [175, -5, -175, 5]}, {"datetime": "1950-01-01T00:00:00Z"}):
        assert 0 < len(find(ITEMS, search)) < len(ITEMS)
        assert pages(fixed, search, 7) == find(ITEMS, search)
