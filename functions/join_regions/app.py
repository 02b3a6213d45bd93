"""Run one round of joining the Regions' networks (state ``JoinRegions``)."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from dask_regions.join.rounds import join_regions
from dask_regions.settings import Settings

logger = Logger()


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Return what the round saw and did, and whether another one is needed."""
    outcome = join_regions(event, Settings.from_environment())
    logger.info("Looked at the networks", extra={"round_of_joining": outcome})
    return outcome
