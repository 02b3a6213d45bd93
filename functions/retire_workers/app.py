"""Empty the ECS tasks that a decision takes away (state ``RetireWorkers``)."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from dask_regions.scale.steps import retire_workers
from dask_regions.scaling import Decision
from dask_regions.settings import Settings

logger = Logger()


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Return the decision with the ``tasks`` that may be stopped, and ``desired`` without them."""
    decision = retire_workers(Decision.model_validate(event), Settings.from_environment())
    logger.info("Retired ECS tasks", extra={"decision": decision.model_dump(mode="json")})
    return decision.model_dump(mode="json")
