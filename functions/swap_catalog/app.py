"""State SwapCatalog of sync_catalog: readers see the new generation, all of it at once."""

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
    """Return which Regions were swapped and which failed."""
    settings = Settings.from_environment()
    catalog = SqliteCatalog(settings.require("catalog_url"))
    configuration = config.load(settings.require("datasets_file"))
    result = sync.swap(configuration, catalog, sync.SwapRequest.model_validate(event))
    logger.info("swapped", extra=result)
    return result
