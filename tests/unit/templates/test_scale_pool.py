"""The file of the state machine ``scale_pool``: every path ends, and every failure is one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ASL = Path(__file__).parents[3] / "statemachines" / "scale_pool.asl.json"


def _following(state: dict[str, Any]) -> set[str]:
    branches = [state, *state.get("Choices", []), *state.get("Catch", [])]
    following = {branch["Next"] for branch in branches if "Next" in branch}
    return following | ({state["Default"]} if "Default" in state else set())


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
