"""Step ``Plan``: name the generation and choose the Regions, unless another sync runs."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC
from typing import Any

from dask_regions.aws.stepfunctions import Running
from dask_regions.catalog.engines import Writer
from dask_regions.errors import RequestError, UnavailableError
from dask_regions.models import Configuration
from dask_regions.sync.steps import PlanRequest, generation_name

__all__ = ["SyncRunningError", "SyncWaitsError", "plan"]

# A shard makes about 12 events; with imports and retries these stay below the 25,000 of an execution.
_MAX_SHARDS = 1000
_MAX_SHARDS_OF_A_REGION = 200


class SyncRunningError(UnavailableError):
    """Another sync runs: wait for it. The state machine does not retry it."""


class SyncWaitsError(UnavailableError):
    """Another sync runs, and this one is to follow it: the state machine looks again every minute."""


def plan(
    configuration: Configuration, catalog: Writer, running: Iterable[Running], request: PlanRequest
) -> dict[str, Any]:
    """Name the generation, choose the Regions, and begin the generation.

    Parameters
    ----------
    running
        Executions of the state machine that run, this one among them or not.

    Raises
    ------
    RequestError
        Where a Region is asked for that holds no dataset.
    SyncRunningError, SyncWaitsError
        Where another sync was started earlier; of two started at once, the one with the lower ARN goes on.
        The latter where the input says to wait.
    """
    _refuse_second(running, request)
    wanted = _regions(configuration, request)
    generation = generation_name(request.start_time, request.execution_id)
    catalog.begin(generation, wanted)
    most = min(_MAX_SHARDS_OF_A_REGION, _MAX_SHARDS // max(len(wanted), 1))
    return {
        "generation": generation,
        "regions": [
            {"region": region, "generation": generation, "shards_at_most": max(most, 1)} for region in wanted
        ],
    }


def _regions(configuration: Configuration, request: PlanRequest) -> list[str]:
    holding = [region.name for region in configuration.regions if configuration.datasets_of(region.name)]
    wanted = holding if request.input.regions is None else list(dict.fromkeys(request.input.regions))
    if unknown := [region for region in wanted if region not in holding]:
        raise RequestError(
            "regions", f"{', '.join(unknown)} hold no datasets; use some of {', '.join(holding)}"
        )
    return wanted


def _refuse_second(running: Iterable[Running], request: PlanRequest) -> None:
    mine = next((each for each in running if each.arn == request.execution_id), None)
    # Both times come from the same list where it has this execution: the context object's may be rounded.
    order = (mine.started if mine else request.start_time, request.execution_id)
    earlier = sorted((each.started, each.arn) for each in running if (each.started, each.arn) < order)
    if earlier:
        started, arn = earlier[0]
        refusal = SyncWaitsError if request.input.wait else SyncRunningError
        raise refusal(
            f"another sync runs since {started.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC: {arn}. Wait until it "
            "has ended, or stop it, then sync again"
        )
