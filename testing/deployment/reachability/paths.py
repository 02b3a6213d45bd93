"""Which route a packet takes from one subnet to another: longest prefix, peerings, Transit Gateways."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Network
from typing import Any

from testing.deployment.reachability.facts import Facts

__all__ = ["NoPathError", "require_path", "subnet_block", "vpc_block", "vpc_of"]

Record = Mapping[str, Any]


class NoPathError(Exception):
    """A packet is lost, for the reason given."""


def _one(records: Iterable[Any], **members: Any) -> Any:
    for record in records:
        if all(record.get(key) == value for key, value in members.items()):
            return record
    return None


def vpc_of(facts: Facts, region: str, subnet: str) -> str:
    """Return the id of the VPC of a subnet."""
    return str(_one(facts["regions"][region]["Subnets"], SubnetId=subnet)["VpcId"])


def subnet_block(facts: Facts, region: str, subnet: str) -> IPv4Network:
    """Return the addresses of a subnet."""
    return IPv4Network(_one(facts["regions"][region]["Subnets"], SubnetId=subnet)["CidrBlock"])


def vpc_block(facts: Facts, region: str, vpc: str) -> IPv4Network:
    """Return the addresses of a VPC."""
    return IPv4Network(_one(facts["regions"][region]["Vpcs"], VpcId=vpc)["CidrBlock"])


def require_path(facts: Facts, source: tuple[str, str], destination: tuple[str, str]) -> None:
    """Follow a packet between two subnets, each a Region and an id.

    Raises
    ------
    NoPathError
        No route leads there, or the connection on the way is not up.
    """
    region, subnet = source
    block = subnet_block(facts, *destination)
    target = (destination[0], vpc_of(facts, *destination))
    table = _route_table(facts, region, subnet)
    route = _best(table["Routes"], block, "DestinationCidrBlock")
    if route is None or route.get("State") == "blackhole":
        raise NoPathError(f"{region}: no route to {block} in {table['RouteTableId']}")
    if route.get("GatewayId") == "local":
        arrived = (region, table["VpcId"])
    elif route.get("VpcPeeringConnectionId"):
        arrived = _over_peering(facts, region, table["VpcId"], route["VpcPeeringConnectionId"])
    elif route.get("TransitGatewayId"):
        arrived = _over_gateway(facts, region, table["VpcId"], route["TransitGatewayId"], block)
    else:
        raise NoPathError(f"{region}: the route to {block} leads out of the system")
    if arrived != target:
        raise NoPathError(f"{region}: the route to {block} ends in {arrived[1]} of {arrived[0]}")


def _route_table(facts: Facts, region: str, subnet: str) -> Record:
    tables = facts["regions"][region]["RouteTables"]
    vpc = vpc_of(facts, region, subnet)
    main = None
    for table in tables:
        for association in table.get("Associations", []):
            if association.get("SubnetId") == subnet:
                return dict(table)
            if association.get("Main") and table["VpcId"] == vpc:
                main = table
    if main is None:
        raise NoPathError(f"{region}: {subnet} has no route table")
    return dict(main)


def _best(routes: Iterable[Record], block: IPv4Network, member: str) -> Record | None:
    """Return the route of the longest prefix that holds the block."""
    matching = [
        route for route in routes if route.get(member) and block.subnet_of(IPv4Network(route[member]))
    ]
    return max(matching, key=lambda route: IPv4Network(route[member]).prefixlen, default=None)


def _over_peering(facts: Facts, region: str, vpc: str, connection: str) -> tuple[str, str]:
    record = _one(facts["regions"][region]["VpcPeeringConnections"], VpcPeeringConnectionId=connection)
    if record is None:
        raise NoPathError(f"{region}: {connection} is not there")
    if record["Status"]["Code"] != "active":
        raise NoPathError(f"{region}: {connection} is {record['Status']['Code']}")
    sides = [record["RequesterVpcInfo"], record["AccepterVpcInfo"]]
    ends = [(side["Region"], side["VpcId"]) for side in sides]
    if (region, vpc) not in ends:
        raise NoPathError(f"{region}: {connection} does not connect {vpc}")
    return ends[1 - ends.index((region, vpc))]


def _over_gateway(facts: Facts, region: str, vpc: str, gateway: str, block: IPv4Network) -> tuple[str, str]:
    """Enter a Transit Gateway from a VPC, and leave it into one, perhaps of another Region."""
    attachment = _one(
        facts["regions"][region]["TransitGatewayAttachments"],
        TransitGatewayId=gateway,
        ResourceId=vpc,
        State="available",
    )
    if attachment is None:
        raise NoPathError(f"{region}: {vpc} is not attached to {gateway}")
    entered = attachment["TransitGatewayAttachmentId"]
    for _ in range(len(facts["regions"]) + 1):
        left = _through_gateway(facts, region, entered, block)
        if left["ResourceType"] == "vpc":
            return region, left["ResourceId"]
        entered = left["TransitGatewayAttachmentId"]
        region = _other_side(facts, region, entered)
    raise NoPathError(f"{region}: {block} goes round in circles between Transit Gateways")


def _through_gateway(facts: Facts, region: str, attachment: str, block: IPv4Network) -> Record:
    for table in facts["regions"][region]["TransitGatewayRouteTables"]:
        if _one(table["Associations"], TransitGatewayAttachmentId=attachment, State="associated"):
            route = _best(table["Routes"], block, "DestinationCidrBlock")
            if route is None or route["State"] != "active":
                name = table["TransitGatewayRouteTableId"]
                raise NoPathError(f"{region}: no route to {block} in {name}")
            [left] = route["TransitGatewayAttachments"]
            return dict(left)
    raise NoPathError(f"{region}: {attachment} is associated with no route table")


def _other_side(facts: Facts, region: str, attachment: str) -> str:
    record = _one(
        facts["regions"][region]["TransitGatewayPeeringAttachments"], TransitGatewayAttachmentId=attachment
    )
    if record is None or record["State"] != "available":
        state = record["State"] if record else "not there"
        raise NoPathError(f"{region}: {attachment} is {state}")
    sides = [record["RequesterTgwInfo"]["Region"], record["AccepterTgwInfo"]["Region"]]
    return str(sides[1 - sides.index(region)])
