"""A catalog for tests: Items, a store in memory, and API Gateway before the API."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from samtranslator.yaml_helper import yaml_parse

from dask_regions import config
from dask_regions.catalog.answers import Bucket, Page
from dask_regions.catalog.asking import paging
from dask_regions.catalog.asking.evaluate import evaluate
from dask_regions.catalog.asking.query import Order, SearchQuery
from dask_regions.catalog.changes import Put, RegionOutcome
from dask_regions.catalog.engines import Store, Writer
from dask_regions.catalog.indexing import Indexed, indexed
from dask_regions.catalog.web.api import create_app
from dask_regions.models import Configuration
from dask_regions_local.emulator.http.front import HttpApi
from dask_regions_local.emulator.http.server import Request, Response, Server

ROOT = Path(__file__).parents[2]
#: Parameters of a fixture: the engines, those of OpenSearch in one process of pytest-xdist.
ENGINES = ("sqlite", pytest.param("opensearch", marks=pytest.mark.xdist_group("opensearch")))
#: Ids of Items in their order; a URL has to quote the last.
IDS = ("i00", "i01", "i02", "i03", "i04", "é ü+%/")
DATASETS = """
regions:
  - {name: eu-west-2, client: true, cidr: 10.0.0.0/16}
  - {name: us-west-2, cidr: 10.1.0.0/16, pool: {}}
  - {name: us-east-1, cidr: 10.2.0.0/16, pool: {}}
datasets:
  - id: a1b
    title: Air temperature, A1B
    description: One emission scenario, with <b>tags</b> & "quotes".
    region: us-west-2
    bucket: demo-a1b
    prefix: CMIP6/
    layout: cmip6
    fsx_path: /fsx/a1b
    replicas:
      - {region: us-east-1, bucket: demo-a1b-copy, fsx_path: /fsx/a1b-copy}
  - id: e1
    title: Another scenario
    description: Naïve rainfall.
    license: CC-BY-4.0
    region: us-east-1
    bucket: demo-e1
    layout: era5
    fsx_path: /fsx/e1
