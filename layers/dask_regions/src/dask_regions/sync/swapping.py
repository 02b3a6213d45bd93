"""Step ``SwapCatalog``: readers see what changed, all of it at once, and the sync is reported."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from dask_regions.catalog.changes import RegionOutcome
from dask_regions.catalog.engines import Writer
from dask_regions.models import Configuration
from dask_regions.sync.prices import PRICES, dollars
from dask_regions.sync.staging import Staging, WritableStore
from dask_regions.sync.steps import SwapRequest, SyncedRegion, begun

__all__ = ["swap"]

logger = logging.getLogger(__name__)


def swap(
    configuration: Configuration, catalog: Writer, staging: WritableStore, request: SwapRequest
) -> dict[str, Any]:
    """Show the generation to readers; Regions that failed keep their Items and are marked stale.

    What the configuration no longer declares, a Region or a dataset, is not kept. The catalog raises where
    the Items are not all there, and the generation before stays live.

    Returns
    -------
    dict
        ``generation`` (the live one), ``complete`` (whether no Region failed), ``changed`` (whether Items
        did), ``items`` (in all), ``seconds``, ``dollars``, ``failed`` (what went wrong by Region),
        ``regions`` (what was done by Region) and ``report`` (key in the staging bucket of all this with
        every source that was skipped, up to a thousand for each Region).
    """
    outcomes = {part.region: _outcome(part) for part in request.regions}
    declared = {
        region.name: [dataset.id for dataset in configuration.datasets_of(region.name)]
        for region in configuration.regions
    }
    swapped = catalog.swap(request.generation, outcomes, declared)
    failed = {part.region: part.error.text() for part in request.regions if part.error is not None}
    for region, reason in failed.items():
        logger.warning("%s keeps its old Items: %s", region, reason)
    items = swapped["regions"]
    regions = {part.region: _summary(part, items.get(part.region, 0)) for part in request.regions}
    summary = {
        "sync": request.generation,
        "generation": swapped["generation"],
        "complete": not failed,
        "changed": swapped["changed"],
        "items": swapped["items"],
        "seconds": round((datetime.now(UTC) - begun(request.generation)).total_seconds(), 1),
        "dollars": round(sum(region["dollars"] for region in regions.values()), 6),
        "failed": failed,
        "regions": regions,
    }
    return {**summary, "report": _report(Staging(staging), request, summary)}


def _outcome(part: SyncedRegion) -> RegionOutcome:
    return RegionOutcome(part.items, part.error.text() if part.error is not None else None)


def _summary(part: SyncedRegion, live_items: int) -> dict[str, Any]:
    return {
        **part.counts.model_dump(),
        # A Region that failed keeps those that are live.
        "items": live_items if part.error is not None else sum(part.items.values()),
        "collections": dict(part.items),
        "seconds": part.seconds,
        "dollars": dollars(part.counts),
        "failed": int(part.error is not None),
        "examples": list(part.skipped),
    }


def _report(staging: Staging, request: SwapRequest, summary: Mapping[str, Any]) -> str:
    skipped = {
        part.region: [
            {"source": source, "reason": reason}
            for source, reason in staging.region_report(request.generation, part.region)
        ]
        for part in request.regions
        if part.counts.skipped
    }
    return staging.put_report(request.generation, {**summary, "skipped": skipped, "prices": PRICES})
