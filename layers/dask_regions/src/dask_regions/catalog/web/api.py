"""The STAC API: routes of API Gateway's HTTP API (payload format 2.0) onto a catalog store."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from functools import cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlencode

from dask_regions.catalog import stac
from dask_regions.catalog.asking import aggregation, collection_search
from dask_regions.catalog.asking.parameters import MAXIMUM_LIMIT, decode_body
from dask_regions.catalog.asking.query import SearchQuery
from dask_regions.catalog.engines import Store
from dask_regions.catalog.queryables import schema
from dask_regions.catalog.web import documents, openapi
from dask_regions.catalog.web.routes import GEOJSON, OPENAPI, SCHEMA, MethodError, Route, find
from dask_regions.errors import NotFoundError, RequestError, UnavailableError
from dask_regions.http.messages import Request, Response, quality, to_json

if TYPE_CHECKING:
    from dask_regions.models import Configuration, Dataset

__all__ = ["Api", "create_app"]

# Seconds that the state of the Regions may be old in an answer: it changes once a day.
_FRESHNESS_SECONDS = 10.0
# Of an error; a body that is repeated in it can be longer than what Lambda may answer with.
_MAXIMUM_DESCRIPTION = 4_000
_STATUS = {
    RequestError: HTTPStatus.BAD_REQUEST,
    NotFoundError: HTTPStatus.NOT_FOUND,
    UnavailableError: HTTPStatus.SERVICE_UNAVAILABLE,
}
_Values = Mapping[str, Any]


def create_app(store: Store, configure: Callable[[], Configuration]) -> Api:
    """Return the API; its ``resolve(event, context)`` answers an event.

    Parameters
    ----------
    store
        Where the Items are.
    configure
        Returns the configuration, whose datasets are the Collections. It is called by the first request
        that names or lists Collections: a search does without, and starts without importing what reads it.
    """
    return Api(store, configure)


class Api:
    """One method per operation of :data:`dask_regions.catalog.web.routes.ROUTES`; threads may share it.

    Parameters
    ----------
    store, configure
        As for :func:`create_app`.
    clock
        Seconds, of which the differences count.
    """

    def __init__(
        self,
        store: Store,
        configure: Callable[[], Configuration],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._configure, self._clock = store, configure, clock
        self._freshness: tuple[float, dict[str, dict[str, Any]]] | None = None

    @cached_property
    def _configuration(self) -> Configuration:
        return self._configure()

    @cached_property
    def _datasets(self) -> Mapping[str, Dataset]:
        return {dataset.id: dataset for dataset in self._configuration.datasets}

    def resolve(self, event: Mapping[str, Any], _: object) -> dict[str, Any]:
        """Answer an event of payload format 2.0; what a caller does wrong is never a 5xx."""
        request = Request.from_event(event)
        return self._answer(request).to_result(request)

    def _answer(self, request: Request) -> Response:
        try:
            route, path = find(request)
            values = _values(request, route)
            answer: Response = getattr(self, route.operation)(request, values, **path)
        except MethodError as error:
            allow = ", ".join(error.allowed)
            if request.method == "OPTIONS":
                return Response("", status=204, headers={"Allow": f"{allow}, OPTIONS"})
            return _error(
                HTTPStatus.METHOD_NOT_ALLOWED, f"{request.path} answers {allow} only", {"Allow": allow}
            )
        except (RequestError, NotFoundError, UnavailableError) as error:
            status = next(status for kind, status in _STATUS.items() if isinstance(error, kind))
            return _error(status, str(error))
        return answer

    def get_landing_page(self, request: Request, _: _Values) -> Response:
        accepted = request.headers.get("accept", "")
        others = max(quality(accepted, name) for name in ("application/json", "application/*"))
        if quality(accepted, "text/html") > others:
            return self._page_for_people(request)
        return _json(documents.landing_page(request.base, self._datasets.values()))

    def _page_for_people(self, request: Request) -> Response:
        # Most callers are programs.
        from dask_regions.catalog.web import page

        held, collections = self._held(), self._collections(request)
        text = page.landing_page(request.base, self._configuration, collections, held, self._regions())
        return Response(text, "text/html; charset=utf-8", headers=page.HEADERS)

    def get_conformance(self, _: Request, __: _Values) -> Response:
        return _json({"conformsTo": documents.CONFORMANCE})

    def get_api(self, request: Request, _: _Values) -> Response:
        return _json(openapi.document(request.base), OPENAPI)

    def get_api_page(self, request: Request, _: _Values) -> Response:
        from dask_regions.catalog.web import page

        text = page.api_page(openapi.document(request.base))
        return Response(text, "text/html; charset=utf-8", headers=page.HEADERS)

    def get_queryables(self, request: Request, _: _Values) -> Response:
        return _json(schema(f"{request.base}/queryables", "Queryables of all Collections"), SCHEMA)

    def get_collections_queryables(self, request: Request, _: _Values) -> Response:
        return _json(collection_search.describe(f"{request.base}/collection-queryables"), SCHEMA)

    def get_collections(self, request: Request, values: _Values) -> Response:
        url = f"{request.base}/collections"
        return self._found_collections(
            request,
            # Clients that know no collection search expect all of them on one page.
            SearchQuery.from_parameters(values, limit=MAXIMUM_LIMIT),
            stac.link("self", _with(url, values)),
            lambda token: {**stac.link("next", _with(url, {**values, "token": token})), "method": "GET"},
        )

    def post_collections(self, request: Request, values: _Values) -> Response:
        url = f"{request.base}/collections"
        return self._found_collections(
            request,
            SearchQuery.from_values(values, limit=MAXIMUM_LIMIT),
            stac.link("self", url),
            _next_body(stac.link("next", url)),
        )

    def _found_collections(
        self,
        request: Request,
        query: SearchQuery,
        own: dict[str, str],
        next_link: Callable[[str], dict[str, Any]],
    ) -> Response:
        found = collection_search.search(query, self._collections(request))
        links: list[dict[str, Any]] = [
            own,
            stac.link("root", f"{request.base}/"),
            stac.link("parent", f"{request.base}/"),
            stac.link(documents.QUERYABLES_RELATION, f"{request.base}/collection-queryables", SCHEMA),
        ]
        return _page("collections", found.collections, query, links, found.matched, found.token, next_link)

    def get_collection(self, request: Request, _: _Values, collectionId: str) -> Response:  # noqa: N803 - the path's parameter
        dataset = self._dataset(collectionId)
        held = self._held().get(dataset.id)
        return _json(stac.collection(dataset, held, self._regions(), request.base))

    def get_collection_queryables(self, request: Request, _: _Values, collectionId: str) -> Response:  # noqa: N803
        dataset = self._dataset(collectionId)
        url = f"{request.base}/collections/{dataset.id}/queryables"
        summaries = self._held().get(dataset.id, {}).get("summaries")
        return _json(schema(url, f"Queryables of {dataset.title}", summaries), SCHEMA)

    def get_items(self, request: Request, values: _Values, collectionId: str) -> Response:  # noqa: N803
        dataset = self._dataset(collectionId)
        url = f"{request.base}/collections/{dataset.id}"
        query = SearchQuery.from_parameters(_within(dataset, values))
        links = [stac.link("collection", url), stac.link("parent", url)]
        return self._found_items(request, query, f"{url}/items", values, links)

    def get_item(self, request: Request, _: _Values, collectionId: str, featureId: str) -> Response:  # noqa: N803
        dataset = self._dataset(collectionId)
        # API Gateway decodes the path, other servers may not.
        for item_id in dict.fromkeys((featureId, unquote(featureId))):
            item = self._store.item(dataset.id, item_id)
            if item is not None:
                return _json(stac.complete(item, self._regions(), request.base), GEOJSON)
        raise NotFoundError(f"Collection {dataset.id} has no Item {featureId!r}; search it for those it has")

    def get_search(self, request: Request, values: _Values) -> Response:
        query = SearchQuery.from_parameters(values)
        return self._found_items(request, query, f"{request.base}/search", values, [])

    def post_search(self, request: Request, values: _Values) -> Response:
        url = f"{request.base}/search"
        links = [stac.link("self", url, GEOJSON)]
        return self._items(
            request, SearchQuery.from_values(values), links, _next_body(stac.link("next", url, GEOJSON))
        )

    def _found_items(
        self, request: Request, query: SearchQuery, url: str, values: _Values, links: list[dict[str, str]]
    ) -> Response:
        def next_link(token: str) -> dict[str, Any]:
            return {**stac.link("next", _with(url, {**values, "token": token}), GEOJSON), "method": "GET"}

        return self._items(
            request, query, [stac.link("self", _with(url, values), GEOJSON), *links], next_link
        )

    def _items(
        self,
        request: Request,
        query: SearchQuery,
        links: list[dict[str, str]],
        next_link: Callable[[str], dict[str, Any]],
    ) -> Response:
        page = self._store.search(query)
        regions = self._regions()
        features = [stac.complete(item, regions, request.base) for item in page.items]
        links = [*links, stac.link("root", f"{request.base}/")]
        return _page("features", features, query, links, page.matched, page.token, next_link)

    def get_aggregations(self, request: Request, _: _Values) -> Response:
        return self._aggregations(request, request.base)

    def get_collection_aggregations(self, request: Request, _: _Values, collectionId: str) -> Response:  # noqa: N803
        return self._aggregations(request, f"{request.base}/collections/{self._dataset(collectionId).id}")

    def _aggregations(self, request: Request, url: str) -> Response:
        links = [stac.link("self", f"{url}/aggregations"), stac.link("root", f"{request.base}/")]
        return _json({"aggregations": aggregation.describe(), "links": links})

    def get_aggregate(self, request: Request, values: _Values) -> Response:
        return self._aggregated(request, request.base, values)

    post_aggregate = get_aggregate

    def get_collection_aggregate(self, request: Request, values: _Values, collectionId: str) -> Response:  # noqa: N803
        dataset = self._dataset(collectionId)
        return self._aggregated(request, f"{request.base}/collections/{dataset.id}", _within(dataset, values))

    post_collection_aggregate = get_collection_aggregate

    def _aggregated(self, request: Request, url: str, values: _Values) -> Response:
        names = aggregation.chosen(values.get("aggregations"))
        searched = {name: value for name, value in values.items() if name != "aggregations"}
        make = SearchQuery.from_values if request.method == "POST" else SearchQuery.from_parameters
        query = make(searched)
        queryables = [aggregation.AGGREGATIONS[name].queryable for name in names if name != aggregation.TOTAL]
        total, found = self._store.aggregate(query, queryables) if names else (0, {})
        return _json(
            {
                "type": "AggregationCollection",
                "aggregations": aggregation.document(names, total, found),
                "links": [stac.link("self", f"{url}/aggregate"), stac.link("root", f"{request.base}/")],
            }
        )

    def _collections(self, request: Request) -> list[dict[str, Any]]:
        held, regions = self._held(), self._regions()
        return [
            stac.collection(dataset, held.get(dataset.id), regions, request.base)
            for dataset in self._datasets.values()
        ]

    def _held(self) -> dict[str, dict[str, Any]]:
        return {held["id"]: held for held in self._store.collections()}

    def _regions(self) -> dict[str, dict[str, Any]]:
        """Return how fresh each Region's Items are, read anew after some seconds."""
        now = self._clock()
        if self._freshness is None or now - self._freshness[0] > _FRESHNESS_SECONDS:
            self._freshness = now, self._store.freshness()
        return self._freshness[1]

    def _dataset(self, collection: str) -> Dataset:
        dataset = self._datasets.get(unquote(collection))
        if dataset is None:
            raise NotFoundError(f"there is no Collection {collection!r}; /collections lists those there are")
        return dataset


