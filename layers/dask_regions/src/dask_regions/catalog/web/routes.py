"""Every operation of the STAC API, declared once, with who may call it.

A search's parameters are declared in :mod:`dask_regions.catalog.asking.parameters`; ``template.yaml`` has the
same routes in the body of the API, which a test compares.
"""

from __future__ import annotations

from dask_regions.catalog.asking.parameters import of_search
from dask_regions.http.routes import Body, Route, RouteTable

__all__ = ["GEOJSON", "OPENAPI", "ROUTES", "SCHEMA"]

GEOJSON = "application/geo+json"
SCHEMA = "application/schema+json"
OPENAPI = "application/vnd.oai.openapi+json;version=3.0"
_JSON = "application/json"
_HTML = "text/html"

_ITEMS, _COLLECTIONS, _COUNTS = of_search("items"), of_search("collections"), of_search("aggregate")
_ONE = "/collections/{collectionId}"
_BODY = Body(example='{"collections": ["cmip6"]}', too_long="simplify its geometry")
_BY_BODY = ", with the parameters as a JSON object"

ROUTES = RouteTable(
    Route("GET /", "public", "get_landing_page", "Catalog", _JSON,
          "Landing page; for a browser, a page for people", also={_HTML: "Page"}),
    Route("GET /conformance", "public", "get_conformance", "Conformance", _JSON, "Conformance classes"),
    Route("GET /api", "public", "get_api", "OpenApi", OPENAPI, "This document"),
    Route("GET /api.html", "public", "get_api_page", "Page", _HTML, "This document, for people"),
    Route("GET /queryables", "public", "get_queryables", "Schema", SCHEMA, "What filters of Items may name"),
    Route("GET /collection-queryables", "public", "get_collections_queryables", "Schema", SCHEMA,
          "What filters of Collections may name"),
    Route("GET /collections", "public", "get_collections", "Collections", _JSON, "Search Collections",
          _COLLECTIONS),
    Route("POST /collections", "public", "post_collections", "Collections", _JSON,
          f"Search Collections{_BY_BODY}", _COLLECTIONS, _BODY),
    Route(f"GET {_ONE}", "public", "get_collection", "Collection", _JSON, "One Collection"),
    Route(f"GET {_ONE}/queryables", "public", "get_collection_queryables", "Schema", SCHEMA,
          "What filters of the Items of one Collection may name, with the values that occur"),
    Route(f"GET {_ONE}/items", "public", "get_items", "ItemCollection", GEOJSON,
          "Search the Items of one Collection", _ITEMS),
    Route(f"GET {_ONE}/items/{{featureId}}", "public", "get_item", "Item", GEOJSON, "One Item",
          may_have_slashes="featureId"),
    Route(f"GET {_ONE}/aggregations", "public", "get_collection_aggregations", "Aggregations", _JSON,
          "What the Items of one Collection can be counted by"),
    Route(f"GET {_ONE}/aggregate", "public", "get_collection_aggregate", "AggregationCollection", _JSON,
          "Count the Items of one Collection", _COUNTS),
    Route(f"POST {_ONE}/aggregate", "public", "post_collection_aggregate", "AggregationCollection", _JSON,
          f"Count the Items of one Collection{_BY_BODY}", _COUNTS, _BODY),
    Route("GET /search", "public", "get_search", "ItemCollection", GEOJSON, "Search Items", _ITEMS),
    Route("POST /search", "public", "post_search", "ItemCollection", GEOJSON, f"Search Items{_BY_BODY}",
          _ITEMS, _BODY),
    Route("GET /aggregations", "public", "get_aggregations", "Aggregations", _JSON,
          "What Items can be counted by"),
    Route("GET /aggregate", "public", "get_aggregate", "AggregationCollection", _JSON, "Count Items",
          _COUNTS),
    Route("POST /aggregate", "public", "post_aggregate", "AggregationCollection", _JSON,
          f"Count Items{_BY_BODY}", _COUNTS, _BODY),
)  # fmt: skip
