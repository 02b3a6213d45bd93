"""Nothing outlives the system, however it ends, and a directory holds one at a time."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from dask_regions.errors import UnavailableError
from dask_regions.local_state import LOCK_FILE, STATE_FILE, LocalState, is_running, read_state, write_state
from dask_regions_local.emulator.processes.lifecycle import Process, exclusive, sigterm_exits
from testing import processes
from testing.waiting import wait_until

# A command that starts another one, which ignores SIGTERM; both write their process ids.
FAMILY = """
import os, pathlib, signal, subprocess, sys, time
here = pathlib.Path(sys.argv[1])
if len(sys.argv) == 2:
    subprocess.Popen([sys.executable, __file__, sys.argv[1], "child"])
else:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
(here / f"{os.getpid()}.pid").touch()
time.sleep(600)
"""
PARENT = """
import json, os, sys, time
from pathlib import Path
from dask_regions.local_state import LocalState, write_state
from dask_regions_local.emulator.processes.lifecycle import Process, exclusive
here = Path(sys.argv[1])
with exclusive(here):
    Process([sys.executable, str(here / "family.py"), str(here)], env=os.environ, cwd=here, log=here / "log")
    state = json.loads((here / "state").read_text()) | {"pid": os.getpid()}
    write_state(here, LocalState.model_validate(state))
    time.sleep(600)
"""

STATE = LocalState(
    pid=1,
    api_url="http://127.0.0.1:1",
    scheduler_address="tcp://127.0.0.1:2",
    dashboard_url="http://127.0.0.1:3/status",
    aws_endpoint="http://127.0.0.1:4",
    client_region="eu-west-2",
    datasets_file=Path("datasets.yaml"),
)


def pids(directory: Path) -> set[int]:
    return {int(path.stem) for path in directory.glob("*.pid")}


def alive(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


@pytest.fixture
def family(tmp_path: Path) -> list[str]:
    (tmp_path / "family.py").write_text(FAMILY)
    (tmp_path / "parent.py").write_text(PARENT)
    (tmp_path / "state").write_text(STATE.model_dump_json())
    return [sys.executable, str(tmp_path / "family.py"), str(tmp_path)]


def test_a_process_is_killed_with_what_it_started(tmp_path: Path, family: list[str]) -> None:
    process = Process(family, env=os.environ, cwd=tmp_path, log=tmp_path / "log")
    wait_until(lambda: len(pids(tmp_path)) == 2)
    assert process.returncode is None
    process.kill()
    wait_until(lambda: not any(map(alive, pids(tmp_path))))
    assert process.returncode is not None


def test_a_process_reports_how_its_command_ended(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "print('hello'); raise SystemExit(7)"]
    process = Process(command, env=os.environ, cwd=tmp_path, log=tmp_path / "log")
    wait_until(lambda: process.returncode is not None)
    assert process.returncode == 7
    assert (tmp_path / "log").read_text() == "hello\n"
    process.kill()


@pytest.mark.parametrize("ended", [True, False])
async def test_the_end_of_a_command_is_waited_for(tmp_path: Path, ended: bool) -> None:
    command = [sys.executable, "-c", "import time; time.sleep(0.2); raise SystemExit(7)"]
    process = Process(command, env=os.environ, cwd=tmp_path, log=tmp_path / "log")
    if ended:
        wait_until(lambda: process.returncode is not None)
    assert await process.wait() == 7
    process.kill()


def test_sigterm_reaches_the_command(tmp_path: Path, family: list[str]) -> None:
    process = Process(family, env=os.environ, cwd=tmp_path, log=tmp_path / "log")
    wait_until(lambda: len(pids(tmp_path)) == 2)
    process.terminate()
    wait_until(lambda: process.returncode is not None)
    assert process.returncode == 128 + signal.SIGTERM
    process.kill()  # the child, which ignored it
    wait_until(lambda: not any(map(alive, pids(tmp_path))))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_is_left_when_the_parent_is_killed(tmp_path: Path, family: list[str], number: int) -> None:
    with processes.start(
        [sys.executable, str(tmp_path / "parent.py"), str(tmp_path)], stderr=subprocess.DEVNULL
    ) as parent:
        wait_until(lambda: len(pids(tmp_path)) == 2)
        everything = {process.pid for process in psutil.Process(parent.pid).children(recursive=True)}
        assert pids(tmp_path) < everything
        parent.send_signal(number)
    wait_until(lambda: not any(map(alive, everything)))


def test_a_second_system_says_that_one_runs_and_how_to_stop_it(tmp_path: Path, family: list[str]) -> None:
    with processes.start([sys.executable, str(tmp_path / "parent.py"), str(tmp_path)]) as parent:
        wait_until((tmp_path / "system.json").exists)
        assert read_state(tmp_path) == STATE.model_copy(update={"pid": parent.pid})
        with (
            pytest.raises(UnavailableError, match=f"http://127.0.0.1:1.* kill {parent.pid}"),
            exclusive(tmp_path),
        ):
            pass
        parent.kill()
    assert (tmp_path / "system.json").exists(), "a killed system cannot remove it"
    assert not is_running(tmp_path)
    with exclusive(tmp_path):
        assert not (tmp_path / STATE_FILE).exists()
        write_state(tmp_path, STATE)
    assert not (tmp_path / STATE_FILE).exists()


def test_who_only_asks_whether_a_system_runs_keeps_none_from_starting(tmp_path: Path) -> None:
    asked = (tmp_path / LOCK_FILE).open("ab")
    fcntl.flock(asked, fcntl.LOCK_SH)
    threading.Timer(0.05, asked.close).start()
    with exclusive(tmp_path):
        assert is_running(tmp_path)


def test_sigterm_leaves_contexts_in_order() -> None:
    left = []

    def work() -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(60)
        finally:
            left.append("cleanly")

    with pytest.raises(SystemExit), sigterm_exits():
        work()
    assert left == ["cleanly"]
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