def _values(request: Request, route: Route) -> _Values:
    """Return the parameters of a request, decoded; those that the route does not have are refused."""
    if route.method == "POST":
        _no_others(request.parameters, ())
        text = request.text()
        media_type = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
        if text and not media_type.endswith("json"):
            raise RequestError("Content-Type", f"is {media_type}; send application/json")
        values: _Values = decode_body(text)
    else:
        values = request.parameters
    _no_others(values, route.parameters)
    return values


def _no_others(values: _Values, parameters: tuple[str, ...]) -> None:
    for name in values:
        if name not in parameters:
            there = f"there are {', '.join(parameters)}" if parameters else "this address takes none"
            raise RequestError(name, f"is not a parameter here; {there}")


def _within(dataset: Dataset, values: _Values) -> _Values:
    if values.get("collections") not in (None, "", dataset.id, [dataset.id]):
        raise RequestError("collections", f"must be {dataset.id} here; search others with /search")
    return {**values, "collections": dataset.id}


def _page(
    name: str,
    found: list[dict[str, Any]],
    query: SearchQuery,
    links: list[dict[str, Any]],
    matched: int,
    token: str | None,
    next_link: Callable[[str], dict[str, Any]],
) -> Response:
    if query.fields is not None:
        found = stac.select(found, query.fields)
    content = {
        name: found,
        "links": links if token is None else [*links, next_link(token)],
        "numberMatched": matched,
        "numberReturned": len(found),
    }
    if name == "features":
        return _json({"type": "FeatureCollection", **content}, GEOJSON)
    return _json(content)


def _next_body(link: dict[str, str]) -> Callable[[str], dict[str, Any]]:
    return lambda token: {**link, "method": "POST", "body": {"token": token}, "merge": True}


def _with(url: str, parameters: _Values) -> str:
    return f"{url}?{urlencode(parameters, quote_via=quote)}" if parameters else url


def _json(content: Mapping[str, Any], media_type: str = "application/json") -> Response:
    return Response(to_json(content).decode(), media_type)


def _error(status: HTTPStatus, description: str, headers: Mapping[str, str] | None = None) -> Response:
    if len(description) > _MAXIMUM_DESCRIPTION:
        # Its start names the parameter and its end the fix; what the caller sent is in between.
        half = _MAXIMUM_DESCRIPTION // 2
        description = f"{description[:half]} … {description[-half:]}"
    content = json.dumps({"code": status.phrase.replace(" ", ""), "description": description})
    return Response(content, status=int(status), headers=headers or {})
