"""What both engines keep of an Item to search it: values, geometry and words."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from dask_regions import boxes
from dask_regions.catalog import geometry
from dask_regions.catalog.expression import Scalar
from dask_regions.catalog.queryables import BEGAN, ENDED, QUERYABLES, Queryable
from dask_regions.catalog.timestamps import parse_timestamp
from dask_regions.errors import RequestError
from dask_regions.words import tokens

__all__ = ["Indexed", "indexed"]

_TOP_LEVEL = frozenset({"id", "collection"})
# It stands between the words of two properties, so that no phrase runs from one into the other. It is no
# letter or digit, hence no word of a search.
_GAP = "¶"


@dataclass(frozen=True, slots=True)
class Indexed:
    """What is searched of an Item.

    Attributes
    ----------
    values
        Queryable to value, of those that the Item has, and ``began`` and ``ended``, which every Item has;
        timestamps as :func:`dask_regions.catalog.timestamps.parse_timestamp` writes them.
    bbox
        West, south, east, north in degrees, west above east across the antimeridian; or None.
    geometry
        GeoJSON, or None.
    geometry_digest
        The same for equal geometries; None without one.
    words
        For free text, in order; ``¶`` parts the properties.
    """

    values: dict[str, Scalar | list[str]]
    bbox: boxes.BoundingBox | None
    geometry: Mapping[str, Any] | None
    geometry_digest: str | None
    words: tuple[str, ...]


def indexed(item: Mapping[str, Any]) -> Indexed:
    """Return what is searched of an Item, whose Regions' copies have been merged.

    Raises
    ------
    RequestError
        Naming the Item, where it has neither ``datetime`` nor ``start_datetime`` and ``end_datetime``,
        or a value of the wrong kind.
    """
    label = f"Item {item['id']}"
    values: dict[str, Scalar | list[str]] = _interval(item["properties"], label)
    values["year"] = int(str(values[BEGAN.name])[:4])
    for queryable in QUERYABLES.values():
        value = (item if queryable.name in _TOP_LEVEL else item["properties"]).get(queryable.name)
        if value is not None and queryable.name != "year":
            values[queryable.name] = _value(queryable, value, label)
    shape = item.get("geometry")
    if shape is not None:
        shape = geometry.parse(shape, label)
    return Indexed(values, _box(item.get("bbox"), label), shape, _digest(shape), tuple(_words(item, values)))


# What Items say is mostly the same. What callers search for is not kept: it may be anything.
_tokens_of_items = lru_cache(maxsize=10_000)(tokens)


def _interval(properties: Mapping[str, Any], label: str) -> dict[str, Scalar | list[str]]:
    ends = {}
    for end, name in ((BEGAN, "start_datetime"), (ENDED, "end_datetime")):
        text = properties.get(name) or properties.get("datetime")
        if text is None:
            raise RequestError(label, "has no datetime; set it, or start_datetime and end_datetime")
        ends[end.name] = _timestamp(text, label)
    if ends[BEGAN.name] > ends[ENDED.name]:
        raise RequestError(label, f"ends at {ends[ENDED.name]}, before it begins at {ends[BEGAN.name]}")
    return dict(ends)


def _timestamp(value: Any, label: str) -> str:
    if not isinstance(value, str):
        raise RequestError(label, f"{value!r} is not a timestamp; write it like 2070-01-01T00:00:00Z")
    return parse_timestamp(value, label)


def _value(queryable: Queryable, value: Any, label: str) -> Scalar | list[str]:
    if queryable.kind == "timestamp":
        return _timestamp(value, label)
    if queryable.kind == "strings":
        if not isinstance(value, (list, tuple)) or not all(isinstance(entry, str) for entry in value):
            raise RequestError(label, f"{queryable.name} must be a list of strings, not {value!r}")
        return list(value)
    if not isinstance(value, str):
        raise RequestError(
            label, f"{queryable.name} must be a string, not {value!r}; quote it in datasets.yaml"
        )
    return value


def _box(bbox: Any, label: str) -> boxes.BoundingBox | None:
    if not bbox:
        return None
    if len(bbox) not in (4, 6):
        raise RequestError(label, f"bbox must be 4 or 6 numbers, not {bbox!r}")
    west, south, east, north = boxes.flat(bbox)
    return float(west), float(south), float(east), float(north)


def _digest(shape: Mapping[str, Any] | None) -> str | None:
    if shape is None:
        return None
    canonical = json.dumps(shape, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def _words(item: Mapping[str, Any], values: Mapping[str, Scalar | list[str]]) -> Iterator[str]:
    properties = item["properties"]
    texts: list[Any] = [properties.get("description")]
    keywords = properties.get("keywords")
    texts += keywords if isinstance(keywords, list) else []
    for queryable in QUERYABLES.values():
        value = values.get(queryable.name)
        if queryable.kind in ("string", "strings"):
            texts += value if isinstance(value, list) else [value]
    for text in texts:
        if isinstance(text, str) and (words := _tokens_of_items(text)):
            yield from words
            yield _GAP
