"""The reconciler's calls, made to moto: botocore and EC2 accept them, and Regions join and leave."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.ec2.models.transit_gateway_route_tables import TransitGatewayRouteTableBackend

from dask_regions import names
from dask_regions.aws.networks import parameters
from dask_regions.aws.networks.parts import Registry
from dask_regions.errors import ConfigurationError, RequestError, UnavailableError
from dask_regions.join.rounds import clean, join_regions, leave
from dask_regions.settings import Settings

SYSTEM, CLIENT, WEST, EAST = "climate", "eu-west-2", "us-west-2", "us-east-1"
BLOCKS = {CLIENT: "10.0.0.0/16", WEST: "10.1.0.0/16", EAST: "10.2.0.0/16"}
TAGS = [{"Key": "system", "Value": SYSTEM}]
KINDS = ["peering", "transit-gateway"]


def client(service: Any, region: str) -> Any:
    return boto3.client(service, region_name=region)


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    regions = "".join(
        f"  - {{name: {region}, cidr: {block}{', client: true' if region == CLIENT else ''}}}\n"
        for region, block in BLOCKS.items()
    )
    file = tmp_path / "datasets.yaml"
    file.write_text(f"system: {{name: {SYSTEM}}}\nregions:\n{regions}datasets: []\n")
    make = TransitGatewayRouteTableBackend.create_transit_gateway_route

    def with_attachment(backend: Any, **arguments: Any) -> Any:
        """Give the route its attachment in a list, as EC2 does."""
        route: Any = make(backend, **arguments)
        attachment = arguments["transit_gateway_attachment_id"]
        route["transitGatewayAttachments"] = [{"transitGatewayAttachmentId": attachment}]
        return route

    monkeypatch.setattr(TransitGatewayRouteTableBackend, "create_transit_gateway_route", with_attachment)
    with mock_aws():
        put(CLIENT, names.joined_parameter(SYSTEM), {"joined": [], "left": []})
        yield Settings(system_name=SYSTEM, datasets_file=file)


def put(region: str, name: str, document: Any) -> None:
    client("ssm", region).put_parameter(Name=name, Value=json.dumps(document), Type="String", Overwrite=True)


def deploy(region: str, kind: str = "peering") -> dict[str, Any]:
    """Make what a Region's stack makes, and publish it."""
    ec2, block = client("ec2", region), BLOCKS[region]
    vpc = ec2.create_vpc(CidrBlock=block)["Vpc"]["VpcId"]
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    prefix_list = ec2.create_managed_prefix_list(PrefixListName=SYSTEM, MaxEntries=16, AddressFamily="IPv4")[
        "PrefixList"
    ]["PrefixListId"]
    gateway = ""
    if kind == "transit-gateway":
        gateway = ec2.create_transit_gateway()["TransitGateway"]["TransitGatewayId"]
    network = {
        "region": region,
        "role": "client" if region == CLIENT else "worker",
        "vpc_id": vpc,
        "cidr": block,
        "route_table_ids": [table],
        "prefix_list_id": prefix_list,
        "network": kind,
        "transit_gateway_id": gateway,
    }
    put(region, names.network_parameter(SYSTEM), network)
    if region == CLIENT:
        zone = client("route53", region).create_hosted_zone(
            Name=f"{SYSTEM}.internal",
            CallerReference="1",
            HostedZoneConfig={"PrivateZone": True},
            VPC={"VPCRegion": region, "VPCId": vpc},
        )["HostedZone"]["Id"]
        document = {"address": "", "dashboard_url": "", "hosted_zone_id": zone.rsplit("/", 1)[-1]}
        put(region, names.scheduler_parameter(SYSTEM), document)
    return network


def settle(settings: Settings, event: dict[str, Any]) -> dict[str, Any]:
    """Run rounds as the state machine does."""
    for _ in range(10):
        event = join_regions(event, settings)
        assert not event["refused"], event
        if event["action"] != "again":
            return event
    raise AssertionError(event)


