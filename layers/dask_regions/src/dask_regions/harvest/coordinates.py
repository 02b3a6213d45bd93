"""From CF coordinates to the words of a STAC Item: extents, dimensions and variables.

Conventions: CF 1.11, https://cfconventions.org (coordinates, bounds, calendars).
"""

from __future__ import annotations

import calendar
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from threading import Condition
from typing import Any, Protocol

import cftime
import numpy as np
from numpy.typing import NDArray

from dask_regions.boxes import BoundingBox

__all__ = [
    "Cube",
    "Description",
    "Variable",
    "bounding_box",
    "check_size",
    "describe",
    "merge",
    "require_time",
    "rfc3339",
]

Interval = tuple[str, str]

_LATITUDE_UNITS = {"degrees_north", "degree_north", "degrees_n", "degree_n", "degreesn", "degreen"}
_LONGITUDE_UNITS = {"degrees_east", "degree_east", "degrees_e", "degree_e", "degreese", "degreee"}
_REAL_CALENDARS = {"standard", "gregorian", "proleptic_gregorian"}
# A curvilinear global grid leaves slits; a data set that lacks less than this is global for a search.
_SLIT_DEGREES = 5.0
# Two-dimensional coordinates of a 1/12 degree ocean are 125 MB each.
_LARGEST_COORDINATE = 128 << 20


class _Room:
    """Bytes of coordinates that all threads together look at; a thread waits until there is room for its own.

    The box around a grid takes seven times as much memory as one of its coordinates, and what was fetched
    twice as much: sixteen of the largest at once would be 18 GB.
    """

    def __init__(self, size: int) -> None:
        self._size = self._free = size
        self._changed = Condition()

    @contextmanager
    def taken(self, size: int) -> Iterator[None]:
        size = min(size, self._size)
        with self._changed:
            self._changed.wait_for(lambda: self._free >= size)
            self._free -= size
        try:
            yield
        finally:
            with self._changed:
                self._free += size
                self._changed.notify_all()


_ROOM = _Room(_LARGEST_COORDINATE)


@dataclass(frozen=True, slots=True)
class Variable:
    """One array of a store or file: its named dimensions, their sizes, and CF attributes.

    Attributes
    ----------
    dtype
        Of the values as they are stored; None where NumPy has none such.
    chunks, shards
        Sizes of what is read at once along each dimension, and of the objects that hold several of these;
        None where the array is stored in one piece, or without shards.
    """

    name: str
    dimensions: tuple[str, ...]
    shape: tuple[int, ...]
    attributes: Mapping[str, Any]
    dtype: np.dtype[Any] | None = None
    chunks: tuple[int, ...] | None = None
    shards: tuple[int, ...] | None = None

    def text(self, attribute: str) -> str:
        """Return an attribute as text, empty where there is none."""
        return str(self.attributes.get(attribute, ""))


class Cube(Protocol):
    """The variables of a store or file. Values are read when asked for, and only coordinates are."""

    @property
    def variables(self) -> Mapping[str, Variable]:
        """Every array by name."""

    def values(self, name: str) -> NDArray[Any]:
        """Return all values of a variable."""

    def ends(self, name: str) -> NDArray[Any]:
        """Return the first and the last values along the first dimension, stacked; shape (2, ...)."""


@dataclass(frozen=True, slots=True)
class Description:
    """What an Item says about a cube.

    Attributes
    ----------
    interval
        Start and end as RFC 3339, or None without a time coordinate.
    bbox
        West, south, east, north in degrees; west is above east where it crosses the antimeridian.
        None without latitude and longitude.
    dimensions, variables
        ``cube:dimensions`` and ``cube:variables`` of the datacube extension 2.3.
    names
        Names of the data variables, and their CF standard names where they differ.
    """

    interval: Interval | None = None
    bbox: BoundingBox | None = None
    dimensions: dict[str, dict[str, Any]] = field(default_factory=dict)
    variables: dict[str, dict[str, Any]] = field(default_factory=dict)
    names: tuple[str, ...] = ()


