"""From CF coordinates to the words of a STAC Item: extents, dimensions and variables.

Conventions: CF 1.11, https://cfconventions.org (coordinates, bounds, calendars).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import cftime
import numpy as np
from numpy.typing import NDArray

from dask_regions.boxes import BoundingBox
from dask_regions.harvest.cubes import COORDINATE_MEMORY, Cube, Variable
from dask_regions.harvest.extents import Interval, bounding_box, box_hull, hull, rfc3339

__all__ = ["Description", "describe", "merge", "require_time"]

_LATITUDE_UNITS = {"degrees_north", "degree_north", "degrees_n", "degree_n", "degreesn", "degreen"}
_LONGITUDE_UNITS = {"degrees_east", "degree_east", "degrees_e", "degree_e", "degreese", "degreee"}
_REAL_CALENDARS = {"standard", "gregorian", "proleptic_gregorian"}


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
    with COORDINATE_MEMORY.taken(_largest_coordinate_bytes(cube.variables.values())):
        return Description(
            interval=hull(intervals.values()),
            bbox=_bbox(cube),
            dimensions=_dimensions(cube, data, intervals),
            variables={variable.name: _cube_variable(variable) for variable in data},
            names=_names(data),
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


def merge(descriptions: Sequence[Description]) -> Description:
    """Describe several cubes as one, e.g. the files of a month."""
    boxes = [description.bbox for description in descriptions if description.bbox]
    return Description(
        interval=hull(description.interval for description in descriptions),
        bbox=box_hull(boxes) if boxes else None,
        dimensions={k: v for description in descriptions for k, v in description.dimensions.items()},
        variables={k: v for description in descriptions for k, v in description.variables.items()},
        names=tuple(dict.fromkeys(name for description in descriptions for name in description.names)),
    )


def _largest_coordinate_bytes(variables: Iterable[Variable]) -> int:
    """Return the bytes, as double precision, of the largest of the coordinates that are read as a whole."""
    return max(
        (
            8 * math.prod(variable.shape)
            for variable in variables
            if variable.dimensions == (variable.name,) or _is_latitude(variable) or _is_longitude(variable)
        ),
        default=0,
    )


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


def _bbox(cube: Cube) -> BoundingBox | None:
    latitude = next(filter(_is_latitude, cube.variables.values()), None)
    longitude = next(filter(_is_longitude, cube.variables.values()), None)
    if latitude is None or longitude is None:
        return None
    return bounding_box(cube.values(latitude.name), cube.values(longitude.name))


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
