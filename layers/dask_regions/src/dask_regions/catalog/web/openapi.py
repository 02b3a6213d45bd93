"""The OpenAPI 3.0 description of the API, made from its routes.

Schemas say what this API adds and guarantees; what STAC and GeoJSON define is linked, not repeated.
"""

from __future__ import annotations

import re
from typing import Any

from dask_regions.catalog.asking.aggregation import AGGREGATIONS, TOTAL
from dask_regions.catalog.asking.parameters import MAXIMUM_LIMIT
from dask_regions.catalog.web.documents import DESCRIPTION
from dask_regions.catalog.web.routes import ROUTES, Route
from dask_regions.names import REGIONS_FIELD

__all__ = ["PARAMETERS", "SCHEMAS", "document"]

_TEXT = {"type": "string"}
_TEXTS = {"type": "array", "items": _TEXT}
_NUMBER = {"type": "number"}
_OBJECT = {"type": "object"}
_FILTER = "a_contains(variables, 'air_temperature') AND scenario = 'A1B'"
_SORT_KEY = {
    "type": "object",
    "required": ["field"],
    "properties": {"field": _TEXT, "direction": {"type": "string", "enum": ["asc", "desc"]}},
}
_PATHS = {"type": "array", "items": _TEXT, "nullable": True}

#: Parameter to description, schema in a query string, and schema in a body where that is another one.
PARAMETERS: dict[str, tuple[str, dict[str, Any], dict[str, Any] | None]] = {
    "collections": ("Ids of Collections; below a Collection, only its own.", _TEXTS, None),
    "ids": ("Ids of Items.", _TEXTS, None),
    "bbox": (
        "West, south, east, north in degrees, or with heights; west above east crosses the antimeridian.",
        {"type": "array", "items": _NUMBER, "minItems": 4, "maxItems": 6},
        None,
    ),
    "intersects": ("GeoJSON geometry; not together with bbox.", {**_TEXT, "format": "json"}, _OBJECT),
    "datetime": (
        "Instant, start/end, start/.. or ../end (RFC 3339), which intersects that of what is found.",
        {**_TEXT, "example": "2070-01-01T00:00:00Z/.."},
        None,
    ),
    "q": ("Free text: any of these texts, each of which is words that follow each other.", _TEXTS, None),
    "query": ("Query extension.", {**_TEXT, "format": "json"}, _OBJECT),
    "filter": ("CQL2; /queryables lists what it may name.", {**_TEXT, "example": _FILTER}, {}),
    "filter-lang": (
        "Of filter; by default cql2-text in a query string and cql2-json in a body.",
        {**_TEXT, "enum": ["cql2-text", "cql2-json"]},
        None,
    ),
    "filter-crs": ("Of filter.", {**_TEXT, "enum": ["http://www.opengis.net/def/crs/OGC/1.3/CRS84"]}, None),
    "sortby": (
        "Queryables, in a query string with a minus sign for descending order; what has no value comes last.",
        {"type": "array", "items": _TEXT, "maxItems": 5, "example": ["-datetime"]},
        {"type": "array", "items": _SORT_KEY, "maxItems": 5},
    ),
    "fields": (
        "Members to answer with; in a query string with a minus sign before those to leave out.",
        {"type": "array", "items": _TEXT, "example": ["id", "properties.scenario", "-assets"]},
        {"type": "object", "properties": {"include": _PATHS, "exclude": _PATHS}},
    ),
    "limit": (
        f"Of the page; larger ones are lowered to {MAXIMUM_LIMIT}. A page ends early where it would not fit.",
        {"type": "integer", "minimum": 1},
        None,
    ),
    "token": ("Of the next page: follow the link next.", _TEXT, None),
    "aggregations": (
        "What to count.",
        {"type": "array", "items": {"type": "string", "enum": [TOTAL, *AGGREGATIONS]}},
        None,
    ),
}


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def _array(name: str) -> dict[str, Any]:
    return {"type": "array", "items": _ref(name)}


def _object(*required: str, **properties: Any) -> dict[str, Any]:
    needed = {"required": list(required)} if required else {}
    return {"type": "object", **needed, "properties": properties}


_REGION = _object(
    "s3",
    "fsx",
    "synced",
    "stale",
    s3={**_TEXTS, "description": "Where S3 holds the data."},
    fsx={**_TEXTS, "description": "Paths on the Region's workers under which FSx for Lustre shows the data."},
    synced={**_TEXT, "format": "date-time", "nullable": True, "description": "Last sync that succeeded."},
    stale={"type": "boolean", "description": "Whether a sync has failed since."},
)
_PAGE = {"links": _array("Link"), "numberMatched": {"type": "integer"}, "numberReturned": {"type": "integer"}}
_STAC = {"stac_version": {"type": "string", "enum": ["1.1.0"]}, "links": _array("Link")}

