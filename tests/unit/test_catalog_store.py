"""The embedded store: generations, order and paging, and what a search matches."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from dask_regions.catalog.query import SearchQuery
from dask_regions.catalog.sqlite import SqliteCatalog
from dask_regions.catalog.tables import transaction
from dask_regions.errors import ConfigurationError, NotFoundError, RequestError, UnavailableError

WEST, EAST = "us-west-2", "us-east-1"
DECLARED = {WEST: ["cmip6"], EAST: ["cmip6"]}


def make_item(item_id: str, region: str = WEST, **changes: Any) -> dict[str, Any]:
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
        "geometry": None,
        "bbox": [-10.0, -10.0, 10.0, 10.0],
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


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "catalog.sqlite"


@pytest.fixture
def store(path: Path) -> SqliteCatalog:
    return SqliteCatalog(f"sqlite:///{path}")


def sync(
    store: SqliteCatalog,
    generation: str,
    held: dict[str, list[dict[str, Any]]],
    failed: dict[str, str] | None = None,
    declared: dict[str, list[str]] | None = None,
) -> dict[str, Any]:
    failed = failed or {}
    store.begin(generation, [*held, *failed])
    counts = {region: store.write(generation, region, items) for region, items in held.items()}
    counts = {region: count for region, count in counts.items() if region not in failed}
    return store.swap(generation, failed, counts, DECLARED if declared is None else declared)


def ids(store: SqliteCatalog, **parameters: Any) -> list[str]:
    query = SearchQuery.model_validate({"limit": 1000, **parameters})
    return [item["id"] for item in store.search(query).items]


def test_a_store_without_a_file_is_an_empty_catalog(store: SqliteCatalog, path: Path) -> None:
    assert store.search(SearchQuery()).items == []
    assert store.collections() == []
    assert store.freshness() == {}
    assert store.item("cmip6", "a") is None
    assert not path.exists()


def test_a_generation_is_invisible_until_it_is_swapped(store: SqliteCatalog) -> None:
    sync(store, "g1", {WEST: [make_item("old")]})
    store.begin("g2", [WEST])
    store.write("g2", WEST, [make_item("new")])
    assert ids(store) == ["old"]
    assert store.item("cmip6", "new") is None
    result = store.swap("g2", {}, {WEST: 1}, DECLARED)
    assert ids(store) == ["new"]
    assert result == {"generation": "g2", "items": 1, "regions": {WEST: 1}, "failed": {}}


def test_begin_write_and_swap_can_be_repeated(store: SqliteCatalog) -> None:
    for _ in range(2):
        store.begin("g1", [WEST])
        assert store.write("g1", WEST, [make_item("a"), make_item("b")]) == 2
    first = store.swap("g1", {}, {WEST: 2}, DECLARED)
    assert store.swap("g1", {}, {WEST: 2}, DECLARED) == first
    store.begin("g1", [WEST])
    assert ids(store) == ["a", "b"]


def test_writing_into_a_generation_that_is_not_under_way_is_refused(store: SqliteCatalog) -> None:
    sync(store, "g1", {WEST: [make_item("a")]})
    with pytest.raises(NotFoundError, match="g1 is done"):
        store.write("g1", WEST, [make_item("b")])
    with pytest.raises(NotFoundError, match="g9 has not begun"):
        store.write("g9", WEST, [make_item("b")])


def test_a_count_that_does_not_agree_keeps_the_old_generation(store: SqliteCatalog) -> None:
    sync(store, "g1", {WEST: [make_item("old")]})
    store.begin("g2", [WEST])
    store.write("g2", WEST, [make_item("new")])
    with pytest.raises(UnavailableError, match="wrote 2 Items and 1 are stored"):
        store.swap("g2", {}, {WEST: 2}, DECLARED)
    assert ids(store) == ["old"]


def test_a_region_whose_count_is_not_reported_is_not_swapped_in(store: SqliteCatalog) -> None:
    store.begin("g1", [WEST])
    with pytest.raises(UnavailableError, match=WEST):
        store.swap("g1", {}, {}, DECLARED)


def test_a_failed_region_keeps_its_items_and_is_stale(store: SqliteCatalog) -> None:
    sync(store, "g1", {WEST: [make_item("w1")], EAST: [make_item("e1", EAST)]})
    synced = store.freshness()[EAST]["synced"]
    store.begin("g2", [WEST, EAST])
    store.write("g2", WEST, [make_item("w2")])
    store.write("g2", EAST, [make_item("half", EAST)])
    result = store.swap("g2", {EAST: "no route"}, {WEST: 1}, DECLARED)
    assert ids(store) == ["e1", "w2"]
    assert result["failed"] == {EAST: "no route"}
    assert store.freshness()[EAST] == {"synced": synced, "stale": True, "error": "no route"}
    assert store.freshness()[WEST]["stale"] is False


def test_a_region_that_recovers_is_no_longer_stale(store: SqliteCatalog) -> None:
    sync(store, "g1", {WEST: [make_item("w1")]}, failed={EAST: "no route"})
    assert store.freshness()[EAST] == {"synced": None, "stale": True, "error": "no route"}
    sync(store, "g2", {EAST: [make_item("e2", EAST)]})
    assert store.freshness()[EAST]["stale"] is False
    assert ids(store) == ["e2", "w1"]


def test_a_sync_in_which_every_region_failed_changes_no_item(store: SqliteCatalog) -> None:
    sync(store, "g1", {WEST: [make_item("w1")]})
    result = sync(store, "g2", {}, failed={WEST: "denied"})
    assert result["generation"] == "g1"
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
    items = [make_item("kept", EAST), make_item("gone", EAST, collection="retired")]
    sync(store, "g1", {WEST: [make_item("a")], EAST: items})
    sync(store, "g2", {WEST: [make_item("a")]}, failed={EAST: "no route"})
    assert ids(store) == ["a", "kept"]
    assert [held["id"] for held in store.collections()] == ["cmip6"]


def test_a_swap_that_is_overtaken_leaves_nothing_behind(
    store: SqliteCatalog, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync(store, "g0", {WEST: [make_item("w")], EAST: [make_item("e", EAST)]})
    store.begin("g1", [WEST])
    store.write("g1", WEST, [make_item("late")])
    carry_over = SqliteCatalog._carry_over

    def overtaken(self: SqliteCatalog, *arguments: Any) -> None:
        monkeypatch.setattr(SqliteCatalog, "_carry_over", carry_over)
        sync(SqliteCatalog(f"sqlite:///{path}"), "g2", {WEST: [make_item("new")]})
        carry_over(self, *arguments)

    monkeypatch.setattr(SqliteCatalog, "_carry_over", overtaken)
    with pytest.raises(NotFoundError, match="a later sync has replaced it"):
        store.swap("g1", {}, {WEST: 1}, DECLARED)
    assert ids(store) == ["e", "new"]
    with transaction(path, write=False) as connection:
        for table in ("part", "item", "collection", "planned"):
            rows = connection.execute(f"SELECT DISTINCT generation FROM {table} ORDER BY 1").fetchall()
            assert rows == [("g0",), ("g2",)]


def test_only_the_live_and_the_previous_generation_are_kept(store: SqliteCatalog, path: Path) -> None:
    for number in range(1, 5):
        sync(store, f"g{number}", {WEST: [make_item(f"a{number}")]})
    with transaction(path, write=False) as connection:
        for table in ("part", "item", "planned", "collection"):
            rows = connection.execute(f"SELECT DISTINCT generation FROM {table} ORDER BY 1").fetchall()
            assert rows == [("g3",), ("g4",)]


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


@pytest.mark.parametrize(
    "token",
    ["", "x", "é", "////", "W10", "bnVsbA", "WzEsMiwzXQ", "WyJhIiwgImciLCBbOTk5OTk5OTk5OTk5OTk5OTk5OTldXQ"],
)
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
    items = [make_item("africa"), make_item("fiji", bbox=[174, -20, -178, -10]), make_item("none", bbox=None)]
    sync(store, "g1", {WEST: items})
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
            "summaries": {"variables": ["air_temperature"], "regions": [WEST], "scenario": ["A1B"]},
        }
    ]


def test_an_item_without_any_datetime_is_refused_by_name(store: SqliteCatalog) -> None:
    store.begin("g1", [WEST])
    timeless = make_item("timeless", properties={"start_datetime": None})
    with pytest.raises(RequestError, match="Item timeless: has no datetime"):
        store.write("g1", WEST, [timeless])


def test_a_value_of_the_wrong_kind_is_refused_by_name(store: SqliteCatalog) -> None:
    store.begin("g1", [WEST])
    with pytest.raises(RequestError, match="Item a: scenario must be a string, not 585; quote it"):
        store.write("g1", WEST, [make_item("a", properties={"scenario": 585})])


def test_a_reader_in_the_middle_of_a_swap_sees_one_generation(store: SqliteCatalog, path: Path) -> None:
    sync(store, "g1", {WEST: [make_item("old")]})
    store.begin("g2", [WEST])
    store.write("g2", WEST, [make_item("new")])
    with transaction(path, write=True) as writer:
        writer.execute("UPDATE generation SET state = 'previous' WHERE name = 'g1'")
        assert ids(store) == ["old"]


def test_a_file_that_is_no_catalog_is_reported(store: SqliteCatalog, path: Path) -> None:
    path.write_text("this is not SQLite" * 100)
    with pytest.raises(UnavailableError, match=path.name):
        store.search(SearchQuery())


def test_a_catalog_of_another_version_is_reported(store: SqliteCatalog, path: Path) -> None:
    sync(store, "g1", {WEST: []})
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 7")
    connection.close()
    with pytest.raises(UnavailableError, match="another version"):
        store.search(SearchQuery())


@pytest.mark.parametrize("url", ["", "sqlite:///", "postgres://x", "/mnt/catalog.sqlite"])
def test_a_url_that_is_not_sqlite_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="sqlite:////mnt/catalog"):
        SqliteCatalog(url)
