"""The first steps of a sync, its report, and the state machine's file, without AWS."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from dask_regions.aws.fsx import ImportTask, MetadataImport
from dask_regions.aws.stepfunctions import Running
from dask_regions.catalog.changes import RegionOutcome
from dask_regions.catalog.generations import SwapResult
from dask_regions.errors import NotFoundError, RequestError, UnavailableError
from dask_regions.models import Configuration
from dask_regions.names import LATEST_SYNC_REPORT, METRIC_NAMESPACE, SYNC_METRICS
from dask_regions.sync import importing, planning
from dask_regions.sync.metrics import publish
from dask_regions.sync.planning import SyncRunningError, SyncWaitsError
from dask_regions.sync.prices import dollars
from dask_regions.sync.steps import Counts, Import, PlanRequest, SwapRequest, begun
from dask_regions.sync.swapping import swap as swap_step
from testing.catalog.memory_catalog import MemoryCatalog
from testing.sync.memory_bucket import MemoryObjects

MACHINE = Path(__file__).parents[3] / "statemachines" / "sync_catalog.asl.json"
STATE_MACHINE = "arn:aws:states:eu-west-2:123456789012:stateMachine:sync"
EXECUTION = "arn:aws:states:eu-west-2:123456789012:execution:sync:{}"
STARTED = datetime(2026, 11, 21, 0, 2, 3, 456_000, UTC)
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


class FakeCatalog(MemoryCatalog):
    """Remembers what it was told."""

    def __init__(self) -> None:
        super().__init__()
        self.begun: list[tuple[str, list[str]]] = []
        self.outcomes: dict[str, RegionOutcome] = {}
        self.declared: dict[str, list[str]] = {}

    def begin(self, generation: str, regions: Any) -> None:
        super().begin(generation, regions)
        self.begun.append((generation, list(regions)))

    def swap(self, generation: str, outcomes: Any, declared: Any) -> SwapResult:
        self.outcomes, self.declared = dict(outcomes), dict(declared)
        items = {"us-west-2": 3, "us-east-1": 7}
        return {"generation": generation, "items": 10, "regions": items, "changed": True, "failed": {}}


def plan(
    started_with: dict[str, Any], catalog: FakeCatalog | None = None, running: tuple[Running, ...] = ()
) -> dict[str, Any]:
    request = {
        "execution_id": EXECUTION.format("b"),
        "state_machine_id": STATE_MACHINE,
        "start_time": "2026-11-21T01:02:03.456+01:00",
        "input": started_with,
    }
    engine = catalog or FakeCatalog()
    return planning.plan(CONFIGURATION, engine, running, PlanRequest.model_validate(request))


@pytest.mark.parametrize(
    "started_with",
    [{}, {"version": "0", "source": "aws.scheduler", "region": "eu-west-2", "detail": {}}],
    ids=["by hand", "by the schedule"],
)
def test_every_region_that_holds_data_is_planned(started_with: dict[str, Any]) -> None:
    planned = plan(started_with)
    assert [step["region"] for step in planned["regions"]] == ["us-west-2", "us-east-1"]
    assert {step["generation"] for step in planned["regions"]} == {planned["generation"]}


def test_a_generation_is_named_by_its_start_in_utc_and_its_execution() -> None:
    catalog = FakeCatalog()
    generation = plan({}, catalog)["generation"]
    assert generation.startswith("20261121T000203Z-")
    assert len(generation) == len("20261121T000203Z-12345678")
    assert begun(generation) == STARTED.replace(microsecond=0)
    assert plan({}, catalog)["generation"] == generation
    assert catalog.begun == [(generation, ["us-west-2", "us-east-1"])] * 2


def test_regions_asked_for_twice_are_planned_once() -> None:
    planned = plan({"regions": ["us-east-1", "us-east-1"]})
    assert [step["region"] for step in planned["regions"]] == ["us-east-1"]


def test_a_region_without_datasets_cannot_be_asked_for() -> None:
    with pytest.raises(RequestError, match="eu-west-2 hold no datasets; use some of us-west-2, us-east-1"):
        plan({"regions": ["eu-west-2"]})


def other(name: str, seconds: float) -> Running:
    return Running(arn=EXECUTION.format(name), started=STARTED + timedelta(seconds=seconds))


OWN = other("b", 0)


@pytest.mark.parametrize(
    "running",
    [(), (OWN,), (OWN, other("c", 0)), (OWN, other("a", 1)), (other("a", 60),)],
    ids=["none", "itself", "same time, later name", "later", "later, and itself not listed yet"],
)
def test_a_sync_goes_on_beside_later_ones(running: tuple[Running, ...]) -> None:
    assert plan({}, running=running)["regions"]


@pytest.mark.parametrize(
    "running",
    [(OWN, other("c", -1)), (OWN, other("a", 0)), (other("c", -60),)],
    ids=["earlier", "same time, earlier name", "earlier, and itself not listed yet"],
)
def test_a_sync_beside_an_earlier_one_is_refused_by_its_name(running: tuple[Running, ...]) -> None:
    catalog = FakeCatalog()
    with pytest.raises(SyncRunningError, match=running[-1].arn):
        plan({}, catalog, running)
    assert catalog.begun == []


def test_a_sync_that_may_wait_is_told_to_look_again() -> None:
    running = (OWN, other("c", -1))
    catalog = FakeCatalog()
    with pytest.raises(SyncWaitsError, match=running[-1].arn):
        plan({"wait": True}, catalog, running)
    assert catalog.begun == []
    assert plan({"wait": True}, running=(OWN,))["regions"]
    (retrier,) = [
        each
        for each in json.loads(MACHINE.read_text())["States"]["Plan"]["Retry"]
        if "SyncWaitsError" in each["ErrorEquals"]
    ]
    # A sync takes an hour or two at most.
    assert retrier["IntervalSeconds"] * retrier["MaxAttempts"] >= 4 * 3600


def test_the_history_of_an_execution_has_room_for_all_shards() -> None:
    (west, east) = plan({})["regions"]
    assert west["shards_at_most"] == east["shards_at_most"] == 200


def swap(*outcomes: dict[str, Any]) -> tuple[dict[str, Any], FakeCatalog, MemoryObjects]:
    catalog, staging = FakeCatalog(), MemoryObjects()
    generation = "20261121T000203Z-12345678"
    request = SwapRequest.model_validate({"generation": generation, "regions": list(outcomes)})
    return swap_step(CONFIGURATION, catalog, staging, request), catalog, staging


WEST: dict[str, Any] = {
    "region": "us-west-2",
    "items": {"data-us-west-2": 3},
    "counts": {"items": 3, "added": 1, "lists": 7000, "gets": 100_000},
    "seconds": 12.5,
}
CAUSE = json.dumps({"errorMessage": "bucket gone", "errorType": "UnavailableError"})
EAST_FAILED = {"region": "us-east-1", "error": {"Error": "UnavailableError", "Cause": CAUSE}}


def test_failures_reach_the_catalog_in_the_words_of_the_error() -> None:
    report, catalog, _ = swap(WEST, EAST_FAILED)
    assert catalog.outcomes == {
        "us-west-2": RegionOutcome({"data-us-west-2": 3}),
        "us-east-1": RegionOutcome({}, "UnavailableError: bucket gone"),
    }
    assert not report["complete"]
    assert report["failed"] == {"us-east-1": "UnavailableError: bucket gone"}


def test_a_region_that_failed_is_reported_with_the_items_that_it_keeps() -> None:
    report, _, _ = swap(WEST, EAST_FAILED)
    assert {name: region["items"] for name, region in report["regions"].items()} == {
        "us-west-2": 3,
        "us-east-1": 7,
    }


def test_a_timeout_has_no_message_in_json() -> None:
    report, _, _ = swap({"region": "us-east-1", "error": {"Error": "States.Timeout", "Cause": "after 930 s"}})
    assert report["failed"] == {"us-east-1": "States.Timeout: after 930 s"}


def test_a_reason_as_long_as_a_book_is_cut() -> None:
    report, _, _ = swap({"region": "us-east-1", "error": {"Error": "E", "Cause": "x" * 100_000}})
    assert len(json.dumps(report)) < 10_000


def test_a_sync_in_which_all_succeeded_is_complete() -> None:
    report, _, _ = swap(WEST)
    assert report["complete"]
    assert report["regions"]["us-west-2"]["items"] == 3


def test_the_catalog_learns_what_the_configuration_declares() -> None:
    _, catalog, _ = swap(WEST)
    assert catalog.declared == {
        "eu-west-2": [],
        "us-west-2": ["data-us-west-2"],
        "us-east-1": ["data-us-east-1"],
    }


def test_the_report_is_kept_under_its_own_name_and_as_the_latest() -> None:
    report, _, staging = swap(WEST, EAST_FAILED)
    kept = json.loads(staging.contents[report["report"]])
    assert staging.contents[LATEST_SYNC_REPORT] == staging.contents[report["report"]]
    assert kept["regions"]["us-west-2"]["added"] == 1
    assert kept["dollars"] == report["dollars"] == 0.075
    assert "list prices" in kept["prices"]["of"]


def test_requests_have_their_price() -> None:
    assert dollars(Counts()) == 0
    assert dollars(Counts(lists=1000, staging_writes=1000)) == 0.01
    assert dollars(Counts(gets=10_000, staging_reads=10_000)) == 0.008


def test_a_sync_s_metrics_are_in_the_log_by_region(capsys: pytest.CaptureFixture[str]) -> None:
    report, _, _ = swap(WEST, EAST_FAILED)
    publish("tides", report)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["Region"] for line in lines] == ["us-west-2", "us-east-1"]
    assert {line["System"] for line in lines} == {"tides"}
    for line in lines:
        (metrics,) = line["_aws"]["CloudWatchMetrics"]
        assert metrics["Namespace"] == METRIC_NAMESPACE
        assert metrics["Dimensions"] == [["System", "Region"]]
        assert {metric["Name"] for metric in metrics["Metrics"]} == SYNC_METRICS.keys()
    assert (lines[0]["SyncItemsAdded"], lines[0]["SyncFailed"]) == ([1], [0])
    assert lines[1]["SyncFailed"] == [1]


def check(monkeypatch: pytest.MonkeyPatch, lifecycle: str, elapsed: timedelta) -> dict[str, Any]:
    class FakeImport:
        def __init__(self, region: str) -> None: ...

        def check(self, task_id: str) -> ImportTask:
            return ImportTask(task_id, lifecycle, "bucket gone")

    monkeypatch.setattr(importing, "MetadataImport", FakeImport)
    started = datetime.now(UTC) - elapsed
    return importing.check_import(
        Import(region="us-west-2", generation="g", task_id="task-1", started=started)
    )


@pytest.mark.parametrize(("elapsed", "wait"), [(0, 1), (300, 30), (3600, 300), (14_000, 300)])
def test_the_longer_an_import_takes_the_less_often_it_is_checked(
    monkeypatch: pytest.MonkeyPatch, elapsed: int, wait: int
) -> None:
    checked = check(monkeypatch, "EXECUTING", timedelta(seconds=elapsed))
    assert abs(checked["wait_seconds"] - wait) <= 1
    assert checked["task_id"] == "task-1"
    Import.model_validate(json.loads(json.dumps(checked)))


@pytest.mark.parametrize("lifecycle", ["FAILED", "CANCELED", "CANCELING"])
def test_a_failed_import_fails_the_region(monkeypatch: pytest.MonkeyPatch, lifecycle: str) -> None:
    with pytest.raises(UnavailableError, match="bucket gone"):
        check(monkeypatch, lifecycle, timedelta())


def test_an_import_is_not_waited_for_past_its_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnavailableError, match="the next sync takes it up"):
        check(monkeypatch, "EXECUTING", importing.IMPORT_DEADLINE + timedelta(minutes=1))
    assert check(monkeypatch, "SUCCEEDED", importing.IMPORT_DEADLINE * 2)["lifecycle"] == "SUCCEEDED"


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


def test_an_import_of_other_paths_is_not_taken_for_ours(fsx: tuple[MetadataImport, Stubber]) -> None:
    imports, stubber = fsx
    wide = task(IMPORT) | {"Paths": ["s3://bucket/a/", "s3://other/"]}
    narrow = task(IMPORT) | {"Paths": ["s3://bucket/a/b/"]}
    stubber.add_response("describe_data_repository_tasks", {"DataRepositoryTasks": [narrow, wide]})
    assert imports.start("fs-01234567", ["s3://bucket/a/c/", "s3://other/"], "g").lifecycle == "EXECUTING"
    for _ in range(2):
        stubber.add_response("describe_data_repository_tasks", {"DataRepositoryTasks": [narrow]})
        stubber.add_client_error("create_data_repository_task", "DataRepositoryTaskExecuting")
    with pytest.raises(UnavailableError, match="an import of other paths than s3://bucket/a/; wait"):
        imports.start("fs-01234567", ["s3://bucket/a/"], "g")


def test_an_unknown_task_is_an_error_that_says_what_to_do(fsx: tuple[MetadataImport, Stubber]) -> None:
    imports, stubber = fsx
    stubber.add_client_error("describe_data_repository_tasks", "DataRepositoryTaskNotFound")
    with pytest.raises(NotFoundError, match="sync again"):
        imports.check("task-00000000000000001")


def test_every_step_is_retried_bounded_and_ends_in_a_failure_that_is_seen() -> None:
    machine = json.loads(MACHINE.read_text())
    outer = machine["States"]
    inner = outer["SyncRegions"]["ItemProcessor"]["States"]
    shard = inner["HarvestShards"]["ItemProcessor"]["States"]
    tasks = {
        name: state
        for states in (outer, inner, shard)
        for name, state in states.items()
        if state["Type"] == "Task"
    }
    assert len(tasks) == 7
    for name, state in tasks.items():
        assert "Lambda.ServiceException" in state["Retry"][0]["ErrorEquals"]
        assert state["TimeoutSeconds"] > 0
        assert state["Catch"][0]["ErrorEquals"] == ["States.ALL"]
        retried = {error for retrier in state["Retry"] for error in retrier["ErrorEquals"]}
        # Some services, such as SSM, have an error of their own for it.
        assert {"ClientError", "ThrottlingException"} <= retried, f"a throttled service fails {name}"
        assert "SyncRunningError" not in retried
    assert {state["Catch"][0]["Next"] for state in inner.values() if "Catch" in state} == {"RegionFailed"}
    assert {state["Catch"][0]["Next"] for state in outer.values() if "Catch" in state} == {"SyncFailed"}
    assert outer["SyncFailed"]["Type"] == outer["SyncIncomplete"]["Type"] == "Fail"
    assert shard["ShardFailed"]["Type"] == "Fail"
    assert outer["IsComplete"]["Default"] == "SyncIncomplete"
