"""The function catalog, called with events of API Gateway's HTTP API."""

from __future__ import annotations

import base64
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import jsonschema
import pystac.validation
import pytest

from dask_regions.catalog.documents import CONFORMANCE, ROUTES
from dask_regions.catalog.sqlite import SqliteCatalog

ROOT = Path(__file__).parents[2]
APP = ROOT / "functions/catalog/app.py"
DATASETS = """
regions:
  - {name: eu-west-2, client: true, cidr: 10.0.0.0/16}
  - {name: us-west-2, cidr: 10.1.0.0/16, pool: {}}
  - {name: us-east-1, cidr: 10.2.0.0/16, pool: {}}
datasets:
  - id: a1b
    title: A1B
    description: One emission scenario.
    region: us-west-2
    bucket: demo-a1b
    layout: cmip6
    fsx_path: /fsx/a1b
  - id: e1
    title: E1
    description: Another emission scenario.
    region: us-east-1
    bucket: demo-e1
    layout: era5
    fsx_path: /fsx/e1
"""
Call = Callable[..., tuple[int, dict[str, Any]]]


def make_item(item_id: str, collection: str = "a1b", **properties: Any) -> dict[str, Any]:
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": [],
        "id": item_id,
        "collection": collection,
        "geometry": {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]]},
        "bbox": [0, 0, 1, 1],
        "links": [{"rel": "about", "href": "https://example.org/"}, {"rel": "self", "href": "nowhere"}],
        "assets": {"data": {"href": f"s3://bucket/{item_id}", "roles": ["data"]}},
        "properties": {
            "datetime": None,
            "start_datetime": "2000-01-01T00:00:00Z",
            "end_datetime": "2009-12-31T23:59:59Z",
            "scenario": collection.upper(),
            "variables": ["air_temperature"],
            "regions": ["us-west-2" if collection == "a1b" else "us-east-1"],
            **properties,
        },
    }


@pytest.fixture
def store(tmp_path: Path) -> SqliteCatalog:
    return SqliteCatalog(f"sqlite:///{tmp_path}/catalog.sqlite")


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    datasets = tmp_path / "datasets.yaml"
    datasets.write_text(DATASETS)
    monkeypatch.setenv("CATALOG_URL", f"sqlite:///{tmp_path}/catalog.sqlite")
    monkeypatch.setenv("DATASETS_FILE", str(datasets))
    spec = importlib.util.spec_from_file_location("catalog_app", APP)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def call(path: str, method: str = "GET", body: Any = None, **event: Any) -> tuple[int, dict[str, Any]]:
        answer = module.handler(make_event(path, method, body) | event, None)
        return answer["statusCode"], json.loads(answer["body"])

    return call


def make_event(path: str, method: str = "GET", body: Any = None) -> dict[str, Any]:
    url = urlsplit(path)
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": url.path,
        "rawQueryString": url.query,
        "headers": {"host": "api.example.org", "x-forwarded-proto": "https"},
        "requestContext": {
            "domainName": "api.example.org",
            "stage": "$default",
            "http": {"method": method, "path": url.path},
        },
        "isBase64Encoded": False,
    }
    if url.query:
        event["queryStringParameters"] = dict(parse_qsl(url.query, keep_blank_values=True))
    if body is not None:
        event["body"] = body if isinstance(body, str) else json.dumps(body)
    return event


@pytest.fixture
def filled(store: SqliteCatalog) -> SqliteCatalog:
    store.begin("g1", ["us-west-2", "us-east-1"])
    store.write("g1", "us-west-2", [make_item(f"i{n:02}") for n in range(5)] + [make_item("é ü+%/")])
    store.swap(
        "g1",
        {"us-east-1": "no route: secret-bucket"},
        {"us-west-2": 6},
        {"us-west-2": ["a1b"], "us-east-1": ["e1"]},
    )
    return store


def links(document: dict[str, Any], relation: str) -> list[dict[str, Any]]:
    return [link for link in document["links"] if link["rel"] == relation]


@pytest.mark.parametrize("path", [path for method, path, _ in ROUTES if method == "GET"])
def test_every_route_answers_when_nothing_was_ever_synced(call: Call, path: str) -> None:
    status, document = call(path.format(collectionId="a1b", featureId="none"))
    assert status == (404 if "featureId" in path else 200), document


def test_the_landing_page_leads_to_everything(call: Call) -> None:
    _, landing = call("/")
    assert landing["conformsTo"] == call("/conformance")[1]["conformsTo"] == CONFORMANCE
    assert {link["method"] for link in links(landing, "search")} == {"GET", "POST"}
    assert [link["title"] for link in links(landing, "child")] == ["A1B", "E1"]
    relations = {"self", "root", "data", "conformance", "service-desc"}
    assert relations | {"http://www.opengis.net/def/rel/ogc/1.0/queryables"} <= {
        link["rel"] for link in landing["links"]
    }
    for link in landing["links"]:
        assert call(link["href"], link.get("method", "GET"))[0] == 200
    pystac.validation.validate_dict(landing)


