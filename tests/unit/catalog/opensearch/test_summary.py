"""What a Collection holds, as OpenSearch sums it up."""

from __future__ import annotations

from typing import Any

from dask_regions.catalog.opensearch import summary
from dask_regions.catalog.queryables import FACETS


def sides(*values: float | None) -> dict[str, Any]:
    return dict(zip(("west", "south", "east", "north"), ({"value": v} for v in values), strict=True))


def buckets(*keys: Any) -> dict[str, Any]:
    return {"buckets": [{"key": key, "doc_count": 1} for key in keys]}


def test_a_box_is_there_where_an_item_has_one() -> None:
    assert summary._bbox(sides(-10.0, -5.5, 10.0, 5.0)) == [-10.0, -5.5, 10.0, 5.0]
    assert summary._bbox(sides(None, None, None, None)) is None


def test_an_interval_is_from_the_first_to_the_last_second() -> None:
    ends = {"first": buckets(0), "last": buckets(1_500_000)}
    assert summary._interval(ends) == ["1970-01-01T00:00:00Z", "1970-01-01T00:00:01.500000Z"]
    assert summary._interval({"first": buckets(), "last": buckets()}) is None


def test_values_are_told_where_they_are_few() -> None:
    empty = {f"values:{queryable.name}": buckets() for queryable in FACETS}
    few = {**empty, "values:scenario": buckets("A1B", "E1")}
    assert summary._values(few) == {"scenario": ["A1B", "E1"]}
    assert summary._values({**empty, "values:scenario": buckets(*range(100))})["scenario"] == [*range(100)]
    assert summary._values({**empty, "values:scenario": buckets(*range(101))}) == {}


def test_one_value_more_than_is_told_is_asked_for() -> None:
    request = summary._request()
    assert (request["size"], request["track_total_hits"]) == (0, True)
    for queryable in FACETS:
        terms = request["aggs"][f"values:{queryable.name}"]["terms"]
        assert (terms["field"], terms["size"]) == (f"values.{queryable.name}", 101)
