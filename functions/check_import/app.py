"""State CheckImport of sync_catalog: is the Region's import done?"""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from dask_regions.sync.importing import check_import
from dask_regions.sync.steps import Import

logger = Logger()


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Return the import's lifecycle, and how long to wait before asking again."""
    result = check_import(Import.model_validate(event))
    logger.info("import checked", extra=result)
    return result
