"""CloudWatch metrics of functions, published through their log (embedded metric format)."""

from __future__ import annotations

from collections.abc import Mapping

from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

from dask_regions.names import METRIC_NAMESPACE

__all__ = ["MetricUnit", "write_metrics"]


def write_metrics(dimensions: Mapping[str, str], values: Mapping[str, tuple[MetricUnit, float]]) -> None:
    """Write one line of metrics with exactly these dimensions.

    Parameters
    ----------
    dimensions
        Name to value. An alarm finds a metric only by all of them.
    values
        Name of the metric to unit and value.
    """
    metrics = EphemeralMetrics(namespace=METRIC_NAMESPACE)
    # Powertools would add a dimension of its own where POWERTOOLS_SERVICE_NAME is set, as it is in functions.
    metrics.service = ""
    for name, value in dimensions.items():
        metrics.add_dimension(name, value)
    for metric, (unit, number) in values.items():
        metrics.add_metric(metric, unit, number)
    metrics.flush_metrics()
