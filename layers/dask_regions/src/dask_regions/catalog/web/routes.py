"""Every operation of the API, declared once: it is dispatched, described and tested from here.

``template.yaml`` declares the same routes as events of the function; a test compares them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

from dask_regions.errors import NotFoundError
from dask_regions.http.messages import DEFAULT_ROUTE, Request

__all__ = ["GEOJSON", "OPENAPI", "ROUTES", "SCHEMA", "MethodError", "Route", "find"]

GEOJSON = "application/geo+json"
SCHEMA = "application/schema+json"
OPENAPI = "application/vnd.oai.openapi+json;version=3.0"
_JSON = "application/json"

_FILTERS = ("bbox", "datetime", "q", "query", "filter", "filter-lang", "filter-crs")
_PAGES = ("sortby", "fields", "limit", "token")
_ITEMS = ("collections", "ids", "intersects", *_FILTERS)
_SEARCH = (*_ITEMS, *_PAGES)
_COLLECTIONS = (*_FILTERS, *_PAGES)
_AGGREGATE = ("aggregations", *_ITEMS)


class MethodError(Exception):
    """A path is asked with a method that it does not answer.

    Parameters
    ----------
    allowed
        Those that it does answer.
    """

    def __init__(self, allowed: list[str]) -> None:
        super().__init__(allowed)
        self.allowed = allowed


class Route(NamedTuple):
    """One operation.

    Attributes
    ----------
    method, path
        As in the template.
    operation
        ``operationId``, and name of the method of the API that answers.
    answer
        Name of the answer's schema in :mod:`dask_regions.catalog.web.openapi`.
    media_type
        Of the answer.
    summary
        One line for people.
    parameters
        Of the query string; of the body's object where the method is POST. Others are refused.
    """

    method: str
    path: str
    operation: str
    answer: str
    media_type: str
    summary: str
    parameters: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The name that API Gateway gives the route."""
        return f"{self.method} {self.path}"

    def match(self, path: str) -> dict[str, str] | None:
        """Return the parameters of a decoded path, or None where it belongs to another route."""
        found = _pattern(self.path).fullmatch(path)
        return found and found.groupdict()


def _routes(*lines: tuple[str, str, str, str, str], **parameters: tuple[str, ...]) -> tuple[Route, ...]:
    routes = []
    for key, operation, answer, media_type, summary in lines:
        method, path = key.split(" ")
        routes.append(
            Route(method, path, operation, answer, media_type, summary, parameters.get(operation, ()))
        )
    return tuple(routes)


_ONE = "/collections/{collectionId}"
_BODY = ", with the parameters as a JSON object"

ROUTES = _routes(
    ("GET /", "get_landing_page", "Catalog", _JSON, "Landing page; for a browser, a page for people"),
    ("GET /conformance", "get_conformance", "Conformance", _JSON, "Conformance classes"),
    ("GET /api", "get_api", "OpenApi", OPENAPI, "This document"),
    ("GET /api.html", "get_api_page", "Page", "text/html", "This document, for people"),
    ("GET /queryables", "get_queryables", "Schema", SCHEMA, "What filters of Items may name"),
    ("GET /collection-queryables", "get_collections_queryables", "Schema", SCHEMA,
     "What filters of Collections may name"),
    ("GET /collections", "get_collections", "Collections", _JSON, "Search Collections"),
    ("POST /collections", "post_collections", "Collections", _JSON, f"Search Collections{_BODY}"),
    (f"GET {_ONE}", "get_collection", "Collection", _JSON, "One Collection"),
    (f"GET {_ONE}/queryables", "get_collection_queryables", "Schema", SCHEMA,
     "What filters of the Items of one Collection may name, with the values that occur"),
    (f"GET {_ONE}/items", "get_items", "ItemCollection", GEOJSON, "Search the Items of one Collection"),
    (f"GET {_ONE}/items/{{featureId}}", "get_item", "Item", GEOJSON, "One Item"),
    (f"GET {_ONE}/aggregations", "get_collection_aggregations", "Aggregations", _JSON,
     "What the Items of one Collection can be counted by"),
    (f"GET {_ONE}/aggregate", "get_collection_aggregate", "AggregationCollection", _JSON,
     "Count the Items of one Collection"),
    (f"POST {_ONE}/aggregate", "post_collection_aggregate", "AggregationCollection", _JSON,
     f"Count the Items of one Collection{_BODY}"),
    ("GET /search", "get_search", "ItemCollection", GEOJSON, "Search Items"),
    ("POST /search", "post_search", "ItemCollection", GEOJSON, f"Search Items{_BODY}"),
    ("GET /aggregations", "get_aggregations", "Aggregations", _JSON, "What Items can be counted by"),
    ("GET /aggregate", "get_aggregate", "AggregationCollection", _JSON, "Count Items"),
    ("POST /aggregate", "post_aggregate", "AggregationCollection", _JSON, f"Count Items{_BODY}"),
    get_collections=_COLLECTIONS, post_collections=_COLLECTIONS,
    get_items=_SEARCH, get_search=_SEARCH, post_search=_SEARCH,
    get_aggregate=_AGGREGATE, post_aggregate=_AGGREGATE,
    get_collection_aggregate=_AGGREGATE, post_collection_aggregate=_AGGREGATE,
)  # fmt: skip
_BY_KEY = {route.key: route for route in ROUTES}


@cache
def _pattern(path: str) -> re.Pattern[str]:
    text = re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", path)
    # The id of an Item ends the path, and may have slashes, which come decoded.
    return re.compile(text.replace("<featureId>[^/]+", "<featureId>.+"), re.DOTALL)


def find(request: Request) -> tuple[Route, Mapping[str, str]]:
    """Return the route of a request and the parameters of its path.

    API Gateway has chosen it, except for what comes by ``$default``: the method HEAD, which is answered
    like GET, and ids of Items in which API Gateway has decoded a slash.

    Raises
    ------
    NotFoundError
        There is no such path.
    MethodError
        There is, for other methods.
    """
    route = _BY_KEY.get(request.route)
    if route is not None:
        return route, request.path_parameters or route.match(request.path) or {}
    found = {
        route.method: (route, match) for route in ROUTES if (match := route.match(request.path)) is not None
    }
    method = "GET" if request.method == "HEAD" else request.method
    if found and method not in found:
        raise MethodError(sorted({*found, "HEAD"} if "GET" in found else found))
    # A GET without a slash in an id would have come by its own route, had the template one.
    served = request.method == "HEAD" or "/" in found.get("GET", (None, {}))[1].get("featureId", "")
    if request.route != DEFAULT_ROUTE or not found or not served:
        raise NotFoundError(f"there is no {request.path}; the links of / lead to all there is")
    return found[method]
