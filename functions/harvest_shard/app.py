"""State HarvestShard of sync_catalog: read the metadata of new and changed data into STAC Items."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from dask_regions.aws.configuration import load_configuration
from dask_regions.aws.s3 import S3Bucket
from dask_regions.settings import Settings
from dask_regions.sync.harvesting import harvest_shard
from dask_regions.sync.steps import ShardStep

logger = Logger()


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Return what was staged, and whether the shard is done."""
    settings = Settings.from_environment()
    result = harvest_shard(
        load_configuration(settings),
        S3Bucket(settings.require("staging_bucket")),
        S3Bucket.of,
        ShardStep.model_validate(event),
        lambda: context.get_remaining_time_in_millis() / 1000,
    )
    logger.info("harvested", extra=result)
    return result
