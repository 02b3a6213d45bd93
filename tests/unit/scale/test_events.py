"""What starts a pool's scaling: an alarm, or a Region given by hand."""

from __future__ import annotations

from typing import Any

import pytest

from dask_regions.errors import RequestError
from dask_regions.scale.events import region_of_event


def alarm(dimensions: dict[str, str]) -> dict[str, Any]:
    metric = {"metricStat": {"metric": {"name": "TasksMissing", "dimensions": dimensions}}}
    return {
        "source": "aws.cloudwatch",
        "region": "eu-west-2",
        "detail": {"alarmName": "TasksMissing", "configuration": {"metrics": [{"id": "m1"}, metric]}},
    }


def test_region_is_the_dimension_of_the_alarms_metric_and_not_that_of_the_bus() -> None:
    assert region_of_event(alarm({"Region": "us-west-2"})) == "us-west-2"


def test_region_may_be_given_by_hand() -> None:
    assert region_of_event({"region": "us-east-1"}) == "us-east-1"


@pytest.mark.parametrize("event", [{}, alarm({}), {"detail": {}}, {"region": None}])
def test_an_event_without_a_region_is_refused(event: dict[str, Any]) -> None:
    with pytest.raises(RequestError, match=r"region|dimension"):
        region_of_event(event)