def test_links_name_the_address_that_was_called(call: Call) -> None:
    def self_link(headers: dict[str, str], stage: str, path: str) -> str:
        event = make_event(path)
        event["requestContext"]["stage"] = stage
        _, landing = call(path, headers=headers, requestContext=event["requestContext"])
        return str(links(landing, "self")[0]["href"])

    local = {"host": "127.0.0.1:8123", "x-forwarded-proto": "http"}
    assert self_link(local, "$default", "/") == "http://127.0.0.1:8123/"
    assert self_link({}, "v1", "/v1/") == "https://api.example.org/v1/"


def test_collections_are_valid_and_tell_the_state_of_their_sync(call: Call, filled: SqliteCatalog) -> None:
    _, document = call("/collections")
    first, second = document["collections"]
    pystac.validation.validate_dict(first)
    assert first["extent"]["temporal"]["interval"] == [["2000-01-01T00:00:00Z", "2009-12-31T23:59:59Z"]]
    assert first["summaries"]["scenario"] == ["A1B"]
    assert first["dask_regions:sync"]["us-west-2"]["stale"] is False
    assert first["dask_regions:sync"]["us-west-2"]["synced"].endswith("Z")
    assert second["dask_regions:sync"] == {"us-east-1": {"synced": None, "stale": True}}
    assert "secret-bucket" not in json.dumps(document)
    assert call("/collections/a1b")[1] == first


def test_an_item_is_valid_and_links_into_the_api(call: Call, filled: SqliteCatalog) -> None:
    status, item = call("/collections/a1b/items/i00")
    assert status == 200
    pystac.validation.validate_dict(item)
    assert {link["rel"] for link in item["links"]} == {"self", "parent", "collection", "root", "about"}
    assert links(item, "self")[0]["href"] == "https://api.example.org/collections/a1b/items/i00"


def test_an_item_is_found_by_its_own_link_whatever_its_id(call: Call, filled: SqliteCatalog) -> None:
    _, found = call("/search", "POST", {"ids": ["é ü+%/"]})
    href = links(found["features"][0], "self")[0]["href"]
    assert call(href)[1]["id"] == "é ü+%/"


def test_an_item_is_found_where_the_gateway_decodes_its_path(call: Call, store: SqliteCatalog) -> None:
    odd = ['a"b', "a#b", "a?b", "a\\b", "a`b", "a\nb", "\N{GRINNING FACE}", "a%20b", "a b", "a'b", "..", "é"]
    store.begin("g1", ["us-west-2"])
    count = store.write("g1", "us-west-2", [make_item(item_id) for item_id in odd])
    store.swap("g1", {}, {"us-west-2": count}, {"us-west-2": ["a1b"]})
    for item_id in odd:
        status, item = call("/", rawPath=f"/collections/a1b/items/{item_id}")
        assert (status, item.get("id")) == (200, item_id)


def test_a_filter_with_too_many_values_is_refused_at_once(call: Call, filled: SqliteCatalog) -> None:
    leaf = {"op": "=", "args": [{"property": "title"}, "x"]}
    many = {"op": "and", "args": [{"op": "or", "args": [leaf] * 400}] * 400}
    status, error = call("/search", "POST", {"filter": many})
    assert status == 400
    assert "has more than 1600 values" in error["description"]


@pytest.mark.parametrize(
    "path", ["/search?limit=2&scenario", "/zzz", "/collections/none", "/collections/none/items"]
)
def test_errors_have_the_shape_of_stac(call: Call, path: str) -> None:
    status, error = call(path)
    assert status in (400, 404)
    assert error.keys() == {"code", "description"}


def test_a_method_that_a_path_does_not_answer_is_405(call: Call) -> None:
    assert call("/search", "DELETE")[0] == 405
    assert call("/collections/a1b", "POST")[0] == 405


@pytest.mark.parametrize(
    "path", ["/", "/collections", "/collections/a1b", "/collections/a1b/items", "/search"]
)
def test_an_unknown_parameter_is_named(call: Call, path: str) -> None:
    status, error = call(f"{path}?colour=red")
    assert status == 400
    assert error["description"].startswith("colour: ")


def test_pages_of_a_get_follow_next_links(call: Call, filled: SqliteCatalog) -> None:
    found, url = [], "/collections/a1b/items?limit=4&datetime=2005-01-01T00:00:00%2B00:00"
    while url:
        status, page = call(url)
        assert status == 200, page
        found += [feature["id"] for feature in page["features"]]
        assert page["numberMatched"] == 6
        url = next((link["href"] for link in links(page, "next")), "")
    assert found == ["i00", "i01", "i02", "i03", "i04", "é ü+%/"]


