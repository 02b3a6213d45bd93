"""Parameters of a request, decoded and checked one by one; :mod:`.query` unites them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from dask_regions.catalog.queryables import find
from dask_regions.catalog.timestamps import Interval, parse_interval
from dask_regions.errors import RequestError
from dask_regions.words import tokens

__all__ = [
    "DEFAULT_LIMIT",
    "MAXIMUM_LIMIT",
    "Fields",
    "SortKey",
    "decode_body",
    "decode_json",
    "encodable",
    "fields",
    "interval",
    "limit",
    "phrases",
    "selection",
    "sort_key",
    "sort_keys",
    "texts",
    "token",
]

#: Items on a page.
DEFAULT_LIMIT = 10
#: Items on one page at most; a larger limit is lowered to it, as OGC API - Features asks.
MAXIMUM_LIMIT = 1000
# OpenSearch takes 65,536 in one list.
_MAXIMUM_TEXTS = 50_000
_MAXIMUM_SORT_KEYS = 5
_MAXIMUM_NESTING = 60
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
    found = tuple(dict.fromkeys(tokens(text) for text in texts if text.strip()))
    if not found or () in found:
        raise RequestError("q", "has a text without letters and digits; give words to search for")
    if len(found) > _MAXIMUM_PHRASES or sum(map(len, found)) > _MAXIMUM_WORDS:
        raise RequestError("q", f"takes up to {_MAXIMUM_PHRASES} texts and {_MAXIMUM_WORDS} words in all")
    return found


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
    if not isinstance(value, (list, tuple)) or len(value) > _MAXIMUM_SORT_KEYS:
        raise RequestError("sortby", f"must be a list of up to {_MAXIMUM_SORT_KEYS} objects")
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


def selection(value: Any) -> Fields:
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


def sort_key(text: str) -> dict[str, str]:
    """Return an entry of ``sortby`` from its form in a GET, e.g. ``-datetime``."""
    text = text.strip()
    return {"field": text.lstrip("+-"), "direction": "desc" if text.startswith("-") else "asc"}


def fields(parts: Sequence[str]) -> dict[str, list[str]]:
    """Return ``fields`` from its form in a GET: paths, with a minus sign before those to leave out."""
    parts = [part.strip() for part in parts]
    include = [part.lstrip("+") for part in parts if part and not part.startswith("-")]
    exclude = [part[1:] for part in parts if part.startswith("-")]
    # An empty list means something else than none.
    return {name: paths for name, paths in (("include", include), ("exclude", exclude)) if paths}


def decode_body(text: str) -> dict[str, Any]:
    """Return the members of a body, which is a JSON object; none where the body is empty.

    Raises
    ------
    RequestError
        Naming ``body``.
    """
    values = decode_json(text or "{}", "body")
    if not isinstance(values, dict):
        raise RequestError("body", 'must be a JSON object, e.g. {"collections": ["cmip6"]}')
    return values


def decode_json(text: str, parameter: str) -> Any:
    """Return decoded JSON that a store can hold and a parser can walk.

    Raises
    ------
    RequestError
        Naming `parameter`.
    """
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
        # Half of a surrogate pair is JSON, but no text that a store or an answer could hold.
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise RequestError(parameter, f"is not valid JSON: {error}") from error
    if _depth(value) > _MAXIMUM_NESTING:
        raise RequestError(parameter, f"is nested deeper than {_MAXIMUM_NESTING}; make it flatter")
    return value


def encodable(text: str) -> bool:
    """Return whether a text can be written as UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _depth(value: Any) -> int:
    depth, level = 0, [value]
    while level:
        depth += 1
        containers = [entry for entry in level if isinstance(entry, (dict, list))]
        level = [
            child for entry in containers for child in (entry.values() if isinstance(entry, dict) else entry)
        ]
    return depth
