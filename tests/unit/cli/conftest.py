"""How the tests of commands run them, and the local system that they may act on."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from dask_regions.cli import pools
from dask_regions.cli.main import main
from dask_regions.local_state import LOCK_FILE, LocalState, write_state
from dask_regions.models import Pool
from dask_regions.scaling import PoolState

ROOT = Path(__file__).parents[3]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that runs ``dask-regions`` with no system but the one a test makes."""
    for name in ("DASK_REGIONS_API", "DASK_REGIONS_TRACEBACK", "SCHEDULER_URL", "SYSTEM_NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DATASETS_FILE", str(ROOT / "local" / "datasets.yaml"))
    monkeypatch.setenv("DASK_REGIONS_LOCAL", str(tmp_path / "local"))

    def invoke(*arguments: str) -> Result:
        return CliRunner(mix_stderr=False).invoke(main, arguments)

    return invoke


@pytest.fixture
def describe_local(tmp_path: Path) -> Callable[[int], Path]:
    """Return a function that writes what a local system says about itself, and returns where."""

    def describe(pid: int) -> Path:
        directory = tmp_path / "local"
        directory.mkdir()
        state = LocalState(
            pid=pid,
            api_url="http://127.0.0.1:1/catalog",
            scheduler_address="tcp://127.0.0.1:2",
            dashboard_url="http://127.0.0.1:3/status",
            aws_endpoint="http://127.0.0.1:4",
            client_region="eu-west-2",
            datasets_file=ROOT / "local" / "datasets.yaml",
        )
        write_state(directory, state)
        return directory

    return describe


@pytest.fixture
def running_local(describe_local: Callable[[int], Path]) -> Iterator[None]:
    """Hold the lock of a local system that has described itself."""
    with (describe_local(os.getpid()) / LOCK_FILE).open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


class FakeService:
    """An ECS service that remembers its desired count."""

    desired: dict[str, int]
    endpoints: list[str | None]

    def __init__(self, region: str, system: str) -> None:
        self.region = f"{system}/{region}"

    def state(self, pool: Pool) -> PoolState:
        region = self.region.split("/")[1]
        self.endpoints.append(os.environ.get("AWS_ENDPOINT_URL"))
        return PoolState(region=region, desired=self.desired[self.region], running=1, pending=0, pool=pool)

    def set_desired(self, desired: int) -> None:
        self.desired[self.region] = desired


@pytest.fixture
def services(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    desired = {"dask-regions/us-west-2": 1, "dask-regions/us-east-1": 1}
    monkeypatch.setattr(FakeService, "desired", desired, raising=False)
    monkeypatch.setattr(FakeService, "endpoints", [], raising=False)
    monkeypatch.setattr(pools, "PoolService", FakeService)
    return desired


@pytest.fixture
def endpoints(services: dict[str, int]) -> list[str | None]:
    """The address of AWS that each look at a service was made with; None where it is AWS's own."""
    return FakeService.endpoints
