"""The whole local system, from the repository's own artefacts, when something goes wrong with it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from dask_regions.errors import UnavailableError
from dask_regions.local_state import LocalState, is_running, read_state
from dask_regions_local.emulator.system import LocalSystem
from dask_regions_local.settings import ROOT
from testing import processes
from testing.local_system import run_state_machine
from testing.waiting import WAIT_SECONDS, wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("local-system")]

PARENT = """
import sys, time
from pathlib import Path
from dask_regions_local.emulator.system import LocalSystem
from dask_regions_local.settings import ROOT
if __name__ == "__main__":
    with LocalSystem(Path(sys.argv[1]), root=Path(sys.argv[2])):
        time.sleep(3600)
"""


@dataclass
class Started:
    """A local system in a process of its own."""

    directory: Path
    process: subprocess.Popen[bytes]

    @property
    def state(self) -> LocalState:
        state = read_state(self.directory)
        assert state is not None
        return state

    def children(self) -> list[psutil.Process]:
        return list(psutil.Process(self.process.pid).children(recursive=True))

    def counts(self) -> dict[str, int]:
        url = self.state.dashboard_url.removesuffix("/status") + "/json/counts.json"
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return dict(json.load(answer))
        except OSError:
            return {}


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    directory = tmp_path_factory.mktemp("local")
    script = directory / "parent.py"
    script.write_text(PARENT)
    command = [sys.executable, str(script), str(directory / "state"), str(ROOT)]
    with processes.start(command) as process:
        try:
            wait_until(lambda: process.poll() is not None or (directory / "state" / "system.json").exists())
            assert process.poll() is None, "it did not start"
            yield Started(directory / "state", process)
        finally:
            process.kill()


def test_it_describes_itself_and_answers(started: Started) -> None:
    about = started.state
    assert about.pid == started.process.pid
    assert (about.client_region, about.regions) == ("eu-west-2", ("us-west-2", "us-east-1"))
    assert set(about.state_machines) == {
        "JoinRegionsStateMachine",
        "ScalePoolStateMachine",
        "SyncCatalogStateMachine",
    }
    assert started.counts()["workers"] == 2
    with urllib.request.urlopen(about.api_url + "/conformance") as answer:
        assert answer.status == 200


def test_joining_ends_well_where_no_region_has_a_network(
    started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    about = started.state
    execution = run_state_machine(about, "JoinRegionsStateMachine", {})
    assert execution["status"] == "SUCCEEDED", execution
    outcome = json.loads(execution["output"])
    assert outcome["action"] == "settled"
    assert set(outcome["absent"]) == {about.client_region, *about.regions}
    assert outcome["done"] == outcome["joined"] == []


def test_a_second_one_in_the_directory_says_how_to_stop_the_first(started: Started) -> None:
    with pytest.raises(UnavailableError, match=f"already runs .* kill {started.process.pid}"):
        LocalSystem(started.directory, root=ROOT).__enter__()


def test_a_scheduler_that_crashed_is_replaced_and_workers_come_back(started: Started) -> None:
    [scheduler] = [
        child
        for child in started.children()
        if child.cmdline()[-1:] == ["dask_regions.placement.processes.scheduler"]
        and "guard.py" not in " ".join(child.cmdline())
    ]
    scheduler.kill()
    wait_until(lambda: not scheduler.is_running() or scheduler.status() == psutil.STATUS_ZOMBIE)
    wait_until(lambda: started.counts().get("workers") == 2)


def test_nothing_is_left_after_sigkill(started: Started) -> None:
    with urllib.request.urlopen(started.state.api_url + "/conformance") as answer:
        assert answer.status == 200  # a function runs, too
    children = started.children()
    assert len(children) >= 8, "scheduler, two workers, a function, and their guards"
    os.kill(started.process.pid, signal.SIGKILL)
    _, left = psutil.wait_procs(children, timeout=WAIT_SECONDS)
    assert not left
    assert not is_running(started.directory)
