"""The API's documents: what Collections and Items say, and how links lead from each to the others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pystac.validation
import pytest

from dask_regions.catalog.web.api import create_app
from dask_regions.catalog.web.documents import CONFORMANCE
from dask_regions.catalog.web.routes import ROUTES
from dask_regions.models import Configuration
from dask_regions.names import REGIONS_FIELD
from testing.catalog.stac_api import IDS, Gateway, MemoryStore, gateway, links, load_configuration, make_item

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
def call(tmp_path: Path) -> Gateway:
    return gateway(MemoryStore([make_item(item_id) for item_id in IDS], FRESHNESS), tmp_path)


@pytest.mark.parametrize("path", [route.path for route in ROUTES if route.method == "GET"])
def test_every_route_answers_when_nothing_was_ever_synced(tmp_path: Path, path: str) -> None:
    answer = gateway(MemoryStore(), tmp_path)(path.format(collectionId="a1b", featureId="none"))
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
    api = create_app(MemoryStore(), lambda: load_configuration(tmp_path))

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
    assert call("/search?ids=i00").json["features"] == [item]


def test_an_item_of_several_regions_and_assets_tells_all_of_its_places(tmp_path: Path) -> None:
    item = make_item("i")
    item["properties"]["regions"] = ["us-east-1", "us-west-2"]
    item["properties"]["storage:schemes"]["fsx-us-east-1"] = {"type": "fsx", "region": "us-east-1"}
    copy = {"href": "file:///fsx/a%20copy", "storage:refs": ["fsx-us-east-1"]}
    item["assets"]["data"]["alternate"]["fsx-us-east-1"] = copy
    item["assets"]["netcdf"] = {"href": "s3://demo-a1b/i.nc", "storage:refs": ["s3-us-west-2", "unknown"]}
    item["assets"]["page"] = {"href": "https://example.org/"}
    answered = gateway(MemoryStore([item]), tmp_path)("/collections/a1b/items/i").json
    assert answered["properties"][REGIONS_FIELD] == {
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
    call = Gateway(create_app(store, lambda: load_configuration(tmp_path), clock=lambda: now).resolve)

    def stale() -> bool:
        regions = call("/collections/e1").json[REGIONS_FIELD]
        return bool(regions["us-east-1"]["stale"])

    assert stale()
    store.fresh = {"us-east-1": {"synced": "2026-11-22T00:00:00Z", "stale": False, "error": None}}
    assert stale()
    now += 11
    assert not stale()


def test_an_item_is_found_by_its_own_link_whatever_its_id(tmp_path: Path) -> None:
    call = gateway(MemoryStore([make_item(item_id) for item_id in ODD]), tmp_path)
    for feature in call("/search?limit=100").json["features"]:
        answer = call(links(feature, "self")[0]["href"])
        assert (answer.status, answer.json.get("id")) == (200, feature["id"])


def test_an_item_is_found_where_the_gateway_decodes_its_path(tmp_path: Path) -> None:
    api = create_app(
        MemoryStore([make_item(item_id) for item_id in ODD]), lambda: load_configuration(tmp_path)
    )
    context = {"domainName": "api.example.org", "http": {"method": "GET"}}
    for item_id in ODD:
        event = {"rawPath": f"/collections/a1b/items/{item_id}", "requestContext": context}
        # A slash in an id is not matched by the route of Items.
        key = "$default" if "/" in item_id else "GET /collections/{collectionId}/items/{featureId}"
        result = api.resolve({**event, "routeKey": key}, None)
        assert (result["statusCode"], json.loads(result["body"]).get("id")) == (200, item_id)


def test_queryables_are_a_schema_that_knows_the_values(call: Gateway) -> None:
    schema = call("/collections/a1b/queryables").json
    jsonschema.Draft201909Validator.check_schema(schema)
    assert schema["properties"]["scenario"]["enum"] == ["A1B"]
    assert schema["$id"] == "http://api.example.org/collections/a1b/queryables"
    everything = call("/queryables").json
    assert everything["properties"].keys() == schema["properties"].keys()


@pytest.mark.parametrize("number", [2**70, -(2**64), 0.1, 1e300])
def test_an_items_numbers_are_answered_as_they_are(tmp_path: Path, number: float) -> None:
    call = gateway(MemoryStore([make_item("1970", number=number)]), tmp_path)
    answer = call("/collections/a1b/items/1970")
    assert answer.status == 200
    assert answer.json["properties"]["number"] == number


def test_a_search_reads_no_configuration_and_collections_follow_it(tmp_path: Path) -> None:
    published = load_configuration(tmp_path)
    read: list[Configuration] = []

    def configure() -> Configuration:
        read.append(published)
        return published

    call = Gateway(create_app(MemoryStore([make_item("1970")]), configure).resolve)
    assert call("/search").json["numberMatched"] == 1
    assert call("/aggregate?aggregations=total_count").status == 200
    assert not read
    assert call("/collections/a1b/items/1970").status == call("/collections").status == 200
    published = published.model_copy(update={"datasets": published.datasets[1:]})
    assert call("/collections/a1b").status == 404
    assert [each["id"] for each in call("/collections").json["collections"]] == [published.datasets[0].id]
