"""Routes of VPCs, and acceptance of peerings, with what EC2 refuses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ministack.core.responses import get_region
from ministack.services import ec2

from .gateways import attachments

Params = Mapping[str, list[str]]
Response = tuple[int, Any, bytes]

_stock_create, _stock_delete = ec2._create_route, ec2._delete_route
_stock_describe, _stock_accept = ec2._describe_route_tables, ec2._accept_vpc_peering_connection
#: Targets that end, and leave a blackhole behind.
_TARGETS = ("VpcPeeringConnectionId", "TransitGatewayId")


def create_route(params: Params) -> Response:
    """Answer CreateRoute, which is refused where there is a route, or where its target is not there."""
    if _present(params):
        return _refused("RouteAlreadyExists", "the route identified by the block already exists")
    if refusal := _missing_target(params):
        return refusal
    response: Response = _stock_create(params)
    return response


def replace_route(params: Params) -> Response:
    """Answer ReplaceRoute: the target is another, the destination the same."""
    if not _present(params):
        return _refused("InvalidParameterValue", "there is no route to that block to replace")
    if refusal := _missing_target(params):
        return refusal
    _stock_delete(params)
    _stock_create(params)
    response: Response = ec2._xml(200, "ReplaceRouteResponse", "<return>true</return>")
    return response


def delete_route(params: Params) -> Response:
    """Answer DeleteRoute, which is refused where there is no such route, and for the local one."""
    if not _present(params):
        return _refused("InvalidRoute.NotFound", "no route with that destination")
    response: Response = _stock_delete(params)
    return response


def describe_tables(params: Params) -> Response:
    """Answer DescribeRouteTables; a route whose target has ended is a blackhole."""
    table_ids = ec2._parse_filters(params).get("route-table-id", [])
    for table in ec2._route_tables.values():
        for route in table["Routes"]:
            if any(route.get(key) for key in _TARGETS):
                route["State"] = "active" if _is_live(route, table["VpcId"]) else "blackhole"
    if table_ids:
        present = [identifier for identifier in table_ids if identifier in ec2._route_tables]
        if not present:
            empty: Response = ec2._xml(200, "DescribeRouteTablesResponse", "<routeTableSet/>")
            return empty
        params = {**params, **{f"RouteTableId.{n}": [each] for n, each in enumerate(present, 1)}}
    response: Response = _stock_describe(params)
    return response


def accept_peering(params: Params) -> Response:
    """Answer AcceptVpcPeeringConnection, in the accepter's Region alone, of one that waits for it."""
    record = ec2._vpc_peering.get(params["VpcPeeringConnectionId"][0])
    if record is None:
        return _refused("InvalidVpcPeeringConnectionID.NotFound", "there is no such peering connection")
    region, code = record["AccepterVpcInfo"]["Region"], record["Status"]["Code"]
    if region != get_region():
        return _refused("OperationNotPermitted", f"it has to be accepted in {region}")
    if code != "pending-acceptance":
        return _refused("InvalidStateTransition", f"a connection that is {code} cannot be accepted")
    response: Response = _stock_accept(params)
    return response


def _present(params: Params) -> bool:
    table = ec2._route_tables.get(params["RouteTableId"][0], {"Routes": []})
    block = params["DestinationCidrBlock"][0]
    return any(route.get("DestinationCidrBlock") == block for route in table["Routes"])


def _missing_target(params: Params) -> Response | None:
    table = ec2._route_tables.get(params["RouteTableId"][0])
    if table is None:
        return None
    target = {key: params[key][0] for key in _TARGETS if key in params}
    if not target or _is_live(target, table["VpcId"]):
        return None
    [(key, identifier)] = target.items()
    code = "InvalidTransitGatewayID.NotFound"
    if key == "VpcPeeringConnectionId":
        code = "InvalidVpcPeeringConnectionID.NotFound"
    return _refused(code, f"{identifier} does not exist, or does not connect {table['VpcId']}")


def _is_live(route: Mapping[str, Any], vpc: str) -> bool:
    if connection := route.get("VpcPeeringConnectionId"):
        record = ec2._vpc_peering.get(connection)
        if record is None or record["Status"]["Code"] != "active":
            return False
        return vpc in (record["RequesterVpcInfo"]["VpcId"], record["AccepterVpcInfo"]["VpcId"])
    return any(
        (each["TransitGatewayId"], each["ResourceId"]) == (route["TransitGatewayId"], vpc)
        for each in attachments.values()
    )


def _refused(code: str, message: str) -> Response:
    response: Response = ec2._error(code, message, 400)
    return response


ACTIONS = {
    "CreateRoute": create_route,
    "ReplaceRoute": replace_route,
    "DeleteRoute": delete_route,
    "DescribeRouteTables": describe_tables,
    "AcceptVpcPeeringConnection": accept_peering,
}