def routes(network: dict[str, Any]) -> dict[str, str]:
    """Return the targets of a Region's active routes to other Regions."""
    (table,) = client("ec2", network["region"]).describe_route_tables(
        RouteTableIds=network["route_table_ids"]
    )["RouteTables"]
    return {
        route["DestinationCidrBlock"]: route.get("VpcPeeringConnectionId") or route["TransitGatewayId"]
        for route in table["Routes"]
        if route.get("GatewayId") != "local"
    }


def entries(network: dict[str, Any]) -> set[str]:
    answer = client("ec2", network["region"]).get_managed_prefix_list_entries(
        PrefixListId=network["prefix_list_id"]
    )
    return {entry["Cidr"] for entry in answer["Entries"]}


def resolving() -> set[str]:
    route53 = client("route53", CLIENT)
    (zone,) = route53.list_hosted_zones()["HostedZones"]
    return {vpc["VPCRegion"] for vpc in route53.get_hosted_zone(Id=zone["Id"])["VPCs"]}


@pytest.mark.parametrize("kind", KINDS)
def test_three_regions_are_joined_and_a_second_execution_does_nothing(settings: Settings, kind: str) -> None:
    networks = {region: deploy(region, kind) for region in BLOCKS}
    outcome = settle(settings, {})
    assert (outcome["settled"], sorted(outcome["joined"])) == (True, sorted(BLOCKS))
    for region, network in networks.items():
        assert routes(network).keys() == set(BLOCKS.values()) - {BLOCKS[region]}
        assert entries(network) == set(BLOCKS.values())
    assert resolving() == set(BLOCKS)
    second = join_regions({}, settings)
    assert (second["action"], second["done"], second["pending"]) == ("settled", (), ())


