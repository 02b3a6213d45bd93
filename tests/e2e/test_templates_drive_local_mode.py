"""Local mode runs what will be deployed: an edit of a template or state machine changes it."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest

import dask_regions
from dask_regions import names
from dask_regions_local.emulator.system import LocalSystem
from testing.local_system import desired, run_state_machine, slow
from testing.waiting import wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("edited")]


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) == 1, f"{path.name} no longer has {old!r} once; adapt the test"
    path.write_text(text.replace(old, new))


@pytest.fixture(scope="module")
def edited(
    copy_of_the_artefacts: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LocalSystem]:
    """Run the system from artefacts with three edits: a route's path, a state, an alarm's threshold."""
    root = copy_of_the_artefacts("edited")
    edit(root / "template.yaml", "/conformance: {get: *answer}", "/classes: {get: *answer}")
    machine = root / "statemachines" / "sync_catalog.asl.json"
    definition = json.loads(machine.read_text())
    definition["States"]["SwapCatalog"]["Parameters"]["FunctionName"] = "no-such-function"
    machine.write_text(json.dumps(definition))
    edit(root / "regional_stack" / "workers.yaml", "Threshold: !Ref MissingThreshold", "Threshold: 1000")
    with LocalSystem(tmp_path_factory.mktemp("edited-system"), root=root) as system:
        yield system


def status(url: str) -> int:
    try:
        with urllib.request.urlopen(url) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_a_route_that_was_moved_in_the_template_is_gone_from_the_api(edited: LocalSystem) -> None:
    assert status(f"{edited.api_url}/conformance") == 404
    assert status(f"{edited.api_url}/collections") == 200


def test_a_state_that_was_broken_breaks_the_sync_and_leaves_the_catalog_as_it_was(
    edited: LocalSystem,
) -> None:
    assert run_state_machine(edited, "SyncCatalogStateMachine", {})["status"] == "FAILED"
    with urllib.request.urlopen(f"{edited.api_url}/search") as answer:
        assert json.load(answer)["features"] == []


def test_an_alarm_whose_threshold_was_raised_does_not_grow_the_pool(edited: LocalSystem) -> None:
    with dask_regions.connect(edited.scheduler_address) as client:
        futures = client.map(slow, range(400), resources={names.region_resource("us-west-2"): 0}, pure=False)
        # At the threshold as it is declared, the first of these starts the growth.
        wait_until(lambda: sum(v >= 1 for v in missing(edited, "us-west-2")) >= 3, "demand is published")
        time.sleep(3)  # the alarms are looked at each second
        assert desired(edited, "us-west-2") == 1
        del futures


def missing(system: LocalSystem, region: str) -> list[float]:
    """Return what the scheduler published as missing ECS tasks in the last minutes."""
    cloudwatch: Any = boto3.client("cloudwatch", region_name=region, endpoint_url=system.aws_endpoint)
    now = datetime.now(UTC)
    answer = cloudwatch.get_metric_statistics(
        Namespace=names.METRIC_NAMESPACE,
        MetricName=names.MISSING_METRIC,
        Dimensions=[
            {"Name": names.SYSTEM_DIMENSION, "Value": "dask-regions"},
            {"Name": names.REGION_DIMENSION, "Value": region},
        ],
        StartTime=now - timedelta(minutes=5),
        EndTime=now + timedelta(minutes=1),
        Period=1,
        Statistics=["Maximum"],
    )
    return [point["Maximum"] for point in answer["Datapoints"]]
