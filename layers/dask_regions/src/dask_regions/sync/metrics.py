"""Publish what a sync did as CloudWatch metrics, through the function's log (embedded metric format)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dask_regions.aws.metric_lines import MetricUnit, write_metrics
from dask_regions.names import REGION_DIMENSION, SYNC_METRICS, SYSTEM_DIMENSION

__all__ = ["publish"]

_UNITS = {"seconds": MetricUnit.Seconds, "dollars": MetricUnit.NoUnit}


def publish(system: str, summary: Mapping[str, Any]) -> None:
    """Write one line of metrics for each Region, with the dimensions system and Region.

    Parameters
    ----------
    system
        Name of the system.
    summary
        What :func:`dask_regions.sync.swapping.swap` returns.
    """
    for region, counts in summary["regions"].items():
        write_metrics(
            {SYSTEM_DIMENSION: system, REGION_DIMENSION: region},
            {
                name: (_UNITS.get(counted, MetricUnit.Count), counts[counted])
                for name, counted in SYNC_METRICS.items()
            },
        )
