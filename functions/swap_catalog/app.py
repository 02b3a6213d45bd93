"""State SwapCatalog of sync_catalog: readers see the new generation, all of it at once."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from dask_regions.aws.configuration import load_configuration
from dask_regions.aws.opensearch import signer
from dask_regions.aws.s3 import S3Bucket
from dask_regions.catalog.engines import open_catalog
from dask_regions.settings import Settings
from dask_regions.sync.metrics import publish
from dask_regions.sync.steps import SwapRequest
from dask_regions.sync.swapping import swap

logger = Logger()


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Return what the sync did; its metrics go to CloudWatch through the log."""
    settings = Settings.from_environment()
    url = settings.require("catalog_url")
    result = swap(
        load_configuration(settings),
        open_catalog(url, signer(url)),
        S3Bucket(settings.require("staging_bucket")),
        SwapRequest.model_validate(event),
    )
    publish(settings.system_name, result)
    logger.info("swapped", extra=result)
    return result
