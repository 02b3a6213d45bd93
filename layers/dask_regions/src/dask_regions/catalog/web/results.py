"""One page of what a search has found, with links to the search itself and to its next page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from dask_regions.catalog import stac
from dask_regions.catalog.asking.query import SearchQuery
from dask_regions.catalog.asking.values import DEFAULT_LIMIT
from dask_regions.catalog.web.routes import GEOJSON
from dask_regions.http.dispatch import Call
from dask_regions.http.messages import Response, json_response

__all__ = ["Page", "query_of", "respond"]


def query_of(call: Call, values: Mapping[str, Any], limit: int = DEFAULT_LIMIT) -> SearchQuery:
    """Return the search that a call asks for.

    Parameters
    ----------
    values
        Those of the call, or those of them that are the search's.
    limit
        That of a call that names none.

    Raises
    ------
    RequestError
        Naming the parameter that is wrong.
    """
    read = SearchQuery.from_values if call.route.body else SearchQuery.from_parameters
    return read(values, limit=limit)


@dataclass(frozen=True)
class Page:
    """One page of Items or of Collections.

    Attributes
    ----------
    documents
        STAC Items or Collections, with their links.
    matched
        Number of documents on all pages.
    token
        Of the next page; None on the last.
    """

    documents: list[dict[str, Any]]
    matched: int
    token: str | None


def respond(
    call: Call, query: SearchQuery, page: Page, url: str, links: Sequence[Mapping[str, Any]]
) -> Response:
    """Return the answer to a search.

    Parameters
    ----------
    url
        Address of the search, without its parameters.
    links
        Besides those to the search itself and to the next page.
    """
    documents = page.documents if query.fields is None else stac.select(page.documents, query.fields)
    of_items = call.route.media_type == GEOJSON
    content = {
        "features" if of_items else "collections": documents,
        "links": [_link(call, "self", url), *links, *_next(call, url, page.token)],
        "numberMatched": page.matched,
        "numberReturned": len(documents),
    }
    if of_items:
        return json_response({"type": "FeatureCollection", **content}, GEOJSON)
    return json_response(content)


def _link(call: Call, relation: str, url: str, **changes: str) -> dict[str, Any]:
    values = {} if call.route.body else {**call.values, **changes}
    query = f"?{urlencode(values, quote_via=quote)}" if values else ""
    return stac.link(relation, f"{url}{query}", call.route.media_type)


def _next(call: Call, url: str, token: str | None) -> list[dict[str, Any]]:
    if token is None:
        return []
    if call.route.body:
        return [{**_link(call, "next", url), "method": "POST", "body": {"token": token}, "merge": True}]
    return [{**_link(call, "next", url, token=token), "method": "GET"}]
