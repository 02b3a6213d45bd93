"""Starting a sync and reading how it ended."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from dask_regions.aws.stepfunctions import Execution, follow, running, start
from dask_regions.errors import NotFoundError, UnavailableError

REGION = "eu-west-2"
REPORT: dict[str, Any] = {
    "items": 7,
    "changed": True,
    "seconds": 1.5,
    "dollars": 0.001,
    "regions": {"us-west-2": {"items": 7}},
    "failed": {},
    "report": "sync/reports/g.json",
}


@pytest.fixture
def machines(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Return a function that creates a state machine in an account of its own."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    definition = json.dumps({"StartAt": "A", "States": {"A": {"Type": "Succeed"}}})
    # Other tests may have switched it on: an execution would end at once.
    with mock_aws(config={"stepfunctions": {"execute_state_machine": False}}):
        client = boto3.client("stepfunctions", region_name=REGION)

        def create(name: str) -> str:
            role = "arn:aws:iam::123456789012:role/role"
            return client.create_state_machine(name=name, definition=definition, roleArn=role)[
                "stateMachineArn"
            ]

        yield create


def started_with(execution: Execution) -> dict[str, Any]:
    client = boto3.client("stepfunctions", region_name=REGION)
    return dict(client.describe_execution(executionArn=execution.arn))


def test_a_sync_starts_the_machine_that_is_named_after_it(machines: Any) -> None:
    machines("dask-regions-ScalePoolStateMachine-1")
    arn = machines("dask-regions-SyncCatalogStateMachine-2")
    execution = started_with(start(REGION))
    assert execution["stateMachineArn"] == arn
    assert json.loads(execution["input"]) == {}


def test_a_sync_of_some_regions_hands_them_on(machines: Any) -> None:
    machines("SyncCatalogStateMachine")
    execution = started_with(start(REGION, ["us-west-2"]))
    assert json.loads(execution["input"]) == {"regions": ["us-west-2"]}


def test_without_a_state_machine_the_error_says_what_to_deploy(machines: Any) -> None:
    machines("dask-regions-ScalePoolStateMachine")
    with pytest.raises(NotFoundError, match=r"deploy template\.yaml"):
        start(REGION)


def test_of_several_systems_one_has_to_be_named(machines: Any) -> None:
    arns = [machines(f"{system}-SyncCatalogStateMachine") for system in ("one", "two")]
    with pytest.raises(NotFoundError, match="--state-machine") as caught:
        start(REGION)
    assert all(arn in str(caught.value) for arn in arns)
    assert started_with(start(REGION, state_machine=arns[1]))["stateMachineArn"] == arns[1]


def test_a_state_machine_that_is_gone_is_reported(machines: Any) -> None:
    with pytest.raises(UnavailableError, match="could not be started"):
        start(REGION, state_machine=f"arn:aws:states:{REGION}:123456789012:stateMachine:gone")


class FakeClient:
    """Answers with one status after the other."""

    def __init__(self, *answers: dict[str, Any]) -> None:
        self._answers = iter(answers)

    def describe_execution(self, **request: str) -> dict[str, Any]:
        return {**request, "executionArn": request["executionArn"], **next(self._answers)}


def test_an_execution_is_followed_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    end = {"status": "SUCCEEDED", "output": json.dumps(REPORT)}
    client = FakeClient({"status": "RUNNING"}, {"status": "RUNNING"}, end)
    monkeypatch.setattr(boto3, "client", lambda *_, **__: client)
    seen = list(follow(Execution(arn="arn", status="RUNNING"), REGION, seconds=0))
    assert [each.status for each in seen] == ["RUNNING", "RUNNING", "SUCCEEDED"]
    report = seen[-1].report()
    assert report is not None
    assert report.regions["us-west-2"].items == 7


def test_an_incomplete_sync_names_the_regions_that_failed() -> None:
    cause = json.dumps(REPORT | {"failed": {"us-east-1": "no such bucket"}})
    report = Execution(arn="arn", status="FAILED", error="SyncIncomplete", cause=cause).report()
    assert report is not None
    assert report.failed == {"us-east-1": "no such bucket"}


@pytest.mark.parametrize("cause", [None, "not JSON", '"text"', '{"Error": "E", "Cause": "C"}'])
def test_a_sync_that_failed_before_its_end_has_no_report(cause: str | None) -> None:
    for error in ("SyncFailed", "SyncIncomplete"):
        assert Execution(arn="arn", status="FAILED", error=error, cause=cause).report() is None


def test_what_runs_is_told_with_its_start_and_what_ended_is_not(machines: Any) -> None:
    arn = machines("SyncCatalogStateMachine")
    execution = start(REGION)
    [current] = running(REGION, arn)
    assert current.arn == execution.arn
    assert current.started.tzinfo is not None
    boto3.client("stepfunctions", region_name=REGION).stop_execution(executionArn=execution.arn)
    assert running(REGION, arn) == []
