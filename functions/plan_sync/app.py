"""State Plan of sync_catalog: which Regions to sync, and under which generation."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from dask_regions import config, sync
from dask_regions.catalog.sqlite import SqliteCatalog
from dask_regions.settings import Settings

logger = Logger()


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Return the generation and its Regions."""
    settings = Settings.from_environment()
    request = sync.PlanRequest.model_validate(event)
    configuration = config.load(settings.require("datasets_file"))
    result = sync.plan(configuration, SqliteCatalog(settings.require("catalog_url")), request)
    logger.info("planned", extra=result)
    return result
