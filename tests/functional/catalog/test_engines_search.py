"""What holds of a search of every engine of the catalog: order, pages, counts, and any text as a value."""

from __future__ import annotations

from pathlib import Path

import pytest

from dask_regions.catalog.answers import Bucket, Page
from dask_regions.catalog.asking.query import SearchQuery
from dask_regions.catalog.engines import Catalog, open_catalog
from testing.catalog.expected_matches import find
from testing.catalog.generations import ids, make_item, sync
from testing.catalog.stac_api import ENGINES, engine_url

WEST = "us-west-2"


@pytest.fixture(params=ENGINES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Catalog:
    return open_catalog(engine_url(request.param, request, tmp_path))


def pages(store: Catalog, **parameters: str) -> list[Page]:
    """Return all pages of a search with the parameters of ``GET /search``."""
    walked: list[Page] = []
    token: dict[str, str] = {}
    while token or not walked:
        page = store.search(SearchQuery.from_parameters(parameters | token))
        walked.append(page)
        token = {"token": page.token} if page.token else {}
    return walked


def test_pages_hold_every_item_once_in_order(store: Catalog) -> None:
    scenarios = ["b", None, "é", "\uffee", "\U0001f30d", None, "B", "", "b", None]
    items = [
        make_item(
            f"i{n}",
            properties={"start_datetime": f"200{n % 4}-01-01T00:00:00Z", "scenario": scenario}
            if n % 3
            else {"datetime": f"0{n}99-06-01T00:00:00.000001Z", "start_datetime": None, "end_datetime": None},
        )
        for n, scenario in enumerate(scenarios)
    ]
    sync(store, "g1", {WEST: items})
    for sortby in ("-datetime", "scenario", "-scenario", "-id", "year", "-end_datetime", "datetime"):
        field, direction = sortby.removeprefix("-"), "desc" if sortby.startswith("-") else "asc"
        wanted = find(items, {"sortby": [{"field": field, "direction": direction}]})
        # The first of them is the order of a search that asks for none.
        order = {} if sortby == "-datetime" else {"sortby": sortby}
        [whole] = pages(store, **order, limit="100")
        assert [(item["collection"], item["id"]) for item in whole.items] == wanted, sortby
        walked = pages(store, **order, limit="3")
        assert [item for page in walked for item in page.items] == whole.items, sortby
        assert [page.matched for page in [whole, *walked]] == [10] * 5, sortby


def test_items_without_the_sorted_property_come_last(store: Catalog) -> None:
    scenarios = ["b", None, "a", None, "b"]
    items = [make_item(f"i{n}", properties={"scenario": s}) for n, s in enumerate(scenarios)]
    sync(store, "g1", {WEST: items})
    for sortby, expected in (
        ("scenario", ["i2", "i0", "i4", "i1", "i3"]),
        ("-properties.scenario", ["i0", "i4", "i2", "i1", "i3"]),
    ):
        for limit in (1, 5):
            walked = pages(store, sortby=sortby, limit=str(limit))
            assert [item["id"] for page in walked for item in page.items] == expected, (sortby, limit)
            assert len(walked) == 5 // limit


def test_the_last_page_has_no_token_when_it_is_full(store: Catalog) -> None:
    sync(store, "g1", {WEST: [make_item(f"i{n}") for n in range(10)]})
    assert store.search(SearchQuery(limit=10)).token is None


def test_a_page_ends_before_it_outgrows_an_answer_of_lambda(store: Catalog) -> None:
    items = [make_item(f"i{n}", properties={"note": '"' * 500_000}) for n in range(12)]
    sync(store, "g1", {WEST: items})
    walked = pages(store, limit="100")
    assert [item["id"] for page in walked for item in page.items] == sorted(item["id"] for item in items)
    assert len(walked) > 1


def test_values_are_counted_by_frequency(store: Catalog) -> None:
    items = [
        make_item("a", properties={"scenario": "x", "variables": ["t", "p"]}),
        make_item("b", properties={"scenario": "y", "variables": ["t"]}),
        make_item("c", properties={"scenario": "y", "variables": []}),
        make_item("d", properties={"start_datetime": "1999-01-01T00:00:00Z"}),
    ]
    sync(store, "g1", {WEST: items})
    names = ["scenario", "variables", "year", "regions", "collection"]
    matched, buckets = store.aggregate(SearchQuery(), names)
    assert matched == 4
    assert buckets == {
        "scenario": [Bucket("y", 2), Bucket("x", 1)],
        "variables": [Bucket("t", 2), Bucket("air_temperature", 1), Bucket("p", 1)],
        "year": [Bucket(2000, 3), Bucket(1999, 1)],
        "regions": [Bucket(WEST, 4)],
        "collection": [Bucket("cmip6", 4)],
    }
    assert store.aggregate(SearchQuery(ids=("b", "none")), ["variables"]) == (
        1,
        {"variables": [Bucket("t", 1)]},
    )


def test_collections_tell_extent_and_summaries(store: Catalog) -> None:
    items = [
        make_item("a", properties={"scenario": "A1B"}, bbox=[-10.0, -10.0, 10.0, 10.0], geometry=None),
        make_item("b", bbox=[0, 0, 20, 20.5], properties={"end_datetime": "9999-12-31T23:59:59.5Z"}),
        make_item("c", bbox=None, geometry=None),
    ]
    sync(store, "g1", {WEST: items})
    (collection,) = store.collections()
    assert collection.pop("summaries") == {
        "variables": ["air_temperature"], "regions": [WEST], "scenario": ["A1B"], "year": [2000],
    }  # fmt: skip
    assert collection == {
        "id": "cmip6",
        "items": 3,
        "bbox": [-10.0, -10.0, 20.0, 20.5],
        "interval": ["2000-01-01T00:00:00Z", "9999-12-31T23:59:59.500000Z"],
    }


HOSTILE = [
    "x' OR '1'='1",
    'a"; DROP TABLE item; --',
    "日本語 ☃",
    "100%_[*?]\\",
    "",
    "../..",
    "a/b?c#d",
    "_all",
]


def test_any_text_is_only_ever_a_value(store: Catalog) -> None:
    items = [make_item(hostile, properties={"scenario": hostile}) for hostile in HOSTILE]
    sync(store, "g1", {WEST: [*items, make_item("plain", properties={"scenario": "A1B"})]})
    assert len(ids(store)) == len(HOSTILE) + 1
    for text in HOSTILE:
        equals = {"op": "=", "args": [{"property": "scenario"}, text]}
        assert ids(store, filter=equals) == [text]
        assert ids(store, ids=[text]) == [text]
        assert ids(store, collections=[text]) == []
        item = store.item("cmip6", text)
        assert item is not None
        assert item["id"] == text
        assert store.item(text, "plain") is None
