"""Extents in time and space: dates of any calendar as RFC 3339, and the box around a grid."""

from __future__ import annotations

import calendar
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

import cftime
import numpy as np
from numpy.typing import NDArray

from dask_regions.boxes import BoundingBox

__all__ = ["Interval", "bounding_box", "box_hull", "hull", "rfc3339"]

#: Start and end, RFC 3339.
Interval = tuple[str, str]

# A curvilinear global grid leaves slits; a data set that lacks less than this is global for a search.
_SLIT_DEGREES = 5.0


def rfc3339(moment: cftime.datetime) -> str:
    """Write a date of any calendar as RFC 3339, to the nearest second.

    A date that the real calendar lacks, such as 30 February of a 360-day year, becomes the last day
    of its month; before year 1 and after year 9999 it becomes the first or last moment between them.
    """
    moment = moment + timedelta(microseconds=500_000)
    if not 1 <= moment.year <= 9999:
        return "0001-01-01T00:00:00Z" if moment.year < 1 else "9999-12-31T23:59:59Z"
    day = min(moment.day, calendar.monthrange(moment.year, moment.month)[1])
    clock = f"{moment.hour:02}:{moment.minute:02}:{moment.second:02}"
    return f"{moment.year:04}-{moment.month:02}-{day:02}T{clock}Z"


def hull(intervals: Iterable[Interval | None]) -> Interval | None:
    """Return the interval from the first start to the last end; None where there is none."""
    known = [interval for interval in intervals if interval]
    if not known:
        return None
    return min(start for start, _ in known), max(end for _, end in known)


def bounding_box(latitude: NDArray[Any], longitude: NDArray[Any]) -> BoundingBox | None:
    """Return the box around cell centres, in degrees, longitudes in -180 to 180.

    Parameters
    ----------
    latitude, longitude
        Any shape; longitudes in any range, e.g. 0 to 360. Fill values are ignored.

    Examples
    --------
    >>> bounding_box(np.array([15.0, 60.0]), np.linspace(225.0, 315.0, 49))
    (-135.0, 15.0, -45.0, 60.0)
    """
    latitudes = latitude[np.isfinite(latitude) & (abs(latitude) <= 90.001)]
    longitudes = longitude[np.isfinite(longitude) & (abs(longitude) <= 720)]
    if not latitudes.size or not longitudes.size:
        return None
    west, east = _longitude_range(longitudes)
    south, north = max(float(latitudes.min()), -90.0), min(float(latitudes.max()), 90.0)
    return west, round(south, 6), east, round(north, 6)


def _longitude_range(longitudes: NDArray[Any]) -> tuple[float, float]:
    # On the circle, what is covered is all but the widest gap between neighbours.
    circle = np.unique(np.round(np.mod(longitudes.astype("f8"), 360.0), 6) % 360.0)
    gaps = np.diff(circle, append=circle[0] + 360.0)
    widest = int(np.argmax(gaps))
    if len(circle) > 1 and gaps[widest] <= max(1.5 * float(np.median(gaps)), _SLIT_DEGREES):
        return -180.0, 180.0
    west = float(circle[(widest + 1) % len(circle)])
    east = float(circle[widest])
    west, east = (west + 180.0) % 360.0 - 180.0, (east + 180.0) % 360.0 - 180.0
    if east == -180.0 and west != -180.0:
        east = 180.0
    return round(west, 6), round(east, 6)


def box_hull(boxes: Sequence[BoundingBox]) -> BoundingBox:
    """Return a box around boxes; around the Earth where any of several crosses the antimeridian."""
    west, south, east, north = zip(*boxes, strict=True)
    if len(set(boxes)) > 1 and any(box[0] > box[2] for box in boxes):
        return -180.0, min(south), 180.0, max(north)
    return min(west), min(south), max(east), max(north)
