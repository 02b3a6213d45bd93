"""Nothing that tests start outlives them, however they end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from testing import processes
from testing.waiting import wait_until

ROOT = Path(__file__).parents[2]
# A process that starts another one; neither minds what a terminal sends.
STUBBORN = """
import os, pathlib, signal, subprocess, sys, threading
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
if len(sys.argv) == 1:
    subprocess.Popen([sys.executable, __file__, "child"])
pathlib.Path(__file__).with_name(f"{os.getpid()}.pid").touch()
threading.Event().wait()
"""
TEST = """
import sys, threading
from pathlib import Path
from testing import processes

def test_that_never_ends():
    processes.start([sys.executable, str(Path(__file__).with_name("stubborn.py"))], start_new_session=True)
    threading.Event().wait()
"""


def pids(directory: Path) -> set[int]:
    return {int(path.stem) for path in directory.glob("*.pid")}


def runs(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_what_tests_start_ends_with_them(tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "stubborn.py").write_text(STUBBORN)
    (tmp_path / "test_never.py").write_text(TEST)
    pytest_options = ["-p", "no:cacheprovider", "--numprocesses", "1", "--rootdir", str(tmp_path)]
    command = [sys.executable, "-m", "pytest", *pytest_options, str(tmp_path / "test_never.py")]
    run = processes.start(command, cwd=ROOT, stdout=subprocess.DEVNULL, start_new_session=True)
    wait_until(lambda: len(pids(tmp_path)) == 2 or run.poll() is not None, "two processes")
    assert run.poll() is None
    os.killpg(run.pid, number)
    run.wait()
    wait_until(lambda: not any(map(runs, pids(tmp_path))), "the end of both processes")


def test_what_ended_long_ago_is_left_alone() -> None:
    """A number may be another process's by now: here it is this one's, of another beginning."""
    processes.main([f"{os.getpid()} 1.0\n", "999999999 1.0\n"])
    assert runs(os.getpid())
