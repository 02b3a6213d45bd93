"""API Gateway: HTTP requests become payload format 2.0 events, and results become responses.

https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
"""

from __future__ import annotations

import base64
import json
import os
import re
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import orjson

from dask_regions_local.emulator.http.server import Request, Response

__all__ = ["HttpApi", "Invocation", "Route", "routes_of"]

_FUNCTION = re.compile(r":lambda:([a-z0-9-]+):\d+:function:([^/:]+)")
#: Headers between two hops, and those that API Gateway consumes itself.
_DROPPED_HEADERS = {"connection", "keep-alive", "transfer-encoding", "upgrade"}

_CORS = {
    "allowOrigins": "access-control-allow-origin",
    "allowMethods": "access-control-allow-methods",
    "allowHeaders": "access-control-allow-headers",
}


@dataclass(frozen=True)
class Route:
    """A route of the template: method (or ANY), path (or $default), and the function behind it."""

    method: str
    path: str
    region: str
    function: str

    @property
    def key(self) -> str:
        """The route key as API Gateway writes it, e.g. ``GET /collections/{id}``."""
        return self.path if self.path == "$default" else f"{self.method} {self.path}"

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        greedy = re.sub(r"\\\{(\w+)\\\+\\\}", r"(?P<\1>.+)", re.escape(self.path))
        return re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", greedy))

    def match(self, path: str) -> dict[str, str] | None:
        """Return the path parameters, or None where the path is another one."""
        if self.path == "$default":
            return {}
        match = self._pattern.fullmatch(path)
        return match and {name: unquote(value) for name, value in match.groupdict().items()}

    @property
    def rank(self) -> tuple[bool, bool, int, bool]:
        """Sort key: the most specific route first, as API Gateway chooses."""
        return self.path == "$default", "+}" in self.path, self.path.count("{"), self.method == "ANY"


def routes_of(body: Mapping[str, Any]) -> list[Route]:
    """Read the routes from the OpenAPI body that SAM makes of an HttpApi and its functions' events."""
    routes = []
    for path, methods in body.get("paths", {}).items():
        for method, operation in methods.items():
            uri = operation.get("x-amazon-apigateway-integration", {}).get("uri", "")
            if function := _FUNCTION.search(uri):
                verb = "ANY" if method == "x-amazon-apigateway-any-method" else method.upper()
                routes.append(
                    Route(verb, path.removeprefix("/") if "$default" in path else path, *function.groups())
                )
    return sorted(routes, key=lambda route: route.rank)


@dataclass(frozen=True)
class Invocation:
    """The function that a request is for, with the event in JSON."""

    region: str
    function: str
    event: bytes
    cors: Sequence[tuple[str, str]] = ()

    def response(self, failed: bool, result: bytes) -> Response:
        """Return what to answer where the function failed, or returned a result in JSON."""
        return _message(500, "Internal Server Error") if failed else _response(result, self.cors)


