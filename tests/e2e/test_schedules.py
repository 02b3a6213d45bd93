"""What the templates start by the clock starts in local mode, too."""

from __future__ import annotations

from functools import partial

import boto3
import pytest

from dask_regions_local.emulator.system import LocalSystem
from testing.waiting import wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("local-system")]

DAY_SECONDS = 86400


def executions(system: LocalSystem, name: str) -> dict[str, str]:
    """Return the status of every execution of a state machine, by ARN."""
    client = boto3.client("stepfunctions", region_name=system.client_region, endpoint_url=system.aws_endpoint)
    listed = client.list_executions(stateMachineArn=system.state_machines[name])["executions"]
    return {execution["executionArn"]: execution["status"] for execution in listed}


def test_a_day_later_the_catalog_was_synced_and_the_regions_compared(system: LocalSystem) -> None:
    scheduled = ("SyncCatalogStateMachine", "JoinRegionsStateMachine")
    before = {name: executions(system, name) for name in scheduled}
    system.schedules.advance(DAY_SECONDS)

    def ended(name: str) -> list[str]:
        statuses = [status for arn, status in executions(system, name).items() if arn not in before[name]]
        return [] if "RUNNING" in statuses else statuses

    for name in scheduled:
        assert wait_until(partial(ended, name), f"the execution of {name}") == ["SUCCEEDED"]