def test_what_is_made_has_the_system_s_tag(settings: Settings) -> None:
    for region in BLOCKS:
        deploy(region)
    settle(settings, {})
    for region in BLOCKS:
        answer = client("ec2", region).describe_vpc_peering_connections()
        for connection in answer["VpcPeeringConnections"]:
            assert TAGS[0] in connection["Tags"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_region_leaves_by_the_command_and_stays_out(settings: Settings, kind: str) -> None:
    networks = {region: deploy(region, kind) for region in BLOCKS}
    settle(settings, {})
    *_, last = leave(SYSTEM, CLIENT, BLOCKS, [EAST], pause=lambda _: None)
    assert (last.action, last.joined) == ("settled", (CLIENT, WEST))
    assert routes(networks[EAST]) == {}
    assert entries(networks[EAST]) == set()
    assert routes(networks[WEST]).keys() == {BLOCKS[CLIENT]}
    assert resolving() == {CLIENT, WEST}
    assert settle(settings, {})["done"] == ()
    settle(settings, {"join": [EAST]})
    assert routes(networks[EAST]).keys() == {BLOCKS[CLIENT], BLOCKS[WEST]}


def test_a_system_is_taken_apart_when_its_client_stack_is_gone(settings: Settings) -> None:
    networks = {region: deploy(region) for region in BLOCKS}
    settle(settings, {})
    ssm = client("ssm", CLIENT)
    for name in (names.network_parameter, names.scheduler_parameter, names.joined_parameter):
        ssm.delete_parameter(Name=name(SYSTEM))
    *_, last = clean(SYSTEM, BLOCKS, pause=lambda _: None)
    assert last.settled
    for region in (WEST, EAST):
        assert entries(networks[region]) == set()
        states = {
            connection["Status"]["Code"]
            for connection in client("ec2", region).describe_vpc_peering_connections()[
                "VpcPeeringConnections"
            ]
        }
        assert states <= {"deleted"}


def test_a_system_that_is_taken_apart_is_not_joined_by_the_next_execution(settings: Settings) -> None:
    networks = {region: deploy(region) for region in BLOCKS}
    settle(settings, {})
    *_, last = clean(SYSTEM, BLOCKS, pause=lambda _: None)
    assert last.settled
    outcome = settle(settings, {})
    assert outcome["joined"] == (CLIENT,)
    assert routes(networks[WEST]) == {}


def test_nothing_is_remembered_where_the_stack_has_no_place_for_it(settings: Settings) -> None:
    deploy(CLIENT)
    client("ssm", CLIENT).delete_parameter(Name=names.joined_parameter(SYSTEM))
    with pytest.raises(UnavailableError, match=r"no parameter .*/joined; deploy the client stack"):
        parameters.write_registry(SYSTEM, CLIENT, Registry())
    assert names.joined_parameter(SYSTEM) not in str(client("ssm", CLIENT).describe_parameters())


def test_what_is_not_the_system_s_stays(settings: Settings) -> None:
    networks = {region: deploy(region) for region in BLOCKS}
    ec2 = client("ec2", WEST)
    other = ec2.create_vpc(CidrBlock="192.168.0.0/16")["Vpc"]["VpcId"]
    connection = ec2.create_vpc_peering_connection(VpcId=networks[WEST]["vpc_id"], PeerVpcId=other)[
        "VpcPeeringConnection"
    ]["VpcPeeringConnectionId"]
    ec2.accept_vpc_peering_connection(VpcPeeringConnectionId=connection)
    (table,) = networks[WEST]["route_table_ids"]
    ec2.create_route(
        RouteTableId=table, DestinationCidrBlock="192.168.0.0/16", VpcPeeringConnectionId=connection
    )
    settle(settings, {})
    settle(settings, {"leave": [WEST]})
    assert routes(networks[WEST]) == {"192.168.0.0/16": connection}
    (record,) = ec2.describe_vpc_peering_connections(VpcPeeringConnectionIds=[connection])[
        "VpcPeeringConnections"
    ]
    assert record["Status"]["Code"] == "active"


def test_without_any_stack_nothing_is_deployed_and_nothing_fails(settings: Settings) -> None:
    outcome = join_regions({}, settings)
    assert (outcome["action"], outcome["absent"]) == ("settled", tuple(sorted(BLOCKS)))


def test_an_input_that_is_no_list_of_regions_is_refused(settings: Settings) -> None:
    with pytest.raises(RequestError, match=r"leave: is 'us-east-1'; write a list of Regions"):
        join_regions({"leave": EAST}, settings)
    with pytest.raises(RequestError, match="is the client Region"):
        join_regions({"leave": [CLIENT]}, settings)


def test_a_network_of_another_version_is_refused_with_the_cure(settings: Settings) -> None:
    put(WEST, names.network_parameter(SYSTEM), {"region": WEST})
    with pytest.raises(ConfigurationError, match=r"parameter .* in us-west-2 .* deploy the Region's stack"):
        join_regions({}, settings)


@pytest.mark.parametrize(
    ("operation", "code", "cure"),
    [
        ("CreateVpcPeeringConnection", "VpcPeeringConnectionsPerVpcLimitExceeded", "dask-regions quotas"),
        ("CreateRoute", "UnauthorizedOperation", "deploy the client stack"),
        ("ModifyManagedPrefixList", "InvalidParameterValue", "mend what it says"),
    ],
)
def test_a_refused_call_is_reported_with_its_cure_and_stops_no_other(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, operation: str, code: str, cure: str
) -> None:
    make = BaseClient._make_api_call  # type: ignore[attr-defined]

    def refuse(self: Any, name: str, arguments: Any) -> Any:
        if name == operation:
            raise ClientError({"Error": {"Code": code, "Message": "no"}}, name)
        return make(self, name, arguments)

    networks = {region: deploy(region) for region in BLOCKS}
    monkeypatch.setattr(BaseClient, "_make_api_call", refuse)
    event: dict[str, Any] = {}
    for _ in range(6):
        event = join_regions(event, settings)
    assert event["action"] == "mend"
    assert all(code in refusal and cure in refusal for refusal in event["refused"])
    assert resolving() == set(BLOCKS)
    monkeypatch.setattr(BaseClient, "_make_api_call", make)
    settle(settings, {})
    assert routes(networks[WEST]).keys() == {BLOCKS[CLIENT], BLOCKS[EAST]}
