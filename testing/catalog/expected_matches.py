"""What a search of Items has to find: the oracle of both engines, which shares nothing with them.

What a filter selects is decided by ``cql2``'s own ``matches()`` for each of its conditions, and by Kleene's
logic of three values for how they are combined: a condition that names a property the Item lacks is unknown.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

import cql2

__all__ = ["Item", "box_rings", "expected", "find", "rewritten", "with_year"]

Item = dict[str, Any]


def box_rings(west: float, south: float, east: float, north: float) -> list[list[list[float]]]:
    """Return the coordinates of a box as a GeoJSON Polygon has them."""
    return [[[west, south], [east, south], [east, north], [west, north], [west, south]]]


def with_year(item: Mapping[str, Any]) -> Item:
    """Return an Item with the property that the catalog makes itself."""
    properties = item["properties"]
    began = properties.get("start_datetime") or properties["datetime"]
    return {**item, "properties": {**properties, "year": int(began[:4])}}


def rewritten(expression: Any) -> Any:
    """Return a filter with boxes across the antimeridian cut: ``cql2`` takes them for their complement."""
    if isinstance(expression, list):
        return [rewritten(part) for part in expression]
    if not isinstance(expression, dict):
        return expression
    box = expression.get("bbox")
    if box is not None and box[0] > box[2]:
        halves = [box_rings(box[0], box[1], 180, box[3]), box_rings(-180, box[1], box[2], box[3])]
        return {"type": "MultiPolygon", "coordinates": halves}
    return {name: rewritten(value) for name, value in expression.items()}


def expected(expression: Any, item: Item) -> bool | None:
    """Return what a filter says of an Item: true, false, or unknown."""
    if isinstance(expression, bool):
        return expression
    arguments = expression["args"]
    if expression["op"] == "not":
        value = expected(arguments[0], item)
        return None if value is None else not value
    if expression["op"] in ("and", "or"):
        decisive = expression["op"] == "or"
        values = [expected(argument, item) for argument in arguments]
        return decisive if decisive in values else None if None in values else not decisive
    if expression["op"] != "isNull" and any(_value(item, name) is None for name in _names(expression)):
        return None
    return bool(cql2.Expr(rewritten(expression)).matches(item))


def _names(expression: Any) -> set[str]:
    if isinstance(expression, list):
        return {name for part in expression for name in _names(part)}
    if not isinstance(expression, dict):
        return set()
    if "property" in expression:
        return {expression["property"].removeprefix("properties.")}
    return {name for part in expression.values() for name in _names(part)}


def _value(item: Item, name: str) -> Any:
    return item[name] if name in ("id", "collection", "geometry") else item["properties"].get(name)


def find(candidates: Sequence[Item], search: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return Collection and id of the Items that a search has to find, in order."""
    matches = [item for item in map(with_year, deepcopy(list(candidates))) if _matches(item, search)]
    matches.sort(key=lambda item: (item["collection"], item["id"]))
    # Sorting is stable: the last key first.
    for key in reversed(search.get("sortby") or [{"field": "datetime", "direction": "desc"}]):
        name = key["field"].removeprefix("properties.")
        reverse = key["direction"] == "desc"
        present = [item for item in matches if _sorted_by(item, name) is not None]
        absent = [item for item in matches if _sorted_by(item, name) is None]
        # Items of equal values keep their order, also where the order is reversed.
        present.sort(key=lambda item: _sorted_by(item, name), reverse=reverse)
        matches = present + absent
    return [(item["collection"], item["id"]) for item in matches]


def _sorted_by(item: Item, name: str) -> Any:
    return _interval(item)[0] if name == "datetime" else _value(item, name)


def _interval(item: Item) -> tuple[str, str]:
    properties = item["properties"]
    instant = properties["datetime"]
    return properties.get("start_datetime") or instant, properties.get("end_datetime") or instant


def _matches(item: Item, search: Mapping[str, Any]) -> bool:
    began, ended = _interval(item)
    start, _, end = (search.get("datetime") or "../..").partition("/")
    end = end or start
    area = search.get("intersects") or (search.get("bbox") and {"bbox": search["bbox"]})
    meets = {"op": "s_intersects", "args": [{"property": "geometry"}, area]}
    return (
        item["collection"] in search.get("collections", [item["collection"]])
        and item["id"] in search.get("ids", [item["id"]])
        and (start == ".." or ended >= start)
        and (end == ".." or began <= end)
        and (not area or expected(meets, item) is True)
        and ("q" not in search or any(_says(item, text) for text in search["q"]))
        and ("filter" not in search or expected(search["filter"], item) is True)
    )


def _says(item: Item, text: str) -> bool:
    properties = item["properties"]
    texts = [item["id"], item["collection"], *(properties.get("variables") or [])]
    texts += [properties.get(name) for name in ("title", "scenario", "cmip6:table_id")]
    wanted = f" {_plain(text)} "
    return any(wanted in f" {_plain(said)} " for said in texts if said is not None)


def _plain(text: str) -> str:
    bare = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return " ".join(re.findall(r"[^\W_]+", bare.casefold()))
