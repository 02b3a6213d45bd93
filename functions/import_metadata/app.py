"""State ImportMetadata of sync_catalog: FSx for Lustre learns the names of new objects."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from dask_regions.aws.configuration import load_configuration
from dask_regions.settings import Settings
from dask_regions.sync.importing import start_import
from dask_regions.sync.steps import RegionStep

logger = Logger()


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Return the id of the import task."""
    settings = Settings.from_environment()
    step = RegionStep.model_validate(event)
    configuration = load_configuration(settings)
    result = start_import(configuration, settings.system_name, step)
    logger.info("import started", extra=result)
    return result
