"""EventBridge: what CloudFormation and CloudWatch tell it, buses of other Regions, and a clock to move.

Not proven here: permissions of a target's role, retries, and the delivery of an event that AWS sends late.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ministack.core.arn import ArnParseError, parse_arn
from ministack.core.responses import get_account_id, request_scope
from ministack.services import cloudwatch, eventbridge
from ministack.services.cloudformation import stacks

Record = Mapping[str, Any]
#: Seconds that the clock of schedules is ahead; the file is written by a test.
_CLOCK = Path(os.environ.get("TMPDIR", ".")) / "clock-seconds"

_add_event = stacks._add_event
_dispatch_alarm_actions = cloudwatch._dispatch_alarm_actions
_invoke_target = eventbridge._invoke_target


def _put(source: str, detail_type: str, detail: Record, resource: str) -> None:
    entry = {
        "Source": source,
        "DetailType": detail_type,
        "Detail": json.dumps(detail),
        "Resources": [resource],
    }
    eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)


def _tell_of_stack(
    stack: str, stack_name: str, logical_id: str, kind: str, status: str, *rest: Any, **more: Any
) -> None:
    """Record an event of a stack, and send the change of the stack's own status to the default bus."""
    _add_event(stack, stack_name, logical_id, kind, status, *rest, **more)
    if kind == "AWS::CloudFormation::Stack" and logical_id == stack_name:
        detail = {"stack-id": stack, "status-details": {"status": status, "status-reason": ""}}
        _put("aws.cloudformation", "CloudFormation Stack Status Change", detail, stack)


def _tell_of_alarm(alarm: Record, old_state: str, new_state: str, reason: str) -> None:
    """Run an alarm's actions, and send its change to the default bus."""
    _dispatch_alarm_actions(alarm, old_state, new_state, reason)
    detail = {
        "alarmName": alarm["AlarmName"],
        "state": {"value": new_state, "reason": reason},
        "previousState": {"value": old_state},
    }
    _put("aws.cloudwatch", "CloudWatch Alarm State Change", detail, alarm["AlarmArn"])


def _deliver(target: Record, event: Record, rule: Record, view: Any = None) -> None:
    """Deliver to a target: a bus of another Region, too, and the dead-letter queue where a bus is absent."""
    try:
        arn = parse_arn(target.get("Arn", ""))
    except ArnParseError:
        return
    if arn.service != "events" or not arn.resource.startswith("event-bus/"):
        _invoke_target(target, event, rule, view)
        return
    bus = arn.resource.partition("/")[2]
    with request_scope(get_account_id(), arn.region):
        present = bus in eventbridge._event_buses
        if present and arn.region != event["Region"]:
            # An event keeps its Region of origin.
            eventbridge._dispatch_event({**event, "EventBusName": bus})
    if present and arn.region == event["Region"]:
        _invoke_target(target, event, rule, view)
    queue = target.get("DeadLetterConfig", {}).get("Arn")
    if not present and queue:
        payload = json.dumps(eventbridge._pattern_event_view(event).event_with_detail())
        eventbridge._dispatch_to_sqs(parse_arn(queue), payload)


def _now() -> float:
    return time.time() + (float(_CLOCK.read_text()) if _CLOCK.exists() else 0.0)


def install() -> None:
    """Put these in the place of ministack's."""
    stacks._add_event = _tell_of_stack
    cloudwatch._dispatch_alarm_actions = _tell_of_alarm
    eventbridge._invoke_target = _deliver
    eventbridge._now_ts = _now
