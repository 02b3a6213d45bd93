"""The emulator refuses what AWS refuses: else a test of the deployment would prove nothing."""

from __future__ import annotations

import json
from itertools import count
from typing import Any

import pytest

from testing.deployment.emulator import Emulator

pytestmark = [pytest.mark.deployment, pytest.mark.xdist_group("refusals")]

REGION = "us-west-2"
_numbers = count()

Resources = dict[str, dict[str, Any]]

NETWORK: Resources = {
    "Vpc": {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.1.0.0/16"}},
    "Subnet": {
        "Type": "AWS::EC2::Subnet",
        "Properties": {"VpcId": {"Ref": "Vpc"}, "CidrBlock": "10.1.0.0/20"},
    },
}
FILE_SYSTEM: Resources = {
    **NETWORK,
    "Files": {
        "Type": "AWS::FSx::FileSystem",
        "Properties": {
            "FileSystemType": "LUSTRE",
            "StorageCapacity": 1200,
            "SubnetIds": [{"Ref": "Subnet"}],
        },
    },
}


def association(number: int) -> dict[str, Any]:
    return {
        "Type": "AWS::FSx::DataRepositoryAssociation",
        "Properties": {
            "FileSystemId": {"Ref": "Files"},
            "FileSystemPath": f"/bucket-{number}",
            "DataRepositoryPath": f"s3://bucket-{number}",
        },
    }


def create(account: Emulator, resources: Resources) -> tuple[str, str]:
    """Create a stack of these; return its name and status."""
    name = f"refusals-{next(_numbers)}"
    template = json.dumps({"AWSTemplateFormatVersion": "2010-09-09", "Resources": resources})
    return name, account.create(REGION, name, template, {})


def test_what_aws_accepts_is_created_and_deleted(account: Emulator) -> None:
    name, status = create(account, {**FILE_SYSTEM, **{f"Link{n}": association(n) for n in range(8)}})
    assert status == "CREATE_COMPLETE", account.reasons(REGION, name)
    assert account.delete(REGION, name) == ""


def test_a_ninth_association_of_one_file_system(account: Emulator) -> None:
    name, status = create(account, {**FILE_SYSTEM, **{f"Link{n}": association(n) for n in range(9)}})
    assert status == "ROLLBACK_COMPLETE"
    assert "ServiceLimitExceeded" in account.reasons(REGION, name)
    account.delete(REGION, name)


def test_a_nat_gateway_without_a_way_out(account: Emulator) -> None:
    resources = {
        **NETWORK,
        "Address": {"Type": "AWS::EC2::EIP", "Properties": {"Domain": "vpc"}},
        "Nat": {
            "Type": "AWS::EC2::NatGateway",
            "Properties": {
                "SubnetId": {"Ref": "Subnet"},
                "AllocationId": {"Fn::GetAtt": ["Address", "AllocationId"]},
            },
        },
    }
    name, status = create(account, resources)
    assert status == "ROLLBACK_COMPLETE"
    assert "Gateway.NotAttached" in account.reasons(REGION, name)
    account.delete(REGION, name)


@pytest.mark.parametrize("properties", [{}, {"DeploymentCircuitBreaker": {"Enable": True, "Rollback": True}}])
def test_a_service_whose_image_is_absent(account: Emulator, properties: dict[str, Any]) -> None:
    image = f"000000000000.dkr.ecr.{REGION}.amazonaws.com/dask-regions-worker:absent"
    resources: Resources = {
        "Cluster": {"Type": "AWS::ECS::Cluster"},
        "Task": {
            "Type": "AWS::ECS::TaskDefinition",
            "Properties": {
                "Family": "absent",
                "ContainerDefinitions": [{"Name": "worker", "Image": image, "Memory": 128}],
            },
        },
        "Service": {
            "Type": "AWS::ECS::Service",
            "Properties": {
                "Cluster": {"Ref": "Cluster"},
                "TaskDefinition": {"Ref": "Task"},
                "DeploymentConfiguration": properties,
            },
        },
    }
    name, status = create(account, resources)
    assert status == "ROLLBACK_COMPLETE"
    reasons = account.reasons(REGION, name)
    assert "CannotPullContainerError" in reasons
    assert ("Circuit Breaker" in reasons) == bool(properties)
    account.delete(REGION, name)


def test_a_domain_in_a_vpc_without_the_service_linked_role(account: Emulator) -> None:
    domain = {
        "Type": "AWS::OpenSearchService::Domain",
        "Properties": {"DomainName": "catalog", "VPCOptions": {"SubnetIds": [{"Ref": "Subnet"}]}},
    }
    name, status = create(account, {**NETWORK, "Domain": domain})
    assert status == "ROLLBACK_COMPLETE"
    assert "service-linked role" in account.reasons(REGION, name)
    account.delete(REGION, name)


def test_peering_of_overlapping_networks_fails(account: Emulator) -> None:
    here, there = account.client("ec2", REGION), account.client("ec2", "us-east-1")
    first = here.create_vpc(CidrBlock="10.7.0.0/16")["Vpc"]["VpcId"]
    second = there.create_vpc(CidrBlock="10.7.128.0/17")["Vpc"]["VpcId"]
    asked = here.create_vpc_peering_connection(VpcId=first, PeerVpcId=second, PeerRegion="us-east-1")
    [connection] = here.describe_vpc_peering_connections(
        VpcPeeringConnectionIds=[asked["VpcPeeringConnection"]["VpcPeeringConnectionId"]]
    )["VpcPeeringConnections"]
    assert connection["Status"]["Code"] == "failed"
    here.delete_vpc(VpcId=first)
    there.delete_vpc(VpcId=second)
