"""Every state machine: what fails is retried, and what still fails ends in Fail."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

STATE_MACHINES = {
    path.name: json.loads(path.read_text())
    for path in sorted((Path(__file__).parents[3] / "statemachines").glob("*.json"))
}


def tasks_of(states: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, state in states.items():
        if state["Type"] == "Task":
            yield name, state
        yield from tasks_of(state.get("ItemProcessor", {}).get("States", {}))


@pytest.mark.parametrize("machine", STATE_MACHINES)
def test_a_function_that_died_is_called_again(machine: str) -> None:
    died = {"Sandbox.Timedout", "Runtime.ExitError", "Lambda.Unknown"}
    tasks = dict(tasks_of(STATE_MACHINES[machine]["States"]))
    assert tasks
    for name, state in tasks.items():
        retried = {error for retrier in state["Retry"] for error in retrier["ErrorEquals"]}
        assert died <= retried, name
        assert "TimeoutSeconds" not in state or "States.Timeout" in retried, name


def catches(states: dict[str, Any], inside_map: bool = False) -> Iterator[tuple[str, set[str]]]:
    """Yield every Catch with the ways its path can end; ``RegionFailed`` ends it inside a Map."""
    for name, state in states.items():
        for catch in state.get("Catch", ()):
            yield name, ends(states, catch["Next"], inside_map)
        if "ItemProcessor" in state:
            yield from catches(state["ItemProcessor"]["States"], inside_map=True)


def ends(states: dict[str, Any], start: str, inside_map: bool) -> set[str]:
    outcomes, seen, waiting = set(), set(), [start]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        state = states[name]
        if state["Type"] in ("Fail", "Succeed") or state.get("End"):
            outcomes.add("RegionFailed" if inside_map and name == "RegionFailed" else state["Type"])
        choices = [choice["Next"] for choice in state.get("Choices", ())]
        waiting += choices + [state[key] for key in ("Next", "Default") if key in state]
    return outcomes


@pytest.mark.parametrize("machine", STATE_MACHINES)
def test_every_error_path_ends_in_fail(machine: str) -> None:
    ways = list(catches(STATE_MACHINES[machine]["States"]))
    assert ways
    assert [(name, way) for name, way in ways if way not in ({"Fail"}, {"RegionFailed"})] == []


@pytest.mark.parametrize("machine", STATE_MACHINES)
def test_every_task_and_map_catches_its_errors(machine: str) -> None:
    def uncaught(states: dict[str, Any]) -> Iterator[str]:
        for name, state in states.items():
            if state["Type"] in ("Task", "Map") and "Catch" not in state:
                yield name
            yield from uncaught(state.get("ItemProcessor", {}).get("States", {}))

    assert list(uncaught(STATE_MACHINES[machine]["States"])) == []
