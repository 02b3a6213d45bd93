"""The reconciler in the emulated account, over the networks of the real template, of both kinds."""

from __future__ import annotations

import json
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from dask_regions import names
from dask_regions.join.rounds import join_regions
from dask_regions.settings import Settings
from testing.deployment.emulator import Emulator
from testing.templates import ROOT

pytestmark = [pytest.mark.deployment, pytest.mark.xdist_group("joining")]

CLIENT, WEST, EAST = "eu-west-2", "us-west-2", "us-east-1"
BLOCKS = {CLIENT: "10.0.0.0/16", WEST: "10.1.0.0/16", EAST: "10.2.0.0/16"}
TEMPLATE = (ROOT / "regional_stack" / "network.yaml").read_text()
DOMAIN = {
    "Type": "AWS::ServiceDiscovery::PrivateDnsNamespace",
    "Properties": {"Name": "tides.internal", "Vpc": {"Ref": "VpcId"}},
}


def deploy(account: Emulator, system: str, region: str, kind: str) -> str:
    """Deploy a Region's network, and in the client Region the scheduler's domain; return the status."""
    parameters = {
        "SystemName": system,
        "Role": "client" if region == CLIENT else "worker",
        "Cidr": BLOCKS[region],
        "NetworkKind": kind,
        # Each once, whatever joins the Regions.
        "Egress": "nat-instance" if kind == "peering" else "nat-gateway",
        "KeyArn": "",
        "FlowLogs": "false",
        "LogRetentionDays": "1",
    }
    status = account.create(region, f"{system}-network", TEMPLATE, parameters)
    if status == "CREATE_COMPLETE" and region == CLIENT:
        status = _deploy_domain(account, system)
    return status


def _deploy_domain(account: Emulator, system: str) -> str:
    vpc = published(account, system, CLIENT)["vpc_id"]
    parameter = {
        "Type": "AWS::SSM::Parameter",
        "Properties": {
            "Name": names.scheduler_parameter(system),
            "Type": "String",
            "Value": {"Fn::Sub": '{"hosted_zone_id": "${Domain.HostedZoneId}"}'},
        },
    }
    registry = {
        "Type": "AWS::SSM::Parameter",
        "Properties": {"Name": names.joined_parameter(system), "Type": "String", "Value": "{}"},
    }
    document = {
        "Parameters": {"VpcId": {"Type": "String"}},
        "Resources": {"Domain": DOMAIN, "Scheduler": parameter, "Joined": registry},
    }
    return account.create(CLIENT, f"{system}-domain", json.dumps(document), {"VpcId": vpc})


def published(account: Emulator, system: str, region: str) -> dict[str, Any]:
    answer = account.client("ssm", region).get_parameter(Name=names.network_parameter(system))
    return dict(json.loads(answer["Parameter"]["Value"]))


