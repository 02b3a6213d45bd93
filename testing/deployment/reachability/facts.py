"""What an account says of its networks, as the describing calls return it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from testing.deployment.emulator import Emulator

__all__ = ["Facts", "read"]

#: ``regions``: by Region and by the name of the list in the API's answer; ``zones``: private hosted zones.
Facts = dict[str, Any]
_GATEWAY_LISTS = (
    "TransitGatewayRouteTables",
    "TransitGatewayAttachments",
    "TransitGatewayPeeringAttachments",
)


def read(account: Emulator, regions: Iterable[str], system: str) -> Facts:
    """Return the facts of these Regions and of every private zone."""
    return {
        "system": system,
        "regions": {region: _read_region(account, region) for region in regions},
        "zones": list(_read_zones(account)),
    }


def _read_region(account: Emulator, region: str) -> dict[str, Any]:
    ec2 = account.client("ec2", region)
    facts = {
        "Vpcs": ec2.describe_vpcs()["Vpcs"],
        "Subnets": ec2.describe_subnets()["Subnets"],
        "RouteTables": ec2.describe_route_tables()["RouteTables"],
        "SecurityGroups": ec2.describe_security_groups()["SecurityGroups"],
        "NetworkAcls": ec2.describe_network_acls()["NetworkAcls"],
        "VpcPeeringConnections": ec2.describe_vpc_peering_connections()["VpcPeeringConnections"],
        "PrefixLists": {
            record["PrefixListId"]: [
                entry["Cidr"]
                for entry in ec2.get_managed_prefix_list_entries(PrefixListId=record["PrefixListId"])[
                    "Entries"
                ]
            ]
            for record in ec2.describe_managed_prefix_lists()["PrefixLists"]
            if record.get("OwnerId") != "AWS"
        },
    }
    for vpc in facts["Vpcs"]:
        for attribute, member in (
            ("enableDnsSupport", "EnableDnsSupport"),
            ("enableDnsHostnames", "EnableDnsHostnames"),
        ):
            answer = ec2.describe_vpc_attribute(VpcId=vpc["VpcId"], Attribute=attribute)
            vpc[member] = answer[member]["Value"]
    return {**facts, **_read_gateways(ec2), **_read_places(account, region)}


def _read_gateways(ec2: Any) -> dict[str, Any]:
    """Return Transit Gateways' attachments, and their route tables with associations and routes."""
    tables = ec2.describe_transit_gateway_route_tables()["TransitGatewayRouteTables"]
    for table in tables:
        key = {"TransitGatewayRouteTableId": table["TransitGatewayRouteTableId"]}
        table["Associations"] = ec2.get_transit_gateway_route_table_associations(**key)["Associations"]
        every = [{"Name": "state", "Values": ["active", "blackhole"]}]
        table["Routes"] = ec2.search_transit_gateway_routes(**key, Filters=every)["Routes"]
    attachments = ec2.describe_transit_gateway_attachments()["TransitGatewayAttachments"]
    peerings = ec2.describe_transit_gateway_peering_attachments()["TransitGatewayPeeringAttachments"]
    return dict(zip(_GATEWAY_LISTS, (tables, attachments, peerings), strict=True))


def _read_places(account: Emulator, region: str) -> dict[str, Any]:
    """Return what has interfaces in subnets: ECS services, functions, load balancers."""
    ecs, functions = account.client("ecs", region), account.client("lambda", region)
    services = [
        service
        for cluster in ecs.list_clusters()["clusterArns"]
        for arn in ecs.list_services(cluster=cluster)["serviceArns"]
        for service in ecs.describe_services(cluster=cluster, services=[arn])["services"]
    ]
    pages = functions.get_paginator("list_functions").paginate()
    return {
        "Services": services,
        "Functions": [record for page in pages for record in page["Functions"]],
        "LoadBalancers": account.client("elbv2", region).describe_load_balancers()["LoadBalancers"],
    }


def _read_zones(account: Emulator) -> Iterable[dict[str, Any]]:
    route53 = account.client("route53", "us-east-1")
    for zone in route53.list_hosted_zones()["HostedZones"]:
        details = route53.get_hosted_zone(Id=zone["Id"])
        records = route53.list_resource_record_sets(HostedZoneId=zone["Id"])["ResourceRecordSets"]
        yield {
            "Name": zone["Name"],
            "Id": zone["Id"],
            "VPCs": details.get("VPCs", []),
            "Records": {
                record["Name"]: [value["Value"] for value in record.get("ResourceRecords", [])]
                for record in records
                if record["Type"] == "A"
            },
        }
