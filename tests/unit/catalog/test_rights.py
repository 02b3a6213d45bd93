"""What the catalog function asks of OpenSearch is what its policy allows, and all that it allows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
from samtranslator.yaml_helper import yaml_parse

from dask_regions.catalog.asking.query import SearchQuery
from dask_regions.catalog.opensearch.client import Client
from dask_regions.catalog.opensearch.documents import Names
from dask_regions.catalog.opensearch.reading import Reading

TEMPLATE = yaml_parse((Path(__file__).parents[3] / "template.yaml").read_text())
DOMAIN = "${Catalog.Outputs.DomainArn}"


class RecordingClient(Client):
    """Answers that nothing is there, and notes what was asked."""

    def __init__(self) -> None:
        super().__init__("https://search.example.com")
        self.asked: set[tuple[str, str]] = set()

    def _exchange(self, method: str, target: str, body: bytes) -> tuple[int, bytes]:
        self.asked.add((method, target.partition("?")[0]))
        nothing: dict[str, Any] = {"hits": {"hits": [], "total": {"value": 0}}}
        searches = body.count(b"\n") // 2
        answer = {"responses": [nothing] * searches} if target.startswith("/_msearch") else nothing
        return 200, orjson.dumps(answer)


def allowed() -> tuple[set[str], set[str]]:
    """Return actions and paths of the statement about OpenSearch."""
    policies = TEMPLATE["Resources"]["ServeCatalogFunction"]["Properties"]["Policies"]
    (statement,) = (policy["Statement"][0] for policy in policies if "Statement" in policy)
    _, _, opensearch = statement["Fn::If"]
    actions = opensearch["Action"]
    paths = {resource["Fn::Sub"].removeprefix(DOMAIN) for resource in opensearch["Resource"]}
    return {actions} if isinstance(actions, str) else set(actions), paths


def test_the_catalog_function_may_do_what_its_reads_ask_and_no_more() -> None:
    client = RecordingClient()
    reading = Reading(client, Names())
    reading.search(SearchQuery())
    reading.item("a", "b")
    reading.aggregate(SearchQuery(), ["collection"])
    reading.collections()
    reading.freshness()
    reading._geometries_of("g")
    actions, paths = allowed()
    assert {f"es:ESHttp{method.capitalize()}" for method, _ in client.asked} == actions
    assert {path for _, path in client.asked} == paths
