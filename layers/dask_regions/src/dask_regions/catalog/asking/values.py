"""Values of a search's parameters: decoded from a query string, and checked one by one.

:mod:`.parameters` says which parameter each is for.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from dask_regions.catalog.queryables import find
from dask_regions.catalog.timestamps import Interval, parse_interval
from dask_regions.errors import RequestError
from dask_regions.words import tokens

__all__ = [
    "CRS84",
    "DEFAULT_LIMIT",
    "MAXIMUM_LIMIT",
    "MAXIMUM_SORT_KEYS",
    "Fields",
    "SortKey",
    "collections",
    "decode_fields",
    "decode_limit",
    "decode_sort_keys",
    "decode_timestamps",
    "fields",
    "interval",
    "limit",
    "phrases",
    "reference_system",
    "sort_keys",
    "split",
    "texts",
    "token",
]

#: Items on a page where the request names no limit.
DEFAULT_LIMIT = 10
#: Items on one page at most; a larger limit is lowered to it, as OGC API - Features asks.
MAXIMUM_LIMIT = 1000
#: Coordinate reference system of every geometry.
CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
#: Properties in ``sortby`` at most.
MAXIMUM_SORT_KEYS = 5
# OpenSearch takes 65,536 in one list.
_MAXIMUM_TEXTS = 50_000
_MAXIMUM_PHRASES = 100
_MAXIMUM_WORDS = 500
_MAXIMUM_CHARACTERS = 10_000


class SortKey(NamedTuple):
    """One entry of ``sortby``: the name of a queryable, and whether the largest comes first."""

    field: str
    descending: bool = False


class Fields(NamedTuple):
    """Which members of Items to answer with; dotted paths such as ``properties.scenario``.

    Attributes
    ----------
    include
        None where the request does not say it: an empty list means something else.
    """

    include: tuple[str, ...] | None = None
    exclude: tuple[str, ...] = ()


def texts(parameter: str, value: Any) -> tuple[str, ...]:
    """Return a list of texts.

    Raises
    ------
    RequestError
        Naming `parameter`.
    """
    if not isinstance(value, (list, tuple)) or not all(isinstance(text, str) for text in value):
        raise RequestError(parameter, "must be a list of texts")
    if len(value) > _MAXIMUM_TEXTS:
        raise RequestError(parameter, f"takes up to {_MAXIMUM_TEXTS} texts; search in parts")
    return tuple(value)


def collections(value: Any) -> tuple[str, ...]:
    """Return the ids of Collections: a list, or the id of one.

    Raises
    ------
    RequestError
        Naming ``collections``.
    """
    return texts("collections", [value] if isinstance(value, str) else value)


def phrases(value: Any) -> tuple[tuple[str, ...], ...]:
    """Return free text as phrases of words, as :func:`dask_regions.words.tokens` makes them.

    Parameters
    ----------
    value
        One text or a list of them, any of which may match.

    Raises
    ------
    RequestError
        Naming ``q``.
    """
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, (list, tuple)) or not all(isinstance(text, str) for text in texts):
        raise RequestError("q", "must be a list of texts")
    if sum(map(len, texts)) > _MAXIMUM_CHARACTERS:
        raise RequestError("q", f"takes up to {_MAXIMUM_CHARACTERS} characters in all; give fewer words")
    phrases = tuple(dict.fromkeys(tokens(text) for text in texts if text.strip()))
    if not phrases or () in phrases:
        raise RequestError("q", "has a text without letters and digits; give words to search for")
    if len(phrases) > _MAXIMUM_PHRASES or sum(map(len, phrases)) > _MAXIMUM_WORDS:
        raise RequestError("q", f"takes up to {_MAXIMUM_PHRASES} texts and {_MAXIMUM_WORDS} words in all")
    return phrases


def interval(value: Any) -> Interval:
    """Return an instant or an interval.

    Raises
    ------
    RequestError
        Naming ``datetime``.
    """
    if not isinstance(value, str):
        raise RequestError("datetime", f"must be text, not {value!r}")
    return parse_interval(value)


def limit(value: Any) -> int:
    """Return how many a page may have, at most :data:`MAXIMUM_LIMIT`.

    Raises
    ------
    RequestError
        Naming ``limit``.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise RequestError("limit", f"must be a whole number from 1 to {MAXIMUM_LIMIT}, not {value!r}")
    return min(value, MAXIMUM_LIMIT)


