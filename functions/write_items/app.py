"""State WriteItems of sync_catalog: a Region's staged Items go into the generation."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from dask_regions import sync
from dask_regions.aws.s3 import S3Bucket
from dask_regions.catalog.sqlite import SqliteCatalog
from dask_regions.settings import Settings

logger = Logger()


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Return how many Items were written."""
    settings = Settings.from_environment()
    catalog = SqliteCatalog(settings.require("catalog_url"))
    staging = S3Bucket(settings.require("staging_bucket"))
    result = sync.write_items(catalog, staging, sync.Harvested.model_validate(event))
    logger.info("written", extra=result)
    return result
