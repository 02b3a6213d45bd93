"""Step ``SwapCatalog``: readers see what changed, all of it at once, and the sync is reported."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from dask_regions.catalog import store
from dask_regions.catalog.store import Writer
from dask_regions.models import Configuration
from dask_regions.sync.prices import PRICES, dollars
from dask_regions.sync.staging import Staging, WritableStore
from dask_regions.sync.steps import Outcome, SwapRequest, begun

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
    outcomes = {one.region: _outcome(one) for one in request.regions}
    declared = {
        region.name: [dataset.id for dataset in configuration.datasets_of(region.name)]
        for region in configuration.regions
    }
    swapped = catalog.swap(request.generation, outcomes, declared)
    failed = {one.region: one.error.text() for one in request.regions if one.error is not None}
    for region, reason in failed.items():
        logger.warning("%s keeps its old Items: %s", region, reason)
    held = swapped["regions"]
    regions = {one.region: _summary(one, held.get(one.region, 0)) for one in request.regions}
    summary = {
        "sync": request.generation,
        "generation": swapped["generation"],
        "complete": not failed,
        "changed": swapped["changed"],
        "items": swapped["items"],
        "seconds": round((datetime.now(UTC) - begun(request.generation)).total_seconds(), 1),
        "dollars": round(sum(one["dollars"] for one in regions.values()), 6),
        "failed": failed,
        "regions": regions,
    }
    return {**summary, "report": _report(Staging(staging), request, summary)}


def _outcome(one: Outcome) -> store.Outcome:
    return store.Outcome(one.items, one.error.text() if one.error is not None else None)


def _summary(one: Outcome, held: int) -> dict[str, Any]:
    return {
        **one.counts.model_dump(),
        # Of a Region that failed, those that it keeps.
        "items": held if one.error is not None else sum(one.items.values()),
        "collections": dict(one.items),
        "seconds": one.seconds,
        "dollars": dollars(one.counts),
        "failed": int(one.error is not None),
        "examples": list(one.skipped),
    }


def _report(staging: Staging, request: SwapRequest, summary: Mapping[str, Any]) -> str:
    skipped = {
        one.region: [
            {"source": source, "reason": reason}
            for source, reason in staging.region_report(request.generation, one.region)
        ]
        for one in request.regions
        if one.counts.skipped
    }
    return staging.put_report(request.generation, {**summary, "skipped": skipped, "prices": PRICES})
