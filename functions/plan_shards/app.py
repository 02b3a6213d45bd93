"""State PlanShards of sync_catalog: which ranges of keys to harvest, and what is known of each."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from dask_regions.aws.configuration import load_configuration
from dask_regions.aws.opensearch import signer
from dask_regions.aws.s3 import S3Bucket
from dask_regions.catalog.engines import open_catalog
from dask_regions.settings import Settings
from dask_regions.sync.sharding import plan_shards
from dask_regions.sync.steps import Import

logger = Logger()


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Return the Region's shards."""
    settings = Settings.from_environment()
    url = settings.require("catalog_url")
    result = plan_shards(
        load_configuration(settings),
        open_catalog(url, signer(url)),
        S3Bucket(settings.require("staging_bucket")),
        S3Bucket.of,
        Import.model_validate(event),
    )
    logger.info("shards planned", extra={"region": result["region"], "shards": len(result["shards"])})
    return result