@pytest.fixture
def configured(account: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for variable in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(variable, account.environment[variable])
    regions = "".join(
        f"  - {{name: {region}, cidr: {block}{', client: true' if region == CLIENT else ''}}}\n"
        for region, block in BLOCKS.items()
    )
    file = tmp_path / "datasets.yaml"
    file.write_text(f"regions:\n{regions}datasets: []\n")
    return Settings(system_name="tides", datasets_file=file)


def settle(settings: Settings, event: dict[str, Any], rounds: int = 12) -> dict[str, Any]:
    for _ in range(rounds):
        event = join_regions(event, settings)
        if event["action"] != "again":
            break
    assert event["settled"], event
    return event


def routes(account: Emulator, region: str) -> set[str]:
    """Return the blocks of other Regions to which an active route leads."""
    network = published(account, "tides", region)
    answer = account.client("ec2", region).describe_route_tables(RouteTableIds=network["route_table_ids"])
    return {
        route["DestinationCidrBlock"]
        for table in answer["RouteTables"]
        for route in table["Routes"]
        if route.get("DestinationCidrBlock") in set(BLOCKS.values()) - {BLOCKS[region]}
        and route["State"] == "active"
    }


@pytest.mark.parametrize("kind", ["peering", "transit-gateway"])
def test_regions_are_joined_leave_and_can_be_deleted(
    account: Emulator, configured: Settings, kind: str
) -> None:
    for region in (WEST, CLIENT, EAST):
        assert deploy(account, "tides", region, kind) == "CREATE_COMPLETE", account.reasons(
            region, "tides-network"
        )
    settle(configured, {})
    for near, far in permutations(BLOCKS, 2):
        assert BLOCKS[far] in routes(account, near)
    assert not join_regions({}, configured)["done"]
    settle(configured, {"leave": [EAST]})
    assert routes(account, EAST) == set()
    assert routes(account, WEST) == {BLOCKS[CLIENT]}
    assert account.delete(EAST, "tides-network") == "", account.reasons(EAST, "tides-network")
    settle(configured, {"leave": [WEST]})
    assert account.delete(WEST, "tides-network") == "", account.reasons(WEST, "tides-network")
    assert account.delete(CLIENT, "tides-domain") == ""
    assert account.delete(CLIENT, "tides-network") == "", account.reasons(CLIENT, "tides-network")


def test_a_gateway_with_a_peering_is_not_deleted(account: Emulator, configured: Settings) -> None:
    for region in BLOCKS:
        deploy(account, "tides", region, "transit-gateway")
    settle(configured, {})
    assert account.delete(EAST, "tides-network") == "DELETE_FAILED"
    assert "non-deleted attachments" in account.reasons(EAST, "tides-network")
    settle(configured, {"leave": [EAST, WEST]})
    for region in (EAST, WEST):
        assert account.delete(region, "tides-network") == ""
    for stack in ("tides-domain", "tides-network"):
        assert account.delete(CLIENT, stack) == ""


def test_a_peering_is_accepted_in_its_own_region_only(account: Emulator) -> None:
    ends = {}
    for region, block in (("eu-north-1", "10.3.0.0/16"), ("eu-south-1", "10.4.0.0/16")):
        ends[region] = account.client("ec2", region).create_vpc(CidrBlock=block)["Vpc"]["VpcId"]
    north, south = (account.client("ec2", region) for region in ends)
    request = {"VpcId": ends["eu-north-1"], "PeerVpcId": ends["eu-south-1"], "PeerRegion": "eu-south-1"}
    key = north.create_vpc_peering_connection(**request)["VpcPeeringConnection"]["VpcPeeringConnectionId"]
    table = north.create_route_table(VpcId=ends["eu-north-1"])["RouteTable"]["RouteTableId"]
    route = {"RouteTableId": table, "DestinationCidrBlock": "10.4.0.0/16", "VpcPeeringConnectionId": key}
    with pytest.raises(ClientError, match="OperationNotPermitted"):
        north.accept_vpc_peering_connection(VpcPeeringConnectionId=key)
    with pytest.raises(ClientError, match=r"InvalidVpcPeeringConnectionID\.NotFound"):
        north.create_route(**route)
    south.accept_vpc_peering_connection(VpcPeeringConnectionId=key)
    with pytest.raises(ClientError, match="InvalidStateTransition"):
        south.accept_vpc_peering_connection(VpcPeeringConnectionId=key)
    north.create_route(**route)
    with pytest.raises(ClientError, match="RouteAlreadyExists"):
        north.create_route(**route)
    south.delete_vpc_peering_connection(VpcPeeringConnectionId=key)
    [described] = north.describe_route_tables(RouteTableIds=[table])["RouteTables"]
    assert [each["State"] for each in described["Routes"]] == ["active", "blackhole"]
    north.delete_route(RouteTableId=table, DestinationCidrBlock="10.4.0.0/16")
    with pytest.raises(ClientError, match=r"InvalidRoute\.NotFound"):
        north.delete_route(RouteTableId=table, DestinationCidrBlock="10.4.0.0/16")
