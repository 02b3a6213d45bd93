"""Whether a local system runs is told by its lock, never by what it left behind."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from dask_regions.errors import ConfigurationError
from dask_regions.local_state import LOCK_FILE, STATE_FILE, LocalState, is_running, read_state, write_state


@pytest.fixture
def state() -> LocalState:
    """Return the state of a system whose process id is that of a process which lives."""
    return LocalState(
        pid=os.getpid(),
        api_url="http://127.0.0.1:1",
        scheduler_address="tcp://127.0.0.1:2",
        dashboard_url="http://127.0.0.1:3/status",
        aws_endpoint="http://127.0.0.1:4",
        client_region="eu-west-2",
        datasets_file=Path("datasets.yaml"),
        regions=("us-west-2",),
        state_machines={"Sync": "arn"},
    )


def test_a_state_without_a_lock_is_stale(tmp_path: Path, state: LocalState) -> None:
    write_state(tmp_path, state)
    assert not is_running(tmp_path)
    (tmp_path / LOCK_FILE).touch()
    assert not is_running(tmp_path)
    assert read_state(tmp_path) is None


def test_the_state_behind_a_held_lock_is_read_whole(tmp_path: Path, state: LocalState) -> None:
    with (tmp_path / LOCK_FILE).open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert is_running(tmp_path)
        assert read_state(tmp_path) is None, "it is starting"
        write_state(tmp_path, state)
        assert read_state(tmp_path) == state
        assert {path.name for path in tmp_path.iterdir()} == {LOCK_FILE, STATE_FILE}


def test_asking_leaves_the_lock_free(tmp_path: Path) -> None:
    (tmp_path / LOCK_FILE).touch()
    assert not is_running(tmp_path)
    with (tmp_path / LOCK_FILE).open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_file_that_no_system_wrote_is_named(tmp_path: Path) -> None:
    (tmp_path / STATE_FILE).write_text("{}")
    with (tmp_path / LOCK_FILE).open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(ConfigurationError, match=r"system\.json:1: .*remove it"):
            read_state(tmp_path)


@pytest.mark.parametrize("place", ["absent", "file/below"])
def test_nothing_runs_where_there_is_no_directory(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    assert not is_running(tmp_path / place)
    assert read_state(tmp_path / place) is None
