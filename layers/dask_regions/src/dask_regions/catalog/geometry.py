"""Geometries: checked and compared exactly.

Both engines keep the distinct geometries of a generation (nearly all Items share one: the globe), compare
these with the geometry of a request, and search for the Items that have one of those found. Coordinates are
degrees in CRS84; heights are dropped. A geometry that reaches beyond 180 degrees goes on at -180.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from dask_regions import boxes
from dask_regions.catalog.expression import SpatialOperator
from dask_regions.errors import RequestError

if TYPE_CHECKING:
    from shapely import STRtree
    from shapely.geometry.base import BaseGeometry

__all__ = ["Geometries", "parse", "select"]

# A geometry of a request may have so many; outlines of countries have fewer.
_MAXIMUM_POSITIONS = 50_000
# A longitude may go once around the globe on either side.
_MAXIMUM_DEGREES = 540.0
# Above so many, a tree of shapely is faster than comparing rectangles one by one.
_MAXIMUM_RECTANGLES = 5_000
# Depth to which a type's coordinates are nested; 0 is a single position.
_NESTING = {
    "Point": 0,
    "MultiPoint": 1,
    "LineString": 1,
    "MultiLineString": 2,
    "Polygon": 2,
    "MultiPolygon": 3,
}
# shapely's tree takes (geometry of the request, candidate), our operators (candidate, geometry).
_PREDICATES: dict[SpatialOperator, str] = {
    "s_intersects": "intersects",
    "s_contains": "within",
    "s_within": "contains",
    "s_crosses": "crosses",
    "s_overlaps": "overlaps",
    "s_touches": "touches",
}


class _Rectangle(NamedTuple):
    west: float
    south: float
    east: float
    north: float


def parse(geojson: Any, parameter: str) -> dict[str, Any]:
    """Return a GeoJSON geometry, or a CQL2 ``bbox``, in one form: no heights, no members of others.

    Raises
    ------
    RequestError
        Naming `parameter`, where it is no geometry or one with which nothing can be compared.

    Examples
    --------
    >>> parse({"type": "Point", "coordinates": [5, 50, 1000]}, "intersects")
    {'type': 'Point', 'coordinates': [5.0, 50.0]}
    """
    if isinstance(geojson, dict) and "bbox" in geojson and "type" not in geojson:
        return boxes.geometry(boxes.parse(geojson["bbox"], parameter), both_sides=True)
    try:
        parsed = _parsed(geojson)
        if _positions(parsed) > _MAXIMUM_POSITIONS:
            raise RequestError(parameter, f"has more than {_MAXIMUM_POSITIONS} positions; simplify it")
        rectangles = _rectangles(parsed)
        # Two that touch are no valid shape of shapely.
        if rectangles is None or len(rectangles) > 2 or (len(rectangles) == 2 and _meet(*rectangles)):
            _shape(parsed)
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise RequestError(parameter, f"is not a GeoJSON geometry that can be used: {error}") from error
    return parsed


class Geometries:
    """Geometries to compare with; they are prepared once, so keep it while they stay the same.

    May be used by several threads.

    Parameters
    ----------
    candidates
        Digest, or any other key, to GeoJSON as :func:`parse` returns it.
    """

    def __init__(self, candidates: Mapping[str, Mapping[str, Any]]) -> None:
        self._candidates = candidates
        self._keys = list(candidates)
        self._rest: Geometries | None = None
        self._simple: dict[str, Sequence[_Rectangle]] | None = None
        self._prepared: tuple[STRtree, list[BaseGeometry]] | None = None

    def select(self, operator: SpatialOperator, geometry: Mapping[str, Any]) -> list[str]:
        """Return the keys of the geometries for which ``operator(candidate, geometry)`` holds."""
        rectangles = _rectangles(geometry)
        # A box across the antimeridian is two rectangles. More would each be compared with every candidate.
        few = len(rectangles or ()) <= 2 and len(self._keys) <= _MAXIMUM_RECTANGLES
        if operator == "s_intersects" and rectangles is not None and few:
            return self._among_rectangles(rectangles, geometry)
        if operator == "s_disjoint":
            touched = set(self.select("s_intersects", geometry))
            return [key for key in self._keys if key not in touched]
        return [self._keys[index] for index in self._indexes(operator, _shape(geometry))]

    def _among_rectangles(self, wanted: Sequence[_Rectangle], geometry: Mapping[str, Any]) -> list[str]:
        """Compare rectangles, which nearly all geometries are, without shapely: its import takes longer."""
        if self._simple is None or self._rest is None:
            simple = {
                key: rectangles
                for key in self._keys
                if (rectangles := _rectangles(self._candidates[key])) is not None
            }
            rest = {key: self._candidates[key] for key in self._keys if key not in simple}
            self._simple, self._rest = simple, Geometries(rest)
        selected = [
            key
            for key, rectangles in self._simple.items()
            if any(_meet(a, b) for a in rectangles for b in wanted)
        ]
        if self._rest._keys:
            selected += (
                self._rest._keys[index] for index in self._rest._indexes("s_intersects", _shape(geometry))
            )
        return selected

    def _indexes(self, operator: SpatialOperator, wanted: BaseGeometry) -> Sequence[int]:
        if self._prepared is None:
            import shapely  # a search without a geometry does not need it, and it takes 0.2 s to import

            shapes = [_shape(self._candidates[key]) for key in self._keys]
            self._prepared = shapely.STRtree(shapes), shapes
        tree, shapes = self._prepared
        if operator == "s_equals":
            near = tree.query(wanted, predicate="intersects").tolist()
            return [index for index in near if shapes[index].equals(wanted)]
        indexes: list[int] = sorted(tree.query(wanted, predicate=_PREDICATES[operator]).tolist())
        return indexes


def select(
    operator: SpatialOperator, geometry: Mapping[str, Any], candidates: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    """Return the keys of the candidates for which ``operator(candidate, geometry)`` holds."""
    return Geometries(candidates).select(operator, geometry)


def _parsed(geojson: Any, *, nested: bool = False) -> dict[str, Any]:
    kind = geojson.get("type") if isinstance(geojson, dict) else None
    if kind == "GeometryCollection" and not nested and isinstance(geojson.get("geometries"), list):
        return {"type": kind, "geometries": [_parsed(part, nested=True) for part in geojson["geometries"]]}
    if not isinstance(kind, str) or kind not in _NESTING:
        kinds = ", ".join((*_NESTING, "GeometryCollection"))
        raise ValueError(f"{json.dumps(geojson)[:100]} is none of {kinds}")
    return {"type": kind, "coordinates": _coordinates(geojson.get("coordinates"), _NESTING[kind])}


def _coordinates(value: Any, nesting: int) -> list[Any]:
    if not isinstance(value, (list, tuple)) or not value:
        raise ValueError(f"{json.dumps(value)[:100]} is no list of coordinates")
    if nesting:
        return [_coordinates(part, nesting - 1) for part in value]
    longitude, latitude = (math.nan if isinstance(number, bool) else float(number) for number in value[:2])
    if not (abs(longitude) <= _MAXIMUM_DEGREES and abs(latitude) <= _MAXIMUM_DEGREES):
        raise ValueError(f"{json.dumps(value)[:100]} is no position: longitude and latitude in degrees")
    return [longitude, latitude]


def _positions(geojson: Mapping[str, Any]) -> int:
    if "geometries" in geojson:
        return sum(map(_positions, geojson["geometries"]))
    level = [geojson["coordinates"]]
    for _ in range(_NESTING[geojson["type"]]):
        level = [part for parts in level for part in parts]
    return len(level)


def _rectangles(geojson: Mapping[str, Any]) -> Sequence[_Rectangle] | None:
    """Return the parts of a geometry where all are rectangles and points within the globe, else None."""
    coordinates: Any = geojson.get("coordinates")
    match geojson["type"]:
        case "Point":
            parts = [_rectangle([coordinates])]
        case "Polygon":
            parts = [_rectangle(ring) if len(coordinates) == 1 else None for ring in coordinates]
        case "MultiPolygon":
            parts = [_rectangle(rings[0]) if len(rings) == 1 else None for rings in coordinates]
        case _:
            return None
    rectangles = [part for part in parts if part is not None and part.west >= -180 and part.east <= 180]
    return rectangles if len(rectangles) == len(parts) else None


def _rectangle(ring: Any) -> _Rectangle | None:
    longitudes, latitudes = ([position[axis] for position in ring] for axis in (0, 1))
    hull = _Rectangle(min(longitudes), min(latitudes), max(longitudes), max(latitudes))
    if len(ring) == 1:
        return hull
    # Going round, each side keeps one coordinate.
    sides = all(a[0] == b[0] or a[1] == b[1] for a, b in pairwise(ring))
    corners = {(a, b) for a in (hull.west, hull.east) for b in (hull.south, hull.north)}
    sound = len(corners) == 4 and {tuple(position) for position in ring} == corners
    return hull if sound and sides and len(ring) == 5 and ring[0] == ring[4] else None


def _meet(a: _Rectangle, b: _Rectangle) -> bool:
    return a.west <= b.east and b.west <= a.east and a.south <= b.north and b.south <= a.north


def _shape(geojson: Mapping[str, Any]) -> BaseGeometry:
    """Return a shape of shapely; raises ValueError where it is not valid."""
    import shapely  # as above

    try:
        shape = shapely.from_geojson(json.dumps(geojson))
    except shapely.errors.GEOSException as error:
        raise ValueError(str(error)) from error
    if not shape.is_valid:
        raise ValueError(shapely.is_valid_reason(shape))
    west, _, east, _ = shape.bounds
    return shape if west >= -180 and east <= 180 else _wrapped(shape, shapely.transform)


def _wrapped(shape: BaseGeometry, transform: Callable[..., Any]) -> BaseGeometry:
    import shapely  # as above

    parts = []
    for turns in range(math.floor((shape.bounds[0] + 180) / 360), math.ceil((shape.bounds[2] + 180) / 360)):
        strip = shapely.box(360 * turns - 180, shape.bounds[1] - 1, 360 * turns + 180, shape.bounds[3] + 1)
        part = shape.intersection(strip)
        if not part.is_empty:
            parts.append(transform(part, lambda positions, turns=turns: positions - [360 * turns, 0]))
    return shapely.union_all(parts)
