"""The OpenAPI 3.0 description of the API: what its answers consist of.

Schemas say what this API adds and guarantees; what STAC and GeoJSON define is linked, not repeated. The
operations come from the routes, and their parameters from :mod:`dask_regions.catalog.asking.parameters`.
"""

from __future__ import annotations

from typing import Any

from dask_regions.catalog.web.documents import DESCRIPTION
from dask_regions.catalog.web.routes import ROUTES
from dask_regions.http import openapi
from dask_regions.http.openapi import TEXT, array, members, reference
from dask_regions.http.parameters import Schema
from dask_regions.http.routes import RouteTable
from dask_regions.names import REGIONS_FIELD

__all__ = ["SCHEMAS", "document"]

_TEXTS: Schema = {"type": "array", "items": TEXT}
_OBJECT: Schema = {"type": "object"}
_REGION = members(
    "s3",
    "fsx",
    "synced",
    "stale",
    s3={**_TEXTS, "description": "Where S3 holds the data."},
    fsx={**_TEXTS, "description": "Paths on the Region's workers under which FSx for Lustre shows the data."},
    synced={**TEXT, "format": "date-time", "nullable": True, "description": "Last sync that succeeded."},
    stale={"type": "boolean", "description": "Whether a sync has failed since."},
)
_PAGE = {"links": array("Link"), "numberMatched": {"type": "integer"}, "numberReturned": {"type": "integer"}}
_STAC = {"stac_version": {"type": "string", "enum": ["1.1.0"]}, "links": array("Link")}

#: Every answer of the API, by the name that its routes give it.
SCHEMAS: dict[str, Schema] = {
    "Catalog": members(
        "type",
        "id",
        "description",
        "conformsTo",
        "links",
        type={"type": "string", "enum": ["Catalog"]},
        id=TEXT,
        description=TEXT,
        conformsTo=_TEXTS,
        **_STAC,
    ),
    "Conformance": members("conformsTo", conformsTo=_TEXTS),
    "OpenApi": members("openapi", "info", "paths", openapi=TEXT, info=_OBJECT, paths=_OBJECT),
    "Page": TEXT,
    "Schema": members(
        "$schema", "$id", "type", "properties", **{"$schema": TEXT, "$id": TEXT, "properties": _OBJECT}
    ),
    "Collections": members("collections", *_PAGE, collections=array("Collection"), **_PAGE),
    "Collection": {
        "externalDocs": {"url": "https://github.com/radiantearth/stac-spec/blob/v1.1.0/collection-spec"},
        # With the parameter fields, what it leaves out is not there.
        **members(
            "type",
            "id",
            type={"type": "string", "enum": ["Collection"]},
            id=TEXT,
            **_STAC,
            **{REGIONS_FIELD: reference("Regions")},
        ),
    },
    "ItemCollection": members(
        "type",
        "features",
        *_PAGE,
        type={"type": "string", "enum": ["FeatureCollection"]},
        features=array("Item"),
        **_PAGE,
    ),
    "Item": {
        "externalDocs": {"url": "https://github.com/radiantearth/stac-spec/blob/v1.1.0/item-spec"},
        **members(
            "type",
            "id",
            "collection",
            type={"type": "string", "enum": ["Feature"]},
            id=TEXT,
            collection=TEXT,
            **_STAC,
            geometry={"type": "object", "nullable": True},
            properties=members(**{REGIONS_FIELD: reference("Regions")}),
        ),
    },
    "Regions": {"type": "object", "description": "By AWS Region.", "additionalProperties": _REGION},
    "Link": members(
        "rel",
        "href",
        rel=TEXT,
        href={**TEXT, "format": "uri"},
        type=TEXT,
        method=TEXT,
        merge={"type": "boolean"},
        body=_OBJECT,
    ),
    "Aggregations": members(
        "aggregations",
        "links",
        aggregations={"type": "array", "items": members("name", "data_type", name=TEXT, data_type=TEXT)},
        links=array("Link"),
    ),
    "AggregationCollection": members(
        "type",
        "aggregations",
        "links",
        type={"type": "string", "enum": ["AggregationCollection"]},
        aggregations=array("Aggregation"),
        links=array("Link"),
    ),
    "Aggregation": members(
        "name",
        "data_type",
        name=TEXT,
        data_type=TEXT,
        value={"type": "integer"},
        buckets={
            "type": "array",
            "items": members("key", "frequency", key=TEXT, data_type=TEXT, frequency={"type": "integer"}),
        },
    ),
}


def document(base: str, routes: RouteTable = ROUTES) -> dict[str, Any]:
    """Return the description of the API at `base`."""
    return openapi.document(
        base, routes, title="dask-regions catalog", version="1.0.0", description=DESCRIPTION, schemas=SCHEMAS
    )
