"""The landing page, and the conformance classes that the API promises."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from dask_regions.catalog.asking.cql2 import filter as cql2_filter
from dask_regions.catalog.stac import STAC_VERSION, link
from dask_regions.catalog.web.routes import GEOJSON, OPENAPI, SCHEMA

if TYPE_CHECKING:
    from dask_regions.models import Dataset

__all__ = ["CONFORMANCE", "DESCRIPTION", "QUERYABLES_RELATION", "landing_page"]

DESCRIPTION = "Datasets in several AWS Regions; every Item says which Regions hold it, and where."
QUERYABLES_RELATION = "http://www.opengis.net/def/rel/ogc/1.0/queryables"

_STAC = "https://api.stacspec.org"
_FEATURES = "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf"
_CQL2 = "http://www.opengis.net/spec/cql2/1.0/conf"
_FILTER = "http://www.opengis.net/spec/ogcapi-features-3/1.0/conf"

#: Each of these works: ``tests/unit/catalog/web/test_openapi.py`` asks for it.
CONFORMANCE = [
    *(f"{_STAC}/v1.0.0/{name}" for name in ("core", "collections", "ogcapi-features", "item-search")),
    *(
        f"{_STAC}/v1.0.0/{of}#{name}"
        for of in ("item-search", "ogcapi-features")
        for name in ("fields", "sort", "query", "filter")
    ),
    # pystac-client looks for v1.0 only, others for the extension's own version.
    *(f"{_STAC}/v1.1.0/{of}#sort" for of in ("item-search", "ogcapi-features", "collection-search")),
    *(
        f"{_STAC}/v1.0.0-rc.1/{of}#free-text"
        for of in ("item-search", "ogcapi-features", "collection-search")
    ),
    f"{_STAC}/v1.0.0-rc.1/collection-search",
    *(f"{_STAC}/v1.0.0-rc.1/collection-search#{name}" for name in ("fields", "sort", "query", "filter")),
    "http://www.opengis.net/spec/ogcapi-common-2/1.0/conf/simple-query",
    *(f"{_STAC}/v0.3.0/aggregation{extension}" for extension in ("", "#query", "#filter")),
    *(f"{_FEATURES}/{name}" for name in ("core", "oas30", "geojson")),
    *(f"{_FILTER}/{name}" for name in ("queryables", "filter", "features-filter")),
    *(f"{_CQL2}/{name}" for name in cql2_filter.CONFORMANCE),
]


def landing_page(base: str, datasets: Iterable[Dataset]) -> dict[str, Any]:
    """Return the landing page: a STAC Catalog whose children are the Collections."""
    searched = {"search": GEOJSON, "aggregate": "application/json"}
    return {
        "type": "Catalog",
        "stac_version": STAC_VERSION,
        "id": "dask-regions",
        "title": "dask-regions",
        "description": DESCRIPTION,
        "conformsTo": CONFORMANCE,
        "links": [
            link("self", f"{base}/"),
            link("root", f"{base}/"),
            link("data", f"{base}/collections"),
            link("conformance", f"{base}/conformance"),
            *(
                {**link(relation, f"{base}/{relation}", media_type), "method": method}
                for relation, media_type in searched.items()
                for method in ("GET", "POST")
            ),
            link("aggregations", f"{base}/aggregations"),
            link("service-desc", f"{base}/api", OPENAPI),
            link("service-doc", f"{base}/api.html", "text/html"),
            link(QUERYABLES_RELATION, f"{base}/queryables", SCHEMA),
            *(
                {**link("child", f"{base}/collections/{dataset.id}"), "title": dataset.title}
                for dataset in datasets
            ),
        ],
    }
