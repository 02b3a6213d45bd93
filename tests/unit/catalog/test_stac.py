"""One Item is made of the copies that Regions hold."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from dask_regions.catalog import stac


def held(region: str, **asset: Any) -> dict[str, Any]:
    """Return what a Region made of a store of its bucket."""
    return {
        "id": "store",
        "properties": {"regions": [region], "storage:schemes": {region: {"region": region}}},
        "assets": {"data": {"href": f"s3://{region}/store", "storage:refs": [region], **asset}},
        "links": [],
    }


def test_the_first_copy_keeps_its_place_and_the_others_become_alternates() -> None:
    fsx = {"fsx": {"href": "file:///fsx/store"}}
    copies = [held("west", alternate=fsx), held("east", alternate={"fsx": {"href": "file:///other/store"}})]
    assert stac.merge(copies) == {
        "id": "store",
        "properties": {
            "regions": ["east", "west"],
            "storage:schemes": {"west": {"region": "west"}, "east": {"region": "east"}},
        },
        "assets": {
            "data": {
                "href": "s3://west/store",
                "storage:refs": ["west"],
                "alternate": {
                    "fsx": {"href": "file:///fsx/store"},
                    "fsx-east": {"href": "file:///other/store"},
                    "s3": {"href": "s3://east/store", "storage:refs": ["east"]},
                },
            }
        },
        "links": [],
    }


def test_copies_of_the_same_store_have_no_alternates() -> None:
    assert "alternate" not in stac.merge([held("west"), held("west")])["assets"]["data"]


def test_an_asset_that_only_another_copy_has_is_added() -> None:
    other = held("east")
    other["assets"] = {"twin": other["assets"]["data"]}
    assert list(stac.merge([held("west"), other])["assets"]) == ["data", "twin"]


def test_merging_changes_no_copy() -> None:
    copies = [held(region, alternate={"fsx": {"href": f"file:///{region}"}}) for region in ("a", "b", "c")]
    del copies[0]["assets"]["data"]["alternate"]
    before = deepcopy(copies)
    stac.merge(copies)
    assert copies == before
