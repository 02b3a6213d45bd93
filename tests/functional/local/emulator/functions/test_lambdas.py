"""Handlers run as in Lambda: with the runtime, their layers and their folder, and nothing else."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from dask_regions.errors import UnavailableError
from dask_regions_local.emulator.functions import lambdas
from dask_regions_local.emulator.functions.lambdas import CONCURRENCY, Function, Functions
from dask_regions_local.emulator.functions.layers import build_layer, build_runtime
from testing.waiting import WAIT_SECONDS, wait_until

HANDLER = """
import importlib.util, os, sys, time
import in_layer

NOT_HERE = ("dask", "moto", "boto3", "dask_regions")

def handler(event, context):
    if "sleep" in event:
        time.sleep(event["sleep"])
    if "exit" in event:
        os._exit(event["exit"])
    if "fail" in event:
        raise ValueError(event["fail"])
    return {
        "pid": os.getpid(),
        "layer": in_layer.NAME,
        "found": [name for name in NOT_HERE if importlib.util.find_spec(name)],
        "variable": os.environ["VARIABLE"],
        "function": context.function_name,
        "left": context.get_remaining_time_in_millis() > 0,
        "arn": context.invoked_function_arn,
    }
"""


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_runtime(tmp_path_factory.mktemp("runtime") / "runtime")


@pytest.fixture
def functions(tmp_path: Path, runtime: Path) -> Iterator[Functions]:
    made = Functions(runtime, tmp_path, lambda value: value.replace("/opt", "/here"), "http://127.0.0.1:1")
    yield made
    made.close()


def add(functions: Functions, tmp_path: Path, text: str = HANDLER, timeout: float = 30) -> None:
    code, layer = tmp_path / "code", tmp_path / "layer"
    code.mkdir()
    (code / "app.py").write_text(text)
    (layer / "python").mkdir(parents=True)
    (layer / "python" / "in_layer.py").write_text("NAME = 'the layer'")
    built: Future[Path] = Future()
    built.set_result(layer)
    arn = "arn:aws:lambda:eu-west-2:123456789012:function:f"
    environment = {"VARIABLE": "/opt/file"}
    functions.add(Function("f", "eu-west-2", arn, "app.handler", code, [built], environment, timeout, 128))


def invoke(functions: Functions, **event: Any) -> tuple[bool, Any]:
    failed, result = functions.invoke("eu-west-2", "f", json.dumps(event).encode())
    return failed, json.loads(result)


def runs(process: psutil.Process) -> bool:
    """Whether a process is an execution environment."""
    try:
        return "awslambdaric" in process.cmdline()
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return False


def wait_until_gone(pid: int) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(pid).wait(WAIT_SECONDS)


def test_a_handler_sees_its_layer_and_nothing_of_this_environment(
    functions: Functions, tmp_path: Path
) -> None:
    add(functions, tmp_path)
    failed, result = invoke(functions)
    assert not failed
    assert result.pop("pid") != os.getpid()
    assert result == {
        "layer": "the layer",
        "found": [],
        "variable": "/here/file",
        "function": "f",
        "left": True,
        "arn": "arn:aws:lambda:eu-west-2:123456789012:function:f",
    }


def test_a_warm_environment_is_used_again(functions: Functions, tmp_path: Path) -> None:
    add(functions, tmp_path)
    assert invoke(functions)[1]["pid"] == invoke(functions)[1]["pid"]


def test_an_exception_is_reported_and_the_environment_lives_on(functions: Functions, tmp_path: Path) -> None:
    add(functions, tmp_path)
    before = invoke(functions)[1]["pid"]
    failed, error = invoke(functions, fail="no such thing")
    assert failed
    assert (error["errorType"], error["errorMessage"]) == ("ValueError", "no such thing")
    assert invoke(functions)[1]["pid"] == before


def test_a_timeout_ends_the_environment_and_the_next_invocation_works(
    functions: Functions, tmp_path: Path
) -> None:
    add(functions, tmp_path, timeout=5)
    before = invoke(functions)[1]["pid"]
    failed, error = invoke(functions, sleep=600)
    assert failed
    assert error["errorType"] == "Sandbox.Timedout"
    assert "Task timed out after 5.00 seconds" in error["errorMessage"]
    wait_until_gone(before)
    failed, result = invoke(functions)
    assert not failed
    assert result["pid"] != before


def test_a_crash_is_reported_and_the_next_invocation_works(functions: Functions, tmp_path: Path) -> None:
    add(functions, tmp_path)
    failed, error = invoke(functions, exit=3)
    assert failed
    assert error["errorType"] == "Runtime.ExitError"
    assert "exit status 3" in error["errorMessage"]
    assert not invoke(functions)[0]


def test_an_idle_environment_that_died_is_replaced(functions: Functions, tmp_path: Path) -> None:
    add(functions, tmp_path)
    before = invoke(functions)[1]["pid"]
    guard = psutil.Process(before).parent()
    assert guard is not None
    psutil.Process(before).kill()
    wait_until(lambda: not psutil.pid_exists(guard.pid))
    failed, result = invoke(functions)
    assert not failed
    assert result["pid"] != before


def test_a_start_that_takes_too_long_is_reported(
    functions: Functions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lambdas, "INIT_TIMEOUT", 0.2)
    add(functions, tmp_path, "import time; time.sleep(600)")
    failed, error = invoke(functions)
    assert failed
    assert error["errorType"] == "Sandbox.Timedout"
    assert "after 0.20 seconds" in error["errorMessage"]


def test_a_layer_that_is_missing_fails_each_invocation(functions: Functions, tmp_path: Path) -> None:
    broken: Future[Path] = Future()
    broken.set_exception(UnavailableError("no layer"))
    functions.add(Function("f", "eu-west-2", "arn", "app.handler", tmp_path, [broken], {}, 1, 128))
    for _ in range(CONCURRENCY + 1):
        with pytest.raises(UnavailableError, match="no layer"):
            invoke(functions)


def test_a_function_that_is_not_there_is_a_key_error(functions: Functions) -> None:
    with pytest.raises(KeyError):
        invoke(functions)


def test_large_events_and_results_in_any_language_arrive(functions: Functions, tmp_path: Path) -> None:
    add(functions, tmp_path, "def handler(event, context):\n    return event")
    event = {"text": "é☃𝄞\n" * 300_000}
    assert invoke(functions, **event) == (False, event)


def test_a_handler_that_cannot_be_imported_says_why(functions: Functions, tmp_path: Path) -> None:
    add(functions, tmp_path, "import dask")
    failed, error = invoke(functions)
    assert failed
    assert error["errorType"] == "Runtime.ImportModuleError"
    assert "No module named 'dask'" in error["errorMessage"]


def test_invocations_run_at_once_up_to_a_limit(functions: Functions, tmp_path: Path) -> None:
    add(functions, tmp_path)
    with ThreadPoolExecutor(2 * CONCURRENCY) as executor:
        calls = [executor.submit(invoke, functions, sleep=0.5) for _ in range(2 * CONCURRENCY)]
        pids = {call.result()[1]["pid"] for call in calls}
    assert 1 < len(pids) <= CONCURRENCY


def test_nothing_is_left_when_functions_are_closed(functions: Functions, tmp_path: Path) -> None:
    add(functions, tmp_path)
    pid = invoke(functions)[1]["pid"]
    with ThreadPoolExecutor(2 * CONCURRENCY) as executor:
        calls = [executor.submit(invoke, functions, sleep=600) for _ in range(2 * CONCURRENCY)]
        functions.close()
        assert all(call.result()[0] for call in calls), "what is under way or waits is reported as failed"
    wait_until_gone(pid)
    assert not [child for child in psutil.Process().children(recursive=True) if runs(child)]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    source = tmp_path / "root" / "layer"
    source.mkdir(parents=True)
    (source / "content").write_text("1")
    (source / "Makefile").write_text(
        "build-L:\n\t@cp content $(ARTIFACTS_DIR)/content\n\t@echo built >> ../log\n\n"
        "build-Broken:\n\t@echo no >&2; false\n"
    )
    return tmp_path / "root"


def test_a_layer_is_built_once_for_each_content(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV", "uv")
    first = build_layer("L", root / "layer", root)
    assert (first / "content").read_text() == "1"
    assert build_layer("L", root / "layer", root) == first
    assert (root / "log").read_text().splitlines() == ["built"]
    (root / "layer" / "content").write_text("2")
    assert (build_layer("L", root / "layer", root) / "content").read_text() == "2"
    (root / "uv.lock").write_text("changed")
    build_layer("L", root / "layer", root)
    assert (root / "log").read_text().splitlines() == ["built"] * 3


def test_a_layer_that_cannot_be_built_says_how_to_see_why(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV", "uv")
    with pytest.raises(UnavailableError, match=r"could not be built: no / .*run `make build-Broken "):
        build_layer("Broken", root / "layer", root)
    assert not list((root / ".cache" / "layers").glob("Broken-*"))
