"""State WriteItems of sync_catalog: a Region's staged changes go into the generation."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from dask_regions.aws.configuration import load_configuration
from dask_regions.aws.opensearch import signer
from dask_regions.aws.s3 import S3Bucket
from dask_regions.catalog.engines import open_catalog
from dask_regions.settings import Settings
from dask_regions.sync.steps import RegionShards
from dask_regions.sync.writing import write_items

logger = Logger()


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Return how far the Region is written, or what it holds."""
    settings = Settings.from_environment()
    url = settings.require("catalog_url")
    result = write_items(
        load_configuration(settings),
        open_catalog(url, signer(url)),
        S3Bucket(settings.require("staging_bucket")),
        RegionShards.model_validate(event),
        lambda: context.get_remaining_time_in_millis() / 1000,
    )
    logger.info("written", extra={key: value for key, value in result.items() if key != "shards"})
    return result
