"""Filters: agreement with the cql2 package, logic of three values, and what is refused."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import cql2
import pytest
from hypothesis import HealthCheck, given, settings

from dask_regions.catalog.asking.cql2.filter import parse
from dask_regions.catalog.asking.query import SearchQuery
from dask_regions.catalog.expression import Always, Comparison, In, Like
from dask_regions.catalog.sqlite import SqliteCatalog
from dask_regions.errors import RequestError
from testing.catalog.expected_matches import expected, rewritten, with_year
from testing.catalog.generations import sync
from testing.catalog.random_searches import ITEMS, filters

YEARLY = [with_year(item) for item in ITEMS]
EXAMPLES = int(os.environ.get("PROPERTY_EXAMPLES", "100"))
quick = settings(deadline=None, max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> SqliteCatalog:
    path: Path = tmp_path_factory.mktemp("catalog") / "catalog.sqlite"
    store = SqliteCatalog(f"sqlite:///{path}")
    sync(store, "g1", {"us-west-2": ITEMS})
    return store


def found(store: SqliteCatalog, expression: Any, language: str = "cql2-json") -> set[str]:
    query = SearchQuery.from_values({"filter": expression, "filter-lang": language, "limit": 1000})
    return {item["id"] for item in store.search(query).items}


@quick
@given(expression=filters())
def test_random_filters_find_what_cql2_matches(store: SqliteCatalog, expression: Any) -> None:
    wanted = {item["id"] for item in YEARLY if expected(expression, item)}
    assert found(store, expression) == wanted


@quick
@given(expression=filters())
def test_the_whole_of_a_filter_agrees_with_cql2_wherever_that_answers(
    store: SqliteCatalog, expression: Any
) -> None:
    selected = found(store, expression)
    if isinstance(expression, bool):
        assert len(selected) == (len(ITEMS) if expression else 0)
        return
    whole = cql2.Expr(rewritten(expression))
    for item in YEARLY:
        try:
            matches = whole.matches(item)
        except Exception:  # noqa: BLE001 - the package raises nothing more precise
            continue
        if expected(expression, item) is not None:
            assert matches == (item["id"] in selected)


def test_text_and_json_of_a_filter_find_the_same(store: SqliteCatalog) -> None:
    text = (
        "a_contains(variables, 'tas') AND NOT (scenario = 'A1B'"
        " OR start_datetime < TIMESTAMP('1900-01-01T00:00:00Z'))"
        " AND S_INTERSECTS(geometry, POLYGON((0 0, 10 0, 10 10, 0 0)))"
        " AND T_INTERSECTS(INTERVAL(start_datetime, end_datetime), INTERVAL('..', '2050-01-01T00:00:00Z'))"
    )
    query = SearchQuery.from_parameters({"filter": text, "limit": "1000"})
    by_text = {item["id"] for item in store.search(query).items}
    assert by_text == found(store, cql2.parse_text(text).to_json())
    assert by_text


def ids(condition: Any) -> set[str]:
    return {item["id"] for item in YEARLY if condition(item["properties"])}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("NOT (scenario = 'A1B')", lambda p: p.get("scenario") not in (None, "A1B")),
        ("scenario <> 'A1B'", lambda p: p.get("scenario") not in (None, "A1B")),
        ("scenario IS NOT NULL", lambda p: p.get("scenario") is not None),
        (
            "NOT a_contains(variables, 'tas')",
            lambda p: p.get("variables") is not None and "tas" not in p["variables"],
        ),
        (
            "a_containedBy(variables, ('tas', 'pr'))",
            lambda p: p.get("variables") is not None and {"tas", "pr"} >= {*p["variables"]},
        ),
        ("a_containedBy(('pr', 'tas'), variables)", lambda p: {"tas", "pr"} <= {*(p.get("variables") or [])}),
        ("scenario BETWEEN 'A1B' AND 'E1'", lambda p: "A1B" <= (p.get("scenario") or "") <= "E1"),
        ("scenario NOT LIKE 'A%'", lambda p: p.get("scenario") is not None and p["scenario"][:1] != "A"),
        ("NOT (scenario LIKE 'zzz%')", lambda p: p.get("scenario") is not None),
        ("NOT (casei(scenario) = casei('a1B'))", lambda p: p.get("scenario") not in (None, "A1B", "a1b")),
        ("'A1B' IN (scenario, title)", lambda p: p.get("scenario") == "A1B"),
        ("year IN (1850, 1949.5)", lambda p: p["year"] == 1850),
        ("year < 1e300", lambda _: True),
        ("1900 < year", lambda p: p["year"] > 1900),
        ("1 = 1", lambda _: True),
        ("'a' > 'b'", lambda _: False),
        ("true", lambda _: True),
        ("false", lambda _: False),
    ],
)
def test_what_is_unknown_is_not_selected(store: SqliteCatalog, text: str, wanted: Any) -> None:
    assert found(store, text.replace("1e300", "1" + "0" * 300), "cql2-text") == ids(wanted)


def test_an_item_without_a_geometry_is_neither_inside_nor_outside(store: SqliteCatalog) -> None:
    with_geometry = {item["id"] for item in ITEMS if item["geometry"] is not None}
    inside = found(store, "s_intersects(geometry, BBOX(0, 0, 10, 10))", "cql2-text")
    outside = found(store, "NOT s_intersects(geometry, BBOX(0, 0, 10, 10))", "cql2-text")
    assert found(store, "s_disjoint(geometry, BBOX(0, 0, 10, 10))", "cql2-text") == outside
    assert inside | outside == with_geometry
    assert not inside & outside
    assert inside
    assert outside


def test_a_text_compared_with_a_timestamp_is_one(store: SqliteCatalog) -> None:
    as_text = found(store, "start_datetime >= '1950-01-01T01:00:00+01:00'", "cql2-text")
    as_timestamp = found(store, "start_datetime >= TIMESTAMP('1950-01-01T00:00:00Z')", "cql2-text")
    as_date = found(store, "start_datetime >= DATE('1950-01-01')", "cql2-text")
    as_plain_date = found(store, "start_datetime >= '1950-01-01'", "cql2-text")
    assert as_text == as_timestamp == as_date == as_plain_date
    assert 0 < len(as_text) < len(ITEMS)


@pytest.mark.parametrize("operator", ["t_after", "t_before", "t_intersects", "t_disjoint", "t_equals"])
def test_a_date_is_all_of_its_day_to_a_temporal_function(store: SqliteCatalog, operator: str) -> None:
    text = f"{operator}(end_datetime, DATE('2100-12-30'))"
    whole = cql2.Expr(text)
    assert found(store, text, "cql2-text") == {
        item["id"] for item in YEARLY if item["properties"].get("end_datetime") and whole.matches(item)
    }


def test_an_open_interval_knows_nothing_of_what_is_not_there(store: SqliteCatalog) -> None:
    text = "t_intersects(datetime, INTERVAL('..', '..'))"
    assert found(store, text, "cql2-text") == ids(lambda p: p["datetime"] is not None)
    assert found(store, f"NOT {text}", "cql2-text") == set()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("colour = 'red'", "'colour' is not a queryable"),
        ("assets.zarr = 'x'", "'assets.zarr' is not a queryable"),
        ("began = 'x'", "'began' is not a queryable"),
        ("scenario = 5", "5.0 is not a string"),
        ("scenario = null", "null is not a string"),
        ("variables = 'tas'", "no arrays"),
        ("scenario = start_datetime", "values of one kind"),
        ("year = 'x'", "'x' is not an integer|\"x\" is not an integer"),
        ("year = true", "true is not an integer"),
        ("year = scenario", "values of one kind"),
        ("casei(year) = 'x'", "values of one kind"),
        ("start_datetime > 'yesterday'", "not an RFC 3339 timestamp"),
        ("start_datetime > TIMESTAMP('junk')", "not an RFC 3339 timestamp"),
        ("a_contains(scenario, 'x')", "array property"),
        ("a_contains(variables, 1)", "is not a string"),
        ("a_contains(variables, (1, 2))", "is not a string"),
        ("scenario LIKE title", "pattern"),
        ("'a' LIKE 'a'", "a property"),
        ("start_datetime LIKE '2%'", "string"),
        ("geometry IS NULL", "'geometry' is not a queryable"),
        ("s_intersects(title, BBOX(0, 0, 1, 1))", "takes the property geometry"),
        ("s_intersects(geometry, geometry)", "takes the property geometry"),
        ("s_intersects(geometry, BBOX(0, 1, 1, 0))", "south 1.0 is above north 0.0"),
        ("s_intersects(geometry, LINESTRING(0 0))", "not a GeoJSON geometry|not valid cql2-text"),
        ("s_intersects(geometry, POLYGON((0 0, 2 2, 2 0, 0 2, 0 0)))", "Self-intersection"),
        ("s_intersects(geometry, POINT(1000 0))", "no position"),
        ("t_after(datetime, 'x')", "not an RFC 3339 timestamp"),
        ("t_after(scenario, TIMESTAMP('2020-01-01T00:00:00Z'))", "no timestamp"),
        ("t_after(datetime, 5)", "is not a timestamp"),
        ("t_during(datetime, INTERVAL('2020-01-02', '2020-01-01'))", "ends before it starts"),
        ("accenti(scenario) = 'x'", "is not a"),
        ("year + 1 = 5", "is not a|without"),
        ("scenario", "as a condition"),
        ("scenario = ", "not valid cql2-text"),
        ("NOT " * 40 + "scenario = 'x'", "nested deeper"),
        ("(" * 5000 + "scenario = 'x'" + ")" * 5000, "more than 500 terms"),
        ("scenario = " + "-" * 100_000 + "1", "more than 500 terms"),
        (" OR ".join(["s_intersects(geometry, POINT(1 1))"] * 21), "more than 20 spatial"),
    ],
    ids=lambda text: text[:40],
)
def test_what_is_not_supported_is_refused_by_name(text: str, message: str) -> None:
    with pytest.raises(RequestError, match=message) as caught:
        parse(text, "cql2-text")
    assert caught.value.parameter == "filter"


@pytest.mark.parametrize(
    "expression",
    [
        [],
        "scenario = 'x'",
        {},
        {"op": "and"},
        {"op": "and", "args": []},
        {"op": "not", "args": []},
        {"op": "=", "args": [{"property": "scenario"}]},
        {"op": "in", "args": [{"property": "scenario"}, []]},
        {"op": "in", "args": [{"property": "scenario"}, "x"]},
        {"op": "between", "args": [{"property": "scenario"}, "x"]},
        {"op": "casei", "args": [{"property": "scenario"}]},
        {"op": "isNull", "args": ["x"]},
        {"op": "drop table item", "args": [{"property": "scenario"}, "x"]},
        {"op": "=", "args": [{"property": 'scenario" OR 1=1 --'}, "x"]},
        {"op": "=", "args": [{"property": ["scenario"]}, "x"]},
        {"op": "t_after", "args": [{"interval": ["..", "..", ".."]}, {"property": "datetime"}]},
        {"op": "t_after", "args": [{"property": "datetime"}]},
        {"op": "s_intersects", "args": [{"property": "geometry"}, {"bbox": [1, 2, 3]}]},
        {"op": "s_intersects", "args": [{"property": "geometry"}, {"type": "Polygon", "coordinates": []}]},
        {"op": "like", "args": [{"property": "scenario"}, "x" * 1001]},
    ],
)
def test_json_that_is_no_condition_is_refused(expression: Any) -> None:
    with pytest.raises(RequestError, match=r"^filter: "):
        parse(expression, "cql2-json")


def test_another_language_is_refused() -> None:
    with pytest.raises(RequestError, match=r"^filter-lang: .* use cql2-text or cql2-json"):
        parse("scenario = 'x'", "sql")


def test_literals_have_the_kind_of_what_they_are_compared_with() -> None:
    timestamp = parse("start_datetime = '2020-01-01T01:00:00+01:00'", "cql2-text")
    assert isinstance(timestamp, Comparison)
    assert "2020-01-01T00:00:00.000000Z" in repr(timestamp)
    assert isinstance(parse("year IN (2020.0)", "cql2-text"), In)
    assert repr(parse("year IN (2020.0)", "cql2-text")).endswith("values=(2020,))")
    folded = parse("casei(scenario) LIKE casei('ÄB%')", "cql2-text")
    assert isinstance(folded, Like)
    assert folded.pattern == "äb%"
    assert parse(True, "cql2-json") == Always(value=True)


def test_the_deepest_filter_allowed_is_answered(store: SqliteCatalog) -> None:
    expression: dict[str, Any] = {"op": "a_equals", "args": [{"property": "variables"}, ["tas"]]}
    for level in range(16):
        other = {"op": "isNull", "args": [{"property": "id"}]}
        expression = {"op": "or" if level % 2 else "not", "args": [expression, other][: 1 + level % 2]}
    assert found(store, expression) == {item["id"] for item in YEARLY if expected(expression, item)}


@pytest.mark.parametrize("operator", ["or", "and"])
def test_the_widest_filter_allowed_is_answered(store: SqliteCatalog, operator: str) -> None:
    leaves = [{"op": "=", "args": [{"property": "id"}, f"i{n:03}"]} for n in range(500)]
    assert len(found(store, {"op": operator, "args": leaves})) == (len(ITEMS) if operator == "or" else 0)


def test_a_long_outline_is_answered(store: SqliteCatalog) -> None:
    west = [f"{n / 1000} 0" for n in range(2000)]
    text = f"s_intersects(geometry, POLYGON(({', '.join(west)}, 2 2, 0 2, 0 0)))"
    assert found(store, text, "cql2-text") == found(
        store, "s_intersects(geometry, BBOX(0, 0, 2, 2))", "cql2-text"
    )
