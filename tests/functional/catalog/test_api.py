"""Clients that others wrote, unmodified, over HTTP, against the API on both engines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pystac
import pytest
import xarray as xr
from pystac_client import Client

from dask_regions import config
from dask_regions.catalog.engines import Catalog, open_catalog
from testing.catalog.stac_api import ENGINES, ROOT, engine_url, fill, served

FILTER = "a_contains(variables, 'air_temperature') AND scenario = 'A1B'"
A1B = "a1b-north-america"


def make_item(number: int) -> dict[str, Any]:
    first_year = 1860 + 10 * (number % 24)
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": [],
        "id": f"decade-{number:02}",
        "collection": A1B,
        "geometry": {
            "type": "Polygon",
            "coordinates": [[[-135, 15], [-45, 15], [-45, 60], [-135, 60], [-135, 15]]],
        },
        "bbox": [-135.0, 15.0, -45.0, 60.0],
        "links": [],
        "assets": {},
        "properties": {
            "datetime": None,
            "start_datetime": f"{first_year}-01-01T00:00:00Z",
            "end_datetime": f"{first_year + 9}-12-30T23:59:59Z",
            "scenario": "A1B" if number % 2 else "E1",
            "variables": ["air_temperature"] if number % 3 else ["precipitation_flux"],
            "regions": ["us-west-2"],
        },
    }


@pytest.fixture(params=ENGINES)
def catalog(request: pytest.FixtureRequest, tmp_path: Path) -> Catalog:
    return open_catalog(engine_url(request.param, request, tmp_path))


@pytest.fixture
def address(catalog: Catalog) -> Iterator[str]:
    fill(catalog, [make_item(number) for number in range(25)])
    with served(catalog, config.load(ROOT / "local" / "datasets.yaml")) as url:
        yield url


@pytest.fixture
def client(address: str) -> Client:
    return Client.open(address)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_search_pages_through_all_items(client: Client, method: str) -> None:
    search = client.search(method=method, limit=10)
    pages = list(search.pages_as_dicts())
    assert [len(page["features"]) for page in pages] == [10, 10, 5]
    assert {f["id"] for page in pages for f in page["features"]} == {f"decade-{n:02}" for n in range(25)}
    assert search.matched() == 25


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_scientist_finds_a_variable_and_scenario_in_a_period(client: Client, method: str) -> None:
    search = client.search(
        method=method,
        collections=[A1B],
        datetime="2070-01-01T00:00:00Z/2099-12-31T00:00:00Z",
        bbox=[-100, 30, -90, 40],
        filter=FILTER,
        filter_lang="cql2-text",
        limit=1,
    )
    matching = list(search.items())
    assert [item.id for item in matching] == ["decade-23"]
    assert matching[0].properties["regions"] == ["us-west-2"]


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_other_ways_of_asking_work_too(client: Client, method: str) -> None:
    searches = {
        "intersects": client.search(method=method, intersects={"type": "Point", "coordinates": [-100, 40]}),
        "elsewhere": client.search(method=method, intersects={"type": "Point", "coordinates": [0, 40]}),
        "query": client.search(method=method, query={"scenario": {"eq": "A1B"}}),
        "fields": client.search(method=method, fields=["id", "-links"]),
    }
    assert {name: search.matched() for name, search in searches.items()} == {
        "intersects": 25,
        "elsewhere": 0,
        "query": 12,
        "fields": 25,
    }


def test_a_filter_as_json_finds_the_same(client: Client) -> None:
    expression = {
        "op": "and",
        "args": [
            {"op": "a_contains", "args": [{"property": "variables"}, ["air_temperature"]]},
            {"op": "=", "args": [{"property": "scenario"}, "A1B"]},
        ],
    }
    by_json = [item.id for item in client.search(filter=expression).items()]
    by_text = [item.id for item in client.search(filter=FILTER).items()]
    assert by_json == by_text
    assert len(by_json) == 8


def test_a_collection_leads_to_its_items(client: Client) -> None:
    collection = client.get_collection(A1B)
    assert collection is not None
    assert len(list(collection.get_items())) == 25
    assert [item.id for item in collection.get_items("decade-03", "decade-05")] == ["decade-05", "decade-03"]
    item = collection.get_item("decade-03")
    assert item is not None
    assert item.get_self_href() == f"{collection.get_self_href()}/items/decade-03"
    assert collection.get_item("decade-99") is None
    assert [c.id for c in client.get_collections()] == [A1B, "e1-north-america"]


def test_collections_are_searched_by_the_server(client: Client) -> None:
    def found(**parameters: Any) -> list[str]:
        return [collection.id for collection in client.collection_search(**parameters).collections()]

    assert found(q="Zarr store") == [A1B]
    assert found(sortby="-id", limit=1) == ["e1-north-america", A1B]
    assert found(filter="title LIKE '%A1B'") == [A1B]
    assert found(datetime="1700", bbox=[-100, 30, -90, 40]) == ["e1-north-america"]  # it has no Items yet


def test_sorting_and_queryables_work_through_the_client(client: Client) -> None:
    search = client.search(sortby=["+properties.start_datetime", "-id"], max_items=2, fields=["-assets.none"])
    assert [item["id"] for item in search.items_as_dicts()] == ["decade-24", "decade-00"]
    assert "scenario" in client.get_merged_queryables([A1B])["properties"]


def test_xpystac_opens_what_the_catalog_finds(catalog: Catalog, tmp_path: Path) -> None:
    store = tmp_path / "air.zarr"
    xr.Dataset({"air": ("time", [1.0, 2.0])}).to_zarr(store, consolidated=True, zarr_format=2)
    item = make_item(3)
    item["assets"] = {
        "zarr": {
            "href": store.as_uri(),
            "type": "application/vnd+zarr",
            "roles": ["data"],
            "zarr:consolidated": True,
            "zarr:zarr_format": 2,
        }
    }
    fill(catalog, [item])
    with served(catalog, config.load(ROOT / "local" / "datasets.yaml")) as address:
        (opened,) = Client.open(address).search(filter="scenario = 'A1B'").items()
        assert isinstance(opened, pystac.Item)
        # xpystac's engine takes what xarray's annotations do not know.
        asset: Any = opened.assets["zarr"]
        with xr.open_dataset(asset, engine="stac") as dataset:
            assert dataset.air.values.tolist() == [1.0, 2.0]
