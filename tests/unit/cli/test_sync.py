"""``dask-regions sync``: what it starts, and what it shows of the end."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dask_regions.aws.stepfunctions import Execution
from dask_regions.cli import sync
from dask_regions.cli.conventions import ExitCode


def follow_to(monkeypatch: pytest.MonkeyPatch, end: Execution) -> list[tuple[object, ...]]:
    """Let a sync start and end so; return the list of what was started."""
    started: list[tuple[object, ...]] = []

    def start(*arguments: object, state_machine: str | None) -> Execution:
        started.append(arguments)
        return Execution(arn="arn", status="RUNNING")

    monkeypatch.setattr(sync, "start", start)
    monkeypatch.setattr(sync, "follow", lambda *_: iter([Execution(arn="arn", status="RUNNING"), end]))
    return started


def report(failed: dict[str, str], *, changed: bool = True) -> dict[str, Any]:
    """Return what SwapCatalog reports."""
    counts = {"items": 7, "added": 1, "lists": 12, "gets": 4, "seconds": 2.5, "dollars": 0.0001}
    skipped = {"items": 24, "skipped": 1, "examples": ["s3://bucket/torn.nc: OSError: torn"]}
    return {
        "items": 31,
        "changed": changed,
        "seconds": 9.4,
        "dollars": 0.0002,
        "failed": failed,
        "regions": {"us-west-2": counts, "us-east-1": skipped},
        "report": "sync/reports/g.json",
    }


def test_sync_starts_the_state_machine_and_shows_what_was_done_in_every_region(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    end = Execution(arn="arn", status="SUCCEEDED", output=report({}))
    started = follow_to(monkeypatch, end)
    result = run("sync", "--region", "us-west-2", "--region", "us-east-1")
    assert result.exit_code == 0
    assert started == [("eu-west-2", ("us-west-2", "us-east-1"))]
    lines = [line.split() for line in result.output.splitlines()]
    assert lines[1] == ["us-west-2", "7", "1", "0", "0", "0", "12", "4", "2.5", "0.0001"]
    assert lines[2][:2] == ["us-east-1", "24"]
    assert "skipped s3://bucket/torn.nc: OSError: torn" in result.output
    assert "is in sync: 31 Items, 9 s, about $0.0002" in result.output
    assert "sync/reports/g.json" in result.output


def test_a_sync_without_changes_says_so(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    follow_to(monkeypatch, Execution(arn="arn", status="SUCCEEDED", output=report({}, changed=False)))
    assert "was in sync already" in run("sync").output


def test_a_sync_that_fails_says_which_region_and_why(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    cause = json.dumps(report({"us-east-1": "no such bucket"}))
    follow_to(monkeypatch, Execution(arn="arn", status="FAILED", error="SyncIncomplete", cause=cause))
    result = run("sync")
    assert result.exit_code == ExitCode.DEGRADED
    assert "us-west-2" in result.stdout
    assert "us-east-1 keeps its old Items: no such bucket" in result.stdout
    assert result.stderr.startswith("error: the sync ended as FAILED (some Regions failed)")
    assert len(result.stderr.splitlines()) == 1


def test_a_sync_that_is_refused_says_which_one_runs(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    # Lambda wraps the exception in JSON, and the state machine wraps that.
    raised = {"errorMessage": "another sync runs: arn:other", "errorType": "SyncRunningError"}
    cause = json.dumps({"Error": "SyncRunningError", "Cause": json.dumps(raised)})
    follow_to(monkeypatch, Execution(arn="arn", status="FAILED", error="SyncFailed", cause=cause))
    result = run("sync")
    assert result.exit_code == ExitCode.FAILED
    assert "(SyncRunningError: another sync runs: arn:other)" in result.stderr
    assert "{" not in result.stderr


@pytest.mark.parametrize(
    ("cause", "reason"),
    [(None, "TIMED_OUT (no reason given)"), ("plain text", "plain text"), ('{"other": 1}', '{"other": 1}')],
)
def test_a_sync_that_ended_in_another_way_says_what_is_known(
    run: Any, monkeypatch: pytest.MonkeyPatch, cause: str | None, reason: str
) -> None:
    follow_to(monkeypatch, Execution(arn="arn", status="TIMED_OUT", cause=cause))
    result = run("sync")
    assert result.exit_code == ExitCode.FAILED
    assert reason in result.stderr


def test_sync_writes_its_end_as_json_and_still_fails(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    cause = json.dumps(report({"us-east-1": "no such bucket"}))
    follow_to(monkeypatch, Execution(arn="arn", status="FAILED", error="SyncIncomplete", cause=cause))
    result = run("sync", "--json")
    assert result.exit_code == ExitCode.DEGRADED
    written = json.loads(result.stdout)
    assert (written["execution"], written["status"]) == ("arn", "FAILED")
    assert written["report"]["failed"] == {"us-east-1": "no such bucket"}


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_sync_may_return_at_once(run: Any, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]) -> None:
    follow_to(monkeypatch, Execution(arn="arn", status="FAILED"))
    result = run("sync", "--no-wait", *options)
    assert result.exit_code == 0
    running = {"execution": "arn", "status": "RUNNING", "report": None}
    assert (json.loads(result.stdout) == running) if options else (result.stdout == "arn\n")


def test_sync_of_an_unknown_region_starts_nothing(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    started = follow_to(monkeypatch, Execution(arn="arn", status="SUCCEEDED"))
    assert run("sync", "--region", "us-west-1").exit_code == ExitCode.NOTHING_FOUND
    assert started == []
