"""What the end-to-end tests do to a running local system."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import boto3

from dask_regions import names
from dask_regions.local_state import LocalState
from dask_regions_local.emulator.system import LocalSystem
from testing.waiting import wait_until


def run_state_machine(
    system: LocalSystem | LocalState, name: str, payload: dict[str, object]
) -> dict[str, Any]:
    """Start a state machine, named by its logical id, and wait for its end."""
    client = boto3.client("stepfunctions", region_name=system.client_region, endpoint_url=system.aws_endpoint)
    started = client.start_execution(
        stateMachineArn=system.state_machines[name], name=f"test-{time.time_ns()}", input=json.dumps(payload)
    )

    def ended() -> dict[str, Any]:
        execution = client.describe_execution(executionArn=started["executionArn"])
        return dict(execution) if execution["status"] != "RUNNING" else {}

    return wait_until(ended, f"the end of {name}")


def desired(system: LocalSystem, region: str) -> int:
    """Return the desired count of a Region's pool."""
    ecs = boto3.client("ecs", region_name=region, endpoint_url=system.aws_endpoint)
    [service] = ecs.describe_services(
        cluster=names.cluster_name("dask-regions"), services=[names.service_name("dask-regions")]
    )["services"]
    return int(service["desiredCount"])


def _by_value() -> Callable[[Any], Any]:
    # Workers cannot import the tests; what is defined in a function is pickled by value.
    def slow(value: Any) -> Any:
        time.sleep(0.3)
        return value

    return slow


#: Return the argument, a while later.
slow = _by_value()
