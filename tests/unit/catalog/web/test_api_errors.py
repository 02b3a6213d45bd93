"""A caller's mistake is told in STAC's shape with the parameter's name, and never is a failure of ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dask_regions.catalog.web.routes import ROUTES
from dask_regions.errors import UnavailableError
from testing.catalog.stac_api import IDS, Gateway, MemoryStore, gateway, make_item


@pytest.fixture
def call(tmp_path: Path) -> Gateway:
    return gateway(MemoryStore([make_item(item_id) for item_id in IDS]), tmp_path)


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/search?limit=2&scenario", 400),
        ("/zzz", 404),
        ("/collections/", 404),
        ("/collections/none", 404),
        ("/collections/none/items", 404),
        ("/collections/%00/items", 404),
        ("/collections/a%2Fb", 404),
        ("/collections/%F0%9F%98%80/aggregate", 404),
        ("/collections/a1b/items/%00", 404),
        ("/collections/a1b/items/%ff", 404),
        ("/collections/a1b%0A/queryables", 404),
        ("//", 404),
    ],
)
def test_errors_have_the_shape_of_stac(call: Gateway, target: str, status: int) -> None:
    answer = call(target)
    assert answer.status == status
    assert answer.json.keys() == {"code", "description"}
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.key)
def test_an_unknown_parameter_is_named(call: Gateway, route: Any) -> None:
    path = route.path.format(collectionId="a1b", featureId="i00")
    answer = call(f"{path}?colour=red", route.method)
    assert answer.status == 400
    assert answer.json["description"].startswith("colour: is not a parameter here")
    if route.method == "POST":
        answer = call(path, "POST", {"colour": "red"})
        assert answer.status == 400
        assert answer.json["description"].startswith("colour: is not a parameter here")


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("limit=0", "limit"),
        ("limit=-1", "limit"),
        ("limit=ten", "limit"),
        ("limit=1.5", "limit"),
        ("limit=1&limit=2", "limit"),
        ("bbox=1,2,3", "bbox"),
        ("bbox=0,10,1,-10", "bbox"),
        ("bbox=nan,0,1,1", "bbox"),
        ("bbox=a,b,c,d", "bbox"),
        ("datetime=2020", "datetime"),
        ("datetime=1985-04-12T23:20:50,52Z", "datetime"),
        ("datetime=../..", "datetime"),
        ("datetime=/", "datetime"),
        ("datetime=2020-13-01T00:00:00Z", "datetime"),
        ("datetime=0001-01-01T00:00:00%2B10:00", "datetime"),
        ("datetime=2021-01-01T00:00:00Z/2020-01-01T00:00:00Z", "datetime"),
        ("token=nonsense", "token"),
        ("sortby=colour", "sortby"),
        ("sortby=variables", "sortby"),
        ("sortby=id,id,id,id,id,id", "sortby"),
        ("filter=colour='red'", "filter"),
        ("filter=scenario=", "filter"),
        ("filter=scenario='x'&filter-lang=sql", "filter-lang"),
        ("filter={&filter-lang=cql2-json", "filter"),
        ("filter-crs=EPSG:4326", "filter-crs"),
        ('intersects={"type":"Point"}', "intersects"),
        ("query={", "query"),
        ("q=%2C,", "q"),
        pytest.param(f"filter=title LIKE '{'%25' * 60_000}'", "filter", id="long pattern"),
        pytest.param(
            f"""filter="'" = {"(" * 100_000}1{")" * 100_000} AND "'" = 1""", "filter", id="deep filter"
        ),
    ],
)
def test_a_wrong_parameter_is_a_400_that_names_it(call: Gateway, query: str, parameter: str) -> None:
    for path in ("/search", "/collections/a1b/items"):
        answer = call(f"{path}?{query}")
        assert answer.status == 400
        assert answer.json["description"].startswith(f"{parameter}: "), answer


@pytest.mark.parametrize("path", ["/search", "/aggregate", "/collections"])
@pytest.mark.parametrize(
    "body",
    [
        "{",
        "[]",
        "null",
        '"x"',
        pytest.param("[" * 100_000, id="deep list"),
        '{"ids": "i00"}',
        '{"ids": [1]}',
        '{"ids": {"a": 1}}',
        '{"ids": ["\\ud800"]}',
        '{"limit": true}',
        '{"limit": "10"}',
        '{"limit": 1.5}',
        '{"bbox": [0, 0, 1, NaN]}',
        '{"bbox": [0, 0, 1, 1e999]}',
        '{"bbox": "0,0,1,1"}',
        pytest.param('{"bbox": [0, 0, 1, ' + "9" * 400 + "]}", id="long number"),
        '{"datetime": 5}',
        '{"datetime": ["2020-01-01T00:00:00Z", "2021-01-01T00:00:00Z"]}',
        '{"filter": "scenario = 1"}',
        '{"filter": []}',
        '{"filter": {"op": "=", "args": [{"property": "scenario"}, NaN]}}',
        '{"filter": {"op": "=", "args": [{"property": "scenario"}, "x"]}, "filter-lang": 5}',
        '{"filter": {"op": "=", "args": [{"property": "scenario"}, "x"]}, "filter-lang": []}',
        '{"sortby": "id"}',
        '{"sortby": [{"field": "id", "direction": "up"}]}',
        '{"sortby": [{"direction": "asc"}]}',
        '{"fields": ["id"]}',
        '{"fields": {"include": 1}}',
        '{"token": 5}',
        '{"token": "W10"}',
        '{"intersects": {"type": "Point", "coordinates": [0]}}',
        '{"query": []}',
        '{"q": [1]}',
        '{"aggregations": "colour_frequency"}',
        '{"aggregations": [1]}',
        '{"aggregations": {"a": 1}}',
    ],
)
def test_no_body_makes_the_server_fail(call: Gateway, path: str, body: str) -> None:
    answer = call(path, "POST", body.encode())
    assert answer.status == 400, answer
    assert answer.json.keys() == {"code", "description"}


@pytest.mark.parametrize(
    "query",
    ["limit=1000000", "bbox=181,91,182,92", "ids=", "ids=a%00b", "datetime=/2020-01-01t00:00:00z"],
)
def test_what_looks_odd_and_is_allowed_is_answered(call: Gateway, query: str) -> None:
    assert call(f"/search?{query}").status == 200


def test_a_store_that_does_not_answer_is_503(tmp_path: Path) -> None:
    class Silent(MemoryStore):
        def search(self, query: Any) -> Any:
            raise UnavailableError("the catalog does not answer; try again")

    answer = gateway(Silent(), tmp_path)("/search")
    assert answer.status == 503
    assert answer.json == {
        "code": "ServiceUnavailable",
        "description": "the catalog does not answer; try again",
    }