def describe(cube: Cube) -> Description:
    """Describe a cube by its coordinates.

    Raises
    ------
    ValueError
        Where it has no data variable, or a time coordinate cannot be decoded.
    """
    data = _data_variables(cube.variables)
    if not data:
        raise ValueError("no data variables: nothing but coordinates was found")
    intervals = {name: _interval(cube, cube.variables[name]) for name in _times(cube.variables)}
    with _ROOM.taken(_largest(cube.variables.values())):
        return Description(
            interval=_hull(intervals.values()),
            bbox=_bbox(cube),
            dimensions=_dimensions(cube, data, intervals),
            variables={variable.name: _cube_variable(variable) for variable in data},
            names=_names(data),
        )


def _largest(variables: Iterable[Variable]) -> int:
    """Return the bytes, as double precision, of the largest of the coordinates that are read as a whole."""
    return max(
        (
            8 * math.prod(variable.shape)
            for variable in variables
            if variable.dimensions == (variable.name,) or _is_latitude(variable) or _is_longitude(variable)
        ),
        default=0,
    )


def require_time(description: Description) -> Interval:
    """Return start and end.

    Raises
    ------
    ValueError
        Without a time coordinate.
    """
    if description.interval is None:
        raise ValueError("no time axis: no variable has units such as 'days since 1850-01-01'")
    return description.interval


def check_size(name: str, shape: Sequence[int], dtype: np.dtype[Any]) -> None:
    """Refuse to read a coordinate that would not fit into memory.

    Raises
    ------
    ValueError
        Where it has more than 128 MiB.
    """
    if math.prod(shape) * dtype.itemsize > _LARGEST_COORDINATE:
        raise ValueError(f"coordinate {name} has shape {tuple(shape)}: too large to read")


def merge(descriptions: Sequence[Description]) -> Description:
    """Describe several cubes as one, e.g. the files of a month."""
    boxes = [description.bbox for description in descriptions if description.bbox]
    return Description(
        interval=_hull(description.interval for description in descriptions),
        bbox=_box_hull(boxes) if boxes else None,
        dimensions={k: v for description in descriptions for k, v in description.dimensions.items()},
        variables={k: v for description in descriptions for k, v in description.variables.items()},
        names=tuple(dict.fromkeys(name for description in descriptions for name in description.names)),
    )


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


def _is_latitude(variable: Variable) -> bool:
    return variable.text("standard_name") == "latitude" or variable.text("units").lower() in _LATITUDE_UNITS


def _is_longitude(variable: Variable) -> bool:
    return variable.text("standard_name") == "longitude" or variable.text("units").lower() in _LONGITUDE_UNITS


def _is_time(variable: Variable) -> bool:
    named = variable.text("standard_name") == "time" or variable.text("axis") == "T"
    dated = " since " in variable.text("units")
    return dated and len(variable.shape) < 2 and (named or variable.dimensions == (variable.name,))


def _times(variables: Mapping[str, Variable]) -> list[str]:
    return [name for name, variable in variables.items() if _is_time(variable) and 0 not in variable.shape]


def _coordinates(variables: Mapping[str, Variable]) -> set[str]:
    """Names of everything that describes other variables: coordinates, bounds, mappings, cell measures."""
    names = {name for name, variable in variables.items() if name in variable.dimensions}
    for variable in variables.values():
        for attribute in ("bounds", "climatology", "coordinates", "grid_mapping", "ancillary_variables"):
            names.update(variable.text(attribute).replace(":", " ").split())
    return names


def _data_variables(variables: Mapping[str, Variable]) -> list[Variable]:
    coordinates = _coordinates(variables)
    described = (_is_latitude, _is_longitude, _is_time)
    return [
        variable
        for name, variable in variables.items()
        if name not in coordinates and variable.shape and not any(kind(variable) for kind in described)
    ]


def _names(data: Iterable[Variable]) -> tuple[str, ...]:
    data = list(data)
    standard = [variable.text("standard_name").split(" ")[0] for variable in data]
    return tuple(dict.fromkeys([*(variable.name for variable in data), *filter(None, standard)]))


def _interval(cube: Cube, variable: Variable) -> Interval:
    bounds = cube.variables.get(variable.text("bounds"))
    if bounds is not None and bounds.shape == (*variable.shape, 2):
        first, last = _decoded(variable, cube.ends(bounds.name))
        # The end of a cell belongs to the next one: a second less keeps neighbouring files apart.
        last = max(first, last - timedelta(seconds=1))
    else:
        first, last = _decoded(variable, cube.ends(variable.name))
    return rfc3339(first), rfc3339(last)