class HttpApi:
    """Find the function that an HTTP request is for."""

    def __init__(self) -> None:
        self.routes: list[Route] = []
        self.cors: Mapping[str, Any] = {}

    def add(self, body: Mapping[str, Any]) -> None:
        """Add the routes of an API of the template."""
        self.routes = sorted([*self.routes, *routes_of(body)], key=lambda route: route.rank)
        self.cors = body.get("x-amazon-apigateway-cors", self.cors)

    def served_by(
        self, call: Callable[[str, str, bytes], Awaitable[tuple[bool, bytes]]]
    ) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what answers requests by calling functions: Region, name and event to (failed, result)."""

        async def answer(request: Request) -> Response:
            invocation = self.find(request)
            if isinstance(invocation, Response):
                return invocation
            result = await call(invocation.region, invocation.function, invocation.event)
            return invocation.response(*result)

        return answer

    def find(self, request: Request) -> Invocation | Response:
        """Return what to invoke for a request, or the answer where that is nothing."""
        try:
            url = urlsplit(request.target)
        except ValueError:
            return _message(400, "Bad Request")
        cors = self._cors_headers(request)
        if request.method == "OPTIONS" and self.cors:
            return Response(204, headers=cors)
        for route in self.routes:
            if route.method not in (request.method, "ANY"):
                continue
            if (parameters := route.match(url.path)) is not None:
                event = orjson.dumps(_event(request, route, parameters))
                return Invocation(route.region, route.function, event, cors)
        return _message(404, "Not Found")

    def _cors_headers(self, request: Request) -> list[tuple[str, str]]:
        if not self.cors or not any(name.lower() == "origin" for name, _ in request.headers):
            return []
        values = ((header, self.cors.get(key)) for key, header in _CORS.items())
        return [(header, ",".join(value)) for header, value in values if value]


def _event(request: Request, route: Route, parameters: Mapping[str, str]) -> dict[str, Any]:
    url = urlsplit(request.target)
    headers = _joined((name.lower(), value) for name, value in request.headers)
    headers = {name: value for name, value in headers.items() if name not in _DROPPED_HEADERS}
    cookies = headers.pop("cookie", None)
    headers |= {
        "x-forwarded-for": request.client,
        "x-forwarded-port": headers.get("host", "").rpartition(":")[2],
        "x-forwarded-proto": "http",
    }
    text, encoded = _text(request.body)
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": route.key,
        "rawPath": unquote(url.path),
        "rawQueryString": url.query,
        "headers": headers,
        "requestContext": _context(request, route, headers),
        "isBase64Encoded": encoded,
    }
    optional: dict[str, Any] = {
        "queryStringParameters": _joined(parse_qsl(url.query, keep_blank_values=True)),
        "pathParameters": dict(parameters),
        "body": text,
        "cookies": cookies.split("; ") if cookies else None,
    }
    return event | {name: value for name, value in optional.items() if value}


def _context(request: Request, route: Route, headers: Mapping[str, str]) -> dict[str, Any]:
    host, now = headers.get("host", ""), time.time()
    return {
        "accountId": "123456789012",
        "apiId": "local",
        "domainName": host,
        "domainPrefix": host.split(".")[0],
        "http": {
            "method": request.method,
            "path": unquote(urlsplit(request.target).path),
            "protocol": "HTTP/1.1",
            "sourceIp": request.client,
            "userAgent": headers.get("user-agent", ""),
        },
        "requestId": os.urandom(16).hex(),
        "routeKey": route.key,
        "stage": "$default",
        "time": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(now)),
        "timeEpoch": int(now * 1000),
    }


def _joined(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Join the values of a name that comes more than once by commas, as API Gateway does."""
    values: dict[str, str] = {}
    for name, value in pairs:
        values[name] = f"{values[name]},{value}" if name in values else value
    return values


def _text(body: bytes) -> tuple[str, bool]:
    try:
        return body.decode(), False
    except UnicodeDecodeError:
        return base64.b64encode(body).decode(), True


def _response(result: bytes, extra: Sequence[tuple[str, str]]) -> Response:
    try:
        answer = orjson.loads(result)
    except orjson.JSONDecodeError:  # NaN and Infinity, which a function may return
        answer = json.loads(result)
    if not isinstance(answer, dict) or "statusCode" not in answer:
        return Response(200, result, [("content-type", "application/json"), *extra])
    body = answer.get("body") or ""
    content = base64.b64decode(body) if answer.get("isBase64Encoded") else str(body).encode()
    headers = [(name.lower(), str(value)) for name, value in (answer.get("headers") or {}).items()]
    for name, values in (answer.get("multiValueHeaders") or {}).items():
        headers.append((name.lower(), ",".join(map(str, values))))
    headers += [("set-cookie", cookie) for cookie in answer.get("cookies") or ()]
    if not any(name == "content-type" for name, _ in headers):
        headers.append(("content-type", "text/plain;charset=UTF-8"))
    return Response(int(answer["statusCode"]), content, [*headers, *extra])


def _message(status: int, message: str) -> Response:
    return Response(status, json.dumps({"message": message}).encode())
