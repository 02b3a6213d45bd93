"""Filters: agreement with the cql2 package, null logic, and what is refused."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import cql2
import pytest

from dask_regions.catalog.filter import parse
from dask_regions.catalog.query import SearchQuery
from dask_regions.catalog.sqlite import SqliteCatalog
from dask_regions.errors import RequestError

REGION = "us-west-2"
SCENARIOS = ["A1B", "a1b", "E1", "Ü%_*", None]
VARIABLES = ["tas", "pr", "air_temperature"]
STARTS = ["1850-01-01T00:00:00Z", "1950-01-01T00:00:00Z", "2015-01-01T00:00:00Z"]


def make_item(number: int, generator: random.Random) -> dict[str, Any]:
    properties: dict[str, Any] = {
        "datetime": None,
        "start_datetime": generator.choice(STARTS),
        "end_datetime": "2099-12-31T00:00:00Z",
        "scenario": generator.choice(SCENARIOS),
        "cmip6:table_id": generator.choice(["Amon", "day", None]),
        "variables": generator.choice([None, generator.sample(VARIABLES, generator.randint(1, 3))]),
    }
    for name in ("scenario", "cmip6:table_id", "variables"):
        if properties[name] is None and generator.random() < 0.5:
            del properties[name]
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "id": f"i{number:03}",
        "collection": generator.choice(["cmip6", "era5"]),
        "geometry": None,
        "links": [],
        "assets": {},
        "properties": properties,
    }


@pytest.fixture(scope="module")
def items() -> list[dict[str, Any]]:
    generator = random.Random(11)
    return [make_item(number, generator) for number in range(120)]


@pytest.fixture(scope="module")
def store(items: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> SqliteCatalog:
    path: Path = tmp_path_factory.mktemp("catalog") / "catalog.sqlite"
    store = SqliteCatalog(f"sqlite:///{path}")
    store.begin("g1", [REGION])
    store.swap("g1", {}, {REGION: store.write("g1", REGION, items)}, {REGION: ["c"]})
    return store


def random_leaf(generator: random.Random) -> dict[str, Any]:
    scenario, table = {"property": "scenario"}, {"property": "properties.cmip6:table_id"}
    text = generator.choice(["A1B", "a1b", "E1", "Amon", "day", "Ü%_*", "Ü*", "B"])
    named = generator.choice([scenario, table, {"property": "collection"}, {"property": "id"}])
    some = generator.sample(VARIABLES, generator.randint(1, 3))
    comparison = generator.choice(["=", "<>", "<", "<=", ">", ">="])
    pattern = generator.choice(["A%", "%1_", "_1b", "Ü\\%\\_*", "Ü%", "a1b", "[A]%", "%"])
    folded = [{"op": "casei", "args": [named]}, {"op": "casei", "args": [text]}]
    return generator.choice(
        [
            {"op": comparison, "args": [named, text]},
            {"op": comparison, "args": [text, named]},
            {"op": comparison, "args": [scenario, table]},
            {"op": comparison, "args": [{"property": "start_datetime"}, {"timestamp": STARTS[1]}]},
            {"op": "in", "args": [named, ["A1B", text]]},
            {"op": "like", "args": [named, pattern]},
            {"op": "=", "args": folded},
            {"op": "like", "args": folded},
            {"op": "isNull", "args": [generator.choice([named, {"property": "variables"}])]},
            {
                "op": generator.choice(["a_contains", "a_equals", "a_overlaps", "a_containedBy"]),
                "args": [{"property": "variables"}, some],
            },
        ]
    )


def random_filter(generator: random.Random, depth: int) -> dict[str, Any]:
    if depth == 0 or generator.random() < 0.25:
        return random_leaf(generator)
    operator = generator.choice(["and", "or", "not"])
    count = 1 if operator == "not" else generator.randint(2, 3)
    return {"op": operator, "args": [random_filter(generator, depth - 1) for _ in range(count)]}


def expected(expression: dict[str, Any], item: dict[str, Any]) -> bool | None:
    """Kleene's logic over leaves that cql2 decides; it raises where a leaf is unknown."""
    arguments = expression["args"]
    if expression["op"] == "not":
        value = expected(arguments[0], item)
        return None if value is None else not value
    if expression["op"] in ("and", "or"):
        decisive = expression["op"] == "or"
        values = [expected(argument, item) for argument in arguments]
        return decisive if decisive in values else None if None in values else not decisive
    try:
        return bool(cql2.Expr(expression).matches(item))
    except Exception:  # noqa: BLE001 - the package raises nothing more precise
        return None


def found(store: SqliteCatalog, expression: Any) -> set[str]:
    query = SearchQuery.model_validate({"filter": expression, "limit": 1000})
    return {item["id"] for item in store.search(query).items}


