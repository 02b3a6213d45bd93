"""Requests and responses of API Gateway's HTTP API (payload format 2.0), without a web framework.

API Gateway has routed and decoded a request before the function sees it; what is left is less than the
import of a framework costs. https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
"""

from __future__ import annotations

import base64
import gzip
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from dask_regions.errors import RequestError
from dask_regions.http.bodies import to_json

__all__ = ["DEFAULT_ROUTE", "Request", "Response", "json_response", "prefers", "quality"]

DEFAULT_ROUTE = "$default"
# A body in base64 counts as it is sent; this is enough for a polygon with 20,000 points.
_MAXIMUM_BODY_CHARACTERS = 1_000_000
# In a shorter answer, the headers and a packet's minimum outweigh what is saved.
_COMPRESS_FROM_CHARACTERS = 4_000
# Level 1 makes a page of Items a tenth as long; level 6 saves a fiftieth more in three times the time.
_COMPRESSION_LEVEL = 1


@dataclass(frozen=True)
class Request:
    """A request as API Gateway hands it over.

    Attributes
    ----------
    method
        In capitals.
    route
        Key of the route that API Gateway chose, e.g. ``GET /collections/{collectionId}``, or ``$default``.
    path
        Decoded, without the stage.
    path_parameters
        Decoded, by name.
    parameters
        Of the query string, decoded; one that was repeated has its values joined by commas.
    headers
        By name in lower case.
    base
        Base URL as the caller sees it, without a slash at its end.
    authorizer
        What API Gateway knows of the caller, by the kind of authorizer, e.g. ``iam``; empty where the route
        it chose has none.
    """

    method: str
    route: str
    path: str
    path_parameters: Mapping[str, str]
    parameters: Mapping[str, str]
    headers: Mapping[str, str]
    base: str
    authorizer: Mapping[str, Any]
    _body: str
    _encoded: bool

    @classmethod
    def from_event(cls, event: Mapping[str, Any]) -> Request:
        """Read an event of payload format 2.0."""
        context = event["requestContext"]
        stage = context.get("stage", DEFAULT_ROUTE)
        prefix = "" if stage == DEFAULT_ROUTE else f"/{stage}"
        headers = event.get("headers") or {}
        host = headers.get("host") or context["domainName"]
        return cls(
            method=context["http"]["method"],
            route=event.get("routeKey", DEFAULT_ROUTE),
            path=event["rawPath"].removeprefix(prefix) or "/",
            path_parameters=event.get("pathParameters") or {},
            parameters=event.get("queryStringParameters") or {},
            headers=headers,
            base=f"{headers.get('x-forwarded-proto') or 'https'}://{host}{prefix}",
            authorizer=context.get("authorizer") or {},
            _body=event.get("body") or "",
            _encoded=bool(event.get("isBase64Encoded")),
        )

    def text(self, too_long: str) -> str:
        """Return the body.

        Parameters
        ----------
        too_long
            How to make it shorter, for the error of one that is too long.

        Raises
        ------
        RequestError
            Naming ``body``, where it is too long or no UTF-8.
        """
        if len(self._body) > _MAXIMUM_BODY_CHARACTERS:
            raise RequestError("body", f"is longer than {_MAXIMUM_BODY_CHARACTERS} characters; {too_long}")
        if not self._encoded:
            return self._body
        try:
            return base64.b64decode(self._body, validate=True).decode()
        except ValueError as error:
            raise RequestError("body", f"is not UTF-8 text: {error}") from error


@dataclass(frozen=True)
class Response:
    """What is answered: a status, a text, and headers besides those that follow from them."""

    text: str
    media_type: str = "application/json"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)

    def to_result(self, request: Request) -> dict[str, Any]:
        """Return the function's result; compressed where the caller understands that and it pays."""
        headers = {"Content-Type": self.media_type, "Vary": "Accept, Accept-Encoding", **self.headers}
        result: dict[str, Any] = {"statusCode": self.status, "headers": headers, "isBase64Encoded": False}
        if request.method == "HEAD":
            return result | {"body": ""}
        accepted = request.headers.get("accept-encoding", "")
        if len(self.text) < _COMPRESS_FROM_CHARACTERS or not quality(accepted, "gzip"):
            return result | {"body": self.text}
        headers["Content-Encoding"] = "gzip"
        compressed = gzip.compress(self.text.encode(), compresslevel=_COMPRESSION_LEVEL, mtime=0)
        return result | {"body": base64.b64encode(compressed).decode(), "isBase64Encoded": True}


def json_response(content: object, media_type: str = "application/json", status: int = 200) -> Response:
    """Return JSON as an answer."""
    return Response(to_json(content).decode(), media_type, status)


def prefers(request: Request, media_type: str, *, over: Iterable[str]) -> bool:
    """Return whether a caller's ``Accept`` header gives a media type more weight than any of some others."""
    accepted = request.headers.get("accept", "")
    return quality(accepted, media_type) > max(quality(accepted, other) for other in over)


def quality(header: str, name: str) -> float:
    """Return the weight that an ``Accept`` or ``Accept-Encoding`` header gives a name; 0 where it has none.

    Wildcards count as names of their own: ask for ``*/*`` to learn what they weigh.

    Examples
    --------
    >>> quality("text/html,application/xml;q=0.9,*/*;q=0.8", "text/html")
    1.0
    >>> quality("gzip;q=0", "gzip")
    0.0
    """
    for entry in header.lower().split(","):
        token, *parameters = (part.strip() for part in entry.split(";"))
        if token == name:
            weights = [parameter[2:] for parameter in parameters if parameter.startswith("q=")]
            try:
                return float(weights[0]) if weights else 1.0
            except ValueError:
                return 0.0
    return 0.0
