"""Boxes as GeoJSON: one form for what is harvested and for what is searched."""

from __future__ import annotations

import datetime
from itertools import combinations_with_replacement, product
from typing import Any

import pystac
import pytest

from dask_regions import boxes
from dask_regions.boxes import BoundingBox
from dask_regions.catalog.asking.query import SearchQuery
from dask_regions.catalog.expression import Spatial
from dask_regions.catalog.geometry import parse, select
from dask_regions.harvest.coordinates import Description
from dask_regions.harvest.item import item
from dask_regions.models import Dataset

LONGITUDES = (-180.0, -170.0, -10.0, 0.0, 10.0, 170.0, 180.0)
LATITUDES = (-90.0, -10.0, 0.0, 10.0, 90.0)
GRID: list[BoundingBox] = [
    (west, south, east, north)
    for west, east in product(LONGITUDES, LONGITUDES)
    for south, north in combinations_with_replacement(LATITUDES, 2)
]
DATASET = Dataset(
    id="e1",
    title="E1",
    description="Air temperature",
    region="us-east-1",
    bucket="demo-e1",
    layout="era5",
    fsx_path="/fsx/demo-e1",
)
INTERVAL = ("2000-01-01T00:00:00Z", "2000-12-31T23:59:59Z")


def harvested(box: BoundingBox) -> dict[str, Any]:
    return item(DATASET, "one", Description(names=("tas",), bbox=box), INTERVAL, {}, {})


def test_an_item_of_any_box_is_valid_and_can_be_stored() -> None:
    moment = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)
    for box in GRID:
        geometry = harvested(box)["geometry"]
        assert geometry == boxes.geometry(box)
        assert parse(geometry, "geometry") == geometry
        pystac.Item("one", geometry, list(box), moment, {}).validate()


def test_an_item_is_found_by_its_own_box_and_its_neighbours_beyond_the_antimeridian() -> None:
    for west, south, east, north in GRID:
        box = (west, south, east, north)
        condition = SearchQuery(bbox=box).condition
        assert isinstance(condition, Spatial)
        candidates = {"itself": harvested(box)["geometry"]}
        if west > east:
            candidates |= {
                f"{side}": {"type": "Point", "coordinates": [side, south]} for side in (-180.0, 180.0)
            }
        assert set(select(condition.operator, condition.geometry, candidates)) == candidates.keys(), box


def test_what_is_harvested_and_what_is_searched_differ_only_where_a_box_touches_the_antimeridian() -> None:
    different = {box for box in GRID if boxes.geometry(box) != boxes.geometry(box, both_sides=True)}
    touching = {box for box in GRID if box[0] > box[2] and (box[0] == 180 or box[2] == -180)}
    assert different == touching
    assert len(touching) == 165


def test_a_box_across_the_antimeridian_is_cut_there() -> None:
    crossing = boxes.geometry((170.0, -10.0, -170.0, 10.0))
    assert crossing["type"] == "MultiPolygon"
    spans = [(min(x for x, _ in ring), max(x for x, _ in ring)) for (ring,) in crossing["coordinates"]]
    assert spans == [(170.0, 180.0), (-180.0, -170.0)]


@pytest.mark.parametrize(
    ("box", "west", "east"), [((180.0, 0.0, -170.0, 1.0), -180, -170), ((170.0, 0.0, -180.0, 1.0), 170, 180)]
)
def test_a_box_that_only_touches_the_antimeridian_is_not_cut(
    box: BoundingBox, west: float, east: float
) -> None:
    touching = boxes.geometry(box)
    assert touching["type"] == "Polygon"
    longitudes = [x for x, _ in touching["coordinates"][0]]
    assert (min(longitudes), max(longitudes)) == (west, east)


def test_a_single_cell_is_a_point() -> None:
    assert boxes.geometry((5.0, 1.0, 5.0, 1.0)) == {"type": "Point", "coordinates": [5.0, 1.0]}


@pytest.mark.parametrize(
    ("box", "kind"),
    [
        ((5.0, -90.0, 5.0, 90.0), "LineString"),
        ((-180.0, 20.0, 180.0, 20.0), "LineString"),
        ((170.0, 20.0, -170.0, 20.0), "MultiLineString"),
        ((170.0, 0.0, -170.0, 20.0), "MultiPolygon"),
        ((-1.0, 0.0, 1.0, 20.0), "Polygon"),
        ((5.0, 1.0, 5.0, 1.0), "Point"),
    ],
    ids=["a meridian, as of a zonal mean", "a parallel", "one across the antimeridian", "", "", ""],
)
def test_a_box_of_any_extent_is_a_geometry_that_the_catalog_takes(box: BoundingBox, kind: str) -> None:
    shape = boxes.geometry(box)
    assert shape["type"] == kind
    assert parse(shape, "geometry")["type"] == kind
