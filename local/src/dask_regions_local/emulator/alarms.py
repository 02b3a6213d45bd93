"""CloudWatch: evaluate the alarms that moto holds, from the metrics that it holds, and say so on the bus.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/AlarmThatSendsEmail.html#alarm-evaluation
"""

from __future__ import annotations

import json
import operator
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from moto.cloudwatch.models import cloudwatch_backends

from dask_regions_local.emulator.aws import Aws
from dask_regions_local.emulator.templates import ACCOUNT

__all__ = ["COMPARISONS", "STATISTICS", "Alarms", "evaluate"]

#: Statistics that an alarm may take of its datapoints, and comparisons of these with its threshold.
STATISTICS: dict[str, Callable[[Sequence[float]], float]] = {
    "Average": lambda values: sum(values) / len(values),
    "Maximum": max,
    "Minimum": min,
    "SampleCount": lambda values: float(len(values)),
    "Sum": sum,
}
COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "GreaterThanOrEqualToThreshold": operator.ge,
    "GreaterThanThreshold": operator.gt,
    "LessThanOrEqualToThreshold": operator.le,
    "LessThanThreshold": operator.lt,
}


def evaluate(alarm: Any, samples: Iterable[tuple[float, float]], now: float) -> str:
    """Return the state that an alarm should be in.

    Parameters
    ----------
    alarm
        Object with the attributes of ``put_metric_alarm`` in snake case, and ``state_value``.
    samples
        Pairs of Unix time in seconds and value.
    now
        Unix time in seconds.

    Notes
    -----
    The running period counts as soon as it has data. As in CloudWatch, a few periods more than
    ``evaluation_periods`` are looked at, so that one late datapoint is not a missing one.
    """
    periods: dict[int, list[float]] = defaultdict(list)
    for when, value in samples:
        periods[int(when // alarm.period)].append(value)
    last = int(now // alarm.period)
    number = int(alarm.evaluation_periods)
    recent = [periods[index] for index in range(last, last - number - 2, -1) if index in periods][:number]
    compare, statistic = COMPARISONS[alarm.comparison_operator], STATISTICS[alarm.statistic]
    breaching = sum(compare(statistic(values), float(alarm.threshold)) for values in recent)
    missing, treat = number - len(recent), alarm.treat_missing_data or "missing"
    if not recent and treat in ("missing", "ignore"):
        return "INSUFFICIENT_DATA" if treat == "missing" else str(alarm.state_value)
    needed = int(alarm.datapoints_to_alarm or number)
    return "ALARM" if breaching + missing * (treat == "breaching") >= needed else "OK"


class Alarms:
    """Evaluate every alarm of some Regions; on a change of state emit CloudWatch's event."""

    def __init__(self, aws: Aws, regions: Sequence[str]) -> None:
        self._aws, self._regions = aws, regions

    def evaluate(self) -> None:
        """Evaluate all alarms once."""
        for region in self._regions:
            backend = cloudwatch_backends[ACCOUNT][region]
            for alarm in list(backend.alarms.values()):
                if alarm.metric_name:  # alarms over metric math or over other alarms are not evaluated
                    state = evaluate(alarm, _samples(backend.metric_data, alarm), time.time())
                    if state != alarm.state_value:
                        self._change(region, alarm, state)

    def _change(self, region: str, alarm: Any, state: str) -> None:
        previous = alarm.state_value
        reason = f"Threshold {alarm.threshold}: {alarm.statistic} of {alarm.metric_name} is now {state}"
        cloudwatch = self._aws.client("cloudwatch", region)
        cloudwatch.set_alarm_state(AlarmName=alarm.name, StateValue=state, StateReason=reason)
        metric = {
            "namespace": alarm.namespace,
            "name": alarm.metric_name,
            "dimensions": {dimension.name: dimension.value for dimension in alarm.dimensions},
        }
        statistic = {"metric": metric, "period": int(alarm.period), "stat": alarm.statistic}
        detail = {
            "alarmName": alarm.name,
            "state": {"value": state, "reason": reason},
            "previousState": {"value": previous},
            "configuration": {"metrics": [{"id": "m1", "metricStat": statistic, "returnData": True}]},
        }
        entry = {
            "Source": "aws.cloudwatch",
            "DetailType": "CloudWatch Alarm State Change",
            "Resources": [alarm.alarm_arn],
            "Detail": json.dumps(detail),
        }
        self._aws.client("events", region).put_events(Entries=[entry])


def _samples(metrics: Iterable[Any], alarm: Any) -> list[tuple[float, float]]:
    wanted = {(dimension.name, dimension.value) for dimension in alarm.dimensions}
    return [
        (_unix(metric.timestamp), metric.value)
        for metric in list(metrics)
        if (metric.namespace, metric.name) == (alarm.namespace, alarm.metric_name)
        and {(dimension.name, dimension.value) for dimension in metric.dimensions} == wanted
        and hasattr(metric, "value")
    ]


def _unix(moment: datetime) -> float:
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()  # moto's own are naive
