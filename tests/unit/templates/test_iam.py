"""Each role allows what its code calls, and nothing else."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from testing.static import iam
from testing.static.reach import Call, calls_of_text, reached_calls
from testing.templates import read, resources, statements

TEMPLATES = read()
ROLES = list(iam.roles(TEMPLATES))
#: Actions that no call of ours is named after, and who needs them.
NOT_CALLS = {
    "ec2:CreateTags": "EC2 asks for it where a call creates something with tags",
    "elasticfilesystem:ClientMount": "Lambda mounts the catalog's file system",
    "elasticfilesystem:ClientWrite": "Lambda mounts the catalog's file system",
    "logs:CreateLogStream": "Lambda writes the function's log",
    "logs:PutLogEvents": "Lambda writes the function's log",
    "s3:DeleteObjectVersion": "DeleteObjects that names versions",
    "s3:GetObjectVersion": "GetObject that names a version",
    "s3:ListBucket": "without it S3 answers 403 where an object is missing, not 404",
    "ssmmessages:CreateControlChannel": "ECS Exec",
    "ssmmessages:CreateDataChannel": "ECS Exec",
    "ssmmessages:OpenControlChannel": "ECS Exec",
    "ssmmessages:OpenDataChannel": "ECS Exec",
}
#: Actions that a role allows for other code than ours.
FOR_OTHERS = {
    ("regional_stack/client_pool.yaml", "TaskRole"): {
        # As in worker Regions, but for the buckets of datasets.
        "ssm:GetParameter",
        "s3:AbortMultipartUpload",
        "s3:DeleteObject",
        "s3:GetObject",
        "s3:PutObject",
    },
    ("regional_stack/workers.yaml", "TaskRole"): {
        # Scientists' computations read buckets and write to the scratch bucket, by s3fs or obstore.
        "s3:AbortMultipartUpload",
        "s3:DeleteObject",
        "s3:GetObject",
        "s3:PutObject",
        # The environment of workers names the configuration, for code that runs in tasks: they read none.
        "ssm:GetParameter",
    },
}
#: Calls that the graph of names holds for reached and that are not.
NOT_REACHED = {
    # dataclasses.replace and str.replace have the name of Control.replace, which only a sync calls.
    # Nor does a search ask for a document by GET: tests/unit/catalog/test_rights.py has all that it asks.
    ("template.yaml", "ServeCatalogFunction"): {"es:ESHttpGet", "es:ESHttpPut"},
    # A pool's demand has a field of the name of PoolService.tasks.
    ("template.yaml", "WatchSchedulerFunction"): {"ecs:ListTasks"},
}
#: Roles that AWS's services use themselves, and programs that are not ours.
NOT_OURS = {
    ("regional_stack/alarms.yaml", "OperatorRuleRole"): "EventBridge sends events with it",
    ("regional_stack/builder.yaml", "Role"): "CodeBuild runs docker with it",
    ("regional_stack/network.yaml", "FlowLogsRole"): "VPC Flow Logs",
    ("regional_stack/network.yaml", "NatRole"): "the NAT instance's agent of Systems Manager",
    ("regional_stack/notebook.yaml", "Role"): "the notebook of a scientist",
    ("regional_stack/scheduler.yaml", "ExecutionRole"): "ECS starts the task with it",
    ("regional_stack/template.yaml", "DeployedRuleRole"): "EventBridge sends events with it",
    ("regional_stack/client_pool.yaml", "AlarmRuleRole"): "EventBridge sends events with it",
    ("regional_stack/client_pool.yaml", "ExecutionRole"): "ECS starts the task with it",
    ("regional_stack/workers.yaml", "AlarmRuleRole"): "EventBridge sends events with it",
    ("regional_stack/workers.yaml", "ExecutionRole"): "ECS starts the task with it",
    ("regional_stack/workers.yaml", "HostRole"): "the agent of ECS",
}
OURS = [role for role in ROLES if role not in NOT_OURS]


def differences(templates: Any, role: tuple[str, str]) -> tuple[set[str], set[str]]:
    """Return the actions that a role lacks, and those that nothing calls."""
    calls = iam.called(iam.code_of(templates, *role)) - NOT_REACHED.get(role, set())
    allowed = iam.allowed(templates, *role)
    return calls - allowed, allowed - calls - FOR_OTHERS.get(role, set()) - NOT_CALLS.keys()


def test_every_role_is_either_our_codes_or_has_a_reason() -> None:
    assert len(OURS) >= 12
    without_code = {role for role in ROLES if not iam.code_of(TEMPLATES, *role)}
    assert without_code == NOT_OURS.keys()


@pytest.mark.parametrize("role", OURS, ids=":".join)
def test_a_role_allows_what_its_code_calls_and_nothing_else(role: tuple[str, str]) -> None:
    missing, superfluous = differences(TEMPLATES, role)
    assert not missing, f"{sorted(missing)}: the code calls this, and its role does not allow it"
    assert not superfluous, f"{sorted(superfluous)}: the role allows this, and its code does not call it"


def test_every_exception_is_needed() -> None:
    allowed = set().union(*(iam.allowed(TEMPLATES, *role) for role in OURS))
    assert NOT_CALLS.keys() <= allowed
    for role, actions in FOR_OTHERS.items():
        assert actions <= iam.allowed(TEMPLATES, *role)
    for role, actions in NOT_REACHED.items():
        assert actions <= iam.called(iam.code_of(TEMPLATES, *role)) - iam.allowed(TEMPLATES, *role)


def test_an_action_too_few_and_one_too_many_are_noticed() -> None:
    templates = copy.deepcopy(dict(TEMPLATES))
    policies = templates["template.yaml"]["Resources"]["SetPoolFunction"]["Properties"]["Policies"]
    update = next(each for each in statements(policies) if "ecs:UpdateService" in each["Action"])
    update["Action"] = ["ecs:DescribeServices", "ecs:DeleteService"]
    missing, superfluous = differences(templates, ("template.yaml", "SetPoolFunction"))
    assert (missing, superfluous) == ({"ecs:UpdateService"}, {"ecs:DeleteService"})


def test_calls_are_seen_through_paginators_and_clients_of_any_name() -> None:
    text = """
from boto3 import client
ecs = client("ecs")
for page in ecs.get_paginator("list_tasks").paginate():
    ecs.stop_task(task=page["taskArns"][0])
"""
    assert calls_of_text(text) == {Call("ecs", "ListTasks"), Call("ecs", "StopTask")}


def test_what_a_handler_does_not_reach_is_not_among_its_calls() -> None:
    reads = reached_calls("functions/read_pool/app.py")
    assert Call("ecs", "DescribeServices") in reads
    assert Call("ecs", "UpdateService") not in reads


def test_a_state_machine_may_invoke_the_functions_that_it_invokes_and_do_nothing_else() -> None:
    machines = list(resources(TEMPLATES, "AWS::Serverless::StateMachine"))
    assert len(machines) >= 2
    for _, name, properties in machines:
        (statement,) = statements(properties["Policies"])
        assert statement["Action"] == "lambda:InvokeFunction", name
        arns = properties["DefinitionSubstitutions"].values()
        assert sorted(map(str, statement["Resource"])) == sorted(map(str, arns)), name