@pytest.mark.parametrize("seed", range(8))
def test_random_filters_find_what_cql2_matches(
    store: SqliteCatalog, items: list[dict[str, Any]], seed: int
) -> None:
    generator = random.Random(seed)
    hits = 0
    for _ in range(40):
        expression = random_filter(generator, 3)
        wanted = {item["id"] for item in items if expected(expression, item)}
        assert found(store, expression) == wanted, json.dumps(expression)
        hits += 0 < len(wanted) < len(items)
    assert hits > 10


def test_text_and_json_of_a_filter_find_the_same(store: SqliteCatalog) -> None:
    text = (
        "a_contains(variables, 'tas') AND NOT (scenario = 'A1B'"
        " OR start_datetime < TIMESTAMP('1900-01-01T00:00:00Z'))"
    )
    parsed = cql2.parse_text(text).to_json()
    query = SearchQuery.from_parameters({"filter": text, "limit": "1000"})
    by_text = {item["id"] for item in store.search(query).items}
    assert by_text == found(store, parsed)
    assert by_text


def test_not_leaves_out_items_where_the_property_is_null(
    store: SqliteCatalog, items: list[dict[str, Any]]
) -> None:
    wanted = {i["id"] for i in items if i["properties"].get("scenario") not in (None, "A1B")}
    assert found(store, parse("NOT (scenario = 'A1B')", "cql2-text")) == wanted
    assert found(store, parse("NOT a_contains(variables, 'tas')", "cql2-text")) == {
        i["id"]
        for i in items
        if i["properties"].get("variables") and "tas" not in i["properties"]["variables"]
    }


def test_a_text_compared_with_a_timestamp_is_one(store: SqliteCatalog) -> None:
    as_text = found(store, parse("start_datetime >= '1950-01-01T01:00:00+01:00'", "cql2-text"))
    as_timestamp = found(store, parse("start_datetime >= TIMESTAMP('1950-01-01T00:00:00Z')", "cql2-text"))
    as_date = found(store, parse("start_datetime >= DATE('1950-01-01')", "cql2-text"))
    assert as_text == as_timestamp == as_date
    assert 0 < len(as_text) < 120


def test_between_is_inclusive(store: SqliteCatalog, items: list[dict[str, Any]]) -> None:
    wanted = {i["id"] for i in items if "A1B" <= (i["properties"].get("scenario") or "") <= "E1"}
    assert found(store, parse("scenario BETWEEN 'A1B' AND 'E1'", "cql2-text")) == wanted


def test_true_and_false_are_filters(store: SqliteCatalog, items: list[dict[str, Any]]) -> None:
    assert len(found(store, True)) == len(items)
    assert found(store, False) == set()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("colour = 'red'", "'colour' is not a queryable"),
        ("assets.zarr = 'x'", "'assets.zarr' is not a queryable"),
        ("scenario = 5", "5.0 is not a string"),
        ("scenario = null", "null is not a string"),
        ("variables = 'tas'", "no arrays"),
        ("scenario = start_datetime", "values of one kind"),
        ("start_datetime > 'yesterday'", "not an RFC 3339 timestamp"),
        ("start_datetime > TIMESTAMP('junk')", "not an RFC 3339 timestamp"),
        ("a_contains(scenario, 'x')", "array property"),
        ("a_contains(variables, 1)", "list of texts"),
        ("scenario LIKE title", "pattern"),
        ("start_datetime LIKE '2%'", "string"),
        ("s_intersects(geometry, BBOX(0, 0, 1, 1))", "s_intersects is not supported"),
        ("t_after(datetime, TIMESTAMP('2020-01-01T00:00:00Z'))", "t_after is not supported"),
        ("accenti(scenario) = 'x'", "without a property|is not a"),
        ("1 = 1", "without a property"),
        ("scenario", "as a condition"),
        ("scenario = ", "not valid cql2-text"),
        ("NOT " * 40 + "scenario = 'x'", "nested deeper"),
        ("(" * 5000 + "scenario = 'x'" + ")" * 5000, "more than 500 terms"),
        ("scenario = " + "-" * 100_000 + "1", "more than 500 terms"),
    ],
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
    ],
)
def test_json_that_is_no_condition_is_refused(expression: Any) -> None:
    with pytest.raises(RequestError, match=r"^filter: "):
        parse(expression, "cql2-json")


def test_the_deepest_filter_allowed_is_answered(store: SqliteCatalog, items: list[dict[str, Any]]) -> None:
    expression: dict[str, Any] = {
        "op": "a_equals",
        "args": [{"property": "variables"}, ["tas"]],
    }
    for level in range(16):
        other = {"op": "isNull", "args": [{"property": "id"}]}
        expression = {"op": "or" if level % 2 else "not", "args": [expression, other][: 1 + level % 2]}
    wanted = {item["id"] for item in items if expected(expression, item)}
    assert found(store, parse(expression, "cql2-json")) == wanted


def test_the_widest_filter_allowed_is_answered(store: SqliteCatalog) -> None:
    leaves = [{"op": "=", "args": [{"property": "id"}, f"i{n:03}"]} for n in range(500)]
    assert len(found(store, {"op": "or", "args": leaves})) == 120
