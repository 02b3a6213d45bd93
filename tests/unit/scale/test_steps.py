"""What starts and carries the scale journey: events, the state machine's file, processes' arguments."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import dask.config
import distributed
import pytest

from dask_regions.errors import ConfigurationError, RequestError
from dask_regions.placement.processes import scheduler, worker
from dask_regions.scale.steps import region_of_event

ASL = Path(__file__).parents[3] / "statemachines" / "scale_pool.asl.json"


def alarm(dimensions: dict[str, str]) -> dict[str, Any]:
    metric = {"metricStat": {"metric": {"name": "TasksMissing", "dimensions": dimensions}}}
    return {
        "source": "aws.cloudwatch",
        "region": "eu-west-2",
        "detail": {"alarmName": "TasksMissing", "configuration": {"metrics": [{"id": "m1"}, metric]}},
    }


def test_region_is_the_dimension_of_the_alarms_metric_and_not_that_of_the_bus() -> None:
    assert region_of_event(alarm({"Region": "us-west-2"})) == "us-west-2"


def test_region_may_be_given_by_hand() -> None:
    assert region_of_event({"region": "us-east-1"}) == "us-east-1"


@pytest.mark.parametrize("event", [{}, alarm({}), {"detail": {}}, {"region": None}])
def test_an_event_without_a_region_is_refused(event: dict[str, Any]) -> None:
    with pytest.raises(RequestError, match=r"region|dimension"):
        region_of_event(event)


def _following(state: dict[str, Any]) -> set[str]:
    branches = [state, *state.get("Choices", []), *state.get("Catch", [])]
    found = {branch["Next"] for branch in branches if "Next" in branch}
    return found | ({state["Default"]} if "Default" in state else set())


def test_every_state_is_reached_and_every_path_ends_in_success_or_failure() -> None:
    machine = json.loads(ASL.read_text())
    states = machine["States"]
    reached, new = set(), {machine["StartAt"]}
    while new:
        reached |= new
        new = {name for each in new for name in _following(states[each])} - reached
    assert reached == set(states)
    ends = {name for name, state in states.items() if not _following(state)}
    assert {states[name]["Type"] for name in ends} == {"Succeed", "Fail"}


def test_every_step_that_can_fail_ends_in_a_failure() -> None:
    states = json.loads(ASL.read_text())["States"]
    for state in states.values():
        if state["Type"] == "Task":
            (catch,) = state["Catch"]
            assert catch["ErrorEquals"] == ["States.ALL"]
            assert states[catch["Next"]]["Type"] == "Fail"


WORKER = {"AWS_REGION": "us-west-2", "DASK_SCHEDULER_ADDRESS": "tcp://scheduler:8786"}


def _option(arguments: list[str], name: str) -> str:
    return arguments[arguments.index(name) + 1]


def test_worker_offers_its_regions_resource_and_is_named_by_region_and_ecs_task(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "host-7")
    alone = worker.arguments(WORKER)
    assert alone[0] == "tcp://scheduler:8786"
    assert _option(alone, "--resources") == "region-us-west-2=1"
    assert _option(alone, "--name") == "us-west-2.host-7-0"
    assert "--no-nanny" in alone
    ten = worker.arguments(WORKER | {"WORKERS_PER_TASK": "10", "THREADS_PER_WORKER": "2"})
    assert _option(ten, "--name") == "us-west-2.host-7", "dask numbers them itself"
    assert (_option(ten, "--nworkers"), _option(ten, "--nthreads")) == ("10", "2")
    assert "--no-nanny" not in ten


def test_worker_reports_every_missing_variable() -> None:
    with pytest.raises(ConfigurationError) as caught:
        worker.arguments({})
    assert len(caught.value.problems) == 2


def test_our_routes_are_added_to_those_of_dask() -> None:
    assert vars(distributed)["__version__"]
    before = list(dask.config.get("distributed.scheduler.http.routes"))
    with dask.config.set({"distributed.scheduler.http.routes": before}):
        scheduler.add_routes()
        scheduler.add_routes()
        after = dask.config.get("distributed.scheduler.http.routes")
    assert after == [*before, "dask_regions.placement.pools.routes"]
