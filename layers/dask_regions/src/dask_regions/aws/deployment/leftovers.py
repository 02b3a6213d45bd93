"""What stacks leave behind: buckets that hold something, and what AWS made by itself."""

from __future__ import annotations

from typing import Any

import boto3

from dask_regions.aws.deployment.account import readable_errors

__all__ = ["empty_bucket", "enabled_regions", "log_groups"]


def enabled_regions(region: str) -> list[str]:
    """Return every Region that the account can use, asked of one of them."""
    with readable_errors("list the Regions of the account"):
        answer = boto3.client("ec2", region_name=region).describe_regions()
    return sorted(entry["RegionName"] for entry in answer["Regions"])


def empty_bucket(region: str, bucket: str) -> None:
    """Delete every version of every object of a bucket; where there is none, nothing."""
    client: Any = boto3.client("s3", region_name=region)
    with readable_errors(f"empty the bucket {bucket}"):
        try:
            pages = list(client.get_paginator("list_object_versions").paginate(Bucket=bucket))
        except client.exceptions.NoSuchBucket:
            return
        for page in pages:
            versions = [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]
            if versions:
                objects = [{"Key": each["Key"], "VersionId": each["VersionId"]} for each in versions]
                client.delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": True})


def log_groups(region: str, system: str) -> list[str]:
    """Return the log groups that services made by themselves for what a system runs."""
    client = boto3.client("logs", region_name=region)
    prefixes = (
        f"/aws/lambda/{system}-",
        f"/aws/codebuild/{system}-",
        f"/aws/ecs/containerinsights/{system}/",
    )
    with readable_errors(f"list log groups in {region}"):
        return [
            group["logGroupName"]
            for prefix in prefixes
            for page in client.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=prefix)
            for group in page["logGroups"]
        ]
