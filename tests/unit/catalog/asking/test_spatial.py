"""Boxes and geometries of a search: what they select, and what is refused."""

from __future__ import annotations

import json

import pytest

from dask_regions.catalog.asking.query import SearchQuery
from dask_regions.catalog.sqlite import SqliteCatalog
from dask_regions.errors import RequestError
from testing.catalog.random_searches import ITEMS
from testing.catalog.searching import selected, selected_both_ways


def test_intersects_is_exact_where_a_box_is_not(store: SqliteCatalog) -> None:
    triangle = {"type": "Polygon", "coordinates": [[[0, 0], [20, 0], [0, 20], [0, 0]]]}
    with_triangle = {item["id"] for item in ITEMS if item["geometry"] == triangle}
    corner = {"type": "Polygon", "coordinates": [[[15, 15], [20, 15], [20, 20], [15, 15]]]}
    assert with_triangle
    assert not with_triangle & selected_both_ways(store, "intersects", corner)
    assert not with_triangle & selected(store, SearchQuery(bbox=(12, 12, 20, 20), limit=1000))
    assert with_triangle <= selected_both_ways(
        store, "intersects", {"type": "Point", "coordinates": [1, 1, 500]}
    )


@pytest.mark.parametrize(
    "bounds",
    ["170,0,-170,10", "180,0,-170,10", "170,0,-180,10", "180,0,-180,10", "170,5,-170,5", "180,5,-180,5"],
)
def test_both_sides_of_the_antimeridian_are_one_place_to_a_box_across_it(
    store: SqliteCatalog, bounds: str
) -> None:
    there = {item["id"] for item in ITEMS if (item["geometry"] or {}).get("coordinates") == [180, 5]}
    assert there
    for parameters in ({"bbox": bounds}, {"filter": f"s_intersects(geometry, BBOX({bounds}))"}):
        assert there <= selected(store, SearchQuery.from_parameters({**parameters, "limit": "1000"}))


@pytest.mark.parametrize(("west", "east"), [(175, 190), (-190, -175)])
def test_a_polygon_beyond_the_antimeridian_goes_on_at_its_other_side(
    store: SqliteCatalog, west: float, east: float
) -> None:
    ring = [[west, 0], [east, 0], [east, 10], [west, 10], [west, 0]]
    there = {item["id"] for item in ITEMS if (item["geometry"] or {}).get("coordinates") == [180, 5]}
    assert there <= selected_both_ways(store, "intersects", {"type": "Polygon", "coordinates": [ring]})


@pytest.mark.parametrize(
    ("geojson", "message"),
    [
        ("POINT(1 1)", "not valid JSON"),
        ("[]", "is none of Point"),
        ("5", "is none of Point"),
        ('{"type": "Circle"}', "is none of Point"),
        ('{"type": "Point"}', "no list of coordinates"),
        ('{"type": "Point", "coordinates": [1]}', "not enough|no position|unpack"),
        ('{"type": "Point", "coordinates": ["1", "b"]}', "could not convert|no position"),
        ('{"type": "Point", "coordinates": [1, null]}', "NoneType|no position"),
        ('{"type": "Point", "coordinates": [true, 1]}', "no position"),
        ('{"type": "Point", "coordinates": [1, 1e400]}', "no position"),
        ('{"type": "Point", "coordinates": [541, 1]}', "no position"),
        ('{"type": "Point", "coordinates": [1, 1' + "0" * 400 + "]}", "too large"),
        ('{"type": "LineString", "coordinates": [[1, 1]]}', "can be used"),
        ('{"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1]]]}', "can be used"),
        (
            '{"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]]}',
            "Self-intersection",
        ),
        ('{"type": "GeometryCollection", "geometries": [{"type": "GeometryCollection"}]}', "is none of"),
        (json.dumps({"type": "MultiPoint", "coordinates": [[0, 0]] * 50_001}), "more than 50000 positions"),
    ],
    ids=lambda text: text[:60],
)
def test_a_geometry_that_is_wrong_is_refused(geojson: str, message: str) -> None:
    with pytest.raises(RequestError, match=message) as caught:
        SearchQuery.from_parameters({"intersects": geojson})
    assert caught.value.parameter == "intersects"
