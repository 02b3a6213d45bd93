"""Searches on a real OpenSearch find what logic says, and what the embedded engine finds, in its order."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from dask_regions.catalog.asking.query import SearchQuery
from dask_regions.catalog.changes import Put, RegionOutcome
from dask_regions.catalog.engines import Catalog, open_catalog
from dask_regions.errors import RequestError
from testing.catalog import expected_matches, random_searches

REGION = "us-west-2"
EXAMPLES = int(os.environ.get("PROPERTY_EXAMPLES", "200"))


def fill(store: Catalog, items: Sequence[Mapping[str, Any]], generation: str = "g1") -> None:
    """Put Items of any Collections into an empty catalog."""
    counts: dict[str, int] = {}
    store.begin(generation, [REGION])
    for collection in sorted({item["collection"] for item in items}):
        own = [Put(item["id"], "1", item) for item in items if item["collection"] == collection]
        store.write(generation, REGION, collection, own)
        counts[collection] = len(own)
    store.swap(generation, {REGION: RegionOutcome(counts)}, {REGION: list(counts)})


def keys(items: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    return [(item["collection"], item["id"]) for item in items]


@pytest.fixture(scope="module")
def engines(opensearch_server: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Catalog, Catalog]:
    """The same Items in both engines."""
    path = tmp_path_factory.mktemp("engines") / "catalog.sqlite"
    both = open_catalog(f"{opensearch_server}/filters-{os.getpid()}"), open_catalog(f"sqlite:///{path}")
    for store in both:
        fill(store, random_searches.ITEMS)
    return both


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(body=random_searches.searches())
def test_both_engines_select_what_logic_says_in_its_order(
    engines: tuple[Catalog, Catalog], body: dict[str, Any]
) -> None:
    query = SearchQuery.from_values({**body, "limit": 1000})
    expected = expected_matches.find(random_searches.ITEMS, body)
    for store in engines:
        page = store.search(query)
        assert keys(page.items) == expected
        assert page.matched == len(expected)


@settings(max_examples=EXAMPLES // 4, deadline=None, suppress_health_check=list(HealthCheck))
@given(body=random_searches.searches(), size=st.integers(1, 40))
def test_pages_put_together_are_the_whole(
    engines: tuple[Catalog, Catalog], body: dict[str, Any], size: int
) -> None:
    expected = expected_matches.find(random_searches.ITEMS, body)
    for store in engines:
        walked = list[tuple[str, str]]()
        for page in _pages(store, body, size):
            walked += keys(page.items)
            assert page.matched == len(expected)
        assert walked == expected


def _pages(store: Catalog, body: Mapping[str, Any], size: int) -> Iterator[Any]:
    token = None
    while True:
        page = store.search(SearchQuery.from_values({**body, "limit": size, "token": token}))
        yield page
        token = page.token
        if token is None:
            return


_numbers = count()


# Each is a catalog of its own, which takes a second or two: no smaller one is looked for that fails too.
@settings(
    max_examples=max(EXAMPLES // 40, 1),
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],
)
@given(items=random_searches.items(), bodies=st.lists(random_searches.searches(), min_size=10, max_size=10))
def test_random_items_are_found_too(
    opensearch_server: str, items: list[dict[str, Any]], bodies: list[dict[str, Any]]
) -> None:
    store = open_catalog(f"{opensearch_server}/random-{os.getpid()}-{next(_numbers)}")
    fill(store, items)
    for body in bodies:
        query = SearchQuery.from_values({**body, "limit": 1000})
        assert keys(store.search(query).items) == expected_matches.find(items, body)


NAMES = ["scenario", "variables", "year", "cmip6:table_id", "collection", "regions", "start_datetime"]


@settings(max_examples=EXAMPLES // 4, deadline=None, suppress_health_check=list(HealthCheck))
@given(body=random_searches.searches())
def test_both_engines_count_alike(engines: tuple[Catalog, Catalog], body: dict[str, Any]) -> None:
    query = SearchQuery.from_values(body)
    by_opensearch, by_sqlite = (store.aggregate(query, NAMES) for store in engines)
    assert by_opensearch == by_sqlite


def test_both_engines_sum_collections_up_alike(engines: tuple[Catalog, Catalog]) -> None:
    by_opensearch, by_sqlite = (store.collections() for store in engines)
    assert by_opensearch == by_sqlite


def scenarios(store: Catalog, **parameters: Any) -> list[str]:
    page = store.search(SearchQuery.from_values({"limit": 1000, "sortby": [{"field": "id"}], **parameters}))
    return [item["id"] for item in page.items]


PATTERNS = [
    ("%" * 50 + "x", ["x", "yx"]),
    ("%a" + "_" * 30, ["a" * 30_000]),
    ("%_" * 20, ["a" * 30_000]),
    ("%x" + "_" * 30, []),
    ("_%_", ["yx", "*?\\", "%_", "\U0001f30d\U0001f30d", "a" * 30_000]),
    ("__", ["yx", "%_", "\U0001f30d\U0001f30d"]),
    ("\\%\\_", ["%_"]),
    ("*%", ["*?\\"]),
    ("%\\\\", ["*?\\"]),
    ("%" + "\U0001f30d" + "%_" * 3 + "%" * 9, []),
    ("_" * 8 + "%", ["a" * 30_000]),
    ("%" + "a" * 300 + "%", ["a" * 30_000]),
    ("a" * 900 + "%" + "_" * 9, ["a" * 30_000]),
]


def test_any_pattern_is_answered(patterned: Catalog) -> None:
    for pattern, expected in PATTERNS:
        fits = {"op": "like", "args": [{"property": "scenario"}, pattern]}
        matching = patterned.search(SearchQuery.from_values({"limit": 100, "filter": fits}))
        assert [item["properties"]["scenario"] for item in matching.items] == expected, pattern
        unlike = {"op": "not", "args": [fits]}
        others = patterned.search(SearchQuery.from_values({"limit": 100, "filter": unlike}))
        assert matching.matched + others.matched == len(TEXTS), pattern


TEXTS = ["x", "yx", "*?\\", "%_", "\U0001f30d\U0001f30d", "", "a" * 30_000, "\ud7ff", "\ue000"]


@pytest.fixture(scope="module")
def patterned(opensearch_server: str) -> Catalog:
    store = open_catalog(f"{opensearch_server}/patterns-{os.getpid()}")
    base = random_searches.ITEMS[0]
    texts: list[str | None] = [*TEXTS, None]
    fill(
        store,
        [
            {
                **base,
                "id": f"i{n}",
                "properties": {"datetime": "2000-01-01T00:00:00Z", "scenario": text, "title": "\uffee"},
            }
            for n, text in enumerate(texts)
        ],
    )
    return store


def test_properties_are_compared_by_code_points(patterned: Catalog) -> None:
    # U+1F30D is beyond U+FFEE, and its first half in UTF-16 is not. The other eight texts are before it.
    for operator, expected in {"<": 8, "<=": 8, ">": 1, ">=": 1, "=": 0, "<>": 9}.items():
        condition = {"op": operator, "args": [{"property": "scenario"}, {"property": "title"}]}
        page = patterned.search(SearchQuery.from_values({"filter": condition}))
        assert page.matched == expected, operator


def test_as_many_ids_as_a_request_holds_are_searched(patterned: Catalog) -> None:
    ids = ["i1", *(f"none{n}" for n in range(9_000))]
    assert scenarios(patterned, ids=ids[:10_000]) == ["i1"]


def test_a_filter_of_too_many_conditions_is_refused(patterned: Catalog) -> None:
    ranges = [{"op": "<", "args": [{"property": "scenario"}, f"{n}"]} for n in range(499)]
    with pytest.raises(RequestError, match="filter: has more conditions"):
        patterned.search(SearchQuery.from_values({"filter": {"op": "or", "args": ranges}}))
    equal = [{"op": "<>", "args": [{"property": "scenario"}, f"{n}"]} for n in range(450)]
    assert patterned.search(SearchQuery.from_values({"filter": {"op": "and", "args": equal}})).matched == 9
    fewer = ranges[:330]
    assert patterned.search(SearchQuery.from_values({"filter": {"op": "or", "args": fewer}})).matched > 0


def test_a_deep_filter_is_answered(patterned: Catalog) -> None:
    condition: dict[str, Any] = {"op": "=", "args": [{"property": "scenario"}, "x"]}
    for depth in range(14):
        other = {"op": "isNull", "args": [{"property": "title"}]}
        condition = {"op": "and" if depth % 2 else "or", "args": [{"op": "not", "args": [other]}, condition]}
    assert patterned.search(SearchQuery.from_values({"filter": condition})).matched == 10
