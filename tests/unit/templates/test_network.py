"""The network of a Region: what it publishes, and what its security groups open."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from samtranslator.yaml_helper import yaml_parse

from dask_regions import names
from dask_regions_local.emulator.templates import Resource, Stack

STACKS = Path(__file__).parents[3] / "regional_stack"
NETWORK = yaml_parse((STACKS / "network.yaml").read_text())
CLIENT = yaml_parse((STACKS.parent / "template.yaml").read_text())
SCHEDULER = yaml_parse((STACKS / "scheduler.yaml").read_text())


def deployed(kind: str, egress: str) -> dict[str, tuple[str, dict[str, Any]]]:
    """Return type and properties of every resource of the network, by logical id."""
    resources: dict[str, tuple[str, dict[str, Any]]] = {}

    def create(_stack: Stack, logical: str, resource: str, properties: dict[str, Any]) -> Resource:
        resources[logical] = (resource, properties)
        return Resource(logical)

    parameters = {
        "SystemName": "climate",
        "Role": "worker",
        "Cidr": "10.1.0.0/16",
        "NetworkKind": kind,
        "Egress": egress,
        "FlowLogs": "true",
        "LogRetentionDays": "30",
        "KeyArn": "",
    }
    Stack("network", "us-west-2", NETWORK, parameters, create).deploy()
    return resources


@pytest.mark.parametrize(("kind", "gateway"), [("peering", ""), ("transit-gateway", "TransitGateway")])
def test_a_region_publishes_its_network_for_the_reconciler(kind: str, gateway: str) -> None:
    _, parameter = deployed(kind, "nat-gateway")["NetworkParameter"]
    assert parameter["Name"] == names.network_parameter("climate")
    assert json.loads(parameter["Value"]) == {
        "region": "us-west-2",
        "role": "worker",
        "vpc_id": "Vpc",
        "cidr": "10.1.0.0/16",
        "route_table_ids": ["PrivateRoutes"],
        "prefix_list_id": "PrefixList",
        "network": kind,
        "transit_gateway_id": gateway,
    }


def test_peering_makes_no_transit_gateway() -> None:
    types = {resource for resource, _ in deployed("peering", "nat-gateway").values()}
    assert not {name for name in types if "TransitGateway" in name}


@pytest.mark.parametrize(
    ("egress", "target"),
    [("nat-gateway", {"NatGatewayId": "Nat"}), ("nat-instance", {"InstanceId": "NatInstance"})],
)
def test_there_is_one_way_out_and_nothing_of_the_other(egress: str, target: dict[str, str]) -> None:
    resources = deployed("peering", egress)
    _, route = resources["NatRoute"]
    assert {key: value for key, value in route.items() if key.endswith("Id")} == {
        "RouteTableId": "PrivateRoutes",
        **target,
    }
    types = {resource for resource, _ in resources.values()}
    assert ("AWS::EC2::Instance" in types, "AWS::EC2::NatGateway" in types) == (
        egress == "nat-instance",
        egress == "nat-gateway",
    )


def test_a_nat_instance_forwards_what_is_not_addressed_to_it() -> None:
    resources = deployed("peering", "nat-instance")
    assert resources["NatInstance"][1]["SourceDestCheck"] is False
    assert resources["PublicSubnet"][1]["MapPublicIpOnLaunch"] is True
    assert deployed("peering", "nat-gateway")["PublicSubnet"][1]["MapPublicIpOnLaunch"] is False


def test_the_scheduler_is_open_to_workers_and_to_its_own_vpc_alone() -> None:
    rules = SCHEDULER["Resources"]["SecurityGroup"]["Properties"]["SecurityGroupIngress"]
    dask, web = names.SCHEDULER_PORTS
    opened = {
        (rule["FromPort"], rule["ToPort"], str(rule.get("CidrIp") or rule.get("SourcePrefixListId")))
        for rule in rules
    }
    assert opened == {(dask, dask, str({"Ref": "PrefixListId"})), (dask, web, str({"Ref": "Cidr"}))}


def test_the_scheduler_publishes_where_it_is() -> None:
    parameter = SCHEDULER["Resources"]["SchedulerParameter"]["Properties"]
    published = parameter["Value"]["Fn::Sub"].replace("${SystemName}", "climate")
    document = json.loads(published)
    assert parameter["Name"]["Fn::Sub"].replace("${SystemName}", "climate") == names.scheduler_parameter(
        "climate"
    )
    dask, web = names.SCHEDULER_PORTS
    assert document == {
        "address": f"tcp://{names.scheduler_name('climate')}:{dask}",
        "dashboard_url": f"http://{names.scheduler_name('climate')}:{web}/status",
        "hosted_zone_id": "${Namespace.HostedZoneId}",
    }


def test_the_regions_are_joined_hourly_and_whenever_a_stack_or_the_configuration_has_changed() -> None:
    events = CLIENT["Resources"]["JoinRegionsStateMachine"]["Properties"]["Events"]
    syncing = CLIENT["Resources"]["SyncCatalogStateMachine"]["Properties"]["Events"]
    assert events["Hourly"]["Properties"]["Schedule"] == "rate(1 hour)"
    assert {name: event["Properties"] for name, event in events.items() if name != "Hourly"} == {
        # A sync is told to wait for one that runs; to join Regions nothing is told.
        name: syncing[name]["Properties"] | {"Input": "{}"}
        for name in ("Deployed", "RegionDeployed", "Published")
    }
    assert "State" not in events["Hourly"]["Properties"], "it is not disabled"


def test_the_registry_is_in_the_stack_and_is_deleted_with_it() -> None:
    parameter = CLIENT["Resources"]["JoinedParameter"]["Properties"]
    assert parameter["Name"]["Fn::Sub"].replace("${SystemName}", "climate") == names.joined_parameter(
        "climate"
    )
    assert json.loads(parameter["Value"]) == {"joined": [], "left": []}


def test_what_the_reconciler_changes_has_the_system_s_tag_or_gets_it() -> None:
    properties = CLIENT["Resources"]["JoinRegionsFunction"]["Properties"]
    (statements,) = (policy["Statement"] for policy in properties["Policies"] if "Statement" in policy)
    untagged = set()
    for statement in statements:
        actions = [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]
        conditions = json.dumps(statement.get("Condition", {}))
        if "ResourceTag/system" not in conditions and "RequestTag/system" not in conditions:
            untagged |= {
                action for action in actions if action.startswith("ec2:") and "Describe" not in action
            }
    # The Region that accepts does not see the requester's tags, and a gateway's default route table has none.
    assert untagged == {
        "ec2:AcceptTransitGatewayPeeringAttachment",
        "ec2:AcceptVpcPeeringConnection",
        "ec2:CreateTransitGatewayRoute",
        "ec2:DeleteTransitGatewayRoute",
        "ec2:ReplaceTransitGatewayRoute",
        "ec2:SearchTransitGatewayRoutes",
    }
