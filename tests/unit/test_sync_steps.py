"""The steps of a sync, without AWS."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ReadTimeoutError
from botocore.stub import Stubber

from dask_regions import sync
from dask_regions.aws.fsx import ImportTask, MetadataImport
from dask_regions.aws.s3 import S3Bucket
from dask_regions.errors import NotFoundError, RequestError, UnavailableError
from dask_regions.models import Configuration

MACHINE = Path(__file__).parents[2] / "statemachines" / "sync_catalog.asl.json"
CONFIGURATION = Configuration.model_validate(
    {
        "regions": [
            {"name": "eu-west-2", "client": True, "cidr": "10.0.0.0/16"},
            {"name": "us-west-2", "cidr": "10.1.0.0/16", "pool": {}},
            {"name": "us-east-1", "cidr": "10.2.0.0/16", "pool": {}},
        ],
        "datasets": [
            {
                "id": f"data-{region}",
                "title": "t",
                "description": "d",
                "region": region,
                "bucket": f"bucket-{region}",
                "layout": "era5",
                "fsx_path": "/fsx",
            }
            for region in ("us-west-2", "us-east-1")
        ],
    }
)


class FakeCatalog:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.begun: list[tuple[str, list[str]]] = []
        self.swapped: tuple[dict[str, str], dict[str, int]] = ({}, {})
        self.declared: Mapping[str, Sequence[str]] = {}

    def begin(self, generation: str, regions: Sequence[str]) -> None:
        self.begun.append((generation, list(regions)))

    def write(self, generation: str, region: str, items: Iterable[dict[str, Any]]) -> int:
        return len(list(items))

    def swap(
        self,
        generation: str,
        failed: Mapping[str, str],
        counts: Mapping[str, int],
        declared: Mapping[str, Sequence[str]],
    ) -> dict[str, Any]:
        self.swapped, self.declared = (dict(failed), dict(counts)), declared
        return {}


def plan(started_with: dict[str, Any], catalog: FakeCatalog | None = None) -> dict[str, Any]:
    request = {
        "execution_id": "arn:aws:states:eu-west-2:123456789012:execution:sync:1",
        "start_time": "2026-11-21T01:02:03.456+01:00",
        "input": started_with,
    }
    return sync.plan(CONFIGURATION, catalog or FakeCatalog(), sync.PlanRequest.model_validate(request))


@pytest.mark.parametrize(
    "started_with",
    [{}, {"version": "0", "source": "aws.scheduler", "region": "eu-west-2", "detail": {}}],
    ids=["by hand", "by the schedule"],
)
def test_every_region_that_holds_data_is_planned(started_with: dict[str, Any]) -> None:
    planned = plan(started_with)
    assert [one["region"] for one in planned["regions"]] == ["us-west-2", "us-east-1"]
    assert {one["generation"] for one in planned["regions"]} == {planned["generation"]}


def test_a_generation_is_named_by_its_start_in_utc_and_its_execution() -> None:
    catalog = FakeCatalog()
    generation = plan({}, catalog)["generation"]
    assert generation.startswith("20261121T000203Z-")
    assert len(generation) == len("20261121T000203Z-12345678")
    assert plan({}, catalog)["generation"] == generation
    assert catalog.begun == [(generation, ["us-west-2", "us-east-1"])] * 2


def test_regions_asked_for_twice_are_planned_once() -> None:
    planned = plan({"regions": ["us-east-1", "us-east-1"]})
    assert [one["region"] for one in planned["regions"]] == ["us-east-1"]


def test_a_region_without_datasets_cannot_be_asked_for() -> None:
    with pytest.raises(RequestError, match="eu-west-2 hold no datasets; use some of us-west-2, us-east-1"):
        plan({"regions": ["eu-west-2"]})


def swap(*outcomes: dict[str, Any]) -> tuple[dict[str, Any], FakeCatalog]:
    catalog = FakeCatalog()
    regions = [{"generation": "g", **outcome} for outcome in outcomes]
    request = sync.SwapRequest.model_validate({"generation": "g", "regions": regions})
    return sync.swap(CONFIGURATION, catalog, request), catalog


def test_failures_reach_the_catalog_in_the_words_of_the_error() -> None:
    cause = json.dumps({"errorMessage": "bucket gone", "errorType": "UnavailableError"})
    report, catalog = swap(
        {"region": "us-west-2", "written": 3},
        {"region": "us-east-1", "error": {"Error": "UnavailableError", "Cause": cause}},
    )
    assert catalog.swapped == ({"us-east-1": "UnavailableError: bucket gone"}, {"us-west-2": 3})
    assert not report["complete"]


def test_a_timeout_has_no_message_in_json() -> None:
    report, _ = swap({"region": "us-east-1", "error": {"Error": "States.Timeout", "Cause": "after 930 s"}})
    assert report["failed"] == {"us-east-1": "States.Timeout: after 930 s"}


def test_a_sync_in_which_all_succeeded_is_complete() -> None:
    report, _ = swap({"region": "us-west-2", "written": 3}, {"region": "us-east-1", "written": 0})
    assert report["complete"]
    assert report["swapped"] == {"us-west-2": 3, "us-east-1": 0}


def test_the_catalog_learns_what_the_configuration_declares() -> None:
    _, catalog = swap({"region": "us-west-2", "written": 3})
    assert catalog.declared == {
        "eu-west-2": [],
        "us-west-2": ["data-us-west-2"],
        "us-east-1": ["data-us-east-1"],
    }


@pytest.mark.parametrize("method", ["read", "page", "lines"])
def test_a_lost_connection_does_not_pass_for_a_damaged_file(
    monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    bucket = S3Bucket("bucket", "us-west-2")

    def lost(**_: Any) -> None:
        raise ReadTimeoutError(endpoint_url="https://s3")

    monkeypatch.setattr(bucket, "_client", SimpleNamespace(get_object=lost, list_objects_v2=lost))
    with pytest.raises(UnavailableError, match="s3://bucket/key"):
        list(getattr(bucket, method)("key"))


def check(monkeypatch: pytest.MonkeyPatch, lifecycle: str, elapsed: timedelta) -> dict[str, Any]:
    class FakeImport:
        def __init__(self, region: str) -> None: ...

        def check(self, task_id: str) -> ImportTask:
            return ImportTask(task_id, lifecycle, "bucket gone")

    monkeypatch.setattr(sync, "MetadataImport", FakeImport)
    started = datetime.now(UTC) - elapsed
    return sync.check_import(
        sync.Import(region="us-west-2", generation="g", task_id="task-1", started=started)
    )


@pytest.mark.parametrize(("elapsed", "wait"), [(0, 1), (30, 30), (3600, 60)])
def test_the_longer_an_import_takes_the_less_often_it_is_checked(
    monkeypatch: pytest.MonkeyPatch, elapsed: int, wait: int
) -> None:
    checked = check(monkeypatch, "EXECUTING", timedelta(seconds=elapsed))
    assert abs(checked["wait_seconds"] - wait) <= 1
    assert checked["task_id"] == "task-1"
    sync.Import.model_validate(json.loads(json.dumps(checked)))


@pytest.mark.parametrize("lifecycle", ["FAILED", "CANCELED", "CANCELING"])
def test_a_failed_import_fails_the_region(monkeypatch: pytest.MonkeyPatch, lifecycle: str) -> None:
    with pytest.raises(UnavailableError, match="bucket gone"):
        check(monkeypatch, lifecycle, timedelta())


def test_an_import_is_not_waited_for_past_its_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnavailableError, match="the next sync takes it up"):
        check(monkeypatch, "EXECUTING", sync.IMPORT_DEADLINE + timedelta(minutes=1))
    assert check(monkeypatch, "SUCCEEDED", sync.IMPORT_DEADLINE * 2)["lifecycle"] == "SUCCEEDED"


def task(kind: str, lifecycle: str = "EXECUTING", task_id: str = "task-00000000000000001") -> dict[str, Any]:
    created = datetime(2026, 11, 21, tzinfo=UTC)
    return {
        "TaskId": task_id,
        "Type": kind,
        "Lifecycle": lifecycle,
        "CreationTime": created,
        "FileSystemId": "fs-01234567",
    }


@pytest.fixture
def fsx(monkeypatch: pytest.MonkeyPatch) -> tuple[MetadataImport, Stubber]:
    client = boto3.client(
        "fsx", region_name="us-west-2", aws_access_key_id="test", aws_secret_access_key="test"
    )
    monkeypatch.setattr(boto3, "client", lambda *args, **kwargs: client)
    stubber = Stubber(client)
    stubber.activate()
    return MetadataImport("us-west-2"), stubber


IMPORT, EXPORT = "IMPORT_METADATA_FROM_REPOSITORY", "EXPORT_TO_REPOSITORY"


def test_an_import_that_began_meanwhile_is_taken_up(fsx: tuple[MetadataImport, Stubber]) -> None:
    imports, stubber = fsx
    finished = [task(IMPORT, "SUCCEEDED"), task(EXPORT)]
    stubber.add_response("describe_data_repository_tasks", {"DataRepositoryTasks": finished})
    stubber.add_client_error("create_data_repository_task", "DataRepositoryTaskExecuting")
    stubber.add_response(
        "describe_data_repository_tasks", {"DataRepositoryTasks": finished, "NextToken": "more"}
    )
    running = task(IMPORT, "PENDING", "task-00000000000000002")
    stubber.add_response("describe_data_repository_tasks", {"DataRepositoryTasks": [running]})
    started = imports.start("fs-01234567", ["s3://bucket/"], "g.us-west-2")
    assert started == ImportTask("task-00000000000000002", "PENDING")
    stubber.assert_no_pending_responses()


def test_a_file_system_busy_with_an_export_is_named(fsx: tuple[MetadataImport, Stubber]) -> None:
    imports, stubber = fsx
    for _ in range(2):
        stubber.add_response("describe_data_repository_tasks", {"DataRepositoryTasks": [task(EXPORT)]})
        stubber.add_client_error("create_data_repository_task", "DataRepositoryTaskExecuting")
    with pytest.raises(UnavailableError, match="fs-01234567 in us-west-2 runs a data repository task"):
        imports.start("fs-01234567", ["s3://bucket/"], "g.us-west-2")


def test_an_unknown_task_is_an_error_that_says_what_to_do(fsx: tuple[MetadataImport, Stubber]) -> None:
    imports, stubber = fsx
    stubber.add_client_error("describe_data_repository_tasks", "DataRepositoryTaskNotFound")
    with pytest.raises(NotFoundError, match="sync again"):
        imports.check("task-00000000000000001")


def test_every_step_is_retried_bounded_and_ends_in_a_failure_that_is_seen() -> None:
    machine = json.loads(MACHINE.read_text())
    outer = machine["States"]
    inner = outer["SyncRegions"]["ItemProcessor"]["States"]
    tasks = [state for state in [*outer.values(), *inner.values()] if state["Type"] == "Task"]
    assert len(tasks) == 6
    for state in tasks:
        assert "Lambda.ServiceException" in state["Retry"][0]["ErrorEquals"]
        assert state["TimeoutSeconds"] > 0
        assert state["Catch"][0]["ErrorEquals"] == ["States.ALL"]
    for name in ("ImportMetadata", "CheckImport", "HarvestRegion", "WriteItems"):
        retried = {error for retrier in inner[name]["Retry"] for error in retrier["ErrorEquals"]}
        assert "ClientError" in retried, f"a throttled service fails the Region in {name}"
    assert {state["Catch"][0]["Next"] for state in inner.values() if "Catch" in state} == {"RegionFailed"}
    assert {state["Catch"][0]["Next"] for state in outer.values() if "Catch" in state} == {"SyncFailed"}
    assert outer["SyncFailed"]["Type"] == outer["SyncIncomplete"]["Type"] == "Fail"
    assert outer["IsComplete"]["Default"] == "SyncIncomplete"
