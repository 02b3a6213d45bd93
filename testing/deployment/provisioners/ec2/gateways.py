"""Transit Gateways: attachments of VPCs, peerings between Regions, and their default route tables.

A peering moves on by one state each time it is described, so that callers have to wait for it. Not proven
here: the minutes that this takes, quotas, other route tables than the default one, and that a packet takes a
route.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from typing import Any

from ministack.core.responses import AccountRegionScopedDict, get_account_id, get_region, request_scope
from ministack.services import ec2

from ..refusals import RefusedError, require
from .answers import render

Properties = Mapping[str, Any]
Params = Mapping[str, list[str]]
Created = tuple[str, dict[str, Any]]
Response = tuple[int, Any, bytes]
Record = dict[str, Any]

transit_gateways: AccountRegionScopedDict = AccountRegionScopedDict()
#: Attachments of VPCs, and both sides of peerings, each in its Region.
attachments: AccountRegionScopedDict = AccountRegionScopedDict()
#: States that end by themselves, and what follows.
_FOLLOWING = {"initiatingRequest": "pendingAcceptance", "pending": "available", "deleting": "deleted"}


def _new_id(prefix: str) -> str:
    return f"{prefix}-{secrets.token_hex(9)[:17]}"


def create_transit_gateway(_name: str, properties: Properties, _stack: str) -> Created:
    """Create a Transit Gateway with its default route table."""
    gateway = _new_id("tgw")
    arn = f"arn:aws:ec2:{get_region()}:{get_account_id()}:transit-gateway/{gateway}"
    transit_gateways[gateway] = {
        "TransitGatewayId": gateway,
        "TransitGatewayArn": arn,
        "State": "available",
        "OwnerId": get_account_id(),
        "Options": {"AssociationDefaultRouteTableId": _new_id("tgw-rtb")},
        "Tags": list(properties.get("Tags", [])),
        "Routes": {},
    }
    return gateway, {"Id": gateway, "TransitGatewayArn": arn}


def delete_transit_gateway(gateway: str, _properties: Properties) -> None:
    """Delete a Transit Gateway; refused while it has attachments."""
    holders = [
        key
        for key, record in attachments.items()
        if record["TransitGatewayId"] == gateway and record["State"] != "deleted"
    ]
    if holders:
        raise RefusedError(f"IncorrectState: {gateway} has non-deleted attachments: {', '.join(holders)}")
    transit_gateways.pop(gateway, None)


def create_attachment(_name: str, properties: Properties, _stack: str) -> Created:
    """Attach a VPC to a Transit Gateway, by one subnet for each Availability Zone."""
    gateway = properties["TransitGatewayId"]
    require(transit_gateways, gateway, "InvalidTransitGatewayID.NotFound")
    subnets = [require(ec2._subnets, key, "InvalidSubnetID.NotFound") for key in properties["SubnetIds"]]
    zones = [subnet.get("AvailabilityZone") for subnet in subnets]
    if len(set(zones)) < len(zones):
        raise RefusedError("DuplicateSubnetsInSameZone: more than one subnet in the same Availability Zone")
    attachment = _new_id("tgw-attach")
    attachments[attachment] = {
        "TransitGatewayAttachmentId": attachment,
        "TransitGatewayId": gateway,
        "ResourceType": "vpc",
        "ResourceId": properties["VpcId"],
        "State": "available",
        "SubnetIds": list(properties["SubnetIds"]),
        "Tags": list(properties.get("Tags", [])),
    }
    return attachment, {"Id": attachment}


def delete_attachment(attachment: str, _properties: Properties) -> None:
    """Detach a VPC."""
    attachments.pop(attachment, None)


# ---- The API ----
def describe_gateways(params: Params) -> Response:
    """Answer DescribeTransitGateways."""
    gateway_ids = ec2._parse_filters(params).get("transit-gateway-id")
    records = [record for key, record in transit_gateways.items() if not gateway_ids or key in gateway_ids]
    return render("DescribeTransitGateways", {"TransitGateways": records})


def describe_attachments(_params: Params) -> Response:
    """Answer DescribeTransitGatewayAttachments."""
    return render(
        "DescribeTransitGatewayAttachments", {"TransitGatewayAttachments": list(attachments.values())}
    )


def describe_peerings(_params: Params) -> Response:
    """Answer DescribeTransitGatewayPeeringAttachments."""
    records = [record for record in attachments.values() if record["ResourceType"] == "peering"]
    document = {"TransitGatewayPeeringAttachments": records}
    response = render("DescribeTransitGatewayPeeringAttachments", document)
    for record in records:
        _set_state(record, _FOLLOWING.get(record["State"], record["State"]))
    return response


def describe_tables(_params: Params) -> Response:
    """Answer DescribeTransitGatewayRouteTables."""
    records = [
        {
            "TransitGatewayRouteTableId": record["Options"]["AssociationDefaultRouteTableId"],
            "TransitGatewayId": key,
            "State": "available",
            "DefaultAssociationRouteTable": True,
        }
        for key, record in transit_gateways.items()
    ]
    return render("DescribeTransitGatewayRouteTables", {"TransitGatewayRouteTables": records})


def get_associations(params: Params) -> Response:
    """Answer GetTransitGatewayRouteTableAssociations: what is attached is associated by default."""
    gateway = _gateway_of(params)
    records = [
        {**record, "State": "associated"}
        for record in attachments.values()
        if record["TransitGatewayId"] == gateway["TransitGatewayId"] and record["State"] == "available"
    ]
    return render("GetTransitGatewayRouteTableAssociations", {"Associations": records})


def search_routes(params: Params) -> Response:
    """Answer SearchTransitGatewayRoutes: static routes, and the blocks of attached VPCs."""
    gateway = _gateway_of(params)
    kinds = ec2._parse_filters(params).get("type", ["static", "propagated"])
    routes = [route for route in _routes(gateway) if route["Type"] in kinds]
    return render("SearchTransitGatewayRoutes", {"Routes": routes, "AdditionalRoutesAvailable": False})


def _routes(gateway: Record) -> Iterator[Record]:
    for destination, key in gateway["Routes"].items():
        record = attachments.get(key)
        active = record is not None and record["State"] == "available"
        yield {
            "DestinationCidrBlock": destination,
            "Type": "static",
            "State": "active" if active else "blackhole",
            "TransitGatewayAttachments": [record] if active else [],
        }
    for record in attachments.values():
        if record["TransitGatewayId"] == gateway["TransitGatewayId"] and record["ResourceType"] == "vpc":
            yield {
                "DestinationCidrBlock": ec2._vpcs[record["ResourceId"]]["CidrBlock"],
                "Type": "propagated",
                "State": "active",
                "TransitGatewayAttachments": [record],
            }


def _gateway_of(params: Params) -> Record:
    table = params["TransitGatewayRouteTableId"][0]
    for record in transit_gateways.values():
        if record["Options"]["AssociationDefaultRouteTableId"] == table:
            return dict(record)
    raise KeyError(table)


def put_route(params: Params) -> Response:
    """Answer CreateTransitGatewayRoute and ReplaceTransitGatewayRoute."""
    gateway, destination = _gateway_of(params), params["DestinationCidrBlock"][0]
    attachment = params["TransitGatewayAttachmentId"][0]
    action = params["Action"][0]
    if attachments.get(attachment, {}).get("State") != "available":
        return _refused("IncorrectState", f"{attachment} is in invalid state")
    if (destination in gateway["Routes"]) != action.startswith("Replace"):
        return _refused("RouteAlreadyExists", f"route {destination}: {action}")
    gateway["Routes"][destination] = attachment
    return render(action, {"Route": {"DestinationCidrBlock": destination, "State": "active"}})


def delete_route(params: Params) -> Response:
    """Answer DeleteTransitGatewayRoute."""
    gateway, destination = _gateway_of(params), params["DestinationCidrBlock"][0]
    if gateway["Routes"].pop(destination, None) is None:
        return _refused("InvalidRoute.NotFound", f"no route {destination}")
    return render("DeleteTransitGatewayRoute", {"Route": {"DestinationCidrBlock": destination}})


def request_peering(params: Params) -> Response:
    """Answer CreateTransitGatewayPeeringAttachment: both Regions list it, waiting to be accepted."""
    peer_region = params["PeerRegion"][0]
    ends = [(get_region(), params["TransitGatewayId"][0]), (peer_region, params["PeerTransitGatewayId"][0])]
    for region, gateway in ends:
        with request_scope(get_account_id(), region):
            if gateway not in transit_gateways:
                return _refused("InvalidTransitGatewayID.NotFound", f"there is no {gateway} in {region}")
    for record in attachments.values():
        both = {record["TransitGatewayId"], record["ResourceId"]} == {gateway for _, gateway in ends}
        if both and record["State"] not in ("deleting", "deleted"):
            return _refused("DuplicateTransitGatewayAttachment", "the two are connected already")
    attachment = _new_id("tgw-attach")
    information = [
        {"Region": region, "TransitGatewayId": gateway, "OwnerId": get_account_id()}
        for region, gateway in ends
    ]
    for number, (region, gateway) in enumerate(ends):
        with request_scope(get_account_id(), region):
            attachments[attachment] = {
                "TransitGatewayAttachmentId": attachment,
                "TransitGatewayId": gateway,
                "ResourceType": "peering",
                "ResourceId": ends[1 - number][1],
                "RequesterTgwInfo": information[0],
                "AccepterTgwInfo": information[1],
                "State": "initiatingRequest",
                # The accepter's side has no tags of the requester's.
                "Tags": _tags(params) if number == 0 else [],
                "SubnetIds": [],
            }
    record = attachments[attachment]
    return render("CreateTransitGatewayPeeringAttachment", {"TransitGatewayPeeringAttachment": record})


def _tags(params: Params) -> list[dict[str, str]]:
    tags, number = [], 1
    while key := params.get(f"TagSpecification.1.Tag.{number}.Key"):
        tags.append({"Key": key[0], "Value": params[f"TagSpecification.1.Tag.{number}.Value"][0]})
        number += 1
    return tags


def accept_peering(params: Params) -> Response:
    """Answer AcceptTransitGatewayPeeringAttachment, which only the other Region can do."""
    record = attachments.get(params["TransitGatewayAttachmentId"][0])
    if record is None or record["State"] != "pendingAcceptance":
        return _refused("IncorrectState", "nothing to accept")
    if record["AccepterTgwInfo"]["Region"] != get_region():
        return _refused("InvalidTransitGatewayAttachmentID.NotFound", "it is accepted in the other Region")
    _set_state(record, "pending")
    return render("AcceptTransitGatewayPeeringAttachment", {"TransitGatewayPeeringAttachment": record})


def delete_peering(params: Params) -> Response:
    """Answer DeleteTransitGatewayPeeringAttachment."""
    record = attachments.get(params["TransitGatewayAttachmentId"][0])
    if record is None or record["State"] == "deleted":
        return _refused("InvalidTransitGatewayAttachmentID.NotFound", "there is no such attachment")
    if record["State"] not in ("available", "pendingAcceptance"):
        return _refused("IncorrectState", f"the attachment is {record['State']}")
    _set_state(record, "deleting")
    return render("DeleteTransitGatewayPeeringAttachment", {"TransitGatewayPeeringAttachment": record})


def _set_state(record: Record, state: str) -> None:
    for side in (record["RequesterTgwInfo"], record["AccepterTgwInfo"]):
        with request_scope(get_account_id(), side["Region"]):
            attachments[record["TransitGatewayAttachmentId"]]["State"] = state


def _refused(code: str, message: str) -> Response:
    response: Response = ec2._error(code, message, 400)
    return response


HANDLERS = {
    "AWS::EC2::TransitGateway": {"create": create_transit_gateway, "delete": delete_transit_gateway},
    "AWS::EC2::TransitGatewayAttachment": {"create": create_attachment, "delete": delete_attachment},
}
ACTIONS = {
    "DescribeTransitGateways": describe_gateways,
    "DescribeTransitGatewayAttachments": describe_attachments,
    "DescribeTransitGatewayPeeringAttachments": describe_peerings,
    "DescribeTransitGatewayRouteTables": describe_tables,
    "GetTransitGatewayRouteTableAssociations": get_associations,
    "SearchTransitGatewayRoutes": search_routes,
    "CreateTransitGatewayRoute": put_route,
    "ReplaceTransitGatewayRoute": put_route,
    "DeleteTransitGatewayRoute": delete_route,
    "CreateTransitGatewayPeeringAttachment": request_peering,
    "AcceptTransitGatewayPeeringAttachment": accept_peering,
    "DeleteTransitGatewayPeeringAttachment": delete_peering,
}
