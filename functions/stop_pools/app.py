"""Stop every pool, because the month's budget is spent."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from dask_regions.scale.budget import stop_pools
from dask_regions.settings import Settings

logger = Logger()


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> None:
    """Take the notices of AWS Budgets from their topic; ``event`` is SNS's."""
    for record in event["Records"]:
        logger.warning(stop_pools(record["Sns"]["Message"], Settings.from_environment()))
