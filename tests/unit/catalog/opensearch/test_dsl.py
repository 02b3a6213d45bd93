"""Expressions as queries of OpenSearch, for what is true and for what is false; no server is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from dask_regions.catalog.expression import (
    Always,
    And,
    Array,
    CaseFolded,
    Comparison,
    Expression,
    In,
    IsNull,
    Like,
    Not,
    Or,
    Property,
    Spatial,
    Text,
    Value,
)
from dask_regions.catalog.opensearch.dsl import Query, to_query
from dask_regions.catalog.queryables import BEGAN, QUERYABLES
from dask_regions.errors import RequestError

SCENARIO, TITLE = Property(QUERYABLES["scenario"]), Property(QUERYABLES["title"])
VARIABLES, YEAR = Property(QUERYABLES["variables"]), Property(QUERYABLES["year"])
HAS_SCENARIO = {"exists": {"field": "values.scenario"}}
HAS_VARIABLES = {"exists": {"field": "sizes.variables"}}
HAS_YEAR = {"exists": {"field": "values.year"}}
ALL: Query = {"match_all": {}}
NONE: Query = {"match_none": {}}
POINT = {"type": "Point", "coordinates": [0, 0]}


def term(field: str, value: Any) -> Query:
    return {"term": {field: {"value": value}}}


def no(query: Query) -> Query:
    return {"bool": {"must_not": [query]}}


def without(query: Query, excluded: Query) -> Query:
    return {"bool": {"filter": [query], "must_not": [excluded]}}


def both(*queries: Query) -> Query:
    return {"bool": {"filter": list(queries)}}


def either(*queries: Query) -> Query:
    return {"bool": {"should": list(queries), "minimum_should_match": 1}}


def translated(expression: Expression, digests: Sequence[str] = ()) -> Query:
    def select(operator: str, geometry: Mapping[str, Any]) -> Sequence[str]:
        assert (operator, geometry) == ("s_intersects", POINT)
        return digests

    return to_query(expression, select)


A1B = Comparison("=", SCENARIO, Value("A1B"))
IS_A1B = term("values.scenario", "A1B")
AIR = In(SCENARIO, ("A1B", "E1"))
OVERLAPS = Array("a_overlaps", VARIABLES, ("tas", "pr"))


@pytest.mark.parametrize(
    ("expression", "is_true", "is_false"),
    [
        (Always(value=True), ALL, NONE),
        (Always(value=False), NONE, ALL),
        (A1B, IS_A1B, without(HAS_SCENARIO, IS_A1B)),
        (Comparison("=", Value("A1B"), SCENARIO), IS_A1B, without(HAS_SCENARIO, IS_A1B)),
        (Comparison("<>", SCENARIO, Value("A1B")), without(HAS_SCENARIO, IS_A1B), IS_A1B),
        (
            Comparison("<", SCENARIO, Value("A1B")),
            {"range": {"values.scenario": {"lt": "A1B"}}},
            {"range": {"values.scenario": {"gte": "A1B"}}},
        ),
        (
            Comparison("<", Value("A1B"), SCENARIO),
            {"range": {"values.scenario": {"gt": "A1B"}}},
            {"range": {"values.scenario": {"lte": "A1B"}}},
        ),
        (
            Comparison("=", CaseFolded(SCENARIO), Value("a1b")),
            term("folded.scenario", "a1b"),
            without(HAS_SCENARIO, term("folded.scenario", "a1b")),
        ),
        (IsNull(SCENARIO), no(HAS_SCENARIO), HAS_SCENARIO),
        (IsNull(VARIABLES), no(HAS_VARIABLES), HAS_VARIABLES),
        (
            AIR,
            {"terms": {"values.scenario": ["A1B", "E1"]}},
            without(HAS_SCENARIO, {"terms": {"values.scenario": ["A1B", "E1"]}}),
        ),
        (In(SCENARIO, ()), NONE, without(HAS_SCENARIO, NONE)),
        (
            Text((("air", "temperature"), ("rain",))),
            either({"match_phrase": {"words": "air temperature"}}, {"match_phrase": {"words": "rain"}}),
            no(either({"match_phrase": {"words": "air temperature"}}, {"match_phrase": {"words": "rain"}})),
        ),
        (
            OVERLAPS,
            {"terms": {"values.variables": ["tas", "pr"]}},
            without(HAS_VARIABLES, {"terms": {"values.variables": ["tas", "pr"]}}),
        ),
    ],
)
def test_what_is_neither_true_nor_false_is_in_no_query(
    expression: Expression, is_true: Query, is_false: Query
) -> None:
    assert translated(expression) == is_true
    assert translated(Not(expression)) == is_false
    assert translated(Not(Not(expression))) == is_true


def test_not_turns_and_into_or() -> None:
    other = IsNull(TITLE)
    title = {"exists": {"field": "values.title"}}
    assert translated(And((A1B, other))) == both(IS_A1B, no(title))
    assert translated(Not(And((A1B, other)))) == either(without(HAS_SCENARIO, IS_A1B), title)
    assert translated(Or((A1B, other))) == either(IS_A1B, no(title))
    assert translated(Not(Or((A1B, other)))) == both(without(HAS_SCENARIO, IS_A1B), title)


@pytest.mark.parametrize(
    ("operator", "value", "query"),
    [
        ("=", 2000, term("values.year", 2000)),
        ("=", 2000.0, term("values.year", 2000)),
        ("=", 2000.5, NONE),
        ("<>", 2000.5, HAS_YEAR),
        ("<", 2000.5, {"range": {"values.year": {"lte": 2000}}}),
        ("<=", 2000.5, {"range": {"values.year": {"lte": 2000}}}),
        (">", 2000.5, {"range": {"values.year": {"gt": 2000}}}),
        (">=", 2000.5, {"range": {"values.year": {"gt": 2000}}}),
        ("<", -0.5, {"range": {"values.year": {"lte": -1}}}),
        ("<", 1e300, {"range": {"values.year": {"lt": 1 << 60}}}),
        (">", -1e300, {"range": {"values.year": {"gt": -(1 << 60)}}}),
    ],
)
def test_whole_numbers_are_compared_with_any_number(operator: Any, value: float, query: Query) -> None:
    assert translated(Comparison(operator, YEAR, Value(value))) == query


def test_only_whole_numbers_are_among_whole_numbers() -> None:
    assert translated(In(YEAR, (2000, 2000.5, 1e300, 2001.0))) == {"terms": {"values.year": [2000, 2001]}}


def test_timestamps_are_microseconds() -> None:
    expression = Comparison(">=", Property(BEGAN), Value("1970-01-01T00:00:01.000002Z"))
    assert translated(expression) == {"range": {f"values.{BEGAN.name}": {"gte": 1_000_002}}}


@pytest.mark.parametrize(
    ("pattern", "query"),
    [
        ("air", term("values.title", "air")),
        ("a%r_", {"wildcard": {"values.title": {"value": "a*r?"}}}),
        ("a*?%", {"wildcard": {"values.title": {"value": "a\\*\\?*"}}}),
        ("\\%", term("values.title", "%")),
        ("%" + "a" * 199, {"wildcard": {"values.title": {"value": "*" + "a" * 199}}}),
    ],
)
def test_a_pattern_is_a_wildcard(pattern: str, query: Query) -> None:
    assert translated(Like(TITLE, pattern)) == query


@pytest.mark.parametrize("pattern", ["%a" * 7, "%" + "a" * 200], ids=["many wildcards", "long"])
def test_a_pattern_that_could_outgrow_lucene_is_a_script(pattern: str) -> None:
    script = translated(Like(TITLE, pattern))["script"]["script"]
    points = [-1 if character == "%" else ord("a") for character in pattern]
    assert script["params"] == {"field": "values.title", "pattern": points}


def test_arrays() -> None:
    tas, pr = term("values.variables", "tas"), term("values.variables", "pr")
    assert translated(Array("a_contains", VARIABLES, ("tas", "pr", "tas"))) == both(HAS_VARIABLES, pr, tas)
    assert translated(Array("a_equals", VARIABLES, ("tas", "pr", "tas"))) == both(
        term("sizes.variables", 2), pr, tas
    )
    empty = term("sizes.variables", 0)
    subset = {"terms": ["pr", "tas"], "minimum_should_match_field": "sizes.variables"}
    assert translated(Array("a_containedBy", VARIABLES, ("tas", "pr"))) == either(
        empty, {"terms_set": {"values.variables": subset}}
    )
    assert translated(Array("a_containedBy", VARIABLES, ())) == empty


def test_geometries_are_searched_for_by_their_digests() -> None:
    spatial = Spatial("s_intersects", POINT)
    assert translated(spatial, ["d1", "d2"]) == {"terms": {"geometry": ["d1", "d2"]}}
    assert translated(spatial) == NONE
    has_geometry = {"exists": {"field": "geometry"}}
    assert translated(Not(spatial), ["d1"]) == without(has_geometry, {"terms": {"geometry": ["d1"]}})


def test_more_values_than_one_query_takes_are_several() -> None:
    digests = [f"{number}" for number in range(60_001)]
    query = translated(Spatial("s_intersects", POINT), digests)
    assert [len(part["terms"]["geometry"]) for part in query["bool"]["should"]] == [60_000, 1]


@pytest.mark.parametrize(("conditions", "refused"), [(1000, False), (1001, True)])
def test_more_conditions_than_lucene_takes_are_refused(conditions: int, refused: bool) -> None:
    expression = Or(tuple(Like(TITLE, f"{number}") for number in range(conditions)))
    if not refused:
        assert len(translated(expression)["bool"]["should"]) == conditions
        return
    with pytest.raises(RequestError, match=r"^filter: has more conditions .* make it shorter$"):
        translated(expression)


@pytest.mark.parametrize(
    ("left", "right", "fields"),
    [
        (SCENARIO, TITLE, ("values.scenario", "values.title")),
        (CaseFolded(SCENARIO), CaseFolded(TITLE), ("folded.scenario", "folded.title")),
    ],
)
def test_properties_are_compared_by_a_script(left: Any, right: Any, fields: tuple[str, str]) -> None:
    for negated, test in ((False, "return c < 0;"), (True, "return c >= 0;")):
        comparison = Comparison("<", left, right)
        script = translated(Not(comparison) if negated else comparison)["script"]["script"]
        assert script["params"] == dict(zip(("left", "right"), fields, strict=True))
        assert script["source"].endswith(test)
        assert "order(" in script["source"]


def test_numbers_are_compared_as_numbers() -> None:
    script = translated(Comparison("=", YEAR, YEAR))["script"]["script"]
    assert "long a" in script["source"]
    assert "order(" not in script["source"]
