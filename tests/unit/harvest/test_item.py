"""Items without a place."""

from __future__ import annotations

import pystac

from dask_regions.harvest.coordinates import Description
from dask_regions.harvest.item import item
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


def test_data_without_a_place_are_an_item_without_a_box() -> None:
    interval = ("2000-01-01T00:00:00Z", "2000-12-31T23:59:59Z")
    placeless = item(DATASET, "one", Description(names=("amoc",)), interval, {}, {})
    assert placeless["geometry"] is None
    assert "bbox" not in placeless
    pystac.Item.from_dict(placeless | {"stac_extensions": []}).validate()
