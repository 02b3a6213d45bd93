"""The group of commands: help, one-line errors, tracebacks, and which system is acted on."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dask_regions.local_state import LOCK_FILE

COMMANDS = ("check", "demo", "local", "pools", "scale", "search", "sync")


def test_help_lists_the_commands_of_both_distributions(run: Any) -> None:
    result = run("--help")
    assert result.exit_code == 0
    commands = {line.split()[0] for line in result.output.split("Commands:")[1].splitlines() if line.strip()}
    assert commands >= set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_s_help_has_an_example(run: Any, command: str) -> None:
    result = run(command, "--help")
    assert result.exit_code == 0
    assert f"  dask-regions {command}" in result.output


def test_an_unknown_command_is_a_usage_error(run: Any) -> None:
    assert run("serach").exit_code == 2


def test_a_traceback_is_shown_on_request_only(run: Any) -> None:
    assert run("check", "nowhere.yaml").stderr.startswith("error: nowhere.yaml: cannot be read")
    assert isinstance(run("--traceback", "check", "nowhere.yaml").exception, Exception)
    assert not isinstance(run("--traceback", "check", "nowhere.yaml").exception, SystemExit)


def test_commands_act_on_the_local_system_while_it_runs(
    run: Any, running_local: None, endpoints: list[str | None]
) -> None:
    assert run("scale", "us-west-2", "2").exit_code == 0
    assert endpoints == ["http://127.0.0.1:4"]
    assert "AWS_ENDPOINT_URL" not in os.environ


@pytest.mark.parametrize(
    "pid",
    [
        pytest.param(2**22 + 1, id="above the kernel's largest process id"),
        pytest.param(os.getpid(), id="of a process that is not the system"),
    ],
)
def test_the_file_of_a_local_system_that_is_gone_is_ignored(
    run: Any, endpoints: list[str | None], describe_local: Callable[[int], Path], pid: int
) -> None:
    (describe_local(pid) / LOCK_FILE).touch()
    assert run("scale", "us-west-2", "2").exit_code == 0
    assert endpoints == [None]
