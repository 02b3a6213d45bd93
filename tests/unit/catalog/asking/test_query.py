"""Searches: every parameter of a GET and a POST, what they become, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dask_regions import boxes
from dask_regions.catalog import geometry
from dask_regions.catalog.asking import paging
from dask_regions.catalog.asking.query import SearchQuery
from dask_regions.catalog.asking.values import Fields, SortKey
from dask_regions.catalog.expression import Always, In, Spatial, Text
from dask_regions.catalog.indexing import indexed
from dask_regions.catalog.patterns import characters, escape, regular_expression
from dask_regions.catalog.queryables import QUERYABLES, schema
from dask_regions.catalog.sqlite import SqliteCatalog
from dask_regions.catalog.timestamps import EARLIEST, LATEST, from_microseconds, microseconds, parse_timestamp
from dask_regions.errors import RequestError
from testing.catalog.generations import sync
from testing.catalog.random_searches import ITEMS, with_year


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> SqliteCatalog:
    path: Path = tmp_path_factory.mktemp("catalog") / "catalog.sqlite"
    store = SqliteCatalog(f"sqlite:///{path}")
    sync(store, "g1", {"us-west-2": ITEMS})
    return store


def box(west: float, south: float, east: float, north: float) -> dict[str, Any]:
    return boxes.geometry((west, south, east, north), both_sides=True)


def found(store: SqliteCatalog, query: SearchQuery) -> set[str]:
    return {item["id"] for item in store.search(query).items}


def both(store: SqliteCatalog, name: str, value: Any) -> set[str]:
    """Return what a GET finds, having checked that a POST finds the same."""
    text = value if isinstance(value, str) else json.dumps(value)
    by_get = found(store, SearchQuery.from_parameters({name: text, "limit": "1000"}))
    assert found(store, SearchQuery.from_values({name: value, "limit": 1000})) == by_get
    return by_get


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
    assert both(store, "query", query) == expected
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


def test_intersects_is_exact_where_a_box_is_not(store: SqliteCatalog) -> None:
    triangle = {"type": "Polygon", "coordinates": [[[0, 0], [20, 0], [0, 20], [0, 0]]]}
    with_triangle = {item["id"] for item in ITEMS if item["geometry"] == triangle}
    corner = {"type": "Polygon", "coordinates": [[[15, 15], [20, 15], [20, 20], [15, 15]]]}
    assert with_triangle
    assert not with_triangle & both(store, "intersects", corner)
    assert not with_triangle & found(store, SearchQuery(bbox=(12, 12, 20, 20), limit=1000))
    assert with_triangle <= both(store, "intersects", {"type": "Point", "coordinates": [1, 1, 500]})


@pytest.mark.parametrize(
    "bounds",
    ["170,0,-170,10", "180,0,-170,10", "170,0,-180,10", "180,0,-180,10", "170,5,-170,5", "180,5,-180,5"],
)
def test_both_sides_of_the_antimeridian_are_one_place_to_a_box_across_it(
    store: SqliteCatalog, bounds: str
) -> None:
    there = {item["id"] for item in ITEMS if (item["geometry"] or {}).get("coordinates") == [180, 5]}
    assert there
    for parameters in ({"bbox": bounds}, {"filter": f"s_intersects(geometry, BBOX({bounds}))"}):
        assert there <= found(store, SearchQuery.from_parameters({**parameters, "limit": "1000"}))


@pytest.mark.parametrize(("west", "east"), [(175, 190), (-190, -175)])
def test_a_polygon_beyond_the_antimeridian_goes_on_at_its_other_side(
    store: SqliteCatalog, west: float, east: float
) -> None:
    ring = [[west, 0], [east, 0], [east, 10], [west, 10], [west, 0]]
    there = {item["id"] for item in ITEMS if (item["geometry"] or {}).get("coordinates") == [180, 5]}
    assert there <= both(store, "intersects", {"type": "Polygon", "coordinates": [ring]})


@pytest.mark.parametrize(
    ("geojson", "message"),
    [
        ("POINT(1 1)", "not valid JSON"),
        ("[]", "is none of Point"),
        ("5", "is none of Point"),
        ('{"type": "Circle"}', "is none of Point"),
        ('{"type": "Point"}', "no list of coordinates"),
        ('{"type": "Point", "coordinates": [1]}', "not enough|no position|unpack"),
        ('{"type": "Point", "coordinates": ["1", "b"]}', "could not convert|no position"),
        ('{"type": "Point", "coordinates": [1, null]}', "NoneType|no position"),
        ('{"type": "Point", "coordinates": [true, 1]}', "no position"),
        ('{"type": "Point", "coordinates": [1, 1e400]}', "no position"),
        ('{"type": "Point", "coordinates": [541, 1]}', "no position"),
        ('{"type": "Point", "coordinates": [1, 1' + "0" * 400 + "]}", "too large"),
        ('{"type": "LineString", "coordinates": [[1, 1]]}', "can be used"),
        ('{"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1]]]}', "can be used"),
        (
            '{"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]]}',
            "Self-intersection",
        ),
        ('{"type": "GeometryCollection", "geometries": [{"type": "GeometryCollection"}]}', "is none of"),
        (json.dumps({"type": "MultiPoint", "coordinates": [[0, 0]] * 50_001}), "more than 50000 positions"),
    ],
    ids=lambda text: text[:60],
)
def test_a_geometry_that_is_wrong_is_refused(geojson: str, message: str) -> None:
    with pytest.raises(RequestError, match=message) as caught:
        SearchQuery.from_parameters({"intersects": geojson})
    assert caught.value.parameter == "intersects"


@pytest.mark.parametrize("operator", ["s_intersects", "s_within", "s_contains", "s_disjoint", "s_equals"])
def test_any_geometry_that_is_let_in_can_be_compared(operator: Any) -> None:
    asked = [
        {"type": "MultiPolygon", "coordinates": [box(0, 0, 1, 1)["coordinates"]] * 2},
        {"type": "GeometryCollection", "geometries": [{"type": "Point", "coordinates": [1, 1]}] * 2},
        {"type": "LineString", "coordinates": [[-540, 0], [540, 0]]},
        {"type": "Polygon", "coordinates": [[[0, 0], [0, 0], [0, 0], [0, 0]]]},
        box(170, -1, -170, 1),
        box(180, -1, -170, 1),
        box(0, 0, 0, 0),
        box(0, 0, 0, 1),
    ]
    for geojson in asked:
        try:
            parsed = geometry.parse(geojson, "intersects")
        except RequestError:
            continue
        candidates = {"globe": box(-180, -90, 180, 90), "line": asked[2]}
        assert set(geometry.select(operator, parsed, candidates)) <= candidates.keys()


def test_many_boxes_are_compared_like_few() -> None:
    boxes = {f"{n}": box(n % 300 - 150, n // 300, n % 300 - 149.5, n // 300 + 0.5) for n in range(6000)}
    asked = box(-10, 3, 10, 7)
    some = dict(list(boxes.items())[:4000])
    by_tree = set(geometry.select("s_intersects", asked, boxes))
    assert by_tree & some.keys() == set(geometry.select("s_intersects", asked, some))
    assert by_tree
    # So are many boxes of a request, which are as many times the candidates.
    row = [box(x / 50, 3, x / 50 + 0.01, 7)["coordinates"] for x in range(-500, 501)]
    strip = geometry.parse({"type": "MultiPolygon", "coordinates": row}, "intersects")
    assert set(geometry.select("s_intersects", strip, some)) == by_tree & some.keys()


def test_free_text_finds_words_and_phrases(store: SqliteCatalog) -> None:
    def with_title(*titles: str) -> set[str]:
        return {item["id"] for item in ITEMS if item["properties"].get("title") in titles}

    surface = with_title("Near-Surface Air Temperature", "surface temperature; air")
    assert both(store, "q", "SURFACE") == surface
    assert both(store, "q", "temperature DE") == with_title("température de l'air")
    assert both(store, "q", "temperature air") == with_title("surface temperature; air")
    assert found(
        store, SearchQuery.from_parameters({"q": "temperature air, amon ,", "limit": "1000"})
    ) == found(store, SearchQuery.from_values({"q": ["temperature air", "AMON"], "limit": 1000}))
    # Words of two properties are no phrase: the title is followed by the next property's.
    assert both(store, "q", "temperature Amon") == set()
    assert both(store, "q", "OR") == set()


@pytest.mark.parametrize("text", ["-", ",", '"', "a,*", "¶"])
def test_text_without_a_word_is_refused(text: str) -> None:
    with pytest.raises(RequestError, match=r"^q: .*words to search for"):
        SearchQuery.from_parameters({"q": text})


@pytest.mark.parametrize("value", [5, [5], {"a": 1}, [], [""]])
def test_free_text_that_is_no_text_is_refused(value: Any) -> None:
    with pytest.raises(RequestError, match=r"^q: "):
        SearchQuery.from_values({"q": value})


def test_free_text_is_bounded() -> None:
    for q in ([f"w{n}" for n in range(101)], ["a " * 501], ["a" * 10_001]):
        with pytest.raises(RequestError, match=r"^q: takes up to"):
            SearchQuery.from_values({"q": q})


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


def test_tokens_carry_every_kind_of_value() -> None:
    query = SearchQuery.from_parameters({"sortby": "year,-title,scenario,start_datetime"})
    values = (2015, "日本", None, "2015-01-01T00:00:00.000000Z", "cmip6", "a/b")
    after = paging.After("g1", values)
    token = paging.encode(query, after)
    assert paging.decode(replace(query, token=token)) == after


def test_a_page_is_cut_by_what_an_answer_may_hold() -> None:
    small = [{"id": str(n)} for n in range(1000)]
    assert paging.cut(small) == paging.cut(small, 10_000) == small
    large = [{"id": "é" * 100_000}] * 30
    cut = paging.cut(large, 30 * 100_020)
    assert 1 < len(cut) < 30
    assert len(json.dumps(json.dumps(cut))) < 6_291_556
    assert paging.cut([{"id": "x" * 10_000_000}, {}]) == [{"id": "x" * 10_000_000}]
    assert paging.cut([]) == []


def test_the_schema_names_the_geometry_and_every_queryable() -> None:
    document = schema("http://x/queryables", "All", {"year": [2015], "variables": ["tas"]})
    assert document["properties"].keys() == {"geometry", *QUERYABLES}
    assert document["properties"]["year"] == {
        "title": QUERYABLES["year"].title, "type": "integer", "enum": [2015],
    }  # fmt: skip
    assert document["properties"]["variables"]["items"] == {"type": "string", "enum": ["tas"]}


@pytest.mark.parametrize(
    "text", [EARLIEST, LATEST, "1969-12-31T23:59:59.999999Z", "2100-12-30T12:00:00.000001Z"]
)
def test_timestamps_are_exact_as_numbers(text: str) -> None:
    assert from_microseconds(microseconds(text)) == text
    assert parse_timestamp(text) == text


def test_an_item_is_indexed_by_where_it_begins_and_ends() -> None:
    item = next(item for item in ITEMS if item["properties"]["datetime"] is None)
    entry = indexed(item)
    assert entry.values["began"] == parse_timestamp(item["properties"]["start_datetime"])
    assert entry.values["ended"] == parse_timestamp(item["properties"]["end_datetime"])
    assert entry.values["year"] == int(item["properties"]["start_datetime"][:4])
    assert "datetime" not in entry.values


def test_equal_geometries_are_one() -> None:
    first, second = (
        indexed({**ITEMS[0], "geometry": {"type": "Point", "coordinates": coordinates}})
        for coordinates in ([5, 5], [5.0, 5.0, 100])
    )
    assert first.geometry_digest == second.geometry_digest
    assert first.geometry_digest is not None


@pytest.mark.parametrize("text", ["100%_\\", "a*b[c]", "", "\0\n"])
def test_an_escaped_text_is_a_pattern_of_itself_alone(text: str) -> None:
    assert [character for character, wildcard in characters(escape(text)) if not wildcard] == list(text)
    assert regular_expression(escape(text)).fullmatch(text)
    assert not regular_expression(escape(text)).fullmatch(text + "x")
    assert regular_expression(escape(text) + "%").fullmatch(text + "\nx")


def test_a_pattern_of_many_wildcards_takes_no_time() -> None:
    assert not regular_expression("%a" * 400 + "b").fullmatch("a" * 2000)
    assert regular_expression("%a" * 400).fullmatch("a" * 2000)


@pytest.mark.parametrize("given", [{"filter-lang": "sql"}, {"filter-lang": "sql", "filter": "year = 1"}])
def test_a_language_that_there_is_not_is_refused_without_a_filter_too(given: dict[str, str]) -> None:
    for make in (SearchQuery.from_parameters, SearchQuery.from_values):
        with pytest.raises(RequestError, match=r"^filter-lang: 'sql' is not supported"):
            make(given)


def test_a_limit_of_any_length_is_lowered() -> None:
    for digits in (19, 4000):
        assert SearchQuery.from_parameters({"limit": "9" * digits}).limit == 1000
