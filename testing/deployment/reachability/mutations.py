"""Every single mistake in what joins the Regions: one route less, one rule wider."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

from testing.deployment.reachability.facts import Facts
from testing.deployment.reachability.places import schedulers, workers

__all__ = ["mutations"]

Change = Callable[[Facts], Any]


def mutations(facts: Facts) -> Iterator[tuple[str, Facts]]:
    """Yield the name of each mistake with the facts that have it; the given ones stay as they are."""
    for name, change in [
        *_routes(facts),
        *_connections(facts),
        *_prefix_lists(facts),
        *_names(facts),
        *_rules(facts),
    ]:
        copy = deepcopy(facts)
        change(copy)
        yield name, copy


def _routes(facts: Facts) -> Iterator[tuple[str, Change]]:
    """Yield the loss of each route to another Region, of VPCs and of Transit Gateways."""
    for region, records in facts["regions"].items():
        for number, table in enumerate(records["RouteTables"]):
            for index, route in enumerate(table["Routes"]):
                if route.get("VpcPeeringConnectionId") or route.get("TransitGatewayId"):
                    name = f"{region}: no route to {route['DestinationCidrBlock']}"
                    yield name, _dropping("regions", region, "RouteTables", number, "Routes", index)
        for number, table in enumerate(records["TransitGatewayRouteTables"]):
            for index, route in enumerate(table["Routes"]):
                name = f"{region}: no route to {route['DestinationCidrBlock']} in its Transit Gateway"
                yield name, _dropping("regions", region, "TransitGatewayRouteTables", number, "Routes", index)


def _connections(facts: Facts) -> Iterator[tuple[str, Change]]:
    for region, records in facts["regions"].items():
        for number, connection in enumerate(records["VpcPeeringConnections"]):
            if connection["Status"]["Code"] == "active":
                path = ("regions", region, "VpcPeeringConnections", number, "Status", "Code")
                name = f"{region}: {connection['VpcPeeringConnectionId']} is pending"
                yield name, _setting("pending-acceptance", *path)
        for number, attachment in enumerate(records["TransitGatewayPeeringAttachments"]):
            if attachment["State"] == "available":
                name = f"{region}: {attachment['TransitGatewayAttachmentId']} is pending"
                place = ("regions", region, "TransitGatewayPeeringAttachments", number, "State")
                yield name, _setting("pendingAcceptance", *place)


def _prefix_lists(facts: Facts) -> Iterator[tuple[str, Change]]:
    for region, records in facts["regions"].items():
        for key, blocks in records["PrefixLists"].items():
            for index, block in enumerate(blocks):
                path = ("regions", region, "PrefixLists", key, index)
                yield f"{region}: {block} is not in its prefix list", _dropping(*path)
                yield f"{region}: 10.0.0.0/8 is in its prefix list", _setting("10.0.0.0/8", *path)


def _names(facts: Facts) -> Iterator[tuple[str, Change]]:
    for number, zone in enumerate(facts["zones"]):
        for index, vpc in enumerate(zone["VPCs"]):
            yield f"{vpc['VPCRegion']}: the zone is not associated", _dropping("zones", number, "VPCs", index)


def _rules(facts: Facts) -> Iterator[tuple[str, Change]]:
    """Yield the loss of each rule of scheduler and workers, and each rule for more ports, or for all."""
    groups = {group for place in [*schedulers(facts), *workers(facts)] for group in place.groups}
    for region, records in facts["regions"].items():
        for number, group in enumerate(records["SecurityGroups"]):
            if group["GroupId"] not in groups:
                continue
            for index, rule in enumerate(group["IpPermissions"]):
                path = ("regions", region, "SecurityGroups", number, "IpPermissions", index)
                source = ", ".join(record["CidrIp"] for record in rule["IpRanges"]) or "others"
                name = f"{region}: {group['GroupId']} on {rule.get('FromPort')} for {source}"
                yield f"{name} is closed", _dropping(*path)
                yield f"{name} is open to 65535", _setting(65535, *path, "ToPort")
                yield f"{name} is open to all", _setting([{"CidrIp": "0.0.0.0/0"}], *path, "IpRanges")
                yield f"{name} is open to IPv6", _setting([{"CidrIpv6": "::/0"}], *path, "Ipv6Ranges")


def _at(facts: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        facts = facts[key]
    return facts


def _dropping(*path: Any) -> Change:
    return lambda facts: _at(facts, path[:-1]).pop(path[-1])


def _setting(value: Any, *path: Any) -> Change:
    def change(facts: Facts) -> None:
        _at(facts, path[:-1])[path[-1]] = value

    return change