def token(value: Any) -> str:
    """Return a token, not yet decoded; see :mod:`dask_regions.catalog.asking.paging`.

    Raises
    ------
    RequestError
        Naming ``token``.
    """
    if not isinstance(value, str):
        raise RequestError("token", "must be the text that a next link has")
    return value


def sort_keys(value: Any) -> tuple[SortKey, ...]:
    """Return ``sortby``: a list of objects with ``field`` and, where it is not ``asc``, ``direction``.

    Raises
    ------
    RequestError
        Naming ``sortby``.
    """
    if not isinstance(value, (list, tuple)) or len(value) > MAXIMUM_SORT_KEYS:
        raise RequestError("sortby", f"must be a list of up to {MAXIMUM_SORT_KEYS} objects")
    return tuple(map(_sort_key, value))


def _sort_key(value: Any) -> SortKey:
    if not isinstance(value, dict) or not {"field"} <= value.keys() <= {"field", "direction"}:
        raise RequestError(
            "sortby", f'{value!r} is not an object like {{"field": "id", "direction": "desc"}}'
        )
    field, direction = value["field"], value.get("direction", "asc")
    if not isinstance(field, str):
        raise RequestError("sortby", f"{field!r} is not the name of a property")
    if direction not in ("asc", "desc"):
        raise RequestError("sortby", f"the direction of {field!r} is asc or desc, not {direction!r}")
    queryable = find(field, "sortby")
    if queryable.kind == "strings":
        raise RequestError("sortby", f"{field!r} is an array and has no order; choose another property")
    return SortKey(queryable.name, direction == "desc")


def fields(value: Any) -> Fields:
    """Return ``fields``: an object of two lists, ``include`` and ``exclude``, each of which may be null.

    Raises
    ------
    RequestError
        Naming ``fields``.
    """
    if not isinstance(value, dict) or not value.keys() <= {"include", "exclude"}:
        raise RequestError("fields", "must be an object with include and exclude")
    chosen = {name: () if paths is None else texts("fields", paths) for name, paths in value.items()}
    return Fields(**chosen)


def reference_system(value: Any) -> str:
    """Return the coordinate reference system of a filter, of which there is one.

    Raises
    ------
    RequestError
        Naming ``filter-crs``.
    """
    if value != CRS84:
        raise RequestError("filter-crs", f"only {CRS84} is supported; leave it out")
    return CRS84


def split(text: str) -> list[str]:
    """Return a list from its form in a query string."""
    return text.split(",")


def decode_limit(text: str) -> int | str:
    """Return ``limit`` from its form in a query string; text that is no whole number stays text."""
    # Python reads no more digits.
    return int(text) if re.fullmatch(r"[+-]?\d{1,4000}", text, re.ASCII) else text


def decode_timestamps(text: str) -> str:
    """Return ``datetime`` from its form in a query string: a plus that was not escaped came as a space."""
    return text.replace(" ", "+")


def decode_sort_keys(text: str) -> list[dict[str, str]]:
    """Return ``sortby`` from its form in a query string, e.g. ``-datetime,id``."""
    names = [name.strip() for name in text.split(",")]
    return [
        {"field": name.lstrip("+-"), "direction": "desc" if name.startswith("-") else "asc"} for name in names
    ]


def decode_fields(text: str) -> dict[str, list[str]]:
    """Return ``fields`` from its form in a query string: a minus sign is before those to leave out."""
    paths = [path.strip() for path in text.split(",")]
    include = [path.lstrip("+") for path in paths if path and not path.startswith("-")]
    exclude = [path[1:] for path in paths if path.startswith("-")]
    # An empty list means something else than none.
    return {name: chosen for name, chosen in (("include", include), ("exclude", exclude)) if chosen}
