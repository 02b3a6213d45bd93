"""Boxes as GeoJSON, and Items without a place."""

from __future__ import annotations

import pystac
import pytest

from dask_regions.catalog.geometry import parse
from dask_regions.harvest.coordinates import BoundingBox, Description
from dask_regions.harvest.item import geometry, item
from dask_regions.models import Dataset

DATASET = Dataset(
    id="e1",
    title="E1",
    description="Air temperature",
    region="us-east-1",
    bucket="demo-e1",
    layout="era5",
    fsx_path="/fsx/demo-e1",
)


def test_a_box_across_the_antimeridian_is_cut_there() -> None:
    crossing = geometry((170.0, -10.0, -170.0, 10.0))
    assert crossing["type"] == "MultiPolygon"
    spans = [(min(x for x, _ in ring), max(x for x, _ in ring)) for (ring,) in crossing["coordinates"]]
    assert spans == [(170.0, 180.0), (-180.0, -170.0)]


def test_a_single_cell_is_a_point() -> None:
    assert geometry((5.0, 1.0, 5.0, 1.0)) == {"type": "Point", "coordinates": [5.0, 1.0]}


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
    shape = geometry(box)
    assert shape["type"] == kind
    assert parse(shape, "geometry")["type"] == kind


def test_data_without_a_place_are_an_item_without_a_box() -> None:
    interval = ("2000-01-01T00:00:00Z", "2000-12-31T23:59:59Z")
    placeless = item(DATASET, "one", Description(names=("amoc",)), interval, {}, {})
    assert placeless["geometry"] is None
    assert "bbox" not in placeless
    pystac.Item.from_dict(placeless | {"stac_extensions": []}).validate()
