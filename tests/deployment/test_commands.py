"""What a stranger types, run against the emulated account."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from testing.deployment import emulator
from testing.deployment.emulator import Emulator

pytestmark = [pytest.mark.deployment, pytest.mark.xdist_group("commands")]

ROOT = Path(__file__).parents[2]
COMMAND = Path(sys.executable).parent / "dask-regions"
CLIENT, WEST = "eu-west-2", "us-west-2"
MANIFEST = json.dumps({"schemaVersion": 2, "layers": []})

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
            timeout=1800,
            check=False,
        )

    return invoke


def push(account: Emulator, tag: str) -> None:
    """Put both images into the client Region, as ``docker push`` would."""
    for name in ("scheduler", "worker"):
        account.client("ecr", CLIENT).put_image(
            repositoryName=f"dask-regions-{name}", imageManifest=MANIFEST, imageTag=tag
        )


def statuses(account: Emulator, region: str) -> dict[str, str]:
    stacks = account.client("cloudformation", region).describe_stacks()["Stacks"]
    return {stack["StackName"]: stack["StackStatus"] for stack in stacks if "ParentId" not in stack}


# Three Regions are deployed three times: a quarter of an hour on a busy machine.
@pytest.mark.timeout(3600)
def test_from_nothing_to_three_joined_regions_in_any_order_and_back_to_nothing(
    fresh: Emulator, run: Run
) -> None:
    refused = run("deploy", WEST, "--yes", "--build", "none")
    assert refused.returncode != 0
    assert "no image dask-regions-scheduler:0.1.0 and dask-regions-worker:0.1.0" in refused.stderr
    assert "dask-regions deploy --build codebuild" in refused.stderr
    assert "start Docker" in refused.stderr
    push(fresh, "0.1.0")
    for arguments in ((WEST,), (), ()):
        done = run("deploy", *arguments, "--yes", "--build", "none")
        assert done.returncode == 0, done.stderr[-4000:]
    assert statuses(fresh, CLIENT)["dask-regions"].endswith("_COMPLETE")
    assert "the Regions are joined" in done.stderr
    assert "dask-regions remove" in done.stdout
    removed = run("remove", "--yes")
    assert removed.returncode == 0, removed.stderr[-4000:]
    for region in (CLIENT, WEST, "us-east-2", "us-east-1"):
        assert statuses(fresh, region).keys() <= {"aws-sam-cli-managed-default"}
    nothing = run("remove", "--yes")
    assert nothing.returncode == 0
    assert "has no stack of dask-regions in any Region" in nothing.stderr
