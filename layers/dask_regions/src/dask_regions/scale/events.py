"""What starts the state machine ``scale_pool``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dask_regions.errors import RequestError
from dask_regions.names import REGION_DIMENSION

__all__ = ["region_of_event"]


def region_of_event(event: Mapping[str, Any]) -> str:
    """Return the Region that an event is about.

    Parameters
    ----------
    event
        A CloudWatch Alarm State Change, whose metric's dimension names the Region, or
        ``{"region": ...}``. The event's own ``region`` is not taken from an alarm: a bus in
        another Region may overwrite it.

    Raises
    ------
    RequestError
        Where it names no Region.
    """
    detail = event.get("detail")
    if detail is None:
        if isinstance(event.get("region"), str):
            return str(event["region"])
        raise RequestError("region", 'send {"region": "us-west-2"} or a CloudWatch Alarm State Change')
    metrics = detail.get("configuration", {}).get("metrics", [])
    for metric in metrics:
        dimensions = metric.get("metricStat", {}).get("metric", {}).get("dimensions", {})
        if REGION_DIMENSION in dimensions:
            return str(dimensions[REGION_DIMENSION])
    raise RequestError(
        "detail.configuration.metrics",
        f"alarm {detail.get('alarmName', '')!r} watches no metric with the dimension {REGION_DIMENSION}; "
        "give its metric this dimension",
    )
