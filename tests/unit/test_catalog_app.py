"""The API behind API Gateway: routes, links, errors, and what Items and Collections say."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pystac.validation
import pytest

from dask_regions.catalog.api import Api
from dask_regions.catalog.documents import CONFORMANCE
from dask_regions.catalog.routes import ROUTES
from dask_regions.errors import UnavailableError
from dask_regions.names import REGIONS_FIELD
from tests.catalog import ROOT, Gateway, MemoryStore, links, load_configuration, make_item

FRESHNESS: dict[str, dict[str, Any]] = {
    "us-west-2": {"synced": "2026-11-21T00:00:00Z", "stale": False, "error": None},
    "us-east-1": {"synced": None, "stale": True, "error": "no route: secret-bucket"},
}
ODD = [
    'a"b',
    "a#b",
    "a?b",
    "a\\b",
    "a`b",
    "a\nb",
    "\N{GRINNING FACE}",
    "a%20b",
    "a b",
    "a'b",
    "..",
    "é",
    "a/b/c",
]


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore([*(make_item(f"i{n:02}") for n in range(5)), make_item("é ü+%/")], FRESHNESS)


@pytest.fixture
def make_call(tmp_path: Path) -> Callable[[Any], Gateway]:
    def make(store: Any) -> Gateway:
        return Gateway(Api(store, load_configuration(tmp_path)).resolve)

    return make


@pytest.fixture
def call(make_call: Callable[[Any], Gateway], store: MemoryStore) -> Gateway:
    return make_call(store)


@pytest.mark.parametrize("path", [route.path for route in ROUTES if route.method == "GET"])
def test_every_route_answers_when_nothing_was_ever_synced(
    make_call: Callable[[Any], Gateway], path: str
) -> None:
    answer = make_call(MemoryStore())(path.format(collectionId="a1b", featureId="none"))
    assert answer.status == (404 if "featureId" in path else 200), answer


def test_the_landing_page_leads_to_everything(call: Gateway) -> None:
    landing = call("/").json
    assert landing["conformsTo"] == call("/conformance").json["conformsTo"] == CONFORMANCE
    for relation in ("search", "aggregate"):
        assert {link["method"] for link in links(landing, relation)} == {"GET", "POST"}
    assert [link["title"] for link in links(landing, "child")] == ["Air temperature, A1B", "Another scenario"]
    relations = {"self", "root", "data", "conformance", "service-desc", "service-doc", "aggregations"}
    assert relations | {"http://www.opengis.net/def/rel/ogc/1.0/queryables"} <= {
        link["rel"] for link in landing["links"]
    }
    for link in landing["links"]:
        answer = call(link["href"], link.get("method", "GET"))
        assert answer.status == 200, link
        assert answer.headers["content-type"].split(";")[0] == link["type"].split(";")[0]
    pystac.validation.validate_dict(landing)


def test_links_name_the_address_that_was_called(tmp_path: Path) -> None:
    api = Api(MemoryStore(), load_configuration(tmp_path))

    def self_link(headers: dict[str, str], stage: str, path: str) -> str:
        context = {"domainName": "api.example.org", "stage": stage, "http": {"method": "GET"}}
        event = {"rawPath": path, "headers": headers, "requestContext": context, "routeKey": "GET /"}
        landing = json.loads(api.resolve(event, None)["body"])
        return str(links(landing, "self")[0]["href"])

    local = {"host": "127.0.0.1:8123", "x-forwarded-proto": "http"}
    assert self_link(local, "$default", "/") == "http://127.0.0.1:8123/"
    assert self_link({}, "v1", "/v1/") == "https://api.example.org/v1/"


def test_collections_are_valid_and_tell_where_they_are_and_how_fresh(call: Gateway) -> None:
    answer = call("/collections")
    first, second = answer.json["collections"]
    pystac.validation.validate_dict(first)
    pystac.validation.validate_dict(second)
    assert first["extent"]["temporal"]["interval"] == [["2000-01-01T00:00:00Z", "2009-12-31T23:59:59Z"]]
    assert first["summaries"]["scenario"] == ["A1B"]
    assert first["summaries"]["regions"] == ["us-east-1", "us-west-2"]
    assert first[REGIONS_FIELD] == {
        "us-west-2": {
            "s3": ["s3://demo-a1b/CMIP6/"],
            "fsx": ["/fsx/a1b"],
            "synced": "2026-11-21T00:00:00Z",
            "stale": False,
        },
        "us-east-1": {
            "s3": ["s3://demo-a1b-copy/CMIP6/"],
            "fsx": ["/fsx/a1b-copy"],
            "synced": None,
            "stale": True,
        },
    }
    assert second["extent"]["temporal"]["interval"] == [[None, None]]
    assert "secret-bucket" not in answer.text
    assert call("/collections/a1b").json == first


def test_an_item_is_valid_links_into_the_api_and_tells_where_it_is_and_how_fresh(call: Gateway) -> None:
    answer = call("/collections/a1b/items/i00")
    item = answer.json
    assert answer.status == 200
    pystac.validation.validate_dict(item)
    assert {link["rel"] for link in item["links"]} == {"self", "parent", "collection", "root", "about"}
    assert links(item, "self")[0]["href"] == "http://api.example.org/collections/a1b/items/i00"
    assert item["properties"][REGIONS_FIELD] == {
        "us-west-2": {
            "s3": ["s3://demo-a1b/i00"],
            "fsx": ["/fsx/a1b/i00"],
            "synced": "2026-11-21T00:00:00Z",
            "stale": False,
        }
    }
    found = call("/search?ids=i00").json["features"]
    assert found == [item]


def test_an_item_of_several_regions_and_assets_tells_all_of_its_places(
    make_call: Callable[[Any], Gateway],
) -> None:
    item = make_item("i")
    item["properties"]["regions"] = ["us-east-1", "us-west-2"]
    item["properties"]["storage:schemes"]["fsx-us-east-1"] = {"type": "fsx", "region": "us-east-1"}
    copy = {"href": "file:///fsx/a%20copy", "storage:refs": ["fsx-us-east-1"]}
    item["assets"]["data"]["alternate"]["fsx-us-east-1"] = copy
    item["assets"]["netcdf"] = {"href": "s3://demo-a1b/i.nc", "storage:refs": ["s3-us-west-2", "unknown"]}
    item["assets"]["page"] = {"href": "https://example.org/"}
    regions = make_call(MemoryStore([item]))("/collections/a1b/items/i").json["properties"][REGIONS_FIELD]
    assert regions == {
        "us-east-1": {"s3": [], "fsx": ["/fsx/a copy"], "synced": None, "stale": False},
        "us-west-2": {
            "s3": ["s3://demo-a1b/i", "s3://demo-a1b/i.nc"],
            "fsx": ["/fsx/a1b/i"],
            "synced": None,
            "stale": False,
        },
    }


def test_the_state_of_the_regions_is_read_anew_after_some_seconds(tmp_path: Path) -> None:
    now = 100.0
    store = MemoryStore([], FRESHNESS)
    call = Gateway(Api(store, load_configuration(tmp_path), clock=lambda: now).resolve)

    def stale() -> bool:
        regions = call("/collections/e1").json[REGIONS_FIELD]
        return bool(regions["us-east-1"]["stale"])

    assert stale()
    store.fresh = {"us-east-1": {"synced": "2026-11-22T00:00:00Z", "stale": False, "error": None}}
    assert stale()
    now += 11
    assert not stale()


def test_an_item_is_found_by_its_own_link_whatever_its_id(make_call: Callable[[Any], Gateway]) -> None:
    call = make_call(MemoryStore([make_item(item_id) for item_id in ODD]))
    for feature in call("/search?limit=100").json["features"]:
        answer = call(links(feature, "self")[0]["href"])
        assert (answer.status, answer.json.get("id")) == (200, feature["id"])


def test_an_item_is_found_where_the_gateway_decodes_its_path(tmp_path: Path) -> None:
    api = Api(MemoryStore([make_item(item_id) for item_id in ODD]), load_configuration(tmp_path))
    context = {"domainName": "api.example.org", "http": {"method": "GET"}}
    for item_id in ODD:
        event = {"rawPath": f"/collections/a1b/items/{item_id}", "requestContext": context}
        # A slash in an id is not matched by the route of Items.
        key = "$default" if "/" in item_id else "GET /collections/{collectionId}/items/{featureId}"
        result = api.resolve({**event, "routeKey": key}, None)
        assert (result["statusCode"], json.loads(result["body"]).get("id")) == (200, item_id)


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


def test_a_method_that_a_path_does_not_answer_is_405(call: Gateway) -> None:
    assert call("/search", "DELETE").headers["allow"] == "GET, HEAD, POST"
    assert call("/search", "DELETE").status == 405
    assert call("/collections/a1b", "POST").status == 405
    assert call("/", "PUT").json["description"] == "/ answers GET, HEAD only"


def test_head_is_answered_like_get_without_a_body(call: Gateway) -> None:
    for path in ("/", "/collections/a1b/items/i00", "/search?limit=1"):
        head, get = call(path, "HEAD"), call(path)
        assert (head.status, head.text) == (200, "")
        assert head.headers["content-type"] == get.headers["content-type"]
    assert call("/collections/none", "HEAD").status == 404
    assert call("/search?limit=x", "HEAD").status == 400


def test_options_is_left_to_the_gateway_and_tells_the_methods_without_it(call: Gateway) -> None:
    assert (
        call("/search", "OPTIONS", headers={"Origin": "https://x"}).headers["access-control-allow-origin"]
        == "*"
    )
    context = {"domainName": "api.example.org", "http": {"method": "OPTIONS"}}
    event = {"routeKey": "$default", "requestContext": context}
    result = call.handler({**event, "rawPath": "/search"}, None)
    assert (result["statusCode"], result["headers"]["Allow"]) == (204, "GET, HEAD, POST, OPTIONS")
    assert call.handler({**event, "rawPath": "/zzz"}, None)["statusCode"] == 404


def test_a_route_that_the_template_does_not_have_is_not_served(call: Gateway) -> None:
    call.http_api.routes = [route for route in call.http_api.routes if route.path != "/conformance"]
    assert call("/conformance").status == 404


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


def test_pages_of_a_get_follow_next_links(call: Gateway) -> None:
    found, url = [], "/collections/a1b/items?limit=4&datetime=2005-01-01T00:00:00%2B00:00"
    while url:
        page = call(url).json
        found += [feature["id"] for feature in page["features"]]
        assert page["numberMatched"] == 6
        assert page["numberReturned"] == len(page["features"])
        url = next((link["href"] for link in links(page, "next")), "")
    assert found == ["i00", "i01", "i02", "i03", "i04", "é ü+%/"]


def test_a_last_page_that_is_full_has_no_next_link(call: Gateway) -> None:
    assert not links(call("/search?limit=6").json, "next")
    assert links(call("/search?limit=5").json, "next")


def test_pages_of_a_post_merge_the_token_into_the_body(call: Gateway) -> None:
    body: dict[str, Any] = {"collections": ["a1b"], "limit": 4, "filter-lang": "cql2-json"}
    body["filter"] = {"op": "=", "args": [{"property": "scenario"}, "A1B"]}
    page = call("/search", "POST", body).json
    (link,) = links(page, "next")
    assert link["merge"] is True
    page = call("/search", link["method"], {**body, **link["body"]}).json
    assert [feature["id"] for feature in page["features"]] == ["i04", "é ü+%/"]
    assert not links(page, "next")


def test_a_page_ends_before_it_outgrows_an_answer_of_lambda(make_call: Callable[[Any], Gateway]) -> None:
    # A quote takes four bytes: it is escaped in the Item, and again in the function's result.
    call = make_call(MemoryStore([make_item(f"i{n}", title='"' * 500_000) for n in range(6)]))
    found, url = 0, "/search"
    while url:
        answer = call(url)
        found += len(answer.json["features"])
        assert len(json.dumps(answer.text)) < 6_000_000
        url = next((link["href"] for link in links(answer.json, "next")), "")
    assert found == 6


def test_a_base64_body_is_read(call: Gateway) -> None:
    # The gateway encodes what is no UTF-8.
    assert call("/search", "POST", b"\xff\xfe").json["description"].startswith("body: is not UTF-8")
    event = {
        "rawPath": "/search",
        "routeKey": "POST /search",
        "requestContext": {"domainName": "api.example.org", "http": {"method": "POST"}},
        "isBase64Encoded": True,
    }

    def answer(body: str) -> Any:
        return call.handler({**event, "body": body}, None)

    found = answer(base64.b64encode(b'{"ids": ["i01"]}').decode())
    assert len(json.loads(found["body"])["features"]) == 1
    assert answer("a")["statusCode"] == 400


def test_a_body_may_be_empty_but_neither_huge_nor_of_another_kind(call: Gateway) -> None:
    assert call("/search", "POST").status == 200
    assert call("/search", "POST", b"").status == 200
    answer = call("/search", "POST", b'"' + b"x" * 1_000_001 + b'"')
    assert answer.json["description"].startswith("body: is longer than")
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = call("/search", "POST", b'{"limit": 1}', form)
    assert answer.json["description"].startswith("Content-Type: ")
    assert (
        call("/search", "POST", b'{"limit": 1}', {"Content-Type": "Application/JSON; charset=utf-8"}).status
        == 200
    )


def test_a_large_answer_is_compressed_for_those_who_understand_it(call: Gateway) -> None:
    plain = call("/search")
    compressed = call("/search", headers={"Accept-Encoding": "br, gzip;q=0.5"})
    assert compressed.headers["content-encoding"] == "gzip"
    assert compressed.text == plain.text
    assert compressed.length < plain.length / 2
    assert "content-encoding" not in call("/search", headers={"Accept-Encoding": "gzip;q=0"}).headers
    assert "content-encoding" not in call("/search?limit=1", headers={"Accept-Encoding": "gzip"}).headers
    assert "Accept-Encoding" in plain.headers["vary"]


def test_fields_choose_what_items_show(call: Gateway) -> None:
    def shown(fields: Any) -> dict[str, Any]:
        body = {"ids": ["i00"], "fields": fields}
        feature: dict[str, Any] = call("/search", "POST", body).json["features"][0]
        return feature

    always = {"type", "stac_version", "id", "collection"}
    (feature,) = call("/search?ids=i00&fields=properties.scenario,-bbox,-links").json["features"]
    assert feature.keys() == {*always, "properties"}
    assert feature["properties"] == {"scenario": "A1B"}
    feature = shown({"exclude": ["assets", "properties.variables"]})
    assert "assets" not in feature
    assert "variables" not in feature["properties"]
    assert feature["properties"]["scenario"] == "A1B"
    # As the extension's table has it.
    needed = {*always, "geometry", "bbox", "links", "assets", "properties"}
    nothings: tuple[dict[str, Any], ...] = ({}, {"include": [], "exclude": None}, {"include": None})
    for nothing in nothings:
        assert shown(nothing).keys() == needed
        assert shown(nothing)["properties"].keys() == {"datetime", "start_datetime", "end_datetime"}
    assert shown({"include": None, "exclude": ["geometry"]}).keys() == needed - {"geometry"}
    assert shown({"include": ["geometry", "bbox"], "exclude": ["geometry"]}).keys() == {
        *always,
        "geometry",
        "bbox",
    }
    feature = shown({"include": ["properties.scenario"], "exclude": ["properties"]})
    assert feature["properties"] == {"scenario": "A1B"}
    feature = shown({"include": ["properties"], "exclude": ["properties.scenario"]})
    assert "scenario" not in feature["properties"]
    assert "variables" in feature["properties"]
    assert shown({"include": ["no.such.thing", "id"]}).keys() == always
    assert shown({"exclude": ["id", "type"]})["id"] == "i00"


def test_sortby_orders_items(call: Gateway) -> None:
    page = call("/search?sortby=-id&limit=2&filter=id LIKE 'i%25'").json
    assert [feature["id"] for feature in page["features"]] == ["i04", "i03"]


def test_queryables_are_a_schema_that_knows_the_values(call: Gateway) -> None:
    schema = call("/collections/a1b/queryables").json
    jsonschema.Draft201909Validator.check_schema(schema)
    assert schema["properties"]["scenario"]["enum"] == ["A1B"]
    assert schema["$id"] == "http://api.example.org/collections/a1b/queryables"
    everything = call("/queryables").json
    assert everything["properties"].keys() == schema["properties"].keys()


def test_items_of_a_collection_are_not_searched_in_another(call: Gateway) -> None:
    assert call("/collections/a1b/items?collections=a1b").status == 200
    for target in ("/collections/a1b/items?collections=e1", "/collections/a1b/aggregate?collections=a1b,e1"):
        answer = call(target)
        assert answer.status == 400
        assert answer.json["description"].startswith("collections: ")


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
        (f"filter=title LIKE '{'%25' * 60_000}'", "filter"),
        (f"""filter="'" = {"(" * 100_000}1{")" * 100_000} AND "'" = 1""", "filter"),
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
        "[" * 100_000,
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
        '{"bbox": [0, 0, 1, ' + "9" * 400 + "]}",
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


def test_a_store_that_does_not_answer_is_503(make_call: Callable[[Any], Gateway]) -> None:
    class Silent(MemoryStore):
        def search(self, query: Any) -> Any:
            raise UnavailableError("the catalog does not answer; try again")

    answer = make_call(Silent())("/search")
    assert answer.status == 503
    assert answer.json == {
        "code": "ServiceUnavailable",
        "description": "the catalog does not answer; try again",
    }


def test_aggregations_count_what_matches(make_call: Callable[[Any], Gateway]) -> None:
    items = [
        make_item("a"),
        make_item("b", variables=["air_temperature", "rainfall"]),
        make_item("c", "e1", start_datetime="2001-02-03T00:00:00Z", scenario=None),
    ]
    call = make_call(MemoryStore(items))
    names = [one["name"] for one in call("/aggregations").json["aggregations"]]
    assert (
        call("/collections/a1b/aggregations").json["aggregations"]
        == call("/aggregations").json["aggregations"]
    )
    answer = call(f"/aggregate?aggregations={','.join(names)}")
    found = {one["name"]: one for one in answer.json["aggregations"]}
    assert list(found) == names
    assert found["total_count"] == {"name": "total_count", "data_type": "integer", "value": 3}
    counted = {
        name: {bucket["key"]: bucket["frequency"] for bucket in one["buckets"]}
        for name, one in found.items()
        if name != "total_count"
    }
    assert counted == {
        "collection_frequency": {"a1b": 2, "e1": 1},
        "region_frequency": {"us-west-2": 2, "us-east-1": 1},
        "variable_frequency": {"air_temperature": 3, "rainfall": 1},
        "scenario_frequency": {"A1B": 2},
        "year_frequency": {"2000": 2, "2001": 1},
    }
    assert found["year_frequency"]["data_type"] == "numeric"
    body = {
        "aggregations": ["total_count"],
        "filter": {"op": "a_contains", "args": [{"property": "variables"}, ["rainfall"]]},
    }
    assert call("/aggregate", "POST", body).json["aggregations"][0]["value"] == 1
    assert call("/collections/e1/aggregate", "POST", body).json["aggregations"][0]["value"] == 0
    assert call("/collections/e1/aggregate?aggregations=total_count").json["aggregations"][0]["value"] == 1
    assert call("/aggregate").json["aggregations"] == []
    answer = call("/aggregate?aggregations=colour_frequency")
    assert answer.status == 400
    assert answer.json["description"].startswith("aggregations: there is no 'colour_frequency'")


def test_the_function_imports_no_more_than_a_search_needs(tmp_path: Path) -> None:
    heavy = (
        "aws_lambda_powertools", "boto3", "botocore", "dask", "distributed", "numpy", "opensearchpy",
        "requests", "shapely", "xarray",
    )  # fmt: skip
    program = f"import app, sys; print([name for name in {heavy} if name in sys.modules])"
    environment = {
        **os.environ,
        "CATALOG_URL": f"sqlite:///{tmp_path}/none.sqlite",
        "DATASETS_FILE": str(ROOT / "datasets.yaml"),
    }
    result = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT / "functions/catalog",
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.strip() == "[]"
