"""What the stacks publish of their networks in Parameter Store, and what the reconciler remembers there."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from dask_regions.aws.networks.parts import Member, Network, Registry
from dask_regions.errors import ConfigurationError, UnavailableError
from dask_regions.names import joined_parameter, network_parameter, scheduler_parameter

__all__ = ["hosted_zone_id", "network", "registry", "write_registry"]


def network(system: str, region: str) -> Network | None:
    """Return the network that a Region's stack publishes, or None where the Region is not deployed.

    Raises
    ------
    ConfigurationError
        Where it is not what this version publishes.
    UnavailableError
        Where the Region does not answer.
    """
    name = network_parameter(system)
    document = _read(name, region)
    if document is None:
        return None
    try:
        return Network(
            region=document["region"],
            role=document["role"],
            vpc=document["vpc_id"],
            cidr=document["cidr"],
            tables=tuple(document["route_table_ids"]),
            prefix_list=document["prefix_list_id"],
            kind=document["network"],
            gateway=document["transit_gateway_id"],
        )
    except (KeyError, TypeError) as error:
        raise ConfigurationError(
            f"parameter {name} in {region} is not what this version publishes ({error} is missing); deploy "
            "the Region's stack from this version"
        ) from error


def hosted_zone_id(system: str, region: str) -> str:
    """Return the id of the private hosted zone of the scheduler's name; empty where none is published."""
    document = _read(scheduler_parameter(system), region)
    return "" if document is None else str(document.get("hosted_zone_id", ""))


def registry(system: str, region: str) -> Registry | None:
    """Return what the reconciler remembers, or None where the client Region's stack has no place for it."""
    document = _read(joined_parameter(system), region)
    if document is None:
        return None
    return Registry(_members(document.get("joined", ())), _members(document.get("left", ())))


def write_registry(system: str, region: str, value: Registry) -> None:
    """Remember who is joined, and who has left, in the parameter that the client Region's stack made.

    Raises
    ------
    UnavailableError
        Where there is none: one that is made here would outlive the stack, and keep the next from being made.
    """
    name = joined_parameter(system)
    if _read(name, region) is None:
        raise UnavailableError(f"{region} has no parameter {name}; deploy the client stack there")
    document = {
        "joined": [_document(member) for member in sorted(value.joined)],
        "left": [_document(member) for member in sorted(value.left)],
    }
    boto3.client("ssm", region_name=region).put_parameter(
        Name=name, Value=json.dumps(document), Type="String", Overwrite=True
    )


def _read(name: str, region: str) -> dict[str, Any] | None:
    client = boto3.client("ssm", region_name=region)
    try:
        text = client.get_parameter(Name=name)["Parameter"]["Value"]
    except client.exceptions.ParameterNotFound:
        return None
    except (BotoCoreError, ClientError) as error:
        raise UnavailableError(
            f"parameter {name} in {region} cannot be read: {error}; check that the Region is enabled for "
            "this account, and try again"
        ) from error
    try:
        document: dict[str, Any] = json.loads(text)
    except ValueError as error:
        raise ConfigurationError(
            f"parameter {name} in {region} is not JSON; deploy the stack that publishes it"
        ) from error
    return document


def _members(entries: Iterable[Any]) -> frozenset[Member]:
    return frozenset(Member(entry["region"], entry["vpc_id"], entry["cidr"]) for entry in entries)


def _document(member: Member) -> dict[str, str]:
    return {"region": member.region, "vpc_id": member.vpc, "cidr": member.cidr}
