"""Whether the bucket of a dataset is where it is said to be, and may be read."""

from __future__ import annotations

from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from dask_regions.models import Dataset

__all__ = ["problem_of_bucket"]

_CONFIG = Config(connect_timeout=5, read_timeout=10, retries={"total_max_attempts": 2})
_REGION = "x-amz-bucket-region"


def problem_of_bucket(dataset: Dataset) -> str | None:
    """Return why the bucket of one copy of a dataset cannot be used as it is declared, and the cure.

    Three small requests at most, by the credentials of this process. S3 names a bucket's Region in the
    headers of every answer about it, a refusal included (S3 API reference, HeadBucket).

    Returns
    -------
    str or None
        None where it can be used.
    """
    client: Any = boto3.client("s3", region_name=dataset.region, config=_CONFIG)
    name = f"bucket {dataset.bucket}"
    code, region = _head(client, dataset.bucket)
    if code in ("404", "NoSuchBucket"):
        return f"{name} does not exist; correct its name"
    if region is not None and region != dataset.region:
        return f"{name} is in {region}, not in {dataset.region}; correct the dataset's Region"
    refusal, keys = _list(client, dataset, requester_pays=dataset.requester_pays)
    if refusal is None:
        where = f"s3://{dataset.bucket}/{dataset.prefix}"
        return None if keys else f"{where} holds nothing; correct the prefix"
    if not dataset.requester_pays and _list(client, dataset, requester_pays=True)[0] is None:
        return (
            f"{name} is read at the requester's cost; write 'access: s3' and 'requester_pays: true', and "
            "this account pays"
        )
    return (
        f"{name} may not be listed by this account ({refusal}); have its owner allow s3:ListBucket and "
        "s3:GetObject to it, or sign in to the account that may"
    )


def _head(client: Any, bucket: str) -> tuple[str, str | None]:
    """Return the code of the refusal, empty where there is none, and the Region."""
    try:
        answer, code = client.head_bucket(Bucket=bucket), ""
    except ClientError as error:
        answer, code = error.response, error.response.get("Error", {}).get("Code", "")
    return code, answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get(_REGION)


def _list(client: Any, dataset: Dataset, *, requester_pays: bool) -> tuple[str | None, int]:
    """Return the code of the refusal, None where there is none, and the number of keys seen, 0 or 1."""
    payer = {"RequestPayer": "requester"} if requester_pays else {}
    try:
        answer = client.list_objects_v2(Bucket=dataset.bucket, Prefix=dataset.prefix, MaxKeys=1, **payer)
    except ClientError as error:
        return error.response.get("Error", {}).get("Code", "unknown"), 0
    return None, answer.get("KeyCount", 0)
