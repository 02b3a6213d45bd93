"""Rules with a schedule start their targets when they are due, as EventBridge documents it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from moto import mock_aws
from moto.events.models import events_backends

from dask_regions.errors import ConfigurationError
from dask_regions_local.emulator.schedules import Schedules, due_after
from dask_regions_local.emulator.templates import ACCOUNT

REGION = "eu-west-2"
DAY_SECONDS = 86400
#: 1970-01-02T00:00:00Z and a second more.
NOW = DAY_SECONDS + 1.0


class Deliveries(list[tuple[str, Any]]):
    """What was started, in order."""

    def deliver(self, arn: str, event: Any) -> None:
        self.append((arn, event))


@pytest.fixture
def deliveries() -> Iterator[Deliveries]:
    with mock_aws():
        yield Deliveries()


def put(name: str, expression: str, state: str = "ENABLED", **target: str) -> None:
    backend = events_backends[ACCOUNT][REGION]
    backend.put_rule(name, scheduled_expression=expression, state=state)
    backend.put_targets(
        name, f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/default", [{"Id": "1", "Arn": name, **target}]
    )


def schedules(deliveries: Deliveries) -> Schedules:
    return Schedules([REGION], deliveries.deliver, clock=lambda: NOW)


def test_a_rate_is_due_one_interval_after_the_rule_was_made(deliveries: Deliveries) -> None:
    put("arn:aws:lambda:x", "rate(5 minutes)")
    clock = schedules(deliveries)
    clock.run()
    clock.advance(299)
    assert not deliveries
    clock.advance(1)
    ((arn, event),) = deliveries
    assert arn == "arn:aws:lambda:x"
    assert (event["source"], event["time"]) == ("aws.events", "1970-01-02T00:05:01Z")


def test_a_missed_interval_is_not_made_up_for(deliveries: Deliveries) -> None:
    put("arn:aws:lambda:x", "rate(1 hour)")
    schedules(deliveries).advance(5 * 3600)
    assert len(deliveries) == 1


def test_a_time_of_the_day_comes_once_a_day_with_the_input_of_its_target(deliveries: Deliveries) -> None:
    put("arn:aws:states:x", "cron(0 0 * * ? *)", Input='{"regions": ["us-west-2"]}')
    clock = schedules(deliveries)
    clock.advance(DAY_SECONDS - 2)
    assert not deliveries
    clock.advance(1)
    clock.advance(1)
    assert list(deliveries) == [("arn:aws:states:x", {"regions": ["us-west-2"]})]
    clock.advance(DAY_SECONDS)
    assert len(deliveries) == 2


def test_a_disabled_rule_starts_nothing(deliveries: Deliveries) -> None:
    put("arn:aws:lambda:x", "rate(1 minute)", state="DISABLED")
    schedules(deliveries).advance(DAY_SECONDS)
    assert not deliveries


def test_an_hour_that_has_passed_today_is_due_tomorrow() -> None:
    assert due_after("cron(30 6 * * ? *)", 6 * 3600.0) == 6.5 * 3600
    assert due_after("cron(30 6 * * ? *)", 6.5 * 3600) == DAY_SECONDS + 6.5 * 3600


@pytest.mark.parametrize(
    "expression", ["cron(0 0 ? * MON-FRI *)", "cron(0/5 * * * ? *)", "at(2026-01-01T00:00:00)"]
)
def test_another_expression_is_refused(expression: str) -> None:
    with pytest.raises(ConfigurationError, match="not emulated; use rate"):
        due_after(expression, NOW)
