"""Networks of one Region as EC2 has them, and the calls that join them with those of other Regions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from dask_regions.aws.networks.parts import Attachment, Gateway, GatewayRoute, Peering, PrefixList, Route

__all__ = ["SYSTEM_TAG", "RegionalNetworks"]

#: Tag of all that the reconciler makes, and of what it may change; its value is the system's name.
SYSTEM_TAG = "system"
_RETRIES = Config(retries={"mode": "standard", "max_attempts": 6})
_NO_PREFIX_LIST = "InvalidPrefixListID.NotFound"
#: Fields of a route that name its target.
_TARGETS = (
    "VpcPeeringConnectionId",
    "TransitGatewayId",
    "GatewayId",
    "NatGatewayId",
    "InstanceId",
    "NetworkInterfaceId",
)


class RegionalNetworks:
    """EC2 in one Region.

    Parameters
    ----------
    region
        The Region that is asked, wherever this process runs.
    system
        Name of the system: value of the tag of what is made.
    """

    def __init__(self, region: str, system: str) -> None:
        self._region, self._system = region, system
        self._client: Any = boto3.client("ec2", region_name=region, config=_RETRIES)

    # ---- What is there ----
    def has_vpc(self, vpc: str) -> bool:
        """Return whether a VPC exists."""
        answer = self._client.describe_vpcs(Filters=[{"Name": "vpc-id", "Values": [vpc]}])
        return any(each.get("VpcId") == vpc for each in answer["Vpcs"])

    def routes(self, tables: Sequence[str]) -> tuple[Route, ...]:
        """Return the routes to IPv4 blocks of some route tables; a table that does not exist has none."""
        answer = self._client.describe_route_tables(
            Filters=[{"Name": "route-table-id", "Values": list(tables)}]
        )
        return tuple(
            Route(
                table["RouteTableId"],
                route["DestinationCidrBlock"],
                _target(route),
                route.get("State") != "blackhole",
            )
            for table in answer["RouteTables"]
            if table["RouteTableId"] in tables
            for route in table["Routes"]
            if "DestinationCidrBlock" in route
        )

    def prefix_list(self, identifier: str) -> PrefixList | None:
        """Return a prefix list with its entries, or None where it does not exist."""
        try:
            lists = self._client.describe_managed_prefix_lists(PrefixListIds=[identifier])["PrefixLists"]
            if not lists:
                return None
            pages = self._client.get_paginator("get_managed_prefix_list_entries").paginate(
                PrefixListId=identifier
            )
            entries = frozenset(entry["Cidr"] for page in pages for entry in page["Entries"])
        except ClientError as error:
            if error.response["Error"]["Code"] != _NO_PREFIX_LIST:
                raise
            return None
        record = lists[0]
        return PrefixList(
            identifier,
            record.get("Version", 1),
            record.get("State", "create-complete"),
            record.get("MaxEntries", 0),
            entries,
        )

    def peerings(self) -> tuple[Peering, ...]:
        """Return the peering connections that this Region requested: there they have their tags."""
        pages = self._client.get_paginator("describe_vpc_peering_connections").paginate()
        return tuple(
            _peering(record, self._system)
            for page in pages
            for record in page["VpcPeeringConnections"]
            if record.get("RequesterVpcInfo", {}).get("Region") == self._region
        )

    def gateway(self, identifier: str) -> Gateway | None:
        """Return a Transit Gateway with the static routes of its default route table."""
        answer = self._client.describe_transit_gateways(
            Filters=[{"Name": "transit-gateway-id", "Values": [identifier]}]
        )
        for record in answer["TransitGateways"]:
            table = record.get("Options", {}).get("AssociationDefaultRouteTableId", "")
            state = record.get("State", "")
            routes = self._gateway_routes(table) if table and state == "available" else ()
            return Gateway(identifier, state, table, record.get("OwnerId", ""), routes)
        return None

    def _gateway_routes(self, table: str) -> tuple[GatewayRoute, ...]:
        answer = self._client.search_transit_gateway_routes(
            TransitGatewayRouteTableId=table, Filters=[{"Name": "type", "Values": ["static"]}]
        )
        return tuple(
            GatewayRoute(
                route["DestinationCidrBlock"],
                next((each["TransitGatewayAttachmentId"] for each in route["TransitGatewayAttachments"]), "")
                if route.get("TransitGatewayAttachments")
                else "",
                route.get("State") == "active",
            )
            for route in answer["Routes"]
            if route.get("State") in ("active", "blackhole")
        )

    def attachments(self) -> tuple[Attachment, ...]:
        """Return the peering attachments of Transit Gateways that this Region requested."""
        pages = self._client.get_paginator("describe_transit_gateway_peering_attachments").paginate()
        return tuple(
            _attachment(record, self._system)
            for page in pages
            for record in page["TransitGatewayPeeringAttachments"]
            if record.get("RequesterTgwInfo", {}).get("Region") == self._region
        )

    # ---- Calls ----
    def request_peering(self, vpc: str, peer_region: str, peer_vpc: str) -> None:
        """Request a peering connection with a VPC of another Region."""
        self._client.create_vpc_peering_connection(
            VpcId=vpc,
            PeerVpcId=peer_vpc,
            PeerRegion=peer_region,
            TagSpecifications=[self._tags("vpc-peering-connection")],
        )

    def accept_peering(self, peering: str) -> None:
        """Accept a peering connection that another Region requested."""
        self._client.accept_vpc_peering_connection(VpcPeeringConnectionId=peering)

    def delete_peering(self, peering: str) -> None:
        """Delete a peering connection."""
        self._client.delete_vpc_peering_connection(VpcPeeringConnectionId=peering)

    def put_route(self, table: str, destination: str, target: str, *, replaces: bool) -> None:
        """Create or replace a route to a peering connection (``pcx-...``) or to a Transit Gateway."""
        key = "VpcPeeringConnectionId" if target.startswith("pcx-") else "TransitGatewayId"
        route: Any = {"RouteTableId": table, "DestinationCidrBlock": destination, key: target}
        if replaces:
            self._client.replace_route(**route)
        else:
            self._client.create_route(**route)

    def delete_route(self, table: str, destination: str) -> None:
        """Delete a route."""
        self._client.delete_route(RouteTableId=table, DestinationCidrBlock=destination)

    def modify_prefix_list(
        self, prefix_list: str, version: int, add: Sequence[str], remove: Sequence[str]
    ) -> None:
        """Add and remove blocks of a prefix list, unless it has another version by now."""
        changes: dict[str, Any] = {}
        if add:
            changes["AddEntries"] = [{"Cidr": block} for block in add]
        if remove:
            changes["RemoveEntries"] = [{"Cidr": block} for block in remove]
        self._client.modify_managed_prefix_list(PrefixListId=prefix_list, CurrentVersion=version, **changes)

    def request_attachment(self, gateway: str, peer_region: str, peer_gateway: str, account: str) -> None:
        """Request a peering attachment with a Transit Gateway of another Region."""
        self._client.create_transit_gateway_peering_attachment(
            TransitGatewayId=gateway,
            PeerTransitGatewayId=peer_gateway,
            PeerAccountId=account,
            PeerRegion=peer_region,
            TagSpecifications=[self._tags("transit-gateway-attachment")],
        )

    def accept_attachment(self, attachment: str) -> None:
        """Accept a peering attachment that another Region requested."""
        self._client.accept_transit_gateway_peering_attachment(TransitGatewayAttachmentId=attachment)

    def delete_attachment(self, attachment: str) -> None:
        """Delete a peering attachment."""
        self._client.delete_transit_gateway_peering_attachment(TransitGatewayAttachmentId=attachment)

    def put_gateway_route(self, table: str, destination: str, attachment: str, *, replaces: bool) -> None:
        """Create or replace a static route of a Transit Gateway."""
        route: Any = {
            "TransitGatewayRouteTableId": table,
            "DestinationCidrBlock": destination,
            "TransitGatewayAttachmentId": attachment,
        }
        if replaces:
            self._client.replace_transit_gateway_route(**route)
        else:
            self._client.create_transit_gateway_route(**route)

    def delete_gateway_route(self, table: str, destination: str) -> None:
        """Delete a static route of a Transit Gateway."""
        self._client.delete_transit_gateway_route(
            TransitGatewayRouteTableId=table, DestinationCidrBlock=destination
        )

    def _tags(self, resource: str) -> dict[str, Any]:
        tags = [{"Key": SYSTEM_TAG, "Value": self._system}, {"Key": "Name", "Value": self._system}]
        return {"ResourceType": resource, "Tags": tags}


def _target(route: Any) -> str:
    return next((route[key] for key in _TARGETS if route.get(key)), "")


def _is_ours(record: Any, system: str) -> bool:
    return {"Key": SYSTEM_TAG, "Value": system} in record.get("Tags", [])


def _peering(record: Any, system: str) -> Peering:
    requester, accepter = record["RequesterVpcInfo"], record["AccepterVpcInfo"]
    return Peering(
        id=record["VpcPeeringConnectionId"],
        region=requester["Region"],
        vpc=requester["VpcId"],
        peer_region=accepter["Region"],
        peer_vpc=accepter["VpcId"],
        status=record["Status"]["Code"],
        message=record["Status"].get("Message", ""),
        ours=_is_ours(record, system),
    )


def _attachment(record: Any, system: str) -> Attachment:
    requester, accepter = record["RequesterTgwInfo"], record["AccepterTgwInfo"]
    return Attachment(
        id=record["TransitGatewayAttachmentId"],
        region=requester["Region"],
        gateway=requester["TransitGatewayId"],
        peer_region=accepter["Region"],
        peer_gateway=accepter["TransitGatewayId"],
        state=record["State"],
        message=record.get("Status", {}).get("Message", ""),
        ours=_is_ours(record, system),
    )
