"""The documents that describe the API: routes, landing page, conformance and OpenAPI."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from dask_regions.catalog.query import MAXIMUM_LIMIT
from dask_regions.catalog.stac import STAC_VERSION
from dask_regions.models import Dataset

__all__ = ["CONFORMANCE", "OPENAPI", "ROUTES", "landing_page", "link", "matches", "openapi", "operation"]

OPENAPI = "application/vnd.oai.openapi+json;version=3.0"
_QUERYABLES = "http://www.opengis.net/def/rel/ogc/1.0/queryables"

#: Method, path and summary of every operation; template.yaml declares the same events.
ROUTES = (
    ("GET", "/", "Landing page"),
    ("GET", "/conformance", "Conformance classes"),
    ("GET", "/api", "This document"),
    ("GET", "/queryables", "What filters of all Collections may name"),
    ("GET", "/collections", "All Collections, with extents and the state of their sync"),
    ("GET", "/collections/{collectionId}", "One Collection"),
    ("GET", "/collections/{collectionId}/queryables", "What filters of one Collection may name"),
    ("GET", "/collections/{collectionId}/items", "Search the Items of one Collection"),
    ("GET", "/collections/{collectionId}/items/{featureId}", "One Item"),
    ("GET", "/search", "Search Items"),
    ("POST", "/search", "Search Items, with the parameters as a JSON object"),
)
_OPERATIONS = {
    "/": "landing_page",
    "/collections/{collectionId}": "collection",
    "/collections/{collectionId}/queryables": "collection_queryables",
    "/collections/{collectionId}/items": "items",
    "/collections/{collectionId}/items/{featureId}": "item",
}

_STAC = "https://api.stacspec.org/v1.0.0"
_FEATURES = "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf"
_FILTER = "http://www.opengis.net/spec/ogcapi-features-3/1.0/conf"
_CQL2 = "http://www.opengis.net/spec/cql2/1.0/conf"

CONFORMANCE = [
    f"{_STAC}/core",
    f"{_STAC}/collections",
    f"{_STAC}/ogcapi-features",
    f"{_STAC}/item-search",
    f"{_STAC}/item-search#filter",
    f"{_STAC}/item-search#sort",
    f"{_STAC}/item-search#fields",
    f"{_STAC}/ogcapi-features#sort",
    f"{_STAC}/ogcapi-features#fields",
    # pystac-client looks for v1.0.0 only, others for the extension's own version.
    "https://api.stacspec.org/v1.1.0/item-search#sort",
    "https://api.stacspec.org/v1.1.0/ogcapi-features#sort",
    f"{_FEATURES}/core",
    f"{_FEATURES}/oas30",
    f"{_FEATURES}/geojson",
    f"{_FILTER}/queryables",
    f"{_FILTER}/filter",
    f"{_FILTER}/features-filter",
    f"{_CQL2}/cql2-text",
    f"{_CQL2}/cql2-json",
    f"{_CQL2}/basic-cql2",
    f"{_CQL2}/advanced-comparison-operators",
    f"{_CQL2}/case-insensitive-comparison",
    f"{_CQL2}/property-property",
    f"{_CQL2}/array-functions",
]

_PARAMETERS: dict[str, dict[str, Any]] = {
    "collections": {"type": "array", "items": {"type": "string"}},
    "ids": {"type": "array", "items": {"type": "string"}},
    "bbox": {"type": "array", "items": {"type": "number"}, "minItems": 4, "maxItems": 6},
    "datetime": {"type": "string", "example": "2070-01-01T00:00:00Z/.."},
    "filter": {"type": "string", "example": "a_contains(variables, 'air_temperature') AND scenario = 'A1B'"},
    "filter-lang": {"type": "string", "enum": ["cql2-text", "cql2-json"]},
    "filter-crs": {"type": "string", "enum": ["http://www.opengis.net/def/crs/OGC/1.3/CRS84"]},
    "sortby": {"type": "string", "example": "-datetime"},
    "fields": {"type": "string", "example": "id,properties.scenario,-assets"},
    "limit": {"type": "integer", "minimum": 1, "maximum": MAXIMUM_LIMIT, "default": 10},
    "token": {"type": "string"},
}


def operation(method: str, path: str) -> str:
    """Return the name of an operation, e.g. ``get_collections``."""
    return f"{method.lower()}_{_OPERATIONS.get(path, path.strip('/'))}"


def matches(route: str, path: str) -> bool:
    """Return whether a path belongs to a route such as ``/collections/{collectionId}``."""
    return re.fullmatch(re.sub(r"{\w+}", "[^/]+", route), path) is not None


def link(relation: str, href: str, media_type: str = "application/json") -> dict[str, Any]:
    """Return a STAC link."""
    return {"rel": relation, "href": href, "type": media_type}


def landing_page(base: str, datasets: Iterable[Dataset]) -> dict[str, Any]:
    """Return the landing page: a STAC Catalog whose children are the Collections."""
    search = link("search", f"{base}/search", "application/geo+json")
    return {
        "type": "Catalog",
        "stac_version": STAC_VERSION,
        "id": "dask-regions",
        "title": "dask-regions",
        "description": "Datasets in several AWS Regions; every Item says which Regions hold it.",
        "conformsTo": CONFORMANCE,
        "links": [
            link("self", f"{base}/"),
            link("root", f"{base}/"),
            link("data", f"{base}/collections"),
            link("conformance", f"{base}/conformance"),
            {**search, "method": "GET"},
            {**search, "method": "POST"},
            link("service-desc", f"{base}/api", OPENAPI),
            link(_QUERYABLES, f"{base}/queryables", "application/schema+json"),
            *(
                {**link("child", f"{base}/collections/{dataset.id}"), "title": dataset.title}
                for dataset in datasets
            ),
        ],
    }


def openapi(base: str) -> dict[str, Any]:
    """Return the OpenAPI 3.0 description of all routes."""
    paths: dict[str, dict[str, Any]] = {}
    for method, path, summary in ROUTES:
        paths.setdefault(path, {})[method.lower()] = _described(method, path, summary)
    return {
        "openapi": "3.0.3",
        "info": {"title": "dask-regions catalog", "version": "1.0.0", "description": "A STAC API."},
        "servers": [{"url": base}],
        "paths": paths,
    }


def _described(method: str, path: str, summary: str) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation(method, path),
        "summary": summary,
        "responses": {
            "200": {"description": summary},
            "default": {"description": "What is wrong: an object with code and description"},
        },
    }
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)}", path)
    ]
    if method == "GET" and path.endswith(("/search", "/items")):
        parameters += [
            {"name": name, "in": "query", "style": "form", "explode": False, "schema": of}
            for name, of in _PARAMETERS.items()
        ]
    if parameters:
        described["parameters"] = parameters
    if method == "POST":
        described["requestBody"] = {"content": {"application/json": {"schema": {"type": "object"}}}}
    return described
