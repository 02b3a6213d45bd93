"""Opaque tokens that continue a search after a given Item, and pages that fit Lambda's answer."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from dask_regions.catalog.asking.query import Order, SearchQuery
from dask_regions.catalog.expression import Scalar
from dask_regions.catalog.timestamps import parse_timestamp
from dask_regions.errors import RequestError
from dask_regions.http.bodies import to_json

__all__ = ["After", "cut", "decode", "encode", "renewed"]

# Lambda answers with at most 6,291,556 bytes, in which a page is a JSON string: escaped.
_MAXIMUM_PAGE_CHARACTERS = 5_500_000
# The API adds so much to an Item besides its places: links, and how fresh its Regions are.
_ADDED_CHARACTERS = 3_000
# A character of JSON is at most this many in a JSON string of ASCII: \uXXXX.
_ESCAPED_CHARACTERS = 6


class After(NamedTuple):
    """Where a page ended.

    Attributes
    ----------
    generation
        Of the catalog, in which the search goes on.
    values
        Of the last Item, one per entry of the query's ``order``; None where it has none.
    """

    generation: str
    values: tuple[Scalar | None, ...]


def encode(query: SearchQuery, after: After) -> str:
    """Return the token of the next page."""
    content = json.dumps([query.fingerprint, after.generation, after.values], separators=(",", ":"))
    return base64.urlsafe_b64encode(content.encode()).decode().rstrip("=")


def decode(query: SearchQuery) -> After | None:
    """Return where the query's token continues; None where it has no token.

    The generation is text from the request: compare it with those there are.

    Raises
    ------
    RequestError
        Naming ``token``, where it is not one of ours or belongs to another search.
    """
    if query.token is None:
        return None
    try:
        padded = query.token + "=" * (-len(query.token) % 4)
        text = base64.b64decode(padded, altchars=b"-_", validate=True).decode()
        fingerprint, generation, values = json.loads(text)
        # Half of a surrogate pair is JSON, but no text that a store could hold.
        json.dumps([generation, values], ensure_ascii=False).encode()
        sound = (
            isinstance(generation, str)
            and isinstance(values, list)
            and len(values) == len(query.order)
            and all(map(_fits, query.order, values))
        )
    except (ValueError, TypeError, RecursionError) as error:
        raise RequestError("token", "is not a token of this API; follow the next link") from error
    if fingerprint != query.fingerprint:
        raise RequestError("token", "belongs to another search; follow the next link of this one")
    if not sound:
        raise RequestError("token", "is not a token of this API; follow the next link")
    return After(generation, tuple(values))


def renewed() -> RequestError:
    """Return the error of a token whose generation is no longer kept."""
    return RequestError("token", "belongs to a catalog that has been renewed since; search again")


def cut(items: Sequence[dict[str, Any]], characters: int | None = None) -> list[dict[str, Any]]:
    """Return the first Items, at least one where there are any, that fit one answer of Lambda.

    Parameters
    ----------
    items
        Of a page.
    characters
        How long their JSON is at most, all together, where that is known.
    """
    added = len(items) * _ADDED_CHARACTERS
    if characters is None:
        characters = len(to_json(items))  # in bytes, of which there are no fewer
    if characters * _ESCAPED_CHARACTERS + added <= _MAXIMUM_PAGE_CHARACTERS:
        return list(items)
    size = 0
    for number, item in enumerate(items):
        size += len(json.dumps(json.dumps([item, _places(item)]))) + _ADDED_CHARACTERS
        if number and size > _MAXIMUM_PAGE_CHARACTERS:
            return list(items[:number])
    return list(items)


def _places(item: Mapping[str, Any]) -> list[str]:
    """Return the places of an Item's Assets, which the API repeats by Region."""
    assets = item.get("assets", {}).values()
    return [
        place.get("href", "") for asset in assets for place in (asset, *asset.get("alternate", {}).values())
    ]


def _fits(order: Order, value: Any) -> bool:
    if value is None:
        return not order.total
    if order.queryable.kind == "integer":
        return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 62
    if not isinstance(value, str):
        return False
    return order.queryable.kind != "timestamp" or parse_timestamp(value, "token") == value