#: Every answer of the API, and of what it consists.
SCHEMAS: dict[str, dict[str, Any]] = {
    "Catalog": _object(
        "type",
        "id",
        "description",
        "conformsTo",
        "links",
        type={"type": "string", "enum": ["Catalog"]},
        id=_TEXT,
        description=_TEXT,
        conformsTo=_TEXTS,
        **_STAC,
    ),
    "Conformance": _object("conformsTo", conformsTo=_TEXTS),
    "OpenApi": _object("openapi", "info", "paths", openapi=_TEXT, info=_OBJECT, paths=_OBJECT),
    "Page": _TEXT,
    "Schema": _object(
        "$schema", "$id", "type", "properties", **{"$schema": _TEXT, "$id": _TEXT, "properties": _OBJECT}
    ),
    "Collections": _object("collections", *_PAGE, collections=_array("Collection"), **_PAGE),
    "Collection": {
        "externalDocs": {"url": "https://github.com/radiantearth/stac-spec/blob/v1.1.0/collection-spec"},
        # With the parameter fields, what it leaves out is not there.
        **_object(
            "type",
            "id",
            type={"type": "string", "enum": ["Collection"]},
            id=_TEXT,
            **_STAC,
            **{REGIONS_FIELD: _ref("Regions")},
        ),
    },
    "ItemCollection": _object(
        "type",
        "features",
        *_PAGE,
        type={"type": "string", "enum": ["FeatureCollection"]},
        features=_array("Item"),
        **_PAGE,
    ),
    "Item": {
        "externalDocs": {"url": "https://github.com/radiantearth/stac-spec/blob/v1.1.0/item-spec"},
        **_object(
            "type",
            "id",
            "collection",
            type={"type": "string", "enum": ["Feature"]},
            id=_TEXT,
            collection=_TEXT,
            **_STAC,
            geometry={"type": "object", "nullable": True},
            properties=_object(**{REGIONS_FIELD: _ref("Regions")}),
        ),
    },
    "Regions": {"type": "object", "description": "By AWS Region.", "additionalProperties": _REGION},
    "Link": _object(
        "rel",
        "href",
        rel=_TEXT,
        href={**_TEXT, "format": "uri"},
        type=_TEXT,
        method=_TEXT,
        merge={"type": "boolean"},
        body=_OBJECT,
    ),
    "Aggregations": _object(
        "aggregations",
        "links",
        aggregations={"type": "array", "items": _object("name", "data_type", name=_TEXT, data_type=_TEXT)},
        links=_array("Link"),
    ),
    "AggregationCollection": _object(
        "type",
        "aggregations",
        "links",
        type={"type": "string", "enum": ["AggregationCollection"]},
        aggregations=_array("Aggregation"),
        links=_array("Link"),
    ),
    "Aggregation": _object(
        "name",
        "data_type",
        name=_TEXT,
        data_type=_TEXT,
        value={"type": "integer"},
        buckets={
            "type": "array",
            "items": _object("key", "frequency", key=_TEXT, data_type=_TEXT, frequency={"type": "integer"}),
        },
    ),
    "Error": _object(
        "code",
        "description",
        code=_TEXT,
        description={**_TEXT, "description": "Begins with the parameter that is wrong, where it is one."},
    ),
}


def document(base: str) -> dict[str, Any]:
    """Return the description of the API at `base`."""
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.0.3",
        "info": {"title": "dask-regions catalog", "version": "1.0.0", "description": DESCRIPTION},
        "servers": [{"url": base}],
        "paths": paths,
        "components": {"schemas": SCHEMAS},
    }


def _operation(route: Route) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": route.operation,
        "summary": route.summary,
        "responses": {
            "200": _content(route.summary, route.media_type, _ref(route.answer)),
            "default": _content("What is wrong", "application/json", _ref("Error")),
        },
    }
    if route.path == "/":
        described["responses"]["200"]["content"]["text/html"] = {"schema": _ref("Page")}
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": _TEXT}
        for name in re.findall(r"{(\w+)}", route.path)
    ]
    if route.method == "GET":
        parameters += [_parameter(name) for name in route.parameters]
    else:
        described["requestBody"] = {"required": False, **_body(route)}
    return {**described, **({"parameters": parameters} if parameters else {})}


def _content(description: str, media_type: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {media_type: {"schema": schema}}}


def _parameter(name: str) -> dict[str, Any]:
    description, schema, _ = PARAMETERS[name]
    return {
        "name": name,
        "in": "query",
        "description": description,
        "style": "form",
        "explode": False,
        "schema": schema,
    }


def _body(route: Route) -> dict[str, Any]:
    properties = {}
    for name in route.parameters:
        description, schema, in_body = PARAMETERS[name]
        properties[name] = {"description": description, **(schema if in_body is None else in_body)}
    schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return {"content": {"application/json": {"schema": schema}}}
