"""State Plan of sync_catalog: which Regions to sync, and under which generation."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from dask_regions.aws.configuration import load_configuration
from dask_regions.aws.opensearch import signer
from dask_regions.aws.stepfunctions import running
from dask_regions.catalog.engines import open_catalog
from dask_regions.settings import Settings
from dask_regions.sync.planning import plan
from dask_regions.sync.steps import PlanRequest

logger = Logger()


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Return the generation and its Regions."""
    settings = Settings.from_environment()
    url = settings.require("catalog_url")
    request = PlanRequest.model_validate(event)
    catalog = open_catalog(url, signer(url))
    others = running(settings.aws_region, request.state_machine_id)
    result = plan(load_configuration(settings), catalog, others, request)
    logger.info("planned", extra=result)
    return result
