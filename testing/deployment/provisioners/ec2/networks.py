"""EC2: addresses, NAT gateways, subnets and peering connections.

Not proven here: that a packet takes a route; quotas; the minutes that a NAT gateway takes.
"""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import Mapping
from typing import Any

from ministack.services import ec2

from ..refusals import RefusedError, require
from .gateways import attachments

Properties = Mapping[str, Any]
Created = tuple[str, dict[str, Any]]


def _new_id(prefix: str) -> str:
    return f"{prefix}-{secrets.token_hex(9)[:17]}"


def create_address(_name: str, properties: Properties, _stack: str) -> Created:
    """Allocate an Elastic IP address."""
    allocation = _new_id("eipalloc")
    address = f"52.0.{secrets.randbelow(256)}.{secrets.randbelow(256)}"
    ec2._addresses[allocation] = {
        "AllocationId": allocation,
        "PublicIp": address,
        "Domain": properties.get("Domain", "vpc"),
        **dict.fromkeys(("AssociationId", "InstanceId", "NetworkInterfaceId", "PrivateIpAddress")),
    }
    return address, {"AllocationId": allocation, "PublicIp": address}


def delete_address(address: str, _properties: Properties) -> None:
    """Release an address; refused while a NAT gateway has it."""
    for allocation, record in list(ec2._addresses.items()):
        if record["PublicIp"] == address:
            users = [n for n, nat in ec2._nat_gateways.items() if _uses(nat, allocation)]
            if users:
                raise RefusedError(f"InvalidIPAddress.InUse: {address} is in use by {users[0]}")
            del ec2._addresses[allocation]


def _uses(nat: Mapping[str, Any], allocation: str) -> bool:
    return bool(nat["AllocationId"] == allocation and nat["State"] != "deleted")


def create_nat_gateway(_name: str, properties: Properties, _stack: str) -> Created:
    """Create a NAT gateway in a subnet whose VPC has an internet gateway."""
    subnet = require(ec2._subnets, properties["SubnetId"], "InvalidSubnetID.NotFound")
    require(ec2._addresses, properties["AllocationId"], "InvalidAllocationID.NotFound")
    attached = any(
        attachment["VpcId"] == subnet["VpcId"]
        for gateway in ec2._internet_gateways.values()
        for attachment in gateway["Attachments"]
    )
    if not attached:
        raise RefusedError(f"Gateway.NotAttached: network {subnet['VpcId']} has no Internet gateway attached")
    nat = _new_id("nat")
    ec2._nat_gateways[nat] = {
        "NatGatewayId": nat,
        "SubnetId": properties["SubnetId"],
        "VpcId": subnet["VpcId"],
        "AllocationId": properties["AllocationId"],
        "ConnectivityType": "public",
        "State": "available",
        "CreateTime": ec2._now_ts(),
        "Tags": [],
    }
    return nat, {"NatGatewayId": nat}


def delete_nat_gateway(nat: str, _properties: Properties) -> None:
    """Delete a NAT gateway."""
    ec2._nat_gateways.pop(nat, None)


def delete_subnet(subnet: str, _properties: Properties) -> None:
    """Delete a subnet; refused while something has a network interface in it."""
    nats = [key for key, nat in ec2._nat_gateways.items() if nat["SubnetId"] == subnet]
    attached = [key for key, record in attachments.items() if subnet in record["SubnetIds"]]
    interfaces = [key for key, record in ec2._network_interfaces.items() if record.get("SubnetId") == subnet]
    if users := [*nats, *attached, *interfaces]:
        raise RefusedError(f"DependencyViolation: the subnet '{subnet}' has dependencies: {', '.join(users)}")
    ec2._subnets.pop(subnet, None)
    ec2._tags.pop(subnet, None)


def create_peering(params: Mapping[str, list[str]]) -> tuple[int, Any, bytes]:
    """Answer CreateVpcPeeringConnection; of overlapping blocks it becomes a failed connection."""
    response: tuple[int, Any, bytes] = _stock_create_peering(params)
    for record in ec2._vpc_peering.values():
        blocks = [_block(record[side]) for side in ("RequesterVpcInfo", "AccepterVpcInfo")]
        if record["Status"]["Code"] == "pending-acceptance" and None not in blocks:
            first, second = (ipaddress.ip_network(str(block)) for block in blocks)
            if first.overlaps(second):
                message = "VPCs have overlapping CIDR blocks"
                ec2._set_vpc_peering_status(record, "failed", message)
    return response


def _block(side: Mapping[str, str]) -> str | None:
    record = ec2._vpcs.get_scoped(side["OwnerId"], side["Region"], side["VpcId"])
    return record["CidrBlock"] if record else None


_stock_create_peering = ec2._create_vpc_peering_connection
HANDLERS = {
    "AWS::EC2::EIP": {"create": create_address, "delete": delete_address},
    "AWS::EC2::NatGateway": {"create": create_nat_gateway, "delete": delete_nat_gateway},
}
#: Resource types that ministack has, and deletes though something depends on them.
OVERRIDES = {"AWS::EC2::Subnet": {"delete": delete_subnet}}
#: Actions of the EC2 API that ministack answers too kindly.
ACTIONS = {"CreateVpcPeeringConnection": create_peering}
