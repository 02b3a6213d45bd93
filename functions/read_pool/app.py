"""Look at a pool's demand and at its ECS service, and decide what to do (state ``ReadPool``)."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from dask_regions.scale.history import HistoryInLog
from dask_regions.scale.steps import read_pool
from dask_regions.settings import Settings

logger = Logger()


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Return a :class:`dask_regions.scaling.Decision`; ``event`` is an alarm's, or has a ``region``."""
    decision = read_pool(event, Settings.from_environment(), HistoryInLog(logger))
    return decision.model_dump(mode="json")
