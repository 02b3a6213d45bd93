"""The pool's template: what an update keeps, and what a deployment that cannot succeed does."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from samtranslator.yaml_helper import yaml_parse

STACKS = Path(__file__).parents[3] / "regional_stack"
WORKERS: dict[str, Any] = yaml_parse((STACKS / "workers.yaml").read_text())
SERVICE = WORKERS["Resources"]["Service"]["Properties"]
DEPLOYMENT = SERVICE["DeploymentConfiguration"]


def test_an_update_does_not_set_the_desired_count() -> None:
    assert "DesiredCount" not in SERVICE


def test_a_deployment_whose_tasks_never_start_is_rolled_back() -> None:
    assert DEPLOYMENT["DeploymentCircuitBreaker"] == {"Enable": True, "Rollback": True}


def hosts_at_most(maximum_tasks: int) -> int:
    condition, single, several = WORKERS["Resources"]["HostGroup"]["Properties"]["MaxSize"]["Fn::If"]
    assert WORKERS["Conditions"][condition] == {"Fn::Equals": [{"Ref": "MaximumTasks"}, 1]}
    assert several == {"Ref": "MaximumTasks"}
    return int(single) if maximum_tasks == 1 else maximum_tasks


@pytest.mark.parametrize("maximum_tasks", [1, 2, 3, 7, 1000])
def test_a_pool_of_any_size_can_be_deployed_one_ecs_task_on_each_host(maximum_tasks: int) -> None:
    """ECS rounds the least number of healthy tasks up, and the greatest number of tasks down."""
    for desired in {1, 2, maximum_tasks // 2, maximum_tasks} - {0}:
        least = math.ceil(desired * DEPLOYMENT["MinimumHealthyPercent"] / 100)
        most = math.floor(desired * DEPLOYMENT["MaximumPercent"] / 100)
        starts_one = min(most, hosts_at_most(maximum_tasks)) > desired
        stops_one = least < desired
        assert starts_one or stops_one, "the deployment never begins"
        assert least >= 1, "nobody stays to take the results over"


def test_ecs_does_not_stop_workers_for_balance() -> None:
    assert SERVICE["AvailabilityZoneRebalancing"] == "DISABLED"
