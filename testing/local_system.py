"""What the end-to-end tests do to a running local system."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import boto3

from dask_regions import names
from dask_regions_local.emulator.system import LocalSystem


def run_state_machine(system: LocalSystem, name: str, payload: dict[str, object]) -> dict[str, Any]:
    """Start a state machine, named by its logical id, and wait for its end."""
    client = boto3.client("stepfunctions", region_name=system.client_region, endpoint_url=system.aws_endpoint)
    started = client.start_execution(
        stateMachineArn=system.state_machines[name], name=f"test-{time.time_ns()}", input=json.dumps(payload)
    )
    while True:
        execution = client.describe_execution(executionArn=started["executionArn"])
        if execution["status"] != "RUNNING":
            return dict(execution)
        time.sleep(0.2)


def desired(system: LocalSystem, region: str) -> int:
    """Return the desired count of a Region's pool."""
    ecs = boto3.client("ecs", region_name=region, endpoint_url=system.aws_endpoint)
    [service] = ecs.describe_services(
        cluster=names.cluster_name("dask-regions"), services=[names.service_name("dask-regions")]
    )["services"]
    return int(service["desiredCount"])


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 180) -> None:
    """Wait for what must come; the bound only ends a test that would never end."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what}: did not happen in {seconds:.0f} s"
        time.sleep(0.5)


def _by_value() -> Callable[[Any], Any]:
    # Workers cannot import the tests; what is defined in a function is pickled by value.
    def slow(value: Any) -> Any:
        time.sleep(0.3)
        return value

    return slow


#: Return the argument, a while later.
slow = _by_value()
