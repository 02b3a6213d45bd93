"""The metrics of a pool, in the pool's own Region, where its alarms watch them."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import NoCredentialsError

from dask_regions.names import (
    MEMORY_METRIC,
    METRIC_NAMESPACE,
    MISSING_METRIC,
    REGION_DIMENSION,
    SURPLUS_METRIC,
    SYSTEM_DIMENSION,
)
from dask_regions.scaling import Difference

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_cloudwatch.type_defs import MetricDatumTypeDef

__all__ = ["put_pool_metrics"]

# The next numbers come in ten seconds: late ones are worth nothing.
_CONFIG = Config(connect_timeout=3, read_timeout=4, retries={"total_max_attempts": 1})


def put_pool_metrics(system: str, region: str, difference: Difference, memory_fraction: float) -> None:
    """Publish a pool's numbers at high resolution (StorageResolution 1 s).

    Parameters
    ----------
    system
        Name of the system: an account may have several, each with a pool in a Region.
    region
        The pool's Region: where the numbers go. System and Region are their two dimensions.
    difference
        ECS tasks missing and surplus.
    memory_fraction
        Fraction of the pool's memory in use, 0 to 1.

    Raises
    ------
    botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError
        Where CloudWatch does not take them. Blocks for about 7 s at most.
    """
    values = {
        MISSING_METRIC: float(difference.missing),
        SURPLUS_METRIC: float(difference.surplus),
        MEMORY_METRIC: memory_fraction,
    }
    data: list[MetricDatumTypeDef] = [
        {
            "MetricName": name,
            "Dimensions": [
                {"Name": SYSTEM_DIMENSION, "Value": system},
                {"Name": REGION_DIMENSION, "Value": region},
            ],
            "Value": value,
            "Unit": "None" if name == MEMORY_METRIC else "Count",
            "StorageResolution": 1,
        }
        for name, value in values.items()
    ]
    try:
        _client(region).put_metric_data(Namespace=METRIC_NAMESPACE, MetricData=data)
    except NoCredentialsError:
        _client.cache_clear()  # a client that was made without credentials never looks for them again
        raise


@cache
def _client(region: str) -> CloudWatchClient:
    return boto3.client("cloudwatch", region_name=region, config=_CONFIG)
