"""Set the desired count of a pool's ECS service, in the pool's Region (state ``SetPool``)."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from dask_regions.scale.steps import set_pool
from dask_regions.scaling import Decision
from dask_regions.settings import Settings

logger = Logger()


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Return the decision with the count that the service has now."""
    decision = set_pool(Decision.model_validate(event), Settings.from_environment())
    logger.info("Set the desired count", extra={"decision": decision.model_dump(mode="json")})
    return decision.model_dump(mode="json")
