"""What security groups let in and out, as intervals of TCP ports."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import IPv4Network
from typing import Any

from testing.deployment.reachability.facts import Facts

__all__ = ["ALL_PORTS", "Ports", "covers", "egress", "ingress", "openings"]

#: First and last port.
Ports = tuple[int, int]
ALL_PORTS: Ports = (0, 65535)


def covers(openings_: Iterable[Ports], wanted: Ports) -> bool:
    """Say whether intervals together hold all of another one."""
    first, last = wanted
    for low, high in sorted(openings_):
        if low <= first <= high:
            first = high + 1
    return first > last


def ingress(
    facts: Facts, region: str, groups: Iterable[str], source: IPv4Network, source_groups: Iterable[str] = ()
) -> list[Ports]:
    """Return the ports on which groups accept an address block, or a member of other groups of their VPC."""
    members = set(source_groups)
    return [
        ports
        for block, ports in openings(facts, region, groups, "IpPermissions")
        if (source.subnet_of(block) if isinstance(block, IPv4Network) else block in members)
    ]


def egress(facts: Facts, region: str, groups: Iterable[str], destination: IPv4Network) -> list[Ports]:
    """Return the ports to which groups let out; all of them where there is no group."""
    names = list(groups)
    if not names:
        return [ALL_PORTS]
    return [
        ports
        for block, ports in openings(facts, region, names, "IpPermissionsEgress")
        if isinstance(block, IPv4Network) and destination.subnet_of(block)
    ]


def openings(
    facts: Facts, region: str, groups: Iterable[str], member: str
) -> Iterator[tuple[IPv4Network | str, Ports]]:
    """Yield each rule's address block, or id of a group, with its ports: all where it is not of TCP."""
    for group in facts["regions"][region]["SecurityGroups"]:
        if group["GroupId"] in groups:
            for permission in group[member]:
                for source in _sources(facts, region, permission):
                    yield source, _ports(permission)


def _sources(facts: Facts, region: str, permission: Mapping[str, Any]) -> Iterator[IPv4Network | str]:
    for record in permission.get("IpRanges", []):
        yield IPv4Network(record["CidrIp"])
    # The system uses no IPv6: whatever is opened to it is opened to all.
    for _ in permission.get("Ipv6Ranges", []):
        yield IPv4Network("0.0.0.0/0")
    for record in permission.get("PrefixListIds", []):
        for block in facts["regions"][region]["PrefixLists"].get(record["PrefixListId"], []):
            yield IPv4Network(block)
    for record in permission.get("UserIdGroupPairs", []):
        yield str(record["GroupId"])


def _ports(permission: Mapping[str, Any]) -> Ports:
    if permission["IpProtocol"] != "tcp":
        return ALL_PORTS
    return permission["FromPort"], permission["ToPort"]
