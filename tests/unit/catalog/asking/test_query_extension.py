"""The query extension: what it selects, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dask_regions.catalog.asking.query import SearchQuery
from dask_regions.catalog.sqlite import SqliteCatalog
from dask_regions.errors import RequestError
from testing.catalog.expected_matches import with_year
from testing.catalog.random_searches import ITEMS
from testing.catalog.searching import selected_both_ways


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ({}, lambda _: True),
        ({"scenario": {"eq": "A1B"}}, lambda p: p.get("scenario") == "A1B"),
        ({"properties.scenario": {"neq": "A1B"}}, lambda p: p.get("scenario") not in (None, "A1B")),
        ({"scenario": {"eq": None}}, lambda p: p.get("scenario") is None),
        ({"scenario": {"neq": None}}, lambda p: p.get("scenario") is not None),
        ({"year": {"gt": 1850, "lte": 1950}}, lambda p: 1850 < p["year"] <= 1950),
        ({"year": {"in": [1850, 2015.0]}}, lambda p: p["year"] in (1850, 2015)),
        (
            {"start_datetime": {"lt": "1950-01-01T01:00:00+01:00"}},
            lambda p: (p.get("start_datetime") or "3") < "1950-01-01T00:00:00Z",
        ),
        ({"scenario": {"startsWith": "Ü%"}}, lambda p: (p.get("scenario") or "").startswith("Ü%")),
        ({"scenario": {"endsWith": "_*"}}, lambda p: (p.get("scenario") or "").endswith("_*")),
        ({"scenario": {"contains": "\\"}}, lambda p: "\\" in (p.get("scenario") or "")),
        ({"scenario": {"in": ["E1", "A1B"]}}, lambda p: p.get("scenario") in ("E1", "A1B")),
        ({"variables": {"contains": "tas"}}, lambda p: "tas" in (p.get("variables") or [])),
        ({"variables": {"in": ["Ü", "pr"]}}, lambda p: {"Ü", "pr"} & {*(p.get("variables") or [])}),
        (
            {"scenario": {"eq": "E1"}, "cmip6:table_id": {"gte": "a"}},
            lambda p: p.get("scenario") == "E1" and (p.get("cmip6:table_id") or "") >= "a",
        ),
    ],
)
def test_the_query_extension_selects_by_properties(store: SqliteCatalog, query: Any, wanted: Any) -> None:
    expected = {item["id"] for item in map(with_year, ITEMS) if wanted(item["properties"])}
    assert selected_both_ways(store, "query", query) == expected
    assert expected


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ([], "must be an object"),
        ({"colour": {"eq": "red"}}, "'colour' is not a queryable"),
        ({"scenario": "A1B"}, "takes an object of operators"),
        ({"scenario": {}}, "takes an object of operators"),
        ({"scenario": {"like": "A"}}, "'like' is no operator; there are eq"),
        ({"scenario": {"eq": 5}}, "5 is not a string"),
        ({"scenario": {"in": "A1B"}}, "in takes a list"),
        ({"scenario": {"in": []}}, "in takes a list"),
        ({"year": {"eq": "2015"}}, "is not an integer"),
        ({"year": {"eq": True}}, "is not an integer"),
        ({"year": {"startsWith": "20"}}, "takes a property that is a string"),
        ({"variables": {"eq": "tas"}}, "is an array"),
        ({"datetime": {"eq": "today"}}, "not an RFC 3339 timestamp"),
        ({"scenario": {"contains": "x" * 451}}, "up to 450"),
    ],
)
def test_a_query_that_is_wrong_is_refused(query: Any, message: str) -> None:
    with pytest.raises(RequestError, match=message) as caught:
        SearchQuery.from_parameters({"query": json.dumps(query)})
    assert caught.value.parameter == "query"
