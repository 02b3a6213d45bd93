"""Geometries are compared exactly, whether by rectangles or by shapely."""

from __future__ import annotations

from typing import Any

import pytest

from dask_regions import boxes
from dask_regions.catalog import geometry
from dask_regions.errors import RequestError


def box(west: float, south: float, east: float, north: float) -> dict[str, Any]:
    return boxes.geometry((west, south, east, north), both_sides=True)


@pytest.mark.parametrize("operator", ["s_intersects", "s_within", "s_contains", "s_disjoint", "s_equals"])
def test_any_geometry_that_is_let_in_can_be_compared(operator: Any) -> None:
    asked = [
        {"type": "MultiPolygon", "coordinates": [box(0, 0, 1, 1)["coordinates"]] * 2},
        {"type": "GeometryCollection", "geometries": [{"type": "Point", "coordinates": [1, 1]}] * 2},
        {"type": "LineString", "coordinates": [[-540, 0], [540, 0]]},
        {"type": "Polygon", "coordinates": [[[0, 0], [0, 0], [0, 0], [0, 0]]]},
        box(170, -1, -170, 1),
        box(180, -1, -170, 1),
        box(0, 0, 0, 0),
        box(0, 0, 0, 1),
    ]
    for geojson in asked:
        try:
            parsed = geometry.parse(geojson, "intersects")
        except RequestError:
            continue
        candidates = {"globe": box(-180, -90, 180, 90), "line": asked[2]}
        assert set(geometry.select(operator, parsed, candidates)) <= candidates.keys()


def test_many_boxes_are_compared_like_few() -> None:
    boxes = {f"{n}": box(n % 300 - 150, n // 300, n % 300 - 149.5, n // 300 + 0.5) for n in range(6000)}
    asked = box(-10, 3, 10, 7)
    some = dict(list(boxes.items())[:4000])
    by_tree = set(geometry.select("s_intersects", asked, boxes))
    assert by_tree & some.keys() == set(geometry.select("s_intersects", asked, some))
    assert by_tree
    # So are many boxes of a request, which are as many times the candidates.
    row = [box(x / 50, 3, x / 50 + 0.01, 7)["coordinates"] for x in range(-500, 501)]
    strip = geometry.parse({"type": "MultiPolygon", "coordinates": row}, "intersects")
    assert set(geometry.select("s_intersects", strip, some)) == by_tree & some.keys()
