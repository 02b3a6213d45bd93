"""What a search of the embedded store matches, and in which order, whatever the search and the Items."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dask_regions.catalog.answers import Bucket
from dask_regions.catalog.asking.query import SearchQuery
from dask_regions.catalog.sqlite import SqliteCatalog
from dask_regions.errors import RequestError
from testing.catalog.expected_matches import find
from testing.catalog.generations import ids, make_item, sync
from testing.catalog.random_searches import ITEMS, items, searches

WEST, EAST = "us-west-2", "us-east-1"
EXAMPLES = int(os.environ.get("PROPERTY_EXAMPLES", "75"))
quick = settings(deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture
def store(tmp_path: Path) -> SqliteCatalog:
    return SqliteCatalog(f"sqlite:///{tmp_path}/catalog.sqlite")


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


def ring(west: float, south: float, east: float, north: float) -> list[list[list[float]]]:
    return [[[west, south], [east, south], [east, north], [west, north], [west, south]]]


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
    # The bbox of each is the globe's: it is the geometry that counts.
    items_of_west = [
        make_item("africa", geometry={"type": "Polygon", "coordinates": ring(-10, -10, 10, 10)}),
        make_item("fiji", geometry={"type": "MultiPolygon", "coordinates": [half[0] for half in fiji]}),
        make_item("none", geometry=None, bbox=None),
    ]
    sync(store, "g1", {WEST: items_of_west})
    assert ids(store, bbox=bbox) == expected


def test_more_ids_than_sqlite_binds_are_searched(store: SqliteCatalog) -> None:
    sync(store, "g1", {WEST: [make_item("a")]})
    assert ids(store, ids=["a", *(str(n) for n in range(40_000))]) == ["a"]


def test_aggregation_counts_values(store: SqliteCatalog) -> None:
    items_of_west = [
        make_item("a", properties={"scenario": "A1B", "variables": ["tas", "pr"]}),
        make_item("b", properties={"scenario": "A1B", "variables": ["tas"]}),
        make_item(
            "c", properties={"scenario": "E1", "variables": [], "start_datetime": "1990-01-01T00:00:00Z"}
        ),
        make_item("d", properties={"scenario": None}, collection="era5"),
    ]
    copy = make_item("a", EAST, properties={"scenario": "A1B", "variables": ["tas", "pr"]})
    sync(store, "g1", {WEST: items_of_west, EAST: [copy]})
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


@pytest.fixture(scope="module")
def fixed(tmp_path_factory: pytest.TempPathFactory) -> SqliteCatalog:
    store = SqliteCatalog(f"sqlite:///{tmp_path_factory.mktemp('catalog')}/catalog.sqlite")
    sync(store, "g1", {WEST: ITEMS})
    return store


def pages(store: SqliteCatalog, search: dict[str, Any], limit: int) -> list[tuple[str, str]]:
    keys: list[tuple[str, str]] = []
    token, matched = None, None
    while token is not None or matched is None:
        query = {
            name: value
            for name, value in {**search, "limit": limit, "token": token}.items()
            if value is not None
        }
        page = store.search(SearchQuery.from_values(query))
        assert matched in (None, page.matched)
        assert len(page.items) == limit or page.token is None
        assert page.items or page.matched == 0
        keys += [(item["collection"], item["id"]) for item in page.items]
        token, matched = page.token, page.matched
    assert matched == len(keys)
    return keys


@settings(quick, max_examples=EXAMPLES)
@given(search=searches(), limit=st.integers(1, 60))
def test_any_search_finds_the_right_items_in_order_whatever_the_page(
    fixed: SqliteCatalog, search: dict[str, Any], limit: int
) -> None:
    wanted = find(ITEMS, search)
    assert pages(fixed, search, 1000) == wanted
    assert pages(fixed, search, max(limit, len(wanted) // 8)) == wanted


@settings(quick, max_examples=EXAMPLES // 5)
@given(catalog=items(), wanted=st.lists(searches(), min_size=4, max_size=4))
def test_any_items_are_found_by_any_search(
    tmp_path_factory: pytest.TempPathFactory, catalog: list[dict[str, Any]], wanted: list[dict[str, Any]]
) -> None:
    store = SqliteCatalog(f"sqlite:///{tmp_path_factory.mktemp('catalog')}/catalog.sqlite")
    sync(store, "g1", {WEST: catalog})
    for search in wanted:
        assert pages(store, search, 3) == find(catalog, search)


def test_the_fixed_items_tell_searches_apart(fixed: SqliteCatalog) -> None:
    for search in ({"q": ["air"]}, {"bbox": [175, -5, -175, 5]}, {"datetime": "1950-01-01T00:00:00Z"}):
        assert 0 < len(find(ITEMS, search)) < len(ITEMS)
        assert pages(fixed, search, 7) == find(ITEMS, search)
