"""HTTP requests become API Gateway's events, and results become responses."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import pytest

from dask_regions_local.emulator.http.front import HttpApi
from dask_regions_local.emulator.http.server import Request, Response

URI = (
    "arn:aws:apigateway:eu-west-2:lambda:path/2015-03-31/functions/"
    "arn:aws:lambda:eu-west-2:123456789012:function:{}/invocations"
)


def body(routes: dict[str, str]) -> dict[str, Any]:
    """Return an OpenAPI body as SAM writes it, from ``method path`` to function."""
    paths: dict[str, Any] = {}
    for route, function in routes.items():
        method, path = route.split(" ")
        integration = {"uri": URI.format(function), "payloadFormatVersion": "2.0"}
        paths.setdefault(path, {})[method] = {"x-amazon-apigateway-integration": integration}
    return {"openapi": "3.0.1", "paths": paths}


class Api:
    """An API, and the list of (function, event) that it invokes."""

    def __init__(self, routes: dict[str, str], answer: object = None, failed: bool = False) -> None:
        self.calls: list[Any] = []
        self.http_api = HttpApi()
        self.http_api.add(body(routes))
        self._result = json.dumps({"statusCode": 200, "body": "{}"} if answer is None else answer).encode()
        self._failed = failed

    async def _call(self, region: str, function: str, event: bytes) -> tuple[bool, bytes]:
        self.calls.append((f"{region}/{function}", json.loads(event)))
        return self._failed, self._result

    def __call__(self, request: Request) -> Response:
        return asyncio.run(self.http_api.served_by(self._call)(request))


def request(method: str, target: str, content: bytes = b"", **headers: str) -> Request:
    given = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return Request(method, target, [("Host", "127.0.0.1:4242"), *given], content, "127.0.0.1")


ROUTES = {
    "get /items/{id}": "one",
    "get /items/latest": "latest",
    "post /items/{id}": "write",
    "x-amazon-apigateway-any-method /files/{path+}": "files",
}


@pytest.mark.parametrize(
    ("method", "target", "function", "parameters", "key"),
    [
        ("GET", "/items/latest", "latest", None, "GET /items/latest"),
        ("GET", "/items/a%20b", "one", {"id": "a b"}, "GET /items/{id}"),
        ("POST", "/items/latest", "write", {"id": "latest"}, "POST /items/{id}"),
        ("PUT", "/files/a/b", "files", {"path": "a/b"}, "ANY /files/{path+}"),
    ],
)
def test_the_most_specific_route_is_chosen(
    method: str, target: str, function: str, parameters: dict[str, str] | None, key: str
) -> None:
    made = Api(ROUTES)
    assert made(request(method, target)).status == 200
    [(invoked, event)] = made.calls
    assert invoked == f"eu-west-2/{function}"
    assert event.get("pathParameters") == parameters
    assert event["routeKey"] == event["requestContext"]["routeKey"] == key


def test_what_no_route_matches_is_not_found_unless_there_is_a_default() -> None:
    made = Api(ROUTES)
    response = made(request("GET", "/elsewhere"))
    assert (response.status, response.body) == (404, b'{"message": "Not Found"}')
    assert not made.calls
    made.http_api.add(body({"x-amazon-apigateway-any-method /$default": "rest"}))
    assert made(request("GET", "/elsewhere")).status == 200
    assert made.calls[0][0] == "eu-west-2/rest"
    assert made.calls[0][1]["routeKey"] == "$default"


def test_the_event_has_payload_format_2() -> None:
    made = Api({"post /search": "search"})
    made(
        request(
            "POST",
            "/search?a=1&a=2&b=x%2Cy&c=",
            b'{"limit": 1}',
            Content_Type="application/json",
            Cookie="k=v; l=w",
        )
    )
    event = made.calls[0][1]
    assert event["version"] == "2.0"
    assert event["rawPath"] == "/search"
    assert event["rawQueryString"] == "a=1&a=2&b=x%2Cy&c="
    assert event["queryStringParameters"] == {"a": "1,2", "b": "x,y", "c": ""}
    assert event["cookies"] == ["k=v", "l=w"]
    assert event["headers"]["content-type"] == "application/json"
    assert "cookie" not in event["headers"]
    assert (event["body"], event["isBase64Encoded"]) == ('{"limit": 1}', False)
    assert event["requestContext"]["domainName"] == "127.0.0.1:4242"
    assert event["requestContext"]["http"]["method"] == "POST"


def test_bytes_travel_both_ways_in_base64() -> None:
    answer = {
        "statusCode": 201,
        "body": base64.b64encode(b"\xff\x00").decode(),
        "isBase64Encoded": True,
        "headers": {"X-A": "b"},
        "cookies": ["k=v"],
    }
    made = Api({"post /": "f"}, answer)
    response = made(request("POST", "/", b"\xfe\xff"))
    assert made.calls[0][1]["isBase64Encoded"]
    assert base64.b64decode(made.calls[0][1]["body"]) == b"\xfe\xff"
    assert (response.status, response.body) == (201, b"\xff\x00")
    assert ("x-a", "b") in response.headers
    assert ("set-cookie", "k=v") in response.headers


def test_a_result_without_status_is_the_body() -> None:
    made = Api({"get /": "f"}, {"hello": 1})
    response = made(request("GET", "/"))
    assert (response.status, json.loads(response.body)) == (200, {"hello": 1})


def test_a_failed_function_is_an_internal_server_error() -> None:
    made = Api({"get /": "f"}, {"errorMessage": "secret"}, failed=True)
    response = made(request("GET", "/"))
    assert (response.status, response.body) == (500, b'{"message": "Internal Server Error"}')
