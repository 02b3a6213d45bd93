"""Searches: every parameter of a GET and a POST, what they become, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dask_regions.catalog.asking.query import SearchQuery
from dask_regions.catalog.asking.values import Fields, SortKey
from dask_regions.catalog.expression import Always, In, Spatial, Text
from dask_regions.errors import RequestError


@pytest.mark.parametrize(
    ("parameters", "name"),
    [
        ({"bbox": "0,0,1,1", "intersects": '{"type": "Point", "coordinates": [0, 0]}'}, "intersects"),
        ({"query": "{"}, "query"),
        ({"queries": "{}"}, "queries"),
        ({"filter-crs": "EPSG:4326"}, "filter-crs"),
        ({"filter": "true", "filter-lang": "sql"}, "filter-lang"),
        ({"sortby": "variables"}, "sortby"),
        ({"sortby": "geometry"}, "sortby"),
        ({"sortby": "began"}, "sortby"),
        ({"sortby": "id,id,id,id,id,id"}, "sortby"),
        ({"limit": "0"}, "limit"),
        ({"limit": "ten"}, "limit"),
        ({"bbox": "0,0,nan,1"}, "bbox"),
        ({"datetime": "2020-01-01T00:00:52,5Z"}, "datetime"),
        ({"ids": ",".join(map(str, range(50_001)))}, "ids"),
    ],
)
def test_what_is_wrong_is_named(parameters: dict[str, str], name: str) -> None:
    with pytest.raises(RequestError) as caught:
        SearchQuery.from_parameters(parameters)
    assert caught.value.parameter == name


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("collections", 5, "must be a list of texts"),
        ("collections", {"a": 1}, "must be a list of texts"),
        ("ids", ["a", 1], "must be a list of texts"),
        ("ids", "a", "must be a list of texts"),
        ("datetime", 2020, "must be text, not 2020"),
        ("limit", True, "whole number from 1 to 1000, not True"),
        ("limit", 1.5, "whole number"),
        ("limit", "5", "whole number"),
        ("token", 5, "next link"),
        ("sortby", "id", "list of up to 5"),
        ("sortby", ["id"], "not an object like"),
        ("sortby", [{}], "not an object like"),
        ("sortby", [{"field": "id", "order": "asc"}], "not an object like"),
        ("sortby", [{"field": 5}], "not the name of a property"),
        ("sortby", [{"field": "id", "direction": "up"}], "asc or desc, not 'up'"),
        ("fields", ["id"], "object with include and exclude"),
        ("fields", {"includes": []}, "object with include and exclude"),
        ("fields", {"include": "id"}, "must be a list of texts"),
        ("fields", {"exclude": [5]}, "must be a list of texts"),
        ("colour", "red", "is not a parameter; there are collections, ids"),
    ],
)
def test_a_value_of_another_type_is_refused_by_name(name: str, value: Any, message: str) -> None:
    with pytest.raises(RequestError, match=message) as caught:
        SearchQuery.from_values({name: value})
    assert caught.value.parameter == name


def test_what_a_body_says_is_what_is_searched() -> None:
    body = {
        "collections": "cmip6",
        "sortby": [{"field": "properties.title", "direction": "desc"}, {"field": "id"}],
        "fields": {"include": None, "exclude": ["links"]},
        "token": None,
    }
    query = SearchQuery.from_values(body)
    assert query.collections == ("cmip6",)
    assert query.sortby == (SortKey("title", descending=True), SortKey("id"))
    assert query.fields == Fields(include=(), exclude=("links",))
    assert SearchQuery.from_values({"fields": {}}).fields == Fields(include=None, exclude=())
    assert query.limit == 10
    assert SearchQuery.from_values(body, limit=1000).limit == 1000
    assert SearchQuery.from_values({"limit": 5}, limit=1000).limit == 5


def test_every_parameter_becomes_part_of_one_condition() -> None:
    assert SearchQuery().condition == Always(value=True)
    assert SearchQuery(ids=()).condition == Always(value=False)
    assert isinstance(SearchQuery(ids=("a", "a")).condition, In)
    assert isinstance(SearchQuery(bbox=(0, 0, 1, 1)).condition, Spatial)
    assert isinstance(SearchQuery.from_parameters({"q": "a"}).condition, Text)
    everything = {
        "collections": "cmip6",
        "ids": "a",
        "bbox": "0,0,1,1",
        "datetime": "2000-01-01T00:00:00Z/..",
        "query": '{"year": {"gt": 5}}',
        "filter": "scenario = 'A1B'",
        "q": "a",
    }
    fingerprints = {SearchQuery().fingerprint}
    for name in everything:
        rest = {other: value for other, value in everything.items() if other != name}
        fingerprints.add(SearchQuery.from_parameters(rest).fingerprint)
    assert len(fingerprints) == len(everything) + 1
    assert SearchQuery(limit=5, fields=None).fingerprint == SearchQuery(limit=6, token="x").fingerprint
    assert SearchQuery.from_parameters({"limit": "1000000"}).limit == 1000


def test_a_copy_with_other_parameters_is_another_search() -> None:
    query = SearchQuery(ids=("a",))
    assert query.condition != replace(query, ids=("b",)).condition
    assert query.fingerprint != replace(query, sortby=(SortKey("id"),)).fingerprint
    assert query.fingerprint == replace(query, token="x").fingerprint


def test_order_ends_with_what_leaves_no_ties() -> None:
    def names(sortby: str) -> list[tuple[str, bool]]:
        query = SearchQuery.from_parameters({"sortby": sortby})
        return [(key.queryable.name, key.descending) for key in query.order]

    assert names("") == [("began", True), ("collection", False), ("id", False)]
    assert names("-properties.datetime,+title") == [
        ("began", True), ("title", False), ("collection", False), ("id", False),
    ]  # fmt: skip
    assert names("-id,id,-collection") == [("id", True), ("collection", True)]
    assert names("id,collection,scenario") == [("id", False), ("collection", False)]


@pytest.mark.parametrize("given", [{"filter-lang": "sql"}, {"filter-lang": "sql", "filter": "year = 1"}])
def test_a_language_that_there_is_not_is_refused_without_a_filter_too(given: dict[str, str]) -> None:
    for make in (SearchQuery.from_parameters, SearchQuery.from_values):
        with pytest.raises(RequestError, match=r"^filter-lang: 'sql' is not supported"):
            make(given)


def test_a_limit_of_any_length_is_lowered() -> None:
    for digits in (19, 4000):
        assert SearchQuery.from_parameters({"limit": "9" * digits}).limit == 1000
