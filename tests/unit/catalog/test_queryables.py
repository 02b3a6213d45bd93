"""Queryables as JSON Schema."""

from __future__ import annotations

from dask_regions.catalog.queryables import QUERYABLES, schema


def test_the_schema_names_the_geometry_and_every_queryable() -> None:
    document = schema("http://x/queryables", "All", {"year": [2015], "variables": ["tas"]})
    assert document["properties"].keys() == {"geometry", *QUERYABLES}
    assert document["properties"]["year"] == {
        "title": QUERYABLES["year"].title, "type": "integer", "enum": [2015],
    }  # fmt: skip
    assert document["properties"]["variables"]["items"] == {"type": "string", "enum": ["tas"]}
