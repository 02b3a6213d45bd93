"""Alarms change state as CloudWatch documents it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from dask_regions_local.emulator.alarms import evaluate

NOW = 1_000_005.0  # five seconds into a period of ten


def alarm(**changes: Any) -> Any:
    base = {
        "comparison_operator": "GreaterThanOrEqualToThreshold",
        "datapoints_to_alarm": None,
        "evaluation_periods": 1,
        "period": 10,
        "state_value": "OK",
        "statistic": "Maximum",
        "threshold": 2.0,
        "treat_missing_data": "notBreaching",
    }
    return SimpleNamespace(**(base | changes))


def ago(*seconds_and_values: tuple[float, float]) -> list[tuple[float, float]]:
    return [(NOW - seconds, value) for seconds, value in seconds_and_values]


@pytest.mark.parametrize(("value", "state"), [(1.0, "OK"), (2.0, "ALARM"), (3.0, "ALARM")])
def test_the_threshold_decides(value: float, state: str) -> None:
    assert evaluate(alarm(), ago((1, value)), NOW) == state


def test_only_the_latest_periods_count() -> None:
    assert evaluate(alarm(), ago((1, 0), (11, 9)), NOW) == "OK"
    assert evaluate(alarm(), ago((100, 9)), NOW) == "OK"


def test_a_late_datapoint_is_not_a_missing_one() -> None:
    assert evaluate(alarm(), ago((8, 9)), NOW) == "ALARM"


def test_every_period_must_breach_unless_fewer_are_asked_for() -> None:
    samples = ago((1, 9), (11, 9), (21, 0))
    assert evaluate(alarm(evaluation_periods=3), samples, NOW) == "OK"
    assert evaluate(alarm(evaluation_periods=3, datapoints_to_alarm=2), samples, NOW) == "ALARM"
    assert evaluate(alarm(evaluation_periods=2), samples, NOW) == "ALARM"


@pytest.mark.parametrize(
    ("statistic", "state"),
    [("Maximum", "ALARM"), ("Minimum", "OK"), ("Average", "OK"), ("Sum", "ALARM"), ("SampleCount", "ALARM")],
)
def test_the_statistic_is_taken_over_the_period(statistic: str, state: str) -> None:
    assert evaluate(alarm(statistic=statistic), ago((1, 2), (2, 1)), NOW) == state


@pytest.mark.parametrize(
    ("treat", "state"),
    [("notBreaching", "OK"), ("breaching", "ALARM"), ("missing", "INSUFFICIENT_DATA"), ("ignore", "before")],
)
def test_missing_data_are_treated_as_the_template_says(treat: str, state: str) -> None:
    assert evaluate(alarm(treat_missing_data=treat, state_value="before"), [], NOW) == state
