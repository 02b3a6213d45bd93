"""``dask-regions pools`` and ``scale``: what they show, and what they set."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from dask_regions.aws.scheduler import SchedulerClient
from dask_regions.cli.conventions import ExitCode
from dask_regions.errors import UnavailableError
from dask_regions.scaling import PoolDemand


def test_scale_sets_an_absolute_number_in_that_region_only(run: Any, services: dict[str, int]) -> None:
    result = run("scale", "us-west-2", "3")
    assert result.exit_code == 0
    assert "us-west-2: 1 -> 3" in result.output
    assert services == {"dask-regions/us-west-2": 3, "dask-regions/us-east-1": 1}


def test_scale_outside_the_bounds_names_them_and_changes_nothing(run: Any, services: dict[str, int]) -> None:
    result = run("scale", "us-west-2", "9")
    assert result.exit_code == ExitCode.WRONG_USE
    assert "error: TASKS: 9 is outside the bounds of us-west-2, 1 to 3" in result.stderr
    assert services["dask-regions/us-west-2"] == 1


def test_scale_of_a_region_without_a_pool_lists_those_with_one(run: Any) -> None:
    result = run("scale", "eu-west-2", "1")
    assert result.exit_code == ExitCode.NOTHING_FOUND
    assert "us-west-2, us-east-1" in result.stderr


def test_scale_wants_a_number(run: Any) -> None:
    assert run("scale", "us-west-2", "many").exit_code == 2


def test_scale_writes_the_count_before_and_after_as_json(run: Any, services: dict[str, int]) -> None:
    written = json.loads(run("scale", "us-west-2", "3", "--json").output)
    assert written == {"region": "us-west-2", "before": 1, "desired": 3}


def test_pools_shows_tasks_and_why_the_work_is_unknown(run: Any, services: dict[str, int]) -> None:
    services["dask-regions/us-east-1"] = 2
    result = run("pools")
    assert result.exit_code == 0
    [row] = [line.split() for line in result.output.splitlines() if line.startswith("us-east-1")]
    assert row == ["us-east-1", "1", "to", "3", "2", "1", "0", "-", "-", "-", "-"]
    assert "set SCHEDULER_URL" in result.output


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """A scheduler; returns the Regions whose demand it does not answer."""
    regions: set[str] = set()

    def demand(region: str) -> PoolDemand:
        if region in regions:
            raise UnavailableError("the scheduler does not answer")
        return PoolDemand(
            region=region, ecs_tasks=1, workers=2, threads=2, seconds=900, runnable=40, unassigned=38
        )

    scheduler = SimpleNamespace(demand=demand)
    monkeypatch.setattr(SchedulerClient, "from_settings", lambda _: scheduler)
    monkeypatch.setenv("SCHEDULER_URL", "http://127.0.0.1:3")
    return regions


def test_pools_shows_the_work_that_waits_and_what_scaling_makes_of_it(
    run: Any, services: dict[str, int], silent: set[str]
) -> None:
    result = run("pools")
    assert result.exit_code == 0
    [row] = [line.split() for line in result.output.splitlines() if line.startswith("us-west-2  ")]
    assert row[-4:] == ["2", "40", "38", "0%"]
    assert "grow from 1 to 3 ECS tasks" in result.output


def test_pools_without_an_answer_of_the_scheduler_are_degraded_and_still_shown(
    run: Any, services: dict[str, int], silent: set[str]
) -> None:
    silent.add("us-east-1")
    result = run("pools")
    assert result.exit_code == ExitCode.DEGRADED
    [row] = [line.split() for line in result.stdout.splitlines() if line.startswith("us-east-1  ")]
    assert row[-4:] == ["-", "-", "-", "-"]
    assert "grow from 1 to 3 ECS tasks" in result.stdout
    assert "the scheduler does not answer" in result.stdout
    assert result.stderr.startswith("error: the scheduler did not say what work us-east-1 has")


def test_pools_writes_service_demand_and_decision_as_json(
    run: Any, services: dict[str, int], silent: set[str]
) -> None:
    silent.add("us-east-1")
    result = run("pools", "--json")
    assert result.exit_code == ExitCode.DEGRADED
    written = json.loads(result.stdout)
    pools = {pool["region"]: pool for pool in written["pools"]}
    assert pools["us-west-2"]["service"]["desired"] == 1
    assert pools["us-west-2"]["demand"]["unassigned"] == 38
    assert (pools["us-west-2"]["decision"]["action"], pools["us-west-2"]["decision"]["desired"]) == (
        "grow",
        3,
    )
    assert (pools["us-east-1"]["demand"], pools["us-east-1"]["decision"]) == (None, None)
    assert "the scheduler does not answer" in written["notes"]
