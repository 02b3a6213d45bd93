"""The OpenAPI document is true, and every conformance class works that is advertised."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from openapi_schema_validator import OAS30Validator
from openapi_spec_validator import validate
from samtranslator.yaml_helper import yaml_parse

from dask_regions.catalog.asking.parameters import TABLE
from dask_regions.catalog.web import openapi
from dask_regions.catalog.web.api import create_app
from dask_regions.catalog.web.documents import CONFORMANCE
from dask_regions.catalog.web.routes import ROUTES
from dask_regions.http.routes import Authorization, Route
from testing.catalog.stac_api import ROOT, Gateway, MemoryStore, links, load_configuration, make_item

POINT = {"type": "Point", "coordinates": [0.5, 0.5]}
PARAMETERS = [parameter.name for parameter in TABLE]
#: Key under which API Gateway hands over what no route of the template is for.
DEFAULT = "$default"
#: A value of every parameter: in a query string, and in a body.
VALUES: dict[str, tuple[str, Any]] = {
    "collections": ("a1b", ["a1b"]),
    "ids": ("i0,i1", ["i0", "i1"]),
    "bbox": ("0,0,1,1", [0, 0, 1, 1]),
    "intersects": (json.dumps(POINT), POINT),
    "datetime": ("2001-01-01T00:00:00Z/..", "2001-01-01T00:00:00Z/.."),
    "q": ("air,water", ["air", "water"]),
    "query": ('{"id": {"neq": "x"}}', {"id": {"neq": "x"}}),
    "filter": ("id <> 'x'", {"op": "<>", "args": [{"property": "id"}, "x"]}),
    "filter-lang": ("cql2-text", "cql2-json"),
    "filter-crs": ("http://www.opengis.net/def/crs/OGC/1.3/CRS84",) * 2,
    "sortby": ("-id", [{"field": "id", "direction": "desc"}]),
    "fields": ("id,-links", {"include": ["id"], "exclude": ["links"]}),
    "limit": ("1", 1),
    "aggregations": ("total_count,year_frequency", ["total_count", "year_frequency"]),
}


@pytest.fixture
def call(tmp_path: Path) -> Gateway:
    items = [make_item("i0"), make_item("i1", title="Air over water"), make_item("i0", "e1")]
    configuration = load_configuration(tmp_path)
    return Gateway(create_app(MemoryStore(items), lambda: configuration).resolve)


@pytest.fixture
def document(call: Gateway) -> dict[str, Any]:
    described: dict[str, Any] = call("/api").json
    return described


def path_of(route: Route) -> str:
    return route.path.format(collectionId="a1b", featureId="i0")


def parameters_of(document: dict[str, Any], route: Route) -> dict[str, dict[str, Any]]:
    """Return the documented parameters with their schemas."""
    operation = document["paths"][route.path][route.method.lower()]
    if route.method == "POST":
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        assert schema["additionalProperties"] is False
        properties: dict[str, dict[str, Any]] = schema["properties"]
        return properties
    return {
        parameter["name"]: parameter["schema"]
        for parameter in operation.get("parameters", ())
        if parameter["in"] == "query"
    }


def send(call: Gateway, route: Route, name: str, value: Any = None) -> Any:
    in_query, in_body = VALUES[name] if value is None else (value, value)
    if route.method == "POST":
        return call(path_of(route), "POST", {name: in_body})
    return call(f"{path_of(route)}?{name}={quote(in_query)}")


def test_the_document_is_valid(document: dict[str, Any]) -> None:
    validate(document)
    assert document["servers"] == [{"url": "http://api.example.org"}]


def test_the_template_the_document_and_the_routes_agree(document: dict[str, Any]) -> None:
    described = {(method.upper(), path) for path, of in document["paths"].items() for method in of}
    assert described == {(route.method, route.path) for route in ROUTES}
    preflights = {"OPTIONS /", "OPTIONS /{proxy+}"}
    assert in_template().keys() == {f"{method} {path}" for method, path in described} | preflights | {DEFAULT}


def test_whoever_may_call_the_api_may_call_every_route_and_preflights_need_no_credentials() -> None:
    condition, iam, otherwise = in_template()[DEFAULT]["security"]["Fn::If"]
    assert (condition, iam) == ("IamAccess", [{"iam": []}])
    assert otherwise == {"Fn::If": ["JwtAccess", [{"jwt": []}], {"Ref": "AWS::NoValue"}]}
    for key, operation in in_template().items():
        assert operation.get("security") == (
            None if key.startswith("OPTIONS ") else {"Fn::If": [condition, iam, otherwise]}
        ), key


def test_the_template_s_schemes_are_those_of_the_document() -> None:
    schemes = yaml_parse((ROOT / "template.yaml").read_text())["Resources"]["CatalogApi"]["Properties"][
        "DefinitionBody"
    ]["components"]["securitySchemes"]
    assert schemes.keys() == {"iam", "jwt"}
    for name, scheme in schemes.items():
        condition, _, otherwise = scheme["Fn::If"]
        assert (condition, otherwise) == (f"{name.title()}Access", {"Ref": "AWS::NoValue"})


def test_a_public_document_asks_for_no_credentials(document: dict[str, Any]) -> None:
    assert {str(operation["security"]) for of in document["paths"].values() for operation in of.values()} == {
        "[]"
    }
    assert "securitySchemes" not in document["components"]


@pytest.mark.parametrize("access", ["iam", "jwt"])
def test_a_restricted_document_names_its_credentials(access: Authorization) -> None:
    restricted = openapi.document("http://api.example.org", ROUTES.restricted(access))
    validate(restricted)
    operations = [operation for of in restricted["paths"].values() for operation in of.values()]
    assert all(operation["security"] == [{access: []}] for operation in operations)
    assert restricted["components"]["securitySchemes"].keys() == {access}


@pytest.mark.parametrize("access", ["iam", "jwt"])
def test_a_restricted_api_answers_those_whom_the_gateway_has_authorised(
    tmp_path: Path, access: Authorization
) -> None:
    app = create_app(MemoryStore([]), lambda: load_configuration(tmp_path), access=access)
    context: dict[str, Any] = {"domainName": "api.example.org", "http": {"method": "GET"}}
    event: dict[str, Any] = {"routeKey": "GET /search", "rawPath": "/search", "requestContext": context}
    assert app.resolve(event, None)["statusCode"] == 403
    context["authorizer"] = {access: {}}
    assert app.resolve(event, None)["statusCode"] == 200
    preflight = {"domainName": "api.example.org", "http": {"method": "OPTIONS"}}
    event = {"routeKey": "OPTIONS /{proxy+}", "rawPath": "/search", "requestContext": preflight}
    assert app.resolve(event, None)["statusCode"] == 204


def in_template() -> dict[str, dict[str, Any]]:
    """Return the operations of the template by their route keys."""
    api = yaml_parse((ROOT / "template.yaml").read_text())["Resources"]["CatalogApi"]["Properties"]
    return {
        DEFAULT if path == "/$default" else f"{method.upper()} {path}": operation
        for path, operations in api["DefinitionBody"]["paths"].items()
        for method, operation in operations.items()
    }


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.key)
def test_an_answer_is_as_documented(call: Gateway, document: dict[str, Any], route: Route) -> None:
    answer = call(path_of(route), route.method)
    assert answer.status == 200
    content = document["paths"][route.path][route.method.lower()]["responses"]["200"]["content"]
    schema = content[answer.headers["content-type"].replace("; charset=utf-8", "")]["schema"]
    shown = answer.text if answer.headers["content-type"].startswith("text/html") else answer.json
    OAS30Validator({**schema, "components": document["components"]}).validate(shown)
    error = call(f"{path_of(route)}?colour=red", route.method).json
    OAS30Validator(document["components"]["schemas"]["Error"]).validate(error)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.key)
def test_every_documented_parameter_works_and_no_other(
    call: Gateway, document: dict[str, Any], route: Route
) -> None:
    documented = parameters_of(document, route)
    for name in PARAMETERS:
        if name == "token":
            continue
        answer = send(call, route, name)
        assert answer.status == (200 if name in documented else 400), (name, answer)
        if name in documented and route.method == "POST":
            OAS30Validator(documented[name]).validate(VALUES[name][1])
    if "token" in documented:
        first = (
            call(f"{path_of(route)}?limit=1").json
            if route.method == "GET"
            else call(path_of(route), "POST", {"limit": 1}).json
        )
        (link,) = links(first, "next")
        second = call(link["href"], link["method"], {"limit": 1, **link["body"]} if "body" in link else None)
        assert second.status == 200
        assert second.json["numberReturned"] == 1
        assert second.text != first
    else:
        assert send(call, route, "token", "x").status == 400


def items(call: Gateway, query: str) -> list[str]:
    answer = call(f"/search?{quote(query, safe='=&')}")
    assert answer.status == 200, answer
    return [feature["id"] for feature in answer.json["features"]]


def both(call: Gateway, query: str, expected: list[str]) -> None:
    """Search all Items, and those of one Collection."""
    assert items(call, query) == expected
    answer = call(f"/collections/a1b/items?{quote(query, safe='=&')}")
    assert [feature["id"] for feature in answer.json["features"]] == expected


def check_core(call: Gateway) -> None:
    assert call("/").json["conformsTo"] == CONFORMANCE


def check_collections(call: Gateway) -> None:
    assert [collection["id"] for collection in call("/collections").json["collections"]] == ["a1b", "e1"]
    assert call("/collections/a1b").json["id"] == "a1b"


def check_features(call: Gateway) -> None:
    page = call("/collections/e1/items").json
    assert (page["type"], [item["id"] for item in page["features"]]) == ("FeatureCollection", ["i0"])
    assert call("/collections/e1/items/i0").headers["content-type"] == "application/geo+json"


def check_search(call: Gateway) -> None:
    assert items(call, "ids=i1") == ["i1"]
    assert len(call("/search", "POST", {"intersects": POINT}).json["features"]) == 3


def check_fields(call: Gateway) -> None:
    for path in ("/search", "/collections/a1b/items"):
        assert "assets" not in call(f"{path}?fields=id").json["features"][0]
    assert "links" not in call("/collections?fields=id").json["collections"][0]


def check_sort(call: Gateway) -> None:
    both(call, "sortby=-id&filter=collection = 'a1b'", ["i1", "i0"])
    assert [collection["id"] for collection in call("/collections?sortby=-title").json["collections"]] == [
        "e1",
        "a1b",
    ]


def check_query(call: Gateway) -> None:
    both(call, 'query={"title": {"startsWith": "Air"}}', ["i1"])
    assert [
        collection["id"] for collection in call('/collections?query={"id":{"eq":"e1"}}').json["collections"]
    ] == ["e1"]
    counted = call('/aggregate?aggregations=total_count&query={"id":{"eq":"i1"}}').json["aggregations"]
    assert counted[0]["value"] == 1


def check_filter(call: Gateway) -> None:
    both(call, "filter=title = 'Air over water'", ["i1"])
    assert [collection["id"] for collection in call("/collections?filter=id='e1'").json["collections"]] == [
        "e1"
    ]
    counted = call("/aggregate?aggregations=total_count&filter=id='i0'").json["aggregations"]
    assert counted[0]["value"] == 2


def check_free_text(call: Gateway) -> None:
    both(call, "q=over water", ["i1"])
    assert [collection["id"] for collection in call("/collections?q=rainfall").json["collections"]] == ["e1"]


def check_collection_search(call: Gateway) -> None:
    assert call("/collections?bbox=100,50,101,51").json["numberMatched"] == 0
    assert call("/collections?datetime=1999-01-01T00:00:00Z").json["numberMatched"] == 0
    assert call("/collections?limit=1").json["numberReturned"] == 1


def check_aggregation(call: Gateway) -> None:
    assert call("/aggregate?aggregations=total_count").json["aggregations"][0]["value"] == 3


def check_openapi(call: Gateway) -> None:
    assert call("/api").json["openapi"].startswith("3.0")


def check_queryables(call: Gateway) -> None:
    assert "scenario" in call("/queryables").json["properties"]


def cql2(text: str, expected: list[str]) -> Any:
    return lambda call: both(call, f"filter={text}", expected)


def check_cql2_json(call: Gateway) -> None:
    body = {"filter-lang": "cql2-json", "filter": VALUES["filter"][1] | {"op": "="}}
    assert call("/search", "POST", body).json["numberMatched"] == 0


CLASSES = {
    "core": check_core,
    "collections": check_collections,
    "ogcapi-features": check_features,
    "item-search": check_search,
    "fields": check_fields,
    "sort": check_sort,
    "query": check_query,
    "filter": check_filter,
    "free-text": check_free_text,
    "collection-search": check_collection_search,
    "simple-query": check_collection_search,
    "aggregation": check_aggregation,
    "oas30": check_openapi,
    "geojson": check_features,
    "queryables": check_queryables,
    "features-filter": check_filter,
    "cql2-text": check_filter,
    "cql2-json": check_cql2_json,
    "basic-cql2": cql2("NOT (id = 'i0' OR title IS NULL)", ["i1"]),
    "advanced-comparison-operators": cql2(
        "title LIKE 'Air%' AND year BETWEEN 1999 AND 2001 AND id IN ('i1', 'i2')", ["i1"]
    ),
    "case-insensitive-comparison": cql2("CASEI(title) = CASEI('AIR OVER WATER')", ["i1"]),
    "property-property": cql2("id <> title AND start_datetime < end_datetime", ["i1"]),
    "array-functions": cql2("a_contains(variables, 'air_temperature') AND id = 'i1'", ["i1"]),
    "basic-spatial-functions": cql2("S_INTERSECTS(geometry, BBOX(0, 0, 1, 1)) AND id = 'i1'", ["i1"]),
    "basic-spatial-functions-plus": cql2(
        "S_INTERSECTS(geometry, LINESTRING(-1 0.5, 2 0.5)) AND id = 'i1'", ["i1"]
    ),
    "spatial-functions": cql2("S_WITHIN(geometry, BBOX(-1, -1, 2, 2)) AND id = 'i1'", ["i1"]),
    "temporal-functions": cql2(
        "T_BEFORE(start_datetime, TIMESTAMP('2001-01-01T00:00:00Z')) AND id = 'i1'", ["i1"]
    ),
}


@pytest.mark.parametrize("name", CONFORMANCE)
def test_every_class_that_is_advertised_works(call: Gateway, name: str) -> None:
    CLASSES[name.rpartition("#" if "#" in name else "/")[2]](call)


def test_a_page_tells_people_the_parameters(call: Gateway) -> None:
    page = call("/api.html").text
    for name in PARAMETERS:
        assert f"<code>{name}</code>" in page
