"""What runs where: the scheduler, each Region's workers, and what stands in the client Region's VPC."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from testing.deployment.reachability.facts import Facts

__all__ = ["Place", "clients", "schedulers", "workers"]


@dataclass(frozen=True)
class Place:
    """Something with addresses in subnets, behind security groups.

    Attributes
    ----------
    name
        For messages.
    region
        Its Region.
    subnets
        Ids of the subnets in which it may have an address.
    groups
        Ids of its security groups; none where nothing is known of it.
    """

    name: str
    region: str
    subnets: tuple[str, ...]
    groups: tuple[str, ...] = ()


def schedulers(facts: Facts) -> list[Place]:
    """Return the scheduler, of which there is one."""
    return list(_services(facts, f"{facts['system']}-scheduler", "scheduler"))


def workers(facts: Facts) -> list[Place]:
    """Return the workers of each Region that has a pool."""
    return list(_services(facts, f"{facts['system']}-workers", "workers"))


def clients(facts: Facts) -> list[Place]:
    """Return what stands in the scheduler's VPC: functions, load balancers, and any other address of it."""
    [scheduler] = schedulers(facts)
    region = scheduler.region
    return [
        Place("client", region, scheduler.subnets),
        *_functions(facts, region, scheduler.subnets),
        *_balancers(facts, region, scheduler.subnets),
    ]


def _services(facts: Facts, service_name: str, name: str) -> Iterator[Place]:
    for region, records in facts["regions"].items():
        for service in records["Services"]:
            if service["serviceName"] == service_name and service["status"] == "ACTIVE":
                network = service["networkConfiguration"]["awsvpcConfiguration"]
                subnets, groups = tuple(network["subnets"]), tuple(network.get("securityGroups", []))
                yield Place(f"{name} of {region}", region, subnets, groups)


def _functions(facts: Facts, region: str, subnets: tuple[str, ...]) -> Iterator[Place]:
    configurations: dict[tuple[Any, ...], str] = {}
    for function in facts["regions"][region]["Functions"]:
        vpc = function.get("VpcConfig") or {}
        if set(vpc.get("SubnetIds", [])) & set(subnets):
            key = (tuple(vpc["SubnetIds"]), tuple(vpc["SecurityGroupIds"]))
            configurations.setdefault(key, function["FunctionName"])
    for (places, groups), name in configurations.items():
        yield Place(name, region, places, groups)


def _balancers(facts: Facts, region: str, subnets: tuple[str, ...]) -> Iterator[Place]:
    for balancer in facts["regions"][region]["LoadBalancers"]:
        places = tuple(zone["SubnetId"] for zone in balancer["AvailabilityZones"])
        if set(places) & set(subnets):
            yield Place(balancer["LoadBalancerName"], region, places, tuple(balancer["SecurityGroups"]))
