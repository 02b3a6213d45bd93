"""The STAC API over a catalog store: one method per operation of its routes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from dask_regions.catalog import stac
from dask_regions.catalog.asking import aggregation, collection_search
from dask_regions.catalog.asking.values import MAXIMUM_LIMIT
from dask_regions.catalog.engines import Store
from dask_regions.catalog.queryables import schema
from dask_regions.catalog.web import documents, openapi, results
from dask_regions.catalog.web.routes import GEOJSON, OPENAPI, ROUTES, SCHEMA
from dask_regions.catalog.web.state import State
from dask_regions.errors import NotFoundError, RequestError
from dask_regions.http.dispatch import Call, Dispatcher
from dask_regions.http.messages import Response, json_response, prefers
from dask_regions.http.routes import Authorization, RouteTable

if TYPE_CHECKING:
    from dask_regions.models import Configuration, Dataset

__all__ = ["create_app"]


def create_app(
    store: Store,
    configure: Callable[[], Configuration],
    clock: Callable[[], float] = time.monotonic,
    access: Authorization = "public",
) -> Dispatcher:
    """Return the API; its ``resolve(event, context)`` answers an event. Threads may share it.

    Parameters
    ----------
    store
        Where the Items are.
    configure
        Returns the configuration in force, whose datasets are the Collections. Every request that names or
        lists Collections calls it; a search does without, and starts without importing what reads it.
    clock
        Seconds, of which the differences count.
    access
        Whom API Gateway lets call the routes.
    """
    routes = ROUTES.restricted(access)
    return Dispatcher(routes, _Operations(store, State(store, configure, clock), routes))


class _Operations:
    """Reads a call's values as a query, asks the store, and completes what it finds with links."""

    def __init__(self, store: Store, state: State, routes: RouteTable) -> None:
        self._store, self._state, self._routes = store, state, routes

    # ---- The API itself ----

    def get_landing_page(self, call: Call) -> Response:
        if prefers(call.request, "text/html", over=("application/json", "application/*")):
            return self._page_for_people(call)
        return json_response(documents.landing_page(call.base, self._state.datasets.values()))

    def _page_for_people(self, call: Call) -> Response:
        # Most callers are programs.
        from dask_regions.catalog.web import page

        stored, freshness = self._state.stored(), self._state.freshness()
        collections = self._state.collections(call.base)
        text = page.landing_page(call.base, self._state.configuration, collections, stored, freshness)
        return Response(text, "text/html; charset=utf-8", headers=page.HEADERS)

    def get_conformance(self, _: Call) -> Response:
        return json_response({"conformsTo": documents.CONFORMANCE})

    def get_api(self, call: Call) -> Response:
        return json_response(openapi.document(call.base, self._routes), OPENAPI)

    def get_api_page(self, call: Call) -> Response:
        from dask_regions.catalog.web import page

        text = page.api_page(openapi.document(call.base, self._routes))
        return Response(text, "text/html; charset=utf-8", headers=page.HEADERS)

    def get_queryables(self, call: Call) -> Response:
        return json_response(schema(f"{call.base}/queryables", "Queryables of all Collections"), SCHEMA)

    def get_collections_queryables(self, call: Call) -> Response:
        return json_response(collection_search.describe(f"{call.base}/collection-queryables"), SCHEMA)

    # ---- Collections ----

    def get_collections(self, call: Call) -> Response:
        # Clients that know no collection search expect all of them on one page.
        query = results.query_of(call, call.values, limit=MAXIMUM_LIMIT)
        selected = collection_search.search(query, self._state.collections(call.base))
        page = results.Page(selected.collections, selected.matched, selected.token)
        links = [
            stac.link("root", f"{call.base}/"),
            stac.link("parent", f"{call.base}/"),
            stac.link(documents.QUERYABLES_RELATION, f"{call.base}/collection-queryables", SCHEMA),
        ]
        return results.respond(call, query, page, f"{call.base}/collections", links)

    post_collections = get_collections

    def get_collection(self, call: Call) -> Response:
        dataset = self._dataset(call)
        stored = self._state.stored().get(dataset.id)
        return json_response(stac.collection(dataset, stored, self._state.freshness(), call.base))

    def get_collection_queryables(self, call: Call) -> Response:
        dataset = self._dataset(call)
        url = f"{_address(call, dataset)}/queryables"
        summaries = self._state.stored().get(dataset.id, {}).get("summaries")
        return json_response(schema(url, f"Queryables of {dataset.title}", summaries), SCHEMA)

    # ---- Items ----

    def get_search(self, call: Call) -> Response:
        return self._items(call, call.values, f"{call.base}/search")

    post_search = get_search

    def get_items(self, call: Call) -> Response:
        dataset = self._dataset(call)
        url = _address(call, dataset)
        links = [stac.link("collection", url), stac.link("parent", url)]
        return self._items(call, _within(dataset, call.values), f"{url}/items", links)

    def _items(
        self, call: Call, values: Mapping[str, Any], url: str, links: Sequence[dict[str, str]] = ()
    ) -> Response:
        query = results.query_of(call, values)
        selected = self._store.search(query)
        freshness = self._state.freshness()
        items = [stac.complete(item, freshness, call.base) for item in selected.items]
        page = results.Page(items, selected.matched, selected.token)
        return results.respond(call, query, page, url, [*links, stac.link("root", f"{call.base}/")])

    def get_item(self, call: Call) -> Response:
        dataset, feature = self._dataset(call), call.path["featureId"]
        # API Gateway decodes the path, other servers may not.
        for item_id in dict.fromkeys((feature, unquote(feature))):
            item = self._store.item(dataset.id, item_id)
            if item is not None:
                return json_response(stac.complete(item, self._state.freshness(), call.base), GEOJSON)
        raise NotFoundError(f"Collection {dataset.id} has no Item {feature!r}; search it for those it has")

    # ---- Counts ----

    def get_aggregations(self, call: Call) -> Response:
        return self._aggregations(call, call.base)

    def get_collection_aggregations(self, call: Call) -> Response:
        return self._aggregations(call, _address(call, self._dataset(call)))

    def _aggregations(self, call: Call, url: str) -> Response:
        links = [stac.link("self", f"{url}/aggregations"), stac.link("root", f"{call.base}/")]
        return json_response({"aggregations": aggregation.describe(), "links": links})

    def get_aggregate(self, call: Call) -> Response:
        return self._counts(call, call.values, call.base)

    post_aggregate = get_aggregate

    def get_collection_aggregate(self, call: Call) -> Response:
        dataset = self._dataset(call)
        return self._counts(call, _within(dataset, call.values), _address(call, dataset))

    post_collection_aggregate = get_collection_aggregate

    def _counts(self, call: Call, values: Mapping[str, Any], url: str) -> Response:
        names = aggregation.chosen(values.get("aggregations"))
        query = results.query_of(
            call, {name: value for name, value in values.items() if name != "aggregations"}
        )
        queryables = [aggregation.AGGREGATIONS[name].queryable for name in names if name != aggregation.TOTAL]
        total, buckets = self._store.aggregate(query, queryables) if names else (0, {})
        return json_response(
            {
                "type": "AggregationCollection",
                "aggregations": aggregation.document(names, total, buckets),
                "links": [stac.link("self", f"{url}/aggregate"), stac.link("root", f"{call.base}/")],
            }
        )

    def _dataset(self, call: Call) -> Dataset:
        return self._state.dataset(call.path["collectionId"])


def _address(call: Call, dataset: Dataset) -> str:
    return f"{call.base}/collections/{dataset.id}"


def _within(dataset: Dataset, values: Mapping[str, Any]) -> Mapping[str, Any]:
    if values.get("collections") not in (None, "", dataset.id, [dataset.id]):
        raise RequestError("collections", f"must be {dataset.id} here; search others with /search")
    return {**values, "collections": dataset.id}
