"""What a stranger types, run against the emulated account."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from testing.deployment import emulator
from testing.deployment.emulator import Emulator

pytestmark = pytest.mark.deployment

ROOT = Path(__file__).parents[2]
COMMAND = Path(sys.executable).parent / "dask-regions"
WEST = "us-west-2"

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with emulator.running(tmp_path_factory.mktemp("fresh")) as started:
        yield started


@pytest.fixture
def run(fresh: Emulator, tmp_path: Path) -> Run:
    """Return a function that runs ``dask-regions`` in the checkout, as an account that is fresh."""

    def invoke(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(COMMAND), *arguments, "--samconfig", str(tmp_path / "samconfig.toml")]
        return subprocess.run(
            command,
            cwd=ROOT,
            env=fresh.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )

    return invoke


def test_without_images_it_says_both_ways_to_build_them(run: Run) -> None:
    refused = run("deploy", WEST, "--yes", "--build", "none")
    assert refused.returncode != 0
    assert "no image dask-regions-scheduler:0.1.0 and dask-regions-worker:0.1.0" in refused.stderr
    assert "dask-regions deploy --build codebuild" in refused.stderr
    assert "start Docker" in refused.stderr
