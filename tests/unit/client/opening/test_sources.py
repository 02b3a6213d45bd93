"""From Items to what is opened, and where."""

from __future__ import annotations

import copy
from typing import Any

import pystac
import pytest

from dask_regions.client.opening.sources import Source, sources
from dask_regions.errors import RequestError

ZARR, NETCDF = "application/vnd+zarr", "application/netcdf"


def _on_fsx(region: str) -> dict[str, Any]:
    return {"href": f"file:///fsx/{region}/x%20y/", "storage:refs": [f"fsx-{region}"]}


def item(media_type: str = ZARR, *regions: str) -> dict[str, Any]:
    regions = regions or ("us-west-2",)
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "id": "x",
        "collection": "c",
        "geometry": None,
        "links": [],
        "properties": {
            "datetime": "2000-01-01T00:00:00Z",
            "storage:schemes": {f"fsx-{region}": {"region": region} for region in regions},
        },
        "assets": {
            "data": {
                "href": "s3://bucket/x",
                "type": media_type,
                "roles": ["data"],
                "zarr:consolidated": True,
                "alternate": {
                    f"fsx-{region}": {
                        "href": f"file:///fsx/{region}/x%20y/",
                        "storage:refs": [f"fsx-{region}"],
                    }
                    for region in regions
                },
            },
            "thumbnail": {"href": "https://x/y.png", "type": "image/png", "roles": ["thumbnail"]},
        },
    }


def test_a_store_is_opened_at_its_path_in_its_region() -> None:
    assert sources([item()], set()) == [(Source("us-west-2", "/fsx/us-west-2/x y/", "data", True, True),)]


def test_a_file_is_no_store() -> None:
    [(source,)] = sources([item(NETCDF)], set())
    assert source == Source("us-west-2", "/fsx/us-west-2/x y/", "data", False, None)


def test_a_pystac_item_is_as_good_as_its_dict() -> None:
    assert sources([pystac.Item.from_dict(item())], set()) == sources([item()], set())


@pytest.mark.parametrize(
    ("alive", "chosen"),
    [
        (set(), ["us-west-2"]),
        ({"us-east-1"}, ["us-east-1"]),
        ({"us-east-1", "us-west-2"}, ["us-west-2", "us-east-1"]),
        ({"ap-southeast-2"}, ["us-west-2"]),
    ],
)
def test_every_region_with_workers_is_chosen(alive: set[str], chosen: list[str]) -> None:
    [copies] = sources([item(ZARR, "us-west-2", "us-east-1")], alive)
    assert [source.region for source in copies] == chosen


def test_one_format_is_enough() -> None:
    both = item()
    both["assets"]["data.nc"] = item(NETCDF)["assets"]["data"]
    assert [source.asset for (source,) in sources([both], set())] == ["data"]


def test_what_has_no_twin_is_opened_beside_what_has() -> None:
    month = item(NETCDF)
    month["assets"]["only"] = month["assets"]["data"]
    month["assets"]["data.zarr"] = item(ZARR)["assets"]["data"]
    assert [source.asset for (source,) in sources([month], set())] == ["only", "data.zarr"]


def test_an_asset_that_no_worker_sees_is_skipped() -> None:
    remote = item()
    other = copy.deepcopy(remote["assets"]["data"])
    del other["alternate"]
    remote["assets"]["remote"] = other
    assert [source.asset for (source,) in sources([remote], set())] == ["data"]


@pytest.mark.parametrize("missing", ["roles", "alternate", "type"])
def test_an_item_without_data_on_fsx_is_refused(missing: str) -> None:
    broken = item()
    del broken["assets"]["data"][missing]
    with pytest.raises(RequestError, match="x has no Zarr or NetCDF asset"):
        sources([broken], set())


def test_no_item_is_refused() -> None:
    with pytest.raises(RequestError, match="no Item to open"):
        sources([], set())


def test_items_of_two_collections_are_refused() -> None:
    with pytest.raises(RequestError, match=r"several Collections \(c, d\)"):
        sources([item(), {**item(), "collection": "d"}], set())


@pytest.mark.parametrize("wrong", ["air_temperature", None, 1])
def test_what_is_no_item_is_named(wrong: object) -> None:
    with pytest.raises(RequestError, match="is no STAC Item; give pystac Items"):
        sources([wrong], ())


def test_an_alternate_without_an_address_is_no_copy() -> None:
    lacking = item()
    del lacking["assets"]["data"]["alternate"]["fsx-us-west-2"]["href"]
    with pytest.raises(RequestError, match="choose an Item of this system's catalog"):
        sources([lacking], ())
