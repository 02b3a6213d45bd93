"""An unmodified pystac-client, over HTTP, against the function catalog."""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from pystac_client import Client

from dask_regions.catalog.sqlite import SqliteCatalog

ROOT = Path(__file__).parents[2]
FILTER = "a_contains(variables, 'air_temperature') AND scenario = 'A1B'"


def make_item(number: int) -> dict[str, Any]:
    first_year = 1860 + 10 * (number % 24)
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": [],
        "id": f"decade-{number:02}",
        "collection": "a1b-north-america",
        "geometry": {
            "type": "Polygon",
            "coordinates": [[[-135, 15], [-45, 15], [-45, 60], [-135, 60], [-135, 15]]],
        },
        "bbox": [-135.0, 15.0, -45.0, 60.0],
        "links": [],
        "assets": {},
        "properties": {
            "datetime": None,
            "start_datetime": f"{first_year}-01-01T00:00:00Z",
            "end_datetime": f"{first_year + 9}-12-30T23:59:59Z",
            "scenario": "A1B" if number % 2 else "E1",
            "variables": ["air_temperature"] if number % 3 else ["precipitation_flux"],
            "regions": ["us-west-2"],
        },
    }


class _Request(BaseHTTPRequestHandler):
    """Turns a request into an event, as API Gateway's HTTP API does."""

    handler: Any
    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        url = urlsplit(self.path)
        length = int(self.headers.get("content-length") or 0)
        event = {
            "version": "2.0",
            "rawPath": unquote(url.path),
            "rawQueryString": url.query,
            "queryStringParameters": dict(parse_qsl(url.query)),
            "headers": {k.lower(): v for k, v in self.headers.items()} | {"x-forwarded-proto": "http"},
            "requestContext": {
                "domainName": "localhost",
                "stage": "$default",
                "http": {"method": self.command, "path": url.path},
            },
            "body": self.rfile.read(length).decode(),
            "isBase64Encoded": False,
        }
        answer = type(self).handler(event, None)
        body = answer["body"].encode()
        self.send_response(answer["statusCode"])
        for name, value in answer["headers"].items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = answer  # noqa: N815 - http.server's names

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    url = f"sqlite:///{tmp_path}/catalog.sqlite"
    store = SqliteCatalog(url)
    store.begin("g1", ["us-west-2"])
    count = store.write("g1", "us-west-2", [make_item(number) for number in range(25)])
    store.swap("g1", {}, {"us-west-2": count}, {"us-west-2": ["a1b"]})
    monkeypatch.setenv("CATALOG_URL", url)
    monkeypatch.setenv("DATASETS_FILE", str(ROOT / "datasets.yaml"))
    spec = importlib.util.spec_from_file_location("catalog_app", ROOT / "functions/catalog/app.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    request = type("Request", (_Request,), {"handler": staticmethod(module.handler)})
    with ThreadingHTTPServer(("127.0.0.1", 0), request) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def client(address: str) -> Client:
    return Client.open(address)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_search_pages_through_all_items(client: Client, method: str) -> None:
    search = client.search(method=method, limit=10)
    pages = list(search.pages_as_dicts())
    assert [len(page["features"]) for page in pages] == [10, 10, 5]
    assert {f["id"] for page in pages for f in page["features"]} == {f"decade-{n:02}" for n in range(25)}
    assert search.matched() == 25


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_scientist_finds_a_variable_and_scenario_in_a_period(client: Client, method: str) -> None:
    search = client.search(
        method=method,
        collections=["a1b-north-america"],
        datetime="2070-01-01T00:00:00Z/2099-12-31T00:00:00Z",
        bbox=[-100, 30, -90, 40],
        filter=FILTER,
        filter_lang="cql2-text",
        limit=1,
    )
    found = list(search.items())
    assert [item.id for item in found] == ["decade-23"]
    assert found[0].properties["regions"] == ["us-west-2"]


def test_a_filter_as_json_finds_the_same(client: Client) -> None:
    expression = {
        "op": "and",
        "args": [
            {"op": "a_contains", "args": [{"property": "variables"}, ["air_temperature"]]},
            {"op": "=", "args": [{"property": "scenario"}, "A1B"]},
        ],
    }
    by_json = [item.id for item in client.search(filter=expression).items()]
    by_text = [item.id for item in client.search(filter=FILTER).items()]
    assert by_json == by_text
    assert len(by_json) == 8


def test_a_collection_leads_to_its_items(client: Client) -> None:
    collection = client.get_collection("a1b-north-america")
    assert collection is not None
    assert len(list(collection.get_items())) == 25
    assert [item.id for item in collection.get_items("decade-03", "decade-05")] == ["decade-05", "decade-03"]
    item = collection.get_item("decade-03")
    assert item is not None
    assert item.get_self_href() == f"{collection.get_self_href()}/items/decade-03"
    assert collection.get_item("decade-99") is None
    assert [c.id for c in client.get_collections()] == ["a1b-north-america", "e1-north-america"]


def test_sorting_and_queryables_work_through_the_client(client: Client) -> None:
    search = client.search(sortby=["+properties.start_datetime", "-id"], max_items=2, fields=["-assets.none"])
    assert [item["id"] for item in search.items_as_dicts()] == ["decade-24", "decade-00"]
    assert "scenario" in client.get_merged_queryables(["a1b-north-america"])["properties"]