def _decoded(variable: Variable, numbers: NDArray[Any]) -> tuple[cftime.datetime, cftime.datetime]:
    if not np.isfinite(numbers).all():
        raise ValueError(f"{variable.name} has missing values at its ends")
    kind = variable.text("calendar").lower() or "standard"
    dates = cftime.num2date(
        [float(numbers.min()), float(numbers.max())],
        variable.text("units"),
        calendar=kind,
        only_use_cftime_datetimes=True,
    )
    return dates[0], dates[1]


def _hull(intervals: Iterable[Interval | None]) -> Interval | None:
    known = [interval for interval in intervals if interval]
    if not known:
        return None
    return min(start for start, _ in known), max(end for _, end in known)


def _bbox(cube: Cube) -> BoundingBox | None:
    latitude = next(filter(_is_latitude, cube.variables.values()), None)
    longitude = next(filter(_is_longitude, cube.variables.values()), None)
    if latitude is None or longitude is None:
        return None
    return bounding_box(cube.values(latitude.name), cube.values(longitude.name))


def _box_hull(boxes: Sequence[BoundingBox]) -> BoundingBox:
    west, south, east, north = zip(*boxes, strict=True)
    if len(set(boxes)) > 1 and any(box[0] > box[2] for box in boxes):
        return -180.0, min(south), 180.0, max(north)
    return min(west), min(south), max(east), max(north)


def _dimensions(
    cube: Cube, data: Iterable[Variable], intervals: Mapping[str, Interval]
) -> dict[str, dict[str, Any]]:
    sizes = {name: size for v in data for name, size in zip(v.dimensions, v.shape, strict=True)}
    return {name: _dimension(cube, name, size, intervals) for name, size in sizes.items()}


def _dimension(cube: Cube, name: str, size: int, intervals: Mapping[str, Interval]) -> dict[str, Any]:
    coordinate = cube.variables.get(name)
    if name in intervals and coordinate is not None:
        kind = coordinate.text("calendar").lower() or "standard"
        note = {} if kind in _REAL_CALENDARS else {"description": f"{kind} calendar"}
        return {"type": "temporal", "extent": list(intervals[name]), **note}
    if coordinate is None or coordinate.dimensions != (name,):
        return {"type": "index", "extent": [0, size - 1]}
    values = cube.values(name)
    known = values[np.isfinite(values)] if values.dtype.kind in "iuf" else values[:0]
    if not known.size:
        return {"type": "index", "extent": [0, size - 1]}
    extent = {"extent": [round(float(known.min()), 6), round(float(known.max()), 6)]}
    if _is_latitude(coordinate) or _is_longitude(coordinate):
        return {"type": "spatial", "axis": "y" if _is_latitude(coordinate) else "x", **extent}
    unit = {"unit": coordinate.text("units")} if coordinate.text("units") else {}
    if coordinate.text("axis") == "Z" or coordinate.text("positive"):
        return {"type": "spatial", "axis": "z", **extent, **unit}
    return {"type": coordinate.text("standard_name") or name, **extent, **unit}


def _cube_variable(variable: Variable) -> dict[str, Any]:
    """Return a Variable Object; ``shape``, ``chunks``, ``shards`` and ``nbytes`` mean what xarray's do."""
    optional: dict[str, Any] = {
        "unit": variable.text("units"),
        "description": variable.text("long_name"),
        "data_type": _data_type(variable.dtype) if variable.dtype is not None else None,
        "shape": list(variable.shape),
        "chunks": list(variable.chunks or ()),
        "shards": list(variable.shards or ()),
        "nbytes": math.prod(variable.shape) * (variable.dtype.itemsize if variable.dtype is not None else 0),
    }
    known = {key: value for key, value in optional.items() if value}
    return {"type": "data", "dimensions": list(variable.dimensions), **known}


def _data_type(dtype: np.dtype[Any]) -> str:
    """Return the name in STAC's list of data types."""
    if dtype.kind == "c":
        return f"cfloat{dtype.itemsize * 4}"
    return dtype.name if dtype.kind in "iuf" else "other"
