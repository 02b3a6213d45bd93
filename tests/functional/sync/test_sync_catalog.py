"""A sync by the state machine: what it brings into the catalog, Region by Region, and what it reports."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml

from dask_regions.aws.configuration import forget_configurations
from dask_regions.client.opening.sources import sources
from dask_regions.errors import RequestError
from dask_regions.names import LATEST_SYNC_REPORT, configuration_parameter, file_system_parameter
from testing.sync.state_machine import (
    CLIENT,
    EAST,
    STAGING,
    STORE,
    WEST,
    System,
    decades,
    running,
    zarr_store,
)


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    with running(tmp_path) as system:
        yield system


def test_a_sync_fills_an_empty_catalog_with_what_both_regions_hold(system: System) -> None:
    assert system.found() == []
    system.fsx.looks = 2
    assert system.sync()["status"] == "SUCCEEDED"
    assert {item["properties"]["scenario"]: item["properties"]["regions"] for item in system.found()} == {
        "A1B": [WEST],
        "E1": [EAST],
    }
    (item,) = system.found(collections=["a1b"], bbox=[-100, 30, -90, 40], datetime="1865-01-01T00:00:00Z/..")
    assert item["assets"]["zarr"]["alternate"]["fsx"]["href"].startswith("file:///fsx/a1b/ScenarioMIP/")
    assert {tuple(task["Paths"]) for task in system.fsx.tasks.values()} == {
        ("s3://data-a1b/CMIP6/",),
        ("s3://data-e1/",),
    }


def test_a_second_sync_finds_the_same_and_drops_what_is_gone(system: System) -> None:
    system.put(EAST, "data-e1", {"1870/01/data/air_temperature.nc": decades()})
    assert system.sync()["status"] == "SUCCEEDED"
    before = system.found()
    assert system.sync()["status"] == "SUCCEEDED"
    assert system.found() == before
    boto3.client("s3", region_name=EAST).delete_object(
        Bucket="data-e1", Key="1870/01/data/air_temperature.nc"
    )
    assert system.sync()["status"] == "SUCCEEDED"
    assert {item["id"] for item in before} - {item["id"] for item in system.found()} == {"e1.1870-01"}


def test_a_failing_region_keeps_its_items_and_the_other_is_renewed(system: System) -> None:
    assert system.sync()["status"] == "SUCCEEDED"
    newer = {key.replace("v20111101", "v20200101"): value for key, value in zarr_store().items()}
    system.put(WEST, "data-a1b", newer)
    system.put(EAST, "data-e1", {"1870/01/data/air_temperature.nc": decades()})
    system.fsx.outcome[f"fs-{EAST}"] = "FAILED"
    ended = system.sync()
    assert (ended["status"], ended["error"]) == ("FAILED", "SyncIncomplete")
    assert "bucket gone" in ended["cause"]
    assert sorted(item["id"].split(".")[-1] for item in system.found()) == [
        "1860-01",
        "v20111101",
        "v20200101",
    ]
    freshness = system.catalog.freshness()
    assert freshness[EAST]["stale"]
    assert "bucket gone" in freshness[EAST]["error"]
    assert not freshness[WEST]["stale"]


def test_a_region_without_readable_data_keeps_its_items(system: System) -> None:
    assert system.sync()["status"] == "SUCCEEDED"
    system.put(EAST, "data-e1", {"1860/01/data/air_temperature.nc": b"torn"})
    ended = system.sync()
    assert ended["error"] == "SyncIncomplete"
    assert "dataset e1 has no Items" in ended["cause"]
    assert len(system.found()) == 2


def test_only_the_regions_asked_for_are_synced(system: System) -> None:
    assert system.sync(regions=[WEST])["status"] == "SUCCEEDED"
    assert [item["collection"] for item in system.found()] == ["a1b"]
    assert system.sync(regions=[EAST])["status"] == "SUCCEEDED"
    assert len(system.found()) == 2


def test_a_region_that_left_the_configuration_leaves_the_catalog(system: System) -> None:
    assert system.sync()["status"] == "SUCCEEDED"
    file = Path(os.environ["DATASETS_FILE"])
    document = yaml.safe_load(file.read_text())
    document["regions"] = [region for region in document["regions"] if region["name"] != EAST]
    document["datasets"] = [dataset for dataset in document["datasets"] if dataset["region"] != EAST]
    file.write_text(yaml.safe_dump(document))
    assert system.sync()["status"] == "SUCCEEDED"
    assert [item["collection"] for item in system.found()] == ["a1b"]
    assert system.catalog.freshness().keys() == {WEST}


def test_a_dataset_in_two_regions_is_one_item_that_both_hold_also_when_one_fails(system: System) -> None:
    file = Path(os.environ["DATASETS_FILE"])
    document = yaml.safe_load(file.read_text())
    replica = {"region": EAST, "bucket": "replica-a1b", "fsx_path": "/fsx/copy"}
    document["datasets"][0]["replicas"] = [replica]
    file.write_text(yaml.safe_dump(document))
    boto3.client("s3", region_name=EAST).create_bucket(Bucket="replica-a1b")
    system.put(EAST, "replica-a1b", zarr_store())
    assert system.sync()["status"] == "SUCCEEDED"
    (item,) = system.found(collections=["a1b"])
    assert item["properties"]["regions"] == [EAST, WEST]
    [copies] = sources([item], {EAST, WEST})
    store = STORE.removeprefix("CMIP6/")
    assert {copy.region: copy.path.rstrip("/") for copy in copies} == {
        EAST: f"/fsx/copy/{store}",
        WEST: f"/fsx/a1b/{store}",
    }
    system.fsx.outcome[f"fs-{EAST}"] = "FAILED"
    assert system.sync()["error"] == "SyncIncomplete"
    assert system.found(collections=["a1b"]) == [item]


def test_a_region_that_holds_nothing_is_refused_and_the_catalog_stays(system: System) -> None:
    assert system.sync()["status"] == "SUCCEEDED"
    ended = system.sync(regions=["ap-south-1"])
    assert (ended["status"], ended["error"]) == ("FAILED", "SyncFailed")
    assert "ap-south-1 hold no datasets" in ended["cause"]
    assert len(system.found()) == 2


def test_a_region_whose_stack_is_not_deployed_yet_is_harvested_and_imports_nothing(system: System) -> None:
    boto3.client("ssm", region_name=EAST).delete_parameter(Name=file_system_parameter("dask-regions"))
    assert system.sync()["status"] == "SUCCEEDED"
    assert len(system.found()) == 2
    assert {task["FileSystemId"] for task in system.fsx.tasks.values()} == {f"fs-{WEST}"}


def test_data_that_are_read_straight_from_s3_are_harvested_and_not_imported(system: System) -> None:
    file = Path(os.environ["DATASETS_FILE"])
    document = yaml.safe_load(file.read_text())
    dataset = document["datasets"][0]
    del dataset["fsx_path"]
    document["datasets"][0] = {**dataset, "access": "s3"}
    file.write_text(yaml.safe_dump(document))
    assert system.sync()["status"] == "SUCCEEDED"
    assert {task["FileSystemId"] for task in system.fsx.tasks.values()} == {f"fs-{EAST}"}
    (item,) = system.found(collections=["a1b"])
    assert all("alternate" not in asset for asset in item["assets"].values())
    assert list(item["properties"]["storage:schemes"]) == [f"s3-{WEST}"]
    with pytest.raises(RequestError, match="read straight from S3"):
        sources([item], {EAST, WEST})


def test_before_the_first_publication_a_sync_succeeds_with_nothing_to_do(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DATASETS_FILE")
    monkeypatch.setenv("CLIENT_REGION", "eu-west-2")
    value = {"bucket": "published", "key": "datasets.yaml", "version_id": ""}
    boto3.client("ssm", region_name="eu-west-2").put_parameter(
        Name=configuration_parameter("dask-regions"), Value=json.dumps(value), Type="String"
    )
    location: Any = {"LocationConstraint": "eu-west-2"}
    boto3.client("s3", region_name="eu-west-2").create_bucket(
        Bucket="published", CreateBucketConfiguration=location
    )
    forget_configurations()
    assert system.sync()["status"] == "SUCCEEDED"
    assert system.found() == []
    forget_configurations()


def test_an_import_under_way_is_taken_up(system: System) -> None:
    running = {
        "TaskId": "task-running",
        "Type": "IMPORT_METADATA_FROM_REPOSITORY",
        "FileSystemId": f"fs-{WEST}",
        "Lifecycle": "EXECUTING",
        "CreationTime": 0,
        "Paths": [],
    }
    system.fsx.tasks["task-running"] = running
    assert system.sync(regions=[WEST])["status"] == "SUCCEEDED"
    assert list(system.fsx.tasks) == ["task-running"]


def report() -> dict[str, Any]:
    body = boto3.client("s3", region_name=CLIENT).get_object(Bucket=STAGING, Key=LATEST_SYNC_REPORT)["Body"]
    latest: dict[str, Any] = json.loads(body.read())
    return latest


def test_a_sync_reports_what_it_did_also_where_a_region_failed(system: System) -> None:
    system.put(EAST, "data-e1", {"1860/01/data/torn.nc": b"torn"})
    ended = system.sync()
    output = json.loads(ended["output"])
    assert output["report"].startswith("sync/reports/")
    assert output["regions"][EAST]["skipped"] == 1
    assert output["regions"][EAST]["examples"][0].startswith("s3://data-e1/1860/01/: torn: OSError")
    kept = report()
    assert kept["skipped"][EAST][0]["source"] == "s3://data-e1/1860/01/"
    assert kept["regions"][WEST]["added"] == 1
    assert kept["regions"][WEST]["lists"] > 0
    system.fsx.outcome[f"fs-{EAST}"] = "FAILED"
    ended = system.sync()
    cause = json.loads(ended["cause"])
    assert cause["failed"].keys() == {EAST}
    assert cause["regions"][WEST]["items"] == 1
    assert report()["sync"] == cause["sync"]


def test_an_unchanged_sync_reads_no_metadata_and_makes_no_generation(system: System) -> None:
    first = json.loads(system.sync()["output"])
    second = json.loads(system.sync()["output"])
    assert (first["changed"], second["changed"]) == (True, False)
    assert first["generation"] == second["generation"]
    assert {region["gets"] for region in second["regions"].values()} == {0}
    assert {region["items"] for region in second["regions"].values()} == {1}


def test_a_function_short_of_time_is_called_again_until_its_shard_is_done(system: System) -> None:
    contents = {f"{year}/01/data/air_temperature.nc": decades() for year in (1870, 1880)}
    system.put(EAST, "data-e1", contents)
    system.lambdas.milliseconds = 1000
    assert system.sync()["status"] == "SUCCEEDED"
    assert len(system.found(collections=["e1"])) == 3
    assert system.lambdas.calls.count("HarvestShard") == 1 + 3
