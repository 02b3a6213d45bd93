"""Bounding boxes: west, south, east, north in degrees (CRS84), read from requests and turned into GeoJSON.

A box whose west is above its east crosses the antimeridian (RFC 7946, 5.2).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

from dask_regions.errors import RequestError

__all__ = ["BoundingBox", "flat", "geometry", "parse"]

#: West, south, east, north in degrees; west is above east where the box crosses the antimeridian.
BoundingBox: TypeAlias = tuple[float, float, float, float]


def parse(value: Any, parameter: str = "bbox") -> BoundingBox:
    """Return the box of a request, longitudes from -180 to 180.

    Parameters
    ----------
    value
        4 numbers, or 6 with heights, which are ignored. Longitudes beyond 180, e.g. of a grid from 0 to 360,
        are turned into -180 to 180.

    Raises
    ------
    RequestError
        Naming `parameter`.

    Examples
    --------
    >>> parse([350, -10, 370, 10])
    (-10.0, -10.0, 10.0, 10.0)
    """
    numbers = [_number(number, parameter) for number in value] if isinstance(value, (list, tuple)) else []
    if len(numbers) not in (4, 6):
        raise RequestError(parameter, "must be 4 numbers (west,south,east,north), or 6 with heights")
    west, south, east, north = flat(numbers)
    if south > north:
        raise RequestError(parameter, f"south {south} is above north {north}; swap them")
    west, east = _longitudes(west, east)
    # No Item is beyond the poles, and what is compared stays a number of degrees.
    south, north = (max(-100.0, min(100.0, latitude)) for latitude in (south, north))
    return west, south, east, north


def flat(numbers: Sequence[float]) -> BoundingBox:
    """Return a box of 4 numbers, or of 6 without its heights."""
    west, south, east, north = numbers if len(numbers) == 4 else (*numbers[:2], *numbers[3:5])
    return west, south, east, north


def geometry(box: BoundingBox, *, both_sides: bool = False) -> dict[str, Any]:
    """Return a box as GeoJSON, in the simplest type that is valid.

    A box that crosses the antimeridian is cut there (RFC 7946, 3.1.9). One that only begins or ends there
    does not cross it, and is not cut: half of it would have no width, which is no valid polygon, and as a
    line it would make a GeometryCollection, which STAC refuses as an Item's geometry.

    Parameters
    ----------
    box
        One without height or width, such as that of a zonal mean, becomes a line; one without both a point.
    both_sides
        Whether a box that begins at 180 or ends at -180, west above east, has the antimeridian on its other
        side too. What is searched for has: there an Item may say -180 or 180 of the same place.

    Examples
    --------
    >>> geometry((180, 0, 180, 0))
    {'type': 'Point', 'coordinates': [180, 0]}
    >>> geometry((180, -1, -170, 1))["type"]
    'Polygon'
    >>> geometry((180, -1, -170, 1), both_sides=True)["type"]
    'GeometryCollection'
    """
    halves = _cut(box)
    if not both_sides:
        halves = [half for half in halves if half[0] < half[2]] or halves[:1]
    parts = [_simple(*half) for half in halves]
    if len(parts) == 1:
        return parts[0]
    if parts[0]["type"] != parts[1]["type"]:
        return {"type": "GeometryCollection", "geometries": parts}
    return {"type": f"Multi{parts[0]['type']}", "coordinates": [part["coordinates"] for part in parts]}


def _cut(box: BoundingBox) -> list[BoundingBox]:
    """Return a box that has west above east as two that have not; one of them may have no width."""
    west, south, east, north = box
    return [box] if west <= east else [(west, south, 180.0, north), (-180.0, south, east, north)]


def _simple(west: float, south: float, east: float, north: float) -> dict[str, Any]:
    if west == east and south == north:
        return {"type": "Point", "coordinates": [west, south]}
    if west == east or south == north:
        return {"type": "LineString", "coordinates": [[west, south], [east, north]]}
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"type": "Polygon", "coordinates": [ring]}


def _number(value: Any, parameter: str) -> float:
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise RequestError(parameter, f"{value!r} is not a number of degrees")
    return number


def _longitudes(west: float, east: float) -> tuple[float, float]:
    if east - west >= 360:
        return -180.0, 180.0
    west, east = ((x + 180.0) % 360.0 - 180.0 if abs(x) > 180 else x for x in (west, east))
    return west, east
