"""State HarvestRegion of sync_catalog: read the metadata of a Region's data into STAC Items."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from dask_regions import config, sync
from dask_regions.aws.s3 import S3Bucket
from dask_regions.settings import Settings

logger = Logger()


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Return where the Items are staged, how many they are, and what was skipped."""
    settings = Settings.from_environment()
    step = sync.RegionStep.model_validate(event)
    configuration = config.load(settings.require("datasets_file"))
    result = sync.harvest_region(configuration, S3Bucket(settings.require("staging_bucket")), step)
    logger.info("harvested", extra=result)
    return result
