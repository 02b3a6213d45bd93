"""The private hosted zone in which the scheduler's name is, and the VPCs in which it resolves."""

from __future__ import annotations

from typing import Any

import boto3

from dask_regions.aws.networks.parts import HostedZone

__all__ = ["HostedZones"]


class HostedZones:
    """Route 53, which is one service for all Regions.

    Parameters
    ----------
    region
        Region of which the endpoint is derived: the client Region.
    """

    def __init__(self, region: str) -> None:
        self._client: Any = boto3.client("route53", region_name=region)

    def zone(self, identifier: str) -> HostedZone | None:
        """Return a hosted zone with its VPCs, or None where it does not exist."""
        try:
            answer = self._client.get_hosted_zone(Id=identifier)
        except self._client.exceptions.NoSuchHostedZone:
            return None
        vpcs = frozenset((vpc.get("VPCRegion", ""), vpc.get("VPCId", "")) for vpc in answer.get("VPCs", ()))
        return HostedZone(identifier, vpcs)

    def associate(self, zone: str, vpc_region: str, vpc: str) -> None:
        """Let the zone's names resolve in a VPC of this account, in any Region."""
        self._client.associate_vpc_with_hosted_zone(HostedZoneId=zone, VPC=_vpc(vpc_region, vpc))

    def disassociate(self, zone: str, vpc_region: str, vpc: str) -> None:
        """Let them resolve there no more."""
        self._client.disassociate_vpc_from_hosted_zone(HostedZoneId=zone, VPC=_vpc(vpc_region, vpc))


def _vpc(region: str, vpc: str) -> Any:
    return {"VPCRegion": region, "VPCId": vpc}
