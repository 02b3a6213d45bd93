"""Events and schedules reach their targets in the emulated account, in another Region too."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from testing.deployment.emulator import Emulator
from testing.waiting import wait_until

pytestmark = [pytest.mark.deployment, pytest.mark.xdist_group("events")]

#: Longer than between two looks of the emulator at its schedules.
_LOOK_SECONDS = 12
CLIENT, WORKER = "eu-west-2", "us-west-2"
ACCOUNT = "000000000000"
PATTERN = json.dumps({"source": ["aws.cloudwatch"], "detail-type": ["CloudWatch Alarm State Change"]})


def queue(account: Emulator, region: str, name: str) -> tuple[str, str]:
    """Make a queue; return its address and ARN."""
    address = account.client("sqs", region).create_queue(QueueName=name)["QueueUrl"]
    return address, f"arn:aws:sqs:{region}:{ACCOUNT}:{name}"


def messages(account: Emulator, region: str, address: str) -> list[Any]:
    received = account.client("sqs", region).receive_message(QueueUrl=address, MaxNumberOfMessages=10)
    return [json.loads(message["Body"]) for message in received.get("Messages", [])]


def change_alarm(account: Emulator, name: str) -> None:
    alarms = account.client("cloudwatch", WORKER)
    alarms.put_metric_alarm(
        AlarmName=name,
        Namespace="DaskRegions",
        MetricName="TasksMissing",
        Statistic="Maximum",
        Period=10,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
    )
    alarms.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="a test")


def test_an_alarm_reaches_the_bus_of_the_client_region_and_a_dead_letter_queue_before_there_is_one(
    account: Emulator,
) -> None:
    lost, lost_arn = queue(account, WORKER, "dead-letters")
    rules = account.client("events", WORKER)
    rules.put_rule(Name="to-client", EventPattern=PATTERN)
    bus = f"arn:aws:events:{CLIENT}:{ACCOUNT}:event-bus/late"
    role = f"arn:aws:iam::{ACCOUNT}:role/put-events"
    target = {"Id": "bus", "Arn": bus, "RoleArn": role, "DeadLetterConfig": {"Arn": lost_arn}}
    rules.put_targets(Rule="to-client", Targets=[target])
    change_alarm(account, "first")
    [event] = messages(account, WORKER, lost)
    assert event["detail"]["alarmName"] == "first"
    there = account.client("events", CLIENT)
    there.create_event_bus(Name="late")
    there.put_rule(Name="alarms", EventBusName="late", EventPattern=PATTERN)
    address, arn = queue(account, CLIENT, "alarms")
    there.put_targets(Rule="alarms", EventBusName="late", Targets=[{"Id": "queue", "Arn": arn}])
    change_alarm(account, "second")
    [event] = messages(account, CLIENT, address)
    assert (event["detail"]["alarmName"], event["region"]) == ("second", WORKER)
    assert messages(account, WORKER, lost) == []


def test_a_schedule_fires_at_midnight(account: Emulator) -> None:
    address, arn = queue(account, CLIENT, "midnight")
    rules = account.client("events", CLIENT)
    rules.put_rule(Name="midnight", ScheduleExpression="cron(0 0 * * ? *)")
    rules.put_targets(Rule="midnight", Targets=[{"Id": "queue", "Arn": arn, "Input": "{}"}])
    now = datetime.now(UTC)
    midnight = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    # The emulator looks at a schedule once before it can fire.
    time.sleep(_LOOK_SECONDS)
    account.advance((midnight - now).total_seconds() + 60)
    received: list[Any] = []

    def fired() -> bool:
        received.extend(messages(account, CLIENT, address))
        return bool(received)

    wait_until(fired, lambda: "the schedule did not fire")
    account.advance(0)
    assert received == [{}]
