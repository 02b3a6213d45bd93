"""Quotas of an account in a Region, and how much of some of them is used."""

from __future__ import annotations

from typing import Any

import boto3
from pydantic import BaseModel, ConfigDict

from dask_regions.aws.deployment.account import readable_errors

__all__ = ["Quota", "quotas", "used_addresses", "used_networks"]


class Quota(BaseModel):
    """A quota as Service Quotas has it; `value` is in the quota's own unit."""

    model_config = ConfigDict(frozen=True)

    service: str
    code: str
    name: str
    value: float
    adjustable: bool


def quotas(region: str, service: str) -> list[Quota]:
    """Return the quotas of a service, those that were raised before the defaults of AWS."""
    client: Any = boto3.client("service-quotas", region_name=region)
    with readable_errors(f"list the quotas of {service} in {region}"):
        entries = [
            entry
            for operation in ("list_service_quotas", "list_aws_default_service_quotas")
            for page in client.get_paginator(operation).paginate(ServiceCode=service)
            for entry in page["Quotas"]
        ]
    applied: dict[str, Quota] = {}
    for entry in entries:
        quota = Quota(
            service=service,
            code=entry["QuotaCode"],
            name=entry["QuotaName"],
            value=entry["Value"],
            adjustable=entry["Adjustable"],
        )
        applied.setdefault(quota.code, quota)
    return list(applied.values())


def used_networks(region: str) -> int:
    """Return how many VPCs a Region has."""
    with readable_errors(f"count the VPCs of {region}"):
        return len(boto3.client("ec2", region_name=region).describe_vpcs()["Vpcs"])


def used_addresses(region: str) -> int:
    """Return how many Elastic IP addresses a Region has."""
    with readable_errors(f"count the Elastic IP addresses of {region}"):
        return len(boto3.client("ec2", region_name=region).describe_addresses()["Addresses"])
