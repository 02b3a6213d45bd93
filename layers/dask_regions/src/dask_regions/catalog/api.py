"""The STAC API: routes of API Gateway's HTTP API (payload format 2.0) onto a catalog store."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Protocol
from urllib.parse import quote, unquote, urlencode

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response

from dask_regions.catalog import documents, stac
from dask_regions.catalog.query import SearchQuery
from dask_regions.catalog.queryables import schema
from dask_regions.errors import NotFoundError, RequestError, UnavailableError
from dask_regions.models import Configuration, Dataset

__all__ = ["Store", "create_app"]

_GEOJSON = "application/geo+json"
_SCHEMA = "application/schema+json"
# What the parameter of a route of aws-lambda-powertools does not match, unless percent-encoded.
_UNROUTED = re.compile(r"[^\w/\-.~()'!*:@,;=+&$%<> \[\]{}|^]")


class Store(Protocol):
    """What the API needs of a catalog store; every answer is of one generation of the catalog."""

    def search(self, query: SearchQuery) -> Any:
        """Return one :class:`~dask_regions.catalog.sqlite.Page`."""

    def item(self, collection: str, item_id: str) -> dict[str, Any] | None:
        """Return one Item, or None."""

    def collections(self) -> list[dict[str, Any]]:
        """Return what is held per Collection."""

    def freshness(self) -> dict[str, dict[str, Any]]:
        """Return per Region when it was last synced."""


def create_app(store: Store, configuration: Configuration) -> APIGatewayHttpResolver:
    """Return the API; its ``resolve(event, context)`` answers an event.

    Parameters
    ----------
    store
        Where the Items are.
    configuration
        Its datasets are the Collections.
    """
    app = _Resolver(serializer=_dumps)
    api = _Api(app, store, {dataset.id: dataset for dataset in configuration.datasets})
    for method, path, _ in documents.ROUTES:
        name = documents.operation(method, path)
        app.route(re.sub(r"{(\w+)}", r"<\1>", path), method=method)(getattr(api, name))
    app.not_found(api.not_found)
    for error, status in (
        (RequestError, HTTPStatus.BAD_REQUEST),
        (NotFoundError, HTTPStatus.NOT_FOUND),
        (UnavailableError, HTTPStatus.SERVICE_UNAVAILABLE),
    ):
        app.exception_handler(error)(_failure(status))
    return app


class _Resolver(APIGatewayHttpResolver):
    """Routes paths whatever characters an Item's id holds: a parameter matches some of them only."""

    def resolve(self, event: Any, context: Any) -> dict[str, Any]:
        return super().resolve({**event, "rawPath": _UNROUTED.sub(_encoded, event["rawPath"])}, context)