def test_pages_of_a_post_merge_the_token_into_the_body(call: Call, filled: SqliteCatalog) -> None:
    body: dict[str, Any] = {"collections": ["a1b"], "limit": 4, "filter-lang": "cql2-json"}
    body["filter"] = {"op": "=", "args": [{"property": "scenario"}, "A1B"]}
    _, page = call("/search", "POST", body)
    (link,) = links(page, "next")
    assert link["merge"] is True
    _, page = call("/search", link["method"], {**body, **link["body"]})
    assert [feature["id"] for feature in page["features"]] == ["i04", "é ü+%/"]
    assert not links(page, "next")


def test_a_base64_body_is_read(call: Call, filled: SqliteCatalog) -> None:
    body = base64.b64encode(b'{"ids": ["i01"]}').decode()
    assert len(call("/search", "POST", body, isBase64Encoded=True)[1]["features"]) == 1
    body = base64.b64encode(b"\xff\xfe").decode()
    assert call("/search", "POST", body, isBase64Encoded=True)[0] == 400
    assert call("/search", "POST", "a", isBase64Encoded=True)[0] == 400


def test_fields_choose_what_items_show(call: Call, filled: SqliteCatalog) -> None:
    _, page = call("/search?ids=i00&fields=properties.scenario,-bbox,-links")
    (feature,) = page["features"]
    assert feature["properties"] == {"scenario": "A1B"}
    assert "assets" not in feature
    _, page = call(
        "/search", "POST", {"ids": ["i00"], "fields": {"exclude": ["assets", "properties.variables"]}}
    )
    (feature,) = page["features"]
    assert "assets" not in feature
    assert "variables" not in feature["properties"]
    assert feature["properties"]["scenario"] == "A1B"


def test_sortby_orders_items(call: Call, filled: SqliteCatalog) -> None:
    _, page = call("/search?sortby=-id&limit=2&filter=id LIKE 'i%25'")
    assert [feature["id"] for feature in page["features"]] == ["i04", "i03"]


def test_queryables_are_a_schema_that_knows_the_values(call: Call, filled: SqliteCatalog) -> None:
    _, schema = call("/collections/a1b/queryables")
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["properties"]["scenario"]["enum"] == ["A1B"]
    _, everything = call("/queryables")
    assert everything["properties"].keys() == schema["properties"].keys()


def test_the_openapi_document_describes_every_route(call: Call) -> None:
    _, document = call("/api")
    described = {(method.upper(), path) for path, of in document["paths"].items() for method in of}
    assert described == {(method, path) for method, path, _ in ROUTES}


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("limit=0", "limit"),
        ("limit=-1", "limit"),
        ("limit=ten", "limit"),
        ("limit=1.5", "limit"),
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
        (f"filter=title LIKE '{'%25' * 60_000}'", "filter"),
        (f"""filter="'" = {"(" * 100_000}1{")" * 100_000} AND "'" = 1""", "filter"),
    ],
)
def test_a_wrong_parameter_is_a_400_that_names_it(call: Call, query: str, parameter: str) -> None:
    for path in ("/search", "/collections/a1b/items"):
        status, error = call(f"{path}?{query}")
        assert status == 400
        assert error["description"].startswith(f"{parameter}: "), error


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
        '{"intersects": {"type": "Point", "coordinates": [0, 0]}}',
        '{"query": {}}',
    ],
)
def test_no_body_makes_the_server_fail(call: Call, filled: SqliteCatalog, body: str) -> None:
    status, error = call("/search", "POST", body)
    assert status == 400, error
    assert error.keys() == {"code", "description"}


@pytest.mark.parametrize(
    "query",
    [
        "limit=1000000",
        "bbox=181,91,182,92",
        "ids=",
        "ids=a%00b",
        "datetime=/2020-01-01t00:00:00z",
    ],
)
def test_what_looks_odd_and_is_allowed_is_answered(call: Call, filled: SqliteCatalog, query: str) -> None:
    assert call(f"/search?{query}")[0] == 200


def test_a_store_that_does_not_answer_is_503(call: Call, tmp_path: Path) -> None:
    (tmp_path / "catalog.sqlite").write_text("this is not SQLite" * 100)
    status, error = call("/search")
    assert status == 503
    assert error["code"] == "ServiceUnavailable"


def test_the_function_imports_neither_boto3_nor_dask(tmp_path: Path) -> None:
    (tmp_path / "datasets.yaml").write_text(DATASETS)
    heavy = ("boto3", "dask", "distributed", "numpy", "xarray")
    program = f"import app, sys; print([name for name in {heavy} if name in sys.modules])"
    environment = {
        **os.environ,
        "CATALOG_URL": f"sqlite:///{tmp_path}/none.sqlite",
        "DATASETS_FILE": str(tmp_path / "datasets.yaml"),
    }
    result = subprocess.run(
        [sys.executable, "-c", program],
        cwd=APP.parent,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.strip() == "[]"
