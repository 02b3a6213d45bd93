"""``dask-regions scheduler``: what it sets, and what it shows."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from dask_regions.aws.scheduler import SchedulerClient
from dask_regions.cli import scheduler
from dask_regions.cli.conventions import ExitCode
from dask_regions.errors import UnavailableError
from dask_regions.scaling import SchedulerActivity, SchedulerCounts


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The ECS service of a scheduler that runs; its counts can be set."""
    fake = SimpleNamespace(desired=1, running=1)

    class Service:
        def __init__(self, region: str, system: str) -> None:
            assert (region, system) == ("eu-west-2", "dask-regions")

        def counts(self) -> SchedulerCounts:
            return SchedulerCounts(desired=fake.desired, running=fake.running)

        def set_desired(self, desired: int) -> None:
            fake.desired = fake.running = desired

    monkeypatch.setattr(scheduler, "SchedulerService", Service)
    return fake


def test_a_stopped_scheduler_is_no_failure_and_starts_again(run: Any, service: Any) -> None:
    assert "within five minutes the pools go to their minimum" in run("scheduler", "stop").output
    assert service.desired == 0
    result = run("scheduler", "status")
    assert (result.exit_code, result.output.startswith("stopped, as it should be")) == (0, True)
    assert "nothing to do" in run("scheduler", "stop").output
    assert json.loads(run("scheduler", "start", "--json").output) == {
        "region": "eu-west-2",
        "before": 0,
        "desired": 1,
    }
    assert service.desired == 1


def test_a_scheduler_that_should_run_and_does_not_is_down(run: Any, service: Any) -> None:
    service.running = 0
    result = run("scheduler", "status")
    assert result.exit_code == ExitCode.DOWN
    assert "dask-regions-scheduler in eu-west-2" in result.stderr


@pytest.mark.parametrize(
    ("clients", "shown"), [(2, "2 clients, 0 Dask tasks"), (0, "nobody has used it for 40 minutes")]
)
def test_status_says_who_uses_it(
    run: Any, service: Any, monkeypatch: pytest.MonkeyPatch, clients: int, shown: str
) -> None:
    activity = SchedulerActivity(clients=clients, tasks=0, idle_seconds=0 if clients else 2400)
    monkeypatch.setattr(
        SchedulerClient, "from_settings", lambda _: SimpleNamespace(activity=lambda: activity)
    )
    monkeypatch.setenv("SCHEDULER_URL", "http://127.0.0.1:3")
    assert f"runs; {shown}" in run("scheduler", "status").output
    assert json.loads(run("scheduler", "status", "--json").output)["activity"]["clients"] == clients


def test_status_says_why_nobody_knows_who_uses_it(
    run: Any, service: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "set SCHEDULER_URL" in run("scheduler", "status").output

    def refuse() -> SchedulerActivity:
        raise UnavailableError("it does not answer")

    monkeypatch.setattr(SchedulerClient, "from_settings", lambda _: SimpleNamespace(activity=refuse))
    monkeypatch.setenv("SCHEDULER_URL", "http://127.0.0.1:3")
    assert "runs; it does not answer" in run("scheduler", "status").output
