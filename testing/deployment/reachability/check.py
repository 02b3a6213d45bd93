"""Who has to reach whom, and who must not: the table of the system's connections against the facts."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network
from itertools import combinations, product

from testing.deployment.reachability import doors, paths
from testing.deployment.reachability.doors import Ports
from testing.deployment.reachability.facts import Facts
from testing.deployment.reachability.places import Place, clients, schedulers, workers

__all__ = ["violations"]

#: Ports of the scheduler and of its web server.
_SCHEDULER: Ports = (8786, 8786)
_WEB: Ports = (8787, 8787)
#: Ports of the workers of an ECS task, and of their nannies.
_WORKERS: Ports = (10000, 10063)
_NANNIES: Ports = (10100, 10163)


def violations(facts: Facts) -> list[str]:
    """Say what cannot be reached though it has to be, and what is open though it must not be."""
    if not schedulers(facts):
        return ["there is no scheduler"]
    return [
        *_unreachable(facts),
        *_unresolved(facts),
        *_too_open(facts),
        *_overlapping(facts),
        *_not_looked_at(facts),
    ]


def _needed(facts: Facts) -> Iterator[tuple[Place, Place, Ports]]:
    [scheduler] = schedulers(facts)
    for client in clients(facts):
        yield client, scheduler, _WEB
    for source in [*clients(facts)[:1], *workers(facts)]:
        yield source, scheduler, _SCHEDULER
    for source, destination in product([scheduler, *clients(facts)[:1], *workers(facts)], workers(facts)):
        yield source, destination, _WORKERS
    for destination in workers(facts):
        yield scheduler, destination, _NANNIES


def _unreachable(facts: Facts) -> Iterator[str]:
    for source, destination, ports in _needed(facts):
        for origin, target in product(source.subnets, destination.subnets):
            reason = _obstacle(facts, source, origin, destination, target, ports)
            if reason:
                first, last = ports
                yield f"{source.name} cannot reach {destination.name} on {first} to {last}: {reason}"
                break


def _obstacle(facts: Facts, source: Place, origin: str, destination: Place, target: str, ports: Ports) -> str:
    """Return why a connection fails, ``""`` where it does not; answers take the routes back."""
    here, there = (source.region, origin), (destination.region, target)
    try:
        paths.require_path(facts, here, there)
        paths.require_path(facts, there, here)
    except paths.NoPathError as error:
        return str(error)
    from_block, to_block = paths.subnet_block(facts, *here), paths.subnet_block(facts, *there)
    if not doors.covers(doors.egress(facts, source.region, source.groups, to_block), ports):
        return f"{', '.join(source.groups)} lets nothing out to {to_block}"
    same_vpc = paths.vpc_of(facts, *here) == paths.vpc_of(facts, *there)
    members = source.groups if same_vpc else ()
    accepted = doors.ingress(facts, destination.region, destination.groups, from_block, members)
    if not doors.covers(accepted, ports):
        return f"{', '.join(destination.groups)} does not accept {from_block}"
    return ""


def _unresolved(facts: Facts) -> Iterator[str]:
    """The scheduler's name has to resolve, in every VPC with workers or clients, to its address."""
    [scheduler] = schedulers(facts)
    domain = f"{facts['system']}.internal."
    zones = [zone for zone in facts["zones"] if zone["Name"] == domain]
    for place in {
        (place.region, place.subnets[0]): place for place in [*clients(facts), *workers(facts)]
    }.values():
        vpc = paths.vpc_of(facts, place.region, place.subnets[0])
        associated = [zone for zone in zones if {"VPCRegion": place.region, "VPCId": vpc} in zone["VPCs"]]
        if len(associated) != 1:
            yield f"scheduler.{domain} does not resolve in {vpc} of {place.region}: {len(associated)} zones"
        [record] = [record for record in facts["regions"][place.region]["Vpcs"] if record["VpcId"] == vpc]
        if not (record["EnableDnsSupport"] and record["EnableDnsHostnames"]):
            yield f"private zones do not resolve in {vpc} of {place.region}: its DNS attributes are off"
    blocks = [paths.subnet_block(facts, scheduler.region, subnet) for subnet in scheduler.subnets]
    for zone in zones:
        for address in zone["Records"].get(f"scheduler.{domain}", []):
            if not any(IPv4Network(address).subnet_of(block) for block in blocks):
                yield f"scheduler.{domain} resolves to {address}, where there is no scheduler"


def _too_open(facts: Facts) -> Iterator[str]:
    """Each rule of a security group of the system's VPCs opens what the table has, to whom it has it."""
    blocks = _vpcs(facts)
    [scheduler] = schedulers(facts)
    client_vpc = (scheduler.region, paths.vpc_of(facts, scheduler.region, scheduler.subnets[0]))
    for region, vpc in blocks:
        for group in facts["regions"][region]["SecurityGroups"]:
            if group["VpcId"] != vpc:
                continue
            name = group["GroupId"]
            for source, ports in doors.openings(facts, region, [name], "IpPermissions"):
                rule = f"{name} of {region} opens {ports} to {source}"
                origin = _origin(source, blocks, (region, vpc))
                permitted = _permitted(facts, name, from_client=origin == client_vpc)
                if origin is None:
                    yield f"{rule}, which is no Region's"
                elif permitted is None and origin != (region, vpc):
                    yield f"{rule}, another Region's"
                elif permitted is not None and not doors.covers(permitted, ports):
                    yield f"{rule}: more than it may"


def _permitted(facts: Facts, group: str, from_client: bool) -> list[Ports] | None:
    """Return what a group of the scheduler or of workers may open, None where it is another's."""
    if any(group in place.groups for place in schedulers(facts)):
        return [_SCHEDULER, _WEB] if from_client else [_SCHEDULER]
    if any(group in place.groups for place in workers(facts)):
        return [_WORKERS, _NANNIES] if from_client else [_WORKERS]
    return None


def _vpcs(facts: Facts) -> dict[tuple[str, str], IPv4Network]:
    vpcs = {
        (place.region, paths.vpc_of(facts, place.region, place.subnets[0]))
        for place in [*schedulers(facts), *workers(facts)]
    }
    return {vpc: paths.vpc_block(facts, *vpc) for vpc in sorted(vpcs)}


def _origin(
    source: IPv4Network | str, blocks: dict[tuple[str, str], IPv4Network], own: tuple[str, str]
) -> tuple[str, str] | None:
    """Return the VPC of which a rule's source is a part; groups are of the same VPC."""
    if isinstance(source, str):
        return own
    return next((vpc for vpc, block in blocks.items() if source.subnet_of(block)), None)


def _overlapping(facts: Facts) -> Iterator[str]:
    for (first, block), (second, other) in combinations(_vpcs(facts).items(), 2):
        if block.overlaps(other):
            yield f"{block} of {first[0]} overlaps {other} of {second[0]}"


def _not_looked_at(facts: Facts) -> Iterator[str]:
    """A default network ACL lets everything pass; of others this checker knows nothing."""
    for region, vpc in _vpcs(facts):
        for record in facts["regions"][region]["NetworkAcls"]:
            if record["VpcId"] == vpc and not record["IsDefault"]:
                yield f"{record['NetworkAclId']} of {region} is no default network ACL"