class _Api:
    """One method per operation, named by :func:`dask_regions.catalog.documents.operation`."""

    def __init__(self, app: APIGatewayHttpResolver, store: Store, datasets: Mapping[str, Dataset]) -> None:
        self._app, self._store, self._datasets = app, store, datasets

    def get_landing_page(self) -> Response[Any]:
        self._no_parameters()
        return _answer(documents.landing_page(self._base, self._datasets.values()))

    def get_conformance(self) -> Response[Any]:
        self._no_parameters()
        return _answer({"conformsTo": documents.CONFORMANCE})

    def get_api(self) -> Response[Any]:
        self._no_parameters()
        return _answer(documents.openapi(self._base), documents.OPENAPI)

    def get_queryables(self) -> Response[Any]:
        self._no_parameters()
        return _answer(schema(f"{self._base}/queryables", "Queryables of all Collections"), _SCHEMA)

    def get_collections(self) -> Response[Any]:
        self._no_parameters()
        held = self._held()
        freshness, base = self._store.freshness(), self._base
        collections = [
            stac.collection(dataset, held.get(dataset.id), freshness, base)
            for dataset in self._datasets.values()
        ]
        links = [
            documents.link("self", f"{base}/collections"),
            documents.link("root", f"{base}/"),
            documents.link("parent", f"{base}/"),
        ]
        return _answer({"collections": collections, "links": links})

    def get_collection(self, collectionId: str) -> Response[Any]:  # noqa: N803 - the path's parameter
        self._no_parameters()
        dataset = self._dataset(collectionId)
        held = self._held().get(dataset.id)
        return _answer(stac.collection(dataset, held, self._store.freshness(), self._base))

    def get_collection_queryables(self, collectionId: str) -> Response[Any]:  # noqa: N803
        self._no_parameters()
        dataset = self._dataset(collectionId)
        url = f"{self._base}/collections/{dataset.id}/queryables"
        summaries = self._held().get(dataset.id, {}).get("summaries")
        return _answer(schema(url, f"Queryables of {dataset.title}", summaries), _SCHEMA)

    def get_items(self, collectionId: str) -> Response[Any]:  # noqa: N803
        dataset = self._dataset(collectionId)
        parameters = dict(self._parameters)
        if parameters.setdefault("collections", dataset.id) != dataset.id:
            raise RequestError("collections", f"must be {dataset.id} here; search others with /search")
        return self._found(f"/collections/{dataset.id}/items", parameters)

    def get_item(self, collectionId: str, featureId: str) -> Response[Any]:  # noqa: N803
        self._no_parameters()
        dataset = self._dataset(collectionId)
        # API Gateway decodes the path, other servers may not.
        for item_id in (featureId, unquote(featureId)):
            item = self._store.item(dataset.id, item_id)
            if item is not None:
                return _answer(stac.with_links(item, self._base), _GEOJSON)
        raise NotFoundError(f"Collection {dataset.id} has no Item {featureId!r}; search it for those it has")

    def get_search(self) -> Response[Any]:
        return self._found("/search", self._parameters)

    def post_search(self) -> Response[Any]:
        try:
            body = self._app.current_event.decoded_body or ""
        except ValueError as error:
            raise RequestError("body", f"is not UTF-8 text: {error}") from error
        query = SearchQuery.from_body(body)
        links = [documents.link("self", f"{self._base}/search", _GEOJSON)]
        return self._page(
            query,
            links,
            lambda token: {
                **documents.link("next", f"{self._base}/search", _GEOJSON),
                "method": "POST",
                "body": {"token": token},
                "merge": True,
            },
        )

    def not_found(self, _: Exception) -> Response[Any]:
        event = self._app.current_event
        path = event.path
        methods = [method for method, route, _ in documents.ROUTES if documents.matches(route, path)]
        if methods:
            return _error(
                HTTPStatus.METHOD_NOT_ALLOWED,
                f"{path} answers {', '.join(methods)} only",
                {"Allow": ", ".join(methods)},
            )
        return _error(HTTPStatus.NOT_FOUND, f"there is no {path}; the links of / lead to all there is")

    def _found(self, path: str, parameters: Mapping[str, str]) -> Response[Any]:
        query = SearchQuery.from_parameters(parameters)
        url = self._base + path
        own = {name: value for name, value in self._parameters.items() if name != "token"}
        links = [documents.link("self", _with(url, self._parameters), _GEOJSON)]
        if path != "/search":
            links.append(documents.link("collection", url.removesuffix("/items")))

        def next_link(token: str) -> dict[str, Any]:
            href = _with(url, {**own, "token": token})
            return {**documents.link("next", href, _GEOJSON), "method": "GET"}

        return self._page(query, links, next_link)

    def _page(
        self, query: SearchQuery, links: list[dict[str, Any]], next_link: Callable[[str], dict[str, Any]]
    ) -> Response[Any]:
        page = self._store.search(query)
        features = [stac.with_links(item, self._base) for item in page.items]
        if query.fields is not None:
            features = [stac.select(feature, query.fields) for feature in features]
        links.append(documents.link("root", f"{self._base}/"))
        if page.token is not None:
            links.append(next_link(page.token))
        return _answer(
            {
                "type": "FeatureCollection",
                "features": features,
                "links": links,
                "numberMatched": page.matched,
                "numberReturned": len(features),
            },
            _GEOJSON,
        )

    def _held(self) -> dict[str, dict[str, Any]]:
        return {held["id"]: held for held in self._store.collections()}

    def _dataset(self, collection: str) -> Dataset:
        dataset = self._datasets.get(unquote(collection))
        if dataset is None:
            raise NotFoundError(f"there is no Collection {collection!r}; /collections lists those there are")
        return dataset

    @property
    def _parameters(self) -> Mapping[str, str]:
        return self._app.current_event.query_string_parameters or {}

    def _no_parameters(self) -> None:
        for name in self._parameters:
            raise RequestError(name, "is not a parameter; this address takes none")

    @property
    def _base(self) -> str:
        """Base URL as the caller sees it, without a slash at its end."""
        event = self._app.current_event
        context = event.raw_event["requestContext"]
        headers = event.headers
        host = headers.get("host") or context["domainName"]
        scheme = headers.get("x-forwarded-proto") or "https"
        stage = context.get("stage", "$default")
        return f"{scheme}://{host}" + ("" if stage == "$default" else f"/{stage}")


def _encoded(character: re.Match[str]) -> str:
    return quote(character[0], safe="")


def _with(url: str, parameters: Mapping[str, str]) -> str:
    return f"{url}?{urlencode(parameters, quote_via=quote)}" if parameters else url


def _answer(content: Mapping[str, Any], media_type: str = "application/json") -> Response[Any]:
    return Response(status_code=200, content_type=media_type, body=_dumps(content))


def _error(status: HTTPStatus, description: str, headers: dict[str, Any] | None = None) -> Response[Any]:
    content = {"code": status.phrase.replace(" ", ""), "description": description}
    return Response(
        status_code=status.value, content_type="application/json", body=_dumps(content), headers=headers
    )


def _failure(status: HTTPStatus) -> Callable[[Exception], Response[Any]]:
    return lambda error: _error(status, str(error))


def _dumps(content: Any) -> str:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))
