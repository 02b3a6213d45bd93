"""Look at the scheduler every few minutes: stop it where it is idle, and say where it is down."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from dask_regions.scale.watching import publish, watch_scheduler
from dask_regions.settings import Settings

logger = Logger()


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Return a :class:`dask_regions.scale.watching.Watch`; ``event`` is the schedule's."""
    settings = Settings.from_environment()
    watch = watch_scheduler(settings)
    publish(watch, settings)
    logger.info(watch.reason, extra={"watch": watch.model_dump(mode="json")})
    return watch.model_dump(mode="json")
