"""The emulator refuses of notebook instances and flow logs what AWS refuses, and creates what it accepts."""

from __future__ import annotations

import base64
import json
from itertools import count
from typing import Any

import pytest

from testing.deployment.emulator import Emulator

pytestmark = [pytest.mark.deployment, pytest.mark.xdist_group("refusals_of_notebooks")]

REGION = "us-west-2"
_numbers = count()

Resources = dict[str, dict[str, Any]]

VPC: Resources = {"Vpc": {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.1.0.0/16"}}}
GROUP: Resources = {
    "Group": {
        "Type": "AWS::EC2::SecurityGroup",
        "Properties": {"GroupDescription": "g", "VpcId": {"Ref": "Vpc"}},
    }
}
SUBNET: Resources = {
    "Subnet": {
        "Type": "AWS::EC2::Subnet",
        "Properties": {"VpcId": {"Ref": "Vpc"}, "CidrBlock": "10.1.0.0/20"},
    }
}


def notebook(name: str, **properties: Any) -> Resources:
    return {
        "Notebook": {
            "Type": "AWS::SageMaker::NotebookInstance",
            "Properties": {
                "NotebookInstanceName": name,
                "InstanceType": "ml.t3.medium",
                "RoleArn": "arn:aws:iam::1:role/r",
                "DirectInternetAccess": "Disabled",
                **properties,
            },
        }
    }


def script(size: int) -> Resources:
    content = base64.b64encode(b"#" * size).decode()
    return {
        "Config": {
            "Type": "AWS::SageMaker::NotebookInstanceLifecycleConfig",
            "Properties": {"OnStart": [{"Content": content}]},
        }
    }


def flow_log(**properties: Any) -> dict[str, Any]:
    return {
        "Type": "AWS::EC2::FlowLog",
        "Properties": {
            "ResourceId": {"Ref": "Vpc"},
            "ResourceType": "VPC",
            "TrafficType": "ALL",
            "LogGroupName": "/flow",
            **properties,
        },
    }


IN_SUBNET = {"SubnetId": {"Ref": "Subnet"}, "SecurityGroupIds": [{"Ref": "Group"}]}
ALLOWED = {"DeliverLogsPermissionArn": "arn:aws:iam::1:role/r"}


def create(account: Emulator, resources: Resources) -> tuple[str, str, str]:
    """Create a stack of these; return its name, status and the reasons of what failed."""
    name = f"notebooks-{next(_numbers)}"
    template = json.dumps({"AWSTemplateFormatVersion": "2010-09-09", "Resources": resources})
    status = account.create(REGION, name, template, {})
    return name, status, account.reasons(REGION, name)


def test_a_closed_notebook_with_a_script_and_a_flow_log_are_created_and_deleted(account: Emulator) -> None:
    configured = {"LifecycleConfigName": {"Fn::GetAtt": ["Config", "NotebookInstanceLifecycleConfigName"]}}
    resources = {
        **VPC,
        **GROUP,
        **SUBNET,
        **script(100),
        **notebook("n", **IN_SUBNET, **configured),
        "Log": flow_log(**ALLOWED),
    }
    name, status, reasons = create(account, resources)
    assert status == "CREATE_COMPLETE", reasons
    assert account.delete(REGION, name) == ""


@pytest.mark.parametrize(
    ("resources", "reason"),
    [
        (notebook("n"), "only with a subnet"),
        (notebook("a_b", **IN_SUBNET) | VPC | GROUP | SUBNET, "failed to satisfy the pattern"),
        (notebook("n", LifecycleConfigName="none", **IN_SUBNET) | VPC | GROUP | SUBNET, "does not exist"),
        (script(12300), "more than 16384 characters"),
        (VPC | {"Log": flow_log()}, "DeliverLogsPermissionArn"),
        ({"Log": flow_log(ResourceId="vpc-0", **ALLOWED)}, "InvalidVpcID.NotFound"),
        (
            VPC | {"Log": flow_log(**ALLOWED), "Again": {**flow_log(**ALLOWED), "DependsOn": "Log"}},
            "FlowLogAlreadyExists",
        ),
    ],
)
def test_what_aws_refuses_is_refused(account: Emulator, resources: Resources, reason: str) -> None:
    name, status, reasons = create(account, resources)
    assert status == "ROLLBACK_COMPLETE"
    assert reason in reasons
    account.delete(REGION, name)
