"""``dask-regions search``: what it asks the catalog, and what it shows of the answer."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pystac_client
import pytest
import requests
from pystac import Asset, Item

from dask_regions.cli.conventions import ExitCode


def item() -> Item:
    described = Item(
        id="a1b",
        geometry=None,
        bbox=None,
        datetime=None,
        collection="a1b-north-america",
        properties={
            "start_datetime": "1860-01-01T00:00:00Z",
            "end_datetime": "2099-12-30T23:59:59Z",
            "regions": ["us-west-2"],
        },
    )
    mounted = {"alternate": {"fsx": {"href": "file:///fsx/demo/store"}}}
    described.add_asset("data", Asset("s3://demo/store", roles=["data"], extra_fields=mounted))
    return described


class FakeCatalog:
    """A catalog that remembers the address and the query."""

    opened: list[str]
    queries: list[dict[str, Any]]
    items: list[Item]

    @classmethod
    def open(cls, url: str) -> FakeCatalog:
        cls.opened.append(url)
        return cls()

    def search(self, **query: Any) -> Any:
        self.queries.append(query)
        return SimpleNamespace(items=lambda: iter(self.items), matched=lambda: 12)


@pytest.fixture
def catalog(monkeypatch: pytest.MonkeyPatch) -> type[FakeCatalog]:
    for name, value in (("opened", []), ("queries", []), ("items", [item()])):
        monkeypatch.setattr(FakeCatalog, name, value, raising=False)
    monkeypatch.setattr(pystac_client, "Client", FakeCatalog)
    return FakeCatalog


def test_search_asks_one_question_and_shows_region_interval_and_path(
    run: Any, catalog: type[FakeCatalog]
) -> None:
    result = run(
        *("search", "--api", "http://catalog", "--variable", "air_temperature", "--scenario", "A1B"),
        *("--region", "us-west-2", "--datetime", "2070/2099", "--bbox", "-125,25,-65,50", "--limit", "5"),
    )
    assert result.exit_code == 0
    assert catalog.opened == ["http://catalog"]
    [query] = catalog.queries
    assert query["filter"] == {
        "op": "and",
        "args": [
            {"op": "a_contains", "args": [{"property": "variables"}, ["air_temperature"]]},
            {"op": "a_contains", "args": [{"property": "regions"}, ["us-west-2"]]},
            {"op": "=", "args": [{"property": "scenario"}, "A1B"]},
        ],
    }
    assert (query["datetime"], query["bbox"]) == ("2070/2099", [-125, 25, -65, 50])
    assert query["max_items"] == 5
    row = result.output.splitlines()[1].split()
    assert row == ["a1b", "a1b-north-america", "1860-01-01", "2099-12-30", "us-west-2", "/fsx/demo/store"]


def test_search_says_how_many_more_there_are(run: Any, catalog: type[FakeCatalog]) -> None:
    assert "1 of 12 shown" in run("search", "--api", "http://catalog", "--limit", "1").output


def test_search_writes_a_feature_collection(run: Any, catalog: type[FakeCatalog]) -> None:
    result = run("search", "--api", "http://catalog", "--json")
    assert json.loads(result.output)["features"][0]["id"] == "a1b"


def test_search_asks_the_local_system_while_it_runs(
    run: Any, catalog: type[FakeCatalog], running_local: None
) -> None:
    assert run("search").exit_code == 0
    assert catalog.opened == ["http://127.0.0.1:1/catalog"]


def test_search_that_finds_nothing_says_what_to_do(run: Any, catalog: type[FakeCatalog]) -> None:
    catalog.items.clear()
    result = run("search", "--api", "http://catalog")
    assert result.exit_code == ExitCode.NOTHING_FOUND
    assert result.stdout == ""
    assert "dask-regions sync" in result.stderr


def test_search_that_finds_nothing_writes_an_empty_collection(run: Any, catalog: type[FakeCatalog]) -> None:
    catalog.items.clear()
    result = run("search", "--api", "http://catalog", "--json")
    assert result.exit_code == ExitCode.NOTHING_FOUND
    assert json.loads(result.stdout) == {"type": "FeatureCollection", "features": []}


def test_search_without_a_catalog_says_how_to_get_one(run: Any) -> None:
    result = run("search")
    assert result.exit_code == ExitCode.DOWN
    assert "dask-regions local" in result.stderr


def test_search_of_a_catalog_that_does_not_answer_is_one_line(
    run: Any, catalog: type[FakeCatalog], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: str) -> None:
        raise requests.ConnectionError("connection refused")

    monkeypatch.setattr(catalog, "open", refuse)
    result = run("search", "--api", "http://catalog")
    assert result.exit_code == ExitCode.DOWN
    assert result.stderr.startswith("error: the catalog at http://catalog does not answer")


@pytest.mark.parametrize("bbox", ["1,2,3", "west,south,east,north"])
def test_a_bbox_that_is_not_four_numbers_is_a_usage_error(
    run: Any, catalog: type[FakeCatalog], bbox: str
) -> None:
    assert run("search", "--api", "http://catalog", "--bbox", bbox).exit_code == 2


@pytest.mark.parametrize("period", ["nonsense", "2070/2080/2090", "2070-1-1"])
def test_a_datetime_that_is_no_interval_is_a_usage_error(
    run: Any, catalog: type[FakeCatalog], period: str
) -> None:
    result = run("search", "--api", "http://catalog", "--datetime", period)
    assert result.exit_code == 2
    assert "2070-01-01/2099-12-31" in result.stderr


@pytest.mark.parametrize("period", ["2070", "2070-06/..", "../2099-12-31", "2070-01-01T00:00:00Z"])
def test_instants_intervals_and_open_ends_are_passed_on(
    run: Any, catalog: type[FakeCatalog], period: str
) -> None:
    assert run("search", "--api", "http://catalog", "--datetime", period).exit_code == 0
    assert catalog.queries[0]["datetime"] == period
