"""CF coordinates become the extents of an Item."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import cftime
import numpy as np
import pytest
from numpy.typing import NDArray

from dask_regions.harvest import coordinates
from dask_regions.harvest.coordinates import Description, describe, merge
from dask_regions.harvest.cubes import CoordinateMemory, Variable
from dask_regions.harvest.extents import bounding_box, rfc3339


class FakeCube:
    """Arrays and attributes in memory."""

    def __init__(self, **arrays: tuple[tuple[str, ...], Any, dict[str, Any]]) -> None:
        self._arrays = {name: np.asarray(values) for name, (_, values, _) in arrays.items()}
        self.variables: Mapping[str, Variable] = {
            name: Variable(name, dimensions, self._arrays[name].shape, attributes)
            for name, (dimensions, _, attributes) in arrays.items()
        }

    def values(self, name: str) -> NDArray[Any]:
        return self._arrays[name]

    def ends(self, name: str) -> NDArray[Any]:
        return self._arrays[name][[0, -1]]


def cube(**changes: Any) -> FakeCube:
    arrays: dict[str, Any] = {
        "time": (("time",), [15.0, 45.0], {"units": "days since 2000-01-01", "bounds": "time_bnds"}),
        "time_bnds": (("time", "bnds"), [[0.0, 31.0], [31.0, 60.0]], {}),
        "lat": (("lat",), [-30.0, 30.0], {"units": "degrees_north"}),
        "lon": (("lon",), [225.0, 270.0, 315.0], {"units": "degrees_east"}),
        "tas": (
            ("time", "lat", "lon"),
            np.zeros((2, 2, 3)),
            {"units": "K", "standard_name": "air_temperature"},
        ),
    }
    return FakeCube(**{name: array for name, array in (arrays | changes).items() if array is not None})


@pytest.mark.parametrize(
    ("longitudes", "west_east"),
    [
        (np.linspace(225, 315, 49), (-135.0, -45.0)),
        (np.linspace(0.9375, 359.0625, 192), (-180.0, 180.0)),
        (np.linspace(-179.5, 179.5, 360), (-180.0, 180.0)),
        ([0.0, 90.0, 180.0, 270.0], (-180.0, 180.0)),
        (np.r_[350:360, 0:11], (-10.0, 10.0)),
        (np.linspace(170, 190, 21), (170.0, -170.0)),
        (np.linspace(90, 180, 10), (90.0, 180.0)),
        (np.linspace(180, 270, 10), (-180.0, -90.0)),
        ([10.0], (10.0, 10.0)),
    ],
    ids=[
        "America",
        "global 0-360",
        "global -180",
        "coarse",
        "Greenwich",
        "antimeridian",
        "east",
        "west",
        "point",
    ],
)
def test_longitudes_of_any_range_become_west_and_east(
    longitudes: Any, west_east: tuple[float, float]
) -> None:
    box = bounding_box(np.array([0.0, 1.0]), np.asarray(longitudes, dtype="f8"))
    assert box is not None
    assert (box[0], box[2]) == west_east


def test_fill_values_of_a_curvilinear_grid_do_not_widen_the_box() -> None:
    latitude = np.array([[10.0, 20.0], [np.nan, 1e20]])
    longitude = np.array([[-20.0, -10.0], [np.nan, 1e20]])
    assert bounding_box(latitude, longitude) == (-20.0, 10.0, -10.0, 20.0)


@pytest.mark.parametrize(
    ("moment", "written"),
    [
        (cftime.Datetime360Day(2100, 2, 30, 12), "2100-02-28T12:00:00Z"),
        (cftime.Datetime360Day(2096, 2, 30), "2096-02-29T00:00:00Z"),
        (cftime.Datetime360Day(2099, 12, 30), "2099-12-30T00:00:00Z"),
        (cftime.DatetimeNoLeap(1999, 12, 31, 23, 59, 59, 999_999), "2000-01-01T00:00:00Z"),
        (cftime.DatetimeProlepticGregorian(12000, 1, 1), "9999-12-31T23:59:59Z"),
        (cftime.Datetime360Day(0, 12, 16, has_year_zero=True), "0001-01-01T00:00:00Z"),
    ],
)
def test_dates_of_any_calendar_are_clamped_to_rfc_3339(moment: cftime.datetime, written: str) -> None:
    assert rfc3339(moment) == written


def test_interval_comes_from_the_bounds_and_ends_a_second_before_the_next_cell() -> None:
    assert describe(cube()).interval == ("2000-01-01T00:00:00Z", "2000-02-29T23:59:59Z")


def test_interval_without_bounds_comes_from_the_values() -> None:
    assert describe(cube(time_bnds=None)).interval == ("2000-01-16T00:00:00Z", "2000-02-15T00:00:00Z")


def test_a_cube_without_time_has_no_interval() -> None:
    described = describe(cube(time=None, time_bnds=None, tas=(("lat", "lon"), np.zeros((2, 3)), {})))
    assert described.interval is None
    assert described.bbox == (-135.0, -30.0, -45.0, 30.0)


def test_missing_times_are_an_error_and_not_an_extent() -> None:
    broken = cube(time=(("time",), [np.nan, 45.0], {"units": "days since 2000-01-01"}), time_bnds=None)
    with pytest.raises(ValueError, match="time has missing values"):
        describe(broken)


def test_coordinates_are_not_data_and_standard_names_can_be_searched() -> None:
    described = describe(
        cube(
            height=((), 2.0, {"units": "m"}),
            nav_lat=(("lat", "lon"), np.zeros((2, 3)), {"standard_name": "latitude"}),
        )
    )
    assert described.names == ("tas", "air_temperature")
    assert described.variables == {
        "tas": {"type": "data", "dimensions": ["time", "lat", "lon"], "unit": "K", "shape": [2, 2, 3]}
    }


def test_nothing_but_coordinates_is_an_error() -> None:
    with pytest.raises(ValueError, match="no data variables"):
        describe(cube(tas=None))


def test_dimensions_have_the_shapes_of_the_datacube_extension() -> None:
    described = describe(
        cube(
            time=(("time",), [15.0, 45.0], {"units": "days since 2000-01-01", "calendar": "360_day"}),
            plev=(("plev",), [1000.0, 500.0], {"units": "hPa", "positive": "down"}),
            ta=(("time", "plev", "member"), np.zeros((2, 2, 5)), {}),
            time_bnds=None,
        )
    )
    assert described.dimensions == {
        "time": {
            "type": "temporal",
            "extent": ["2000-01-16T00:00:00Z", "2000-02-16T00:00:00Z"],
            "description": "360_day calendar",
        },
        "lat": {"type": "spatial", "axis": "y", "extent": [-30.0, 30.0]},
        "lon": {"type": "spatial", "axis": "x", "extent": [225.0, 315.0]},
        "plev": {"type": "spatial", "axis": "z", "extent": [500.0, 1000.0], "unit": "hPa"},
        "member": {"type": "index", "extent": [0, 4]},
    }


@pytest.mark.parametrize(
    ("levels", "dimension"),
    [
        ([np.nan, 2.0, np.inf], {"type": "lev", "extent": [2.0, 2.0], "unit": "m"}),
        ([np.nan, np.nan, np.nan], {"type": "index", "extent": [0, 2]}),
    ],
)
def test_an_extent_is_that_of_the_numbers_among_the_coordinates(
    levels: list[float], dimension: dict[str, Any]
) -> None:
    deep = {"lev": (("lev",), levels, {"units": "m"}), "ta": (("lev",), np.zeros(3), {})}
    assert describe(cube(**deep)).dimensions["lev"] == dimension


class Meeting(FakeCube):
    """A cube whose coordinates are read when two threads are at it, or after so many seconds."""

    def __init__(self, both: threading.Barrier, seconds: float, **arrays: Any) -> None:
        super().__init__(**arrays)
        self._both, self._seconds = both, seconds
        self.met = False

    def values(self, name: str) -> NDArray[Any]:
        if name == "lat":
            with suppress(threading.BrokenBarrierError):
                self._both.wait(self._seconds)
                self.met = True
        return super().values(name)


@pytest.mark.parametrize(("grids", "seconds", "met"), [(1, 0.1, False), (2, 30.0, True)])
def test_so_many_grids_are_looked_at_together_as_there_is_memory_for(
    monkeypatch: pytest.MonkeyPatch, grids: int, seconds: float, met: bool
) -> None:
    memory = CoordinateMemory(grids * 4 * 8)
    monkeypatch.setattr(coordinates, "COORDINATE_MEMORY", memory)
    grid: dict[str, Any] = {
        "lat": (("j", "i"), [[0.0, 0.0], [10.0, 10.0]], {"units": "degrees_north"}),
        "lon": (("j", "i"), [[20.0, 30.0], [20.0, 30.0]], {"units": "degrees_east"}),
        "tos": (("j", "i"), np.zeros((2, 2)), {}),
    }
    both = threading.Barrier(2)
    cubes = [Meeting(both, seconds, **grid) for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        assert [description.bbox for description in pool.map(describe, cubes)] == [
            (20.0, 0.0, 30.0, 10.0)
        ] * 2
    assert [cube.met for cube in cubes] == [met] * 2


def test_files_of_a_month_are_described_together() -> None:
    first = Description(interval=("2000", "2001"), bbox=(-10.0, 0.0, 10.0, 5.0), names=("a",))
    second = Description(interval=("1999", "2000"), bbox=(-20.0, 1.0, 0.0, 9.0), names=("b", "a"))
    both = merge([first, second])
    assert (both.interval, both.bbox, both.names) == (("1999", "2001"), (-20.0, 0.0, 10.0, 9.0), ("a", "b"))


def test_boxes_across_the_antimeridian_are_joined_without_losing_a_side() -> None:
    boxes = [Description(bbox=(170.0, 0.0, -170.0, 1.0)), Description(bbox=(0.0, 0.0, 10.0, 1.0))]
    assert merge(boxes).bbox == (-180.0, 0.0, 180.0, 1.0)