"""


def load_configuration(directory: Path, text: str = DATASETS) -> Configuration:
    """Return a configuration, written to a file as the function reads it."""
    path = directory / "datasets.yaml"
    path.write_text(text)
    return config.load(path)


def make_item(item_id: str, collection: str = "a1b", **properties: Any) -> dict[str, Any]:
    """Return an Item of a decade, as a harvest makes it."""
    region = "us-west-2" if collection == "a1b" else "us-east-1"
    fsx = {"href": f"file:///fsx/{collection}/{item_id}", "storage:refs": [f"fsx-{region}"]}
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": [],
        "id": item_id,
        "collection": collection,
        "geometry": {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]]},
        "bbox": [0, 0, 1, 1],
        "links": [{"rel": "about", "href": "https://example.org/"}, {"rel": "self", "href": "nowhere"}],
        "assets": {
            "data": {
                "href": f"s3://demo-{collection}/{item_id}",
                "roles": ["data"],
                "storage:refs": [f"s3-{region}"],
                "alternate": {"fsx": fsx},
            }
        },
        "properties": {
            "datetime": None,
            "start_datetime": "2000-01-01T00:00:00Z",
            "end_datetime": "2009-12-31T23:59:59Z",
            "scenario": collection.upper(),
            "variables": ["air_temperature"],
            "regions": [region],
            "storage:schemes": {
                f"{kind}-{region}": {"type": kind, "platform": "https://example.org", "region": region}
                for kind in ("s3", "fsx")
            },
            **properties,
        },
    }


def engine_url(engine: str, request: pytest.FixtureRequest, directory: Path) -> str:
    """Return the URL of an empty catalog of an engine."""
    if engine == "sqlite":
        return f"sqlite:///{directory}/catalog.sqlite"
    return str(request.getfixturevalue("opensearch_url"))


def fill(writer: Writer, items: Sequence[dict[str, Any]], region: str = "us-west-2") -> None:
    """Make Items of one Region the live generation."""
    collections = sorted({item["collection"] for item in items})
    writer.begin("g1", [region])
    counts = {}
    for collection in collections:
        changes = [Put(item["id"], "f", item) for item in items if item["collection"] == collection]
        counts[collection] = writer.write("g1", region, collection, changes)
    writer.swap("g1", {region: RegionOutcome(counts)}, {region: collections})


class MemoryStore:
    """A :class:`~dask_regions.catalog.engines.Store` of one generation, for tests of what is above it.

    Parameters
    ----------
    items
        One copy of each.
    freshness
        As the store returns it.
    """

    def __init__(
        self, items: Sequence[dict[str, Any]] = (), freshness: Mapping[str, dict[str, Any]] | None = None
    ) -> None:
        self.items = [(indexed(item), item) for item in items]
        self.fresh = dict(freshness or {})

    def search(self, query: SearchQuery) -> Page:
        after = paging.decode(query)
        matches = sorted(
            self._matching(query), key=lambda match: [_key(key, match[0]) for key in query.order]
        )
        values = [_values(query, subject) for subject, _ in matches]
        done = 0 if after is None else values.index(after.values) + 1
        items = paging.cut([item for _, item in matches[done : done + query.limit]])
        token = None
        if done + len(items) < len(matches):
            token = paging.encode(query, paging.After("g", values[done + len(items) - 1]))
        return Page(items, token, len(matches))

    def item(self, collection: str, item_id: str) -> dict[str, Any] | None:
        return next((i for _, i in self.items if (i["collection"], i["id"]) == (collection, item_id)), None)

    def aggregate(self, query: SearchQuery, names: Sequence[str]) -> tuple[int, dict[str, list[Bucket]]]:
        matches = self._matching(query)
        buckets = {}
        for name in names:
            counts = Counter[Any]()
            for subject, _ in matches:
                value = subject.values.get(name)
                counts.update(set(value) if isinstance(value, list) else [] if value is None else [value])
            buckets[name] = [Bucket(k, n) for k, n in sorted(counts.items(), key=lambda kn: (-kn[1], kn[0]))]
        return len(matches), buckets

    def collections(self) -> list[dict[str, Any]]:
        documents = []
        for name in sorted({item["collection"] for _, item in self.items}):
            of_it = [item for _, item in self.items if item["collection"] == name]
            properties = [item["properties"] for item in of_it]
            documents.append(
                {
                    "id": name,
                    "items": len(of_it),
                    "bbox": of_it[0]["bbox"],
                    "interval": [
                        min(p["start_datetime"] or p["datetime"] for p in properties),
                        max(p["end_datetime"] or p["datetime"] for p in properties),
                    ],
                    "summaries": {
                        "scenario": sorted({p["scenario"] for p in properties}),
                        "variables": sorted({v for p in properties for v in p["variables"]}),
                        "regions": sorted({r for p in properties for r in p["regions"]}),
                    },
                }
            )
        return documents

    def freshness(self) -> dict[str, dict[str, Any]]:
        return self.fresh

    def _matching(self, query: SearchQuery) -> list[tuple[Indexed, dict[str, Any]]]:
        return [entry for entry in self.items if evaluate(query.condition, entry[0]) is True]


def _values(query: SearchQuery, subject: Indexed) -> tuple[Any, ...]:
    return tuple(subject.values.get(key.queryable.name) for key in query.order)


def _key(order: Order, subject: Indexed) -> Any:
    value = subject.values.get(order.queryable.name)
    if value is None:
        return (True, [])
    numbers = [value] if isinstance(value, int) else [ord(character) for character in str(value)]
    # The end of a text counts as less than any character.
    return (False, [-number for number in numbers] + [1] if order.descending else numbers)


@dataclass(frozen=True)
class Answer:
    """What the caller gets; ``text`` is decompressed."""

    status: int
    headers: Mapping[str, str]
    text: str
    length: int

    @property
    def json(self) -> Any:
        return json.loads(self.text)


@cache
def _routes() -> dict[str, Any]:
    """Return the routes of the template as SAM makes them."""
    api = yaml_parse((ROOT / "template.yaml").read_text())["Resources"]["CatalogApi"]["Properties"]
    integration = {"uri": "arn:aws:lambda:eu-west-2:1:function:catalog/invocations"}
    paths = {
        path: {key: {"x-amazon-apigateway-integration": integration} for key in operations}
        for path, operations in api["DefinitionBody"]["paths"].items()
    }
    cors = api["CorsConfiguration"]
    cors = {name[0].lower() + name[1:]: value for name, value in cors.items()}
    return {"paths": paths, "x-amazon-apigateway-cors": cors}


class Gateway:
    """The API behind local mode's API Gateway, with the routes of template.yaml.

    Parameters
    ----------
    handler
        Of the function.
    """

    def __init__(self, handler: Callable[[dict[str, Any], Any], dict[str, Any]]) -> None:
        self.handler = handler
        self.http_api = HttpApi()
        self.http_api.add(_routes())

    def answer(self, request: Request) -> Response:
        """Answer one request."""
        match = self.http_api.find(request)
        if isinstance(match, Response):
            return match
        return match.response(False, json.dumps(self.handler(json.loads(match.event), None)).encode())

    def __call__(
        self, target: str, method: str = "GET", body: Any = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Send a request; `target` is a path, or a URL of which the host does not matter."""
        url = urlsplit(target)
        path = url.path + (f"?{url.query}" if url.query else "")
        sent = {"Host": "api.example.org", **(headers or {})}
        if body is not None and "Content-Type" not in sent:
            sent["Content-Type"] = "application/json"
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        response = self.answer(Request(method, path, list(sent.items()), data, "127.0.0.1"))
        fields = dict(response.headers)
        content = (
            gzip.decompress(response.body) if fields.get("content-encoding") == "gzip" else response.body
        )
        return Answer(response.status, fields, content.decode(), len(response.body))


def gateway(store: Store, directory: Path) -> Gateway:
    """Return the API of a store; its configuration is written to a file in `directory`."""
    configuration = load_configuration(directory)
    return Gateway(create_app(store, lambda: configuration).resolve)


@contextmanager
def served(store: Store, configuration: Configuration) -> Iterator[str]:
    """Serve the API at a URL of this machine."""
    with Server(Gateway(create_app(store, lambda: configuration).resolve).answer) as server:
        yield server.url


def links(document: Mapping[str, Any], relation: str) -> list[dict[str, Any]]:
    """Return the links of a STAC document that have a relation."""
    return [link for link in document["links"] if link["rel"] == relation]
