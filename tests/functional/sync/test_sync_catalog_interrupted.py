"""A sync that dies, is stopped or meets another leaves the catalog as it was; the next one completes it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import boto3
import pytest

from dask_regions.errors import DaskRegionsError
from testing.catalog.generations import left_behind, seen
from testing.catalog.stac_api import ENGINES, engine_url
from testing.sync.state_machine import (
    EAST,
    FUNCTIONS,
    WEST,
    System,
    decades,
    definition,
    function_arn,
    running,
)
from testing.waiting import WAIT_SECONDS

STEPS = list(FUNCTIONS)
both_engines = pytest.mark.parametrize("system", ENGINES, indirect=True)


@pytest.fixture
def system(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[System]:
    """Yield the system with its catalog in SQLite, or in the engine that a test names."""
    with running(tmp_path, engine_url(getattr(request, "param", "sqlite"), request, tmp_path)) as system:
        yield system


class Died(Exception):  # noqa: N818
    """A function that ended without an answer."""


class Hold:
    """Holds a function at its start until it may go on."""

    def __init__(self) -> None:
        self.reached, self.go_on = threading.Event(), threading.Event()
        self.fail = False

    def __call__(self, *_: Any) -> None:
        self.reached.set()
        assert self.go_on.wait(WAIT_SECONDS)
        if self.fail:
            raise Died


def die() -> None:
    raise Died


def put_month(system: System, year: int) -> None:
    """Put a new file into the eastern bucket, and take one away."""
    s3 = boto3.client("s3", region_name=EAST)
    s3.delete_object(Bucket="data-e1", Key=f"{year - 10}/01/data/air_temperature.nc")
    system.put(EAST, "data-e1", {f"{year}/01/data/air_temperature.nc": decades()})


def months(system: System) -> list[str]:
    return sorted(item["id"] for item in system.found(collections=["e1"]))


@both_engines
def test_a_sync_that_dies_at_any_step_leaves_the_catalog_and_the_next_completes_it(system: System) -> None:
    assert system.sync()["status"] == "SUCCEEDED"
    moments = [(system.lambdas.before, step) for step in STEPS]
    for number, (hooks, step) in enumerate([*moments, (system.lambdas.after, "WriteItems")], start=1):
        before = system.found()
        put_month(system, 1860 + 10 * number)
        hooks[step] = die
        assert system.sync()["status"] == "FAILED", step
        assert system.found() == before, step
        hooks.clear()
        assert system.sync()["status"] == "SUCCEEDED", step
        assert months(system) == [f"e1.{1860 + 10 * number}-01"], step
        assert left_behind(system.url) == set(), step


@both_engines
def test_a_sync_that_dies_after_its_swap_has_swapped_all(system: System) -> None:
    assert system.sync()["status"] == "SUCCEEDED"
    put_month(system, 1870)
    system.lambdas.after["SwapCatalog"] = die
    assert system.sync()["status"] == "FAILED"
    assert months(system) == ["e1.1870-01"]
    system.lambdas.after.clear()
    output = json.loads(system.sync()["output"])
    assert not output["changed"]
    assert months(system) == ["e1.1870-01"]
    assert left_behind(system.url) == set()


_Part = dict[str, Any]


def all_states(scope: _Part) -> dict[str, _Part]:
    """Return the states of a definition, those inside of others too, in their order."""
    states: dict[str, _Part] = {}
    for name, state in scope["States"].items():
        states |= {name: state, **all_states(state.get("ItemProcessor", {"States": {}}))}
    return states


def following(states: dict[str, _Part], first: str) -> set[str]:
    """Return the states that come after one that went well."""
    reached, left = set[str](), [first]
    while left:
        state = states[left.pop()]
        steps = [state, *state.get("Choices", [])]
        names = {step[key] for step in steps for key in ("Next", "Default") if key in step}
        left += names - reached
        reached |= names
    return reached


def held_before(part: Any, state: str) -> Any:
    """Return a definition that calls the function Hold before a state, and is the same otherwise."""
    if isinstance(part, list):
        return [held_before(element, state) for element in part]
    if not isinstance(part, dict):
        return part
    flow = ("StartAt", "Next", "Default")
    changed: _Part = {
        key: "Hold" if key in flow and value == state else held_before(value, state)
        for key, value in part.items()
    }
    if state in part.get("States", {}):
        changed["States"]["Hold"] = {
            "Type": "Task",
            "Resource": "arn:aws:states:::lambda:invoke",
            "Parameters": {"FunctionName": function_arn("Hold"), "Payload": {}},
            "ResultPath": None,
            "Next": state,
        }
    return changed


STATES = all_states(json.loads(definition()))
SWAPPED = following(STATES, "SwapCatalog")
#: What leads to the states that a sync does not enter where all goes well.
MISHAPS: dict[str, Callable[[System], None]] = {
    "WaitForImport": lambda system: setattr(system.fsx, "looks", 1),
    "ShardFailed": lambda system: system.lambdas.before.update(HarvestShard=die),
    "RegionFailed": lambda system: system.lambdas.before.update(ImportMetadata=die),
    "SyncFailed": lambda system: system.lambdas.before.update(SwapCatalog=die),
    "SyncIncomplete": lambda system: system.fsx.outcome.update({f"fs-{WEST}": "FAILED"}),
}


@pytest.mark.long
@pytest.mark.parametrize("system", ENGINES[1:], indirect=True)
def test_a_sync_that_is_killed_at_any_state_leaves_the_catalog_and_the_next_completes_it(
    system: System,
) -> None:
    assert system.sync()["status"] == "SUCCEEDED"
    for number, state in enumerate(STATES, start=1):
        before, year = seen(system.url), 1860 + 10 * number
        put_month(system, year)
        hold = Hold()
        system.lambdas.handlers["Hold"] = hold
        if state in MISHAPS:
            MISHAPS[state](system)
        system.use(json.dumps(held_before(json.loads(definition()), state)))
        arn = system.start()
        assert hold.reached.wait(WAIT_SECONDS), f"{state} is not entered; MISHAPS says what leads to it"
        system.stop(arn)
        hold.go_on.set()
        # Inside a Map, moto reports an execution that was stopped as FAILED.
        assert system.end(arn)["status"] in ("ABORTED", "FAILED"), state
        assert (seen(system.url) == before) == (state not in SWAPPED), state
        assert months(system) == [f"e1.{year if state in SWAPPED else year - 10}-01"], state
        system.lambdas.before.clear()
        system.fsx.outcome.clear()
        system.use(definition())
        assert system.sync()["status"] == "SUCCEEDED", state
        assert months(system) == [f"e1.{year}-01"], state
        assert left_behind(system.url) == set(), state


@both_engines
def test_a_function_that_goes_on_after_the_next_sync_has_ended_changes_nothing(system: System) -> None:
    """Stopping an execution, or giving up a function that took too long, does not end what has begun."""
    assert system.sync()["status"] == "SUCCEEDED"
    # The others neither open the catalog nor the staging bucket.
    steps = [step for step in STEPS if step not in ("ImportMetadata", "CheckImport")]
    for number, step in enumerate(steps, start=1):
        handler, events = system.lambdas.handlers[step], list[Any]()

        def dying(event: Any, _: Any, events: list[Any] = events) -> None:
            events.append(event)
            raise Died

        system.lambdas.handlers[step] = dying
        put_month(system, 1860 + 10 * number)
        assert system.sync()["status"] == "FAILED", step
        system.lambdas.handlers[step] = handler
        assert system.sync()["status"] == "SUCCEEDED", step
        before = seen(system.url)
        assert events
        for event in events:
            with suppress(DaskRegionsError):
                handler(event, system.lambdas.context(step))
        assert seen(system.url) == before, step
    put_month(system, 1870 + 10 * len(steps))
    assert system.sync()["status"] == "SUCCEEDED"
    assert months(system) == [f"e1.{1870 + 10 * len(steps)}-01"]
    assert left_behind(system.url) == set()


def test_a_sync_that_is_stopped_at_any_step_leaves_the_catalog_and_the_next_completes_it(
    system: System,
) -> None:
    assert system.sync()["status"] == "SUCCEEDED"
    for number, step in enumerate(("ImportMetadata", "HarvestShard", "WriteItems", "SwapCatalog"), start=1):
        before = system.found()
        put_month(system, 1860 + 10 * number)
        hold = Hold()
        system.lambdas.before[step] = hold
        arn = system.start()
        assert hold.reached.wait(WAIT_SECONDS), step
        system.stop(arn)
        assert system.found() == before, step
        system.lambdas.before.clear()
        if step == "SwapCatalog":
            # What already runs is not called back: the function swaps, though its execution was stopped.
            hold.fail = True
        hold.go_on.set()
        # Inside a Map, moto reports an execution that was stopped as FAILED.
        assert system.end(arn)["status"] in ("ABORTED", "FAILED"), step
        assert system.sync()["status"] == "SUCCEEDED", step
        assert months(system) == [f"e1.{1860 + 10 * number}-01"], step


def test_of_two_syncs_at_once_the_later_is_refused_by_the_name_of_the_other(system: System) -> None:
    hold = Hold()
    system.lambdas.before["ImportMetadata"] = hold
    first = system.start()
    assert hold.reached.wait(WAIT_SECONDS)
    refused = system.sync()
    assert (refused["status"], refused["error"]) == ("FAILED", "SyncFailed")
    assert "SyncRunningError" in refused["cause"]
    assert first in refused["cause"]
    hold.go_on.set()
    assert system.end(first)["status"] == "SUCCEEDED"
    assert len(system.found()) == 2
    assert system.sync()["status"] == "SUCCEEDED"


def test_two_syncs_started_at_the_same_moment_never_both_go_on(system: System) -> None:
    ended = [system.end(arn) for arn in [system.start(), system.start()]]
    statuses = sorted(execution["status"] for execution in ended)
    # Both succeed, one after the other, where the first had ended before the second looked.
    assert statuses in (["FAILED", "SUCCEEDED"], ["SUCCEEDED", "SUCCEEDED"])
    assert len(system.found()) == 2


def test_what_a_killed_sync_has_read_is_taken_up(system: System) -> None:
    system.lambdas.before["WriteItems"] = die
    assert system.sync()["status"] == "FAILED"
    assert system.found() == []
    system.lambdas.before.clear()
    output = json.loads(system.sync()["output"])
    assert {region["reused"] for region in output["regions"].values()} == {1}
    assert {region["gets"] for region in output["regions"].values()} == {0}
    assert len(system.found()) == 2
