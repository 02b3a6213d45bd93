"""What scientists and the notebook may do, by simulation of their policies: every action is tried.

The simulator is moto's; AWS's own (``iam:SimulateCustomPolicy``) needs an account.
"""

from __future__ import annotations

import json
from importlib.resources import files as resource_files
from typing import Any

import pytest
from moto.iam.access_control import IAMPolicy, PermissionResult

from dask_regions import names
from dask_regions_local.emulator.templates import ACCOUNT, Resource, Stack
from testing.templates import template

SYSTEM, REGION = "dask-regions", "eu-west-2"
API = f"arn:aws:execute-api:{REGION}:{ACCOUNT}:a1b2c3d4e5/*"
NOTEBOOK = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:notebook-instance/{SYSTEM}-notebook"
SSM = f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter"
LAYER = f"arn:aws:lambda:{REGION}:{ACCOUNT}:layer:NotebookEnvironment:1"
SECRET = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{names.token_secret(SYSTEM)}-Ab12Cd"
SERVICES = json.loads((resource_files("cfnlint") / "data" / "AdditionalSpecs" / "Policies.json").read_text())
EVERY_ACTION = [
    f"{service}:{action}" for service, described in SERVICES.items() for action in described["Actions"]
]


def document_of(path: str, logical: str) -> dict[str, Any]:
    """Return a policy of a template, its intrinsic functions resolved."""
    made: dict[str, dict[str, Any]] = {}

    def make(_stack: Stack, name: str, _kind: str, properties: dict[str, Any]) -> Resource:
        made[name] = properties
        return Resource(name)

    parameters = {
        "SystemName": SYSTEM,
        "ApiArn": API,
        "EnvironmentArn": LAYER,
        **dict.fromkeys(("VpcId", "SubnetId", "Cidr", "PrefixListId", "NotebookInstanceType"), "x"),
        "NotebookIdleMinutes": "60",
        "KeyArn": "",
    }
    Stack("access", REGION, template(path), parameters, make).deploy()
    document: dict[str, Any] = made[logical]["PolicyDocument"]
    return document


def allowed(document: dict[str, Any], action: str, resource: str, **context: str) -> bool:
    simulated = IAMPolicy({"policy_document": json.dumps(document)})
    values = {key.replace("_", ":"): value for key, value in context.items()}
    return simulated.is_action_permitted(action, resource, None, values) == PermissionResult.PERMITTED


@pytest.fixture(scope="module")
def scientists() -> dict[str, Any]:
    return document_of("regional_stack/access.yaml", "ScientistsPolicy")


@pytest.fixture(scope="module")
def notebook() -> dict[str, Any]:
    return document_of("regional_stack/notebook.yaml", "RolePolicy")


def lowered(*actions: str) -> set[str]:
    # The reference writes actions in small letters; IAM does not distinguish.
    return {action.lower() for action in actions}


def possible(document: dict[str, Any], resource: str) -> set[str]:
    """Return which of all actions, in small letters, are allowed on a resource."""
    small = [
        {
            **statement,
            **{key: json.loads(json.dumps(statement[key]).lower()) for key in ("Action", "Resource")},
        }
        for statement in document["Statement"]
    ]
    simulated = IAMPolicy({"policy_document": json.dumps({**document, "Statement": small})})
    return {
        action
        for action in lowered(*EVERY_ACTION)
        if simulated.is_action_permitted(action, resource.lower()) == PermissionResult.PERMITTED
    }


USE = lowered(
    "sagemaker:CreatePresignedNotebookInstanceUrl",
    "sagemaker:DescribeNotebookInstance",
    "sagemaker:StartNotebookInstance",
    "sagemaker:StopNotebookInstance",
)


@pytest.mark.parametrize(
    ("resource", "actions"),
    [
        (NOTEBOOK, USE),
        (API.replace("*", "$default/GET/search"), lowered("execute-api:Invoke")),
        (f"{SSM}{names.api_parameter(SYSTEM)}", lowered("ssm:GetParameter")),
        (f"{SSM}{names.scheduler_parameter(SYSTEM)}", lowered("ssm:GetParameter")),
    ],
)
def test_scientists_may_use_the_notebook_call_the_api_and_read_two_addresses(
    scientists: dict[str, Any], resource: str, actions: set[str]
) -> None:
    assert possible(scientists, resource) == actions


@pytest.mark.parametrize(
    "resource",
    [
        "*",
        NOTEBOOK.replace(SYSTEM, "another"),
        f"{NOTEBOOK}-of-somebody",
        NOTEBOOK.replace(REGION, "us-east-1"),
        API.replace("a1b2c3d4e5/*", "another/$default/GET/search"),
        f"{SSM}{names.configuration_parameter(SYSTEM)}",
        f"{SSM}{names.network_parameter(SYSTEM)}",
        f"{SSM}{names.api_parameter('another')}",
        SECRET,
        f"arn:aws:iam::{ACCOUNT}:role/anything",
        f"arn:aws:s3:::{SYSTEM}-stagingbucket-1/sync/reports/latest.json",
        f"arn:aws:ecs:{REGION}:{ACCOUNT}:service/{SYSTEM}/{names.service_name(SYSTEM)}",
        f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{SYSTEM}-SetPoolFunction",
        f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:{SYSTEM}-SyncCatalogStateMachine",
        f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1",
        f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:notebook-instance-lifecycle-config/{SYSTEM}-notebook",
    ],
)
def test_scientists_may_do_nothing_else(scientists: dict[str, Any], resource: str) -> None:
    assert possible(scientists, resource) == set()


def test_the_notebook_reads_results_of_its_own_account_only(notebook: dict[str, Any]) -> None:
    result = "arn:aws:s3:::dask-regions-scratch-scratchbucket-1a2b/ada/result.zarr"
    own, other = {"aws_ResourceAccount": ACCOUNT}, {"aws_ResourceAccount": "210987654321"}
    assert allowed(notebook, "s3:GetObject", result, **own)
    assert not allowed(notebook, "s3:GetObject", result, **other)
    assert not allowed(notebook, "s3:PutObject", result, **own)
    assert not allowed(notebook, "s3:GetObject", "arn:aws:s3:::dask-regions-stagingbucket-1/x", **own)


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("secretsmanager:GetSecretValue", SECRET),
        ("sagemaker:CreatePresignedNotebookInstanceUrl", NOTEBOOK),
        ("sagemaker:DeleteNotebookInstance", NOTEBOOK),
        ("sagemaker:StopNotebookInstance", NOTEBOOK.replace(SYSTEM, "another")),
        ("ssm:PutParameter", f"{SSM}{names.api_parameter(SYSTEM)}"),
        ("ssm:GetParameter", f"{SSM}{names.api_parameter('another')}"),
        ("lambda:GetLayerVersion", LAYER.replace("NotebookEnvironment", "Another")),
        ("sts:AssumeRole", f"arn:aws:iam::{ACCOUNT}:role/anything"),
    ],
)
def test_the_notebook_may_not(notebook: dict[str, Any], action: str, resource: str) -> None:
    assert not allowed(notebook, action, resource)


def test_the_notebook_may_what_its_start_and_its_user_need(notebook: dict[str, Any]) -> None:
    assert allowed(notebook, "lambda:GetLayerVersion", LAYER)
    assert allowed(notebook, "ssm:GetParameter", f"{SSM}{names.scheduler_parameter(SYSTEM)}")
    assert allowed(notebook, "execute-api:Invoke", API.replace("*", "$default/POST/search"))
    assert allowed(notebook, "sagemaker:StopNotebookInstance", NOTEBOOK)
