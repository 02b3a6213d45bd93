"""The API as HTTP: methods, routes, bodies and compression, and what the function imports for it."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from testing.catalog.stac_api import IDS, ROOT, Gateway, MemoryStore, gateway, make_item


@pytest.fixture
def call(tmp_path: Path) -> Gateway:
    return gateway(MemoryStore([make_item(item_id) for item_id in IDS]), tmp_path)


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

    result = answer(base64.b64encode(b'{"ids": ["i01"]}').decode())
    assert len(json.loads(result["body"])["features"]) == 1
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


def test_a_search_imports_neither_the_configuration_nor_what_reads_it(tmp_path: Path) -> None:
    heavy = (
        "aws_lambda_powertools", "boto3", "botocore", "dask", "distributed", "numpy", "opensearchpy",
        "pydantic", "requests", "shapely", "xarray", "yaml",
    )  # fmt: skip
    search = {
        "version": "2.0",
        "routeKey": "GET /search",
        "rawPath": "/search",
        "rawQueryString": "",
        "headers": {"host": "api"},
        "requestContext": {"http": {"method": "GET", "path": "/search"}, "stage": "$default"},
    }
    program = (
        f"import app, sys; print(app.handler({search}, None)['statusCode'], "
        f"[name for name in {heavy} if name in sys.modules])"
    )
    environment = {
        **os.environ,
        "CATALOG_URL": f"sqlite:///{tmp_path}/none.sqlite",
        "CLIENT_REGION": "eu-west-2",
    }
    result = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT / "functions/catalog",
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.strip() == "200 []"
