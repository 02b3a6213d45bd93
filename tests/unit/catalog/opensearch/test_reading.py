"""What is asked of OpenSearch for one page, and what its answers say; no server is asked."""

from __future__ import annotations

from typing import Any

import pytest

from dask_regions.catalog.answers import Bucket
from dask_regions.catalog.asking.query import Order, SearchQuery
from dask_regions.catalog.generations import Generations
from dask_regions.catalog.opensearch import reading
from dask_regions.catalog.opensearch.client import OpenSearchError
from dask_regions.catalog.opensearch.documents import CollectionIndexes, Live
from dask_regions.catalog.queryables import BEGAN, QUERYABLES
from dask_regions.errors import UnavailableError

TITLE, YEAR, UPDATED = (
    QUERYABLES["title"],
    QUERYABLES["year"],
    next(q for q in QUERYABLES.values() if q.kind == "timestamp" and not Order(q).total),
)
CMIP6_LEVEL = next(q for q in QUERYABLES.values() if q.kind == "integer")
LARGEST, SMALLEST = (1 << 63) - 1, -(1 << 63)
ALL: dict[str, Any] = {"match_all": {}}


@pytest.mark.parametrize(
    ("order", "value", "raw"),
    [
        (Order(TITLE), "air", "air"),
        (Order(TITLE), None, None),
        (Order(CMIP6_LEVEL), 7, 7),
        (Order(CMIP6_LEVEL), None, LARGEST),
        (Order(CMIP6_LEVEL, descending=True), None, SMALLEST),
        (Order(BEGAN), "1970-01-01T00:00:01.000000Z", 1_000_000),
        (Order(UPDATED), None, LARGEST),
        (Order(UPDATED, descending=True), None, SMALLEST),
    ],
)
def test_a_page_goes_on_after_the_values_that_the_last_one_ended_with(
    order: Order, value: Any, raw: Any
) -> None:
    assert reading._raw(order, value) == raw
    assert reading._value(order, raw) == value


def test_items_without_a_value_are_last_in_both_directions() -> None:
    assert reading._sort(Order(TITLE)) == {"values.title": {"order": "asc", "missing": "_last"}}
    assert reading._sort(Order(TITLE, descending=True)) == {
        "values.title": {"order": "desc", "missing": "_last"}
    }


@pytest.mark.parametrize(
    ("order", "value", "bound"),
    [
        (Order(BEGAN), "1970-01-01T00:00:00Z", {"values.began": {"gte": 0}}),
        (Order(BEGAN, descending=True), "1970-01-01T00:00:00Z", {"values.began": {"lte": 0}}),
        (Order(QUERYABLES["id"]), "a", {"values.id": {"gte": "a"}}),
    ],
)
def test_what_comes_before_a_page_is_not_read(order: Order, value: Any, bound: Any) -> None:
    assert reading._beyond(ALL, order, value) == {"bool": {"filter": [ALL, {"range": bound}]}}


@pytest.mark.parametrize(("order", "value"), [(Order(TITLE), "air"), (Order(TITLE), None)])
def test_where_values_may_be_missing_nothing_is_left_out(order: Order, value: Any) -> None:
    assert reading._beyond(ALL, order, value) is ALL


def collection(name: str) -> CollectionIndexes:
    return CollectionIndexes(name, f"items-{name}", f"sources-{name}", 1, {})


LIVE = Live(
    Generations("g2", "g1"),
    {"g1": {"c": collection("old")}, "g2": {"c": collection("c"), "b": collection("b")}},
)


@pytest.mark.parametrize(
    ("generation", "collections", "indexes"),
    [
        ("g2", None, ["items-b", "items-c"]),
        ("g2", ("c", "unknown"), ["items-c"]),
        ("g2", (), []),
        ("g1", None, ["items-old"]),
        ("g0", None, []),
        (None, None, []),
    ],
)
def test_a_search_is_of_the_indexes_of_its_generation(
    generation: str | None, collections: tuple[str, ...] | None, indexes: list[str]
) -> None:
    assert reading._indexes(LIVE, generation, SearchQuery(collections=collections)) == indexes


def answer_of(*contents: Any) -> dict[str, Any]:
    return {"hits": {"hits": [{"_source": {"content": content}} for content in contents]}}


def test_what_is_live_comes_with_each_answer() -> None:
    assert reading._live_of(answer_of(LIVE.dump())) == LIVE
    assert reading._live_of(answer_of()) == Live()
    missing = {"error": {"type": "index_not_found_exception"}, "status": 404}
    assert reading._live_of(missing) == Live()


@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        (
            {"status": 429, "error": {"type": "busy"}},
            UnavailableError,
            "too busy .it answers 429.; try again",
        ),
        ({"status": 503, "error": "x"}, UnavailableError, "too busy"),
        (
            {"status": 500, "error": {"caused_by": {"type": "task_cancelled_exception"}}},
            reading._CancelledError,
            "took longer than 15 s; try again",
        ),
        ({"status": 400, "error": {"type": "parsing_exception"}}, OpenSearchError, "answers 400"),
    ],
)
def test_one_answer_of_several_may_have_failed(
    answer: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        reading._checked(answer)


def test_buckets_are_read_by_kind() -> None:
    assert reading._bucket("string", {"key": "a", "doc_count": 2}) == Bucket("a", 2)
    assert reading._bucket("integer", {"key": 7, "doc_count": 2}) == Bucket(7, 2)
    second = reading._bucket("timestamp", {"key": 1_000_000, "doc_count": 1})
    assert second.key == "1970-01-01T00:00:01.000000Z"
