"""Alarms over metric math, and budgets.

Not proven here: that a metric exists or is ever published, that an alarm changes its state, and that a
budget counts anything.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ministack.core.responses import get_account_id
from ministack.services import sns
from ministack.services.cloudformation import provisioners as stock

from .refusals import RefusedError

Properties = Mapping[str, Any]

_ID = re.compile(r"[a-z][a-zA-Z0-9_]*")
#: Names in an expression that are no ids of metrics: functions are in capitals.
_NAME = re.compile(r"\b[a-z][a-zA-Z0-9_]*\b")
_SECONDS_IN_A_WEEK = 604_800
_SECONDS_IN_A_DAY = 86_400
#: Budgets by account and name: they belong to no Region.
_budgets: dict[tuple[str, str], Properties] = {}

_record = stock._cw_metric_alarm_record


def alarm_record(name: str, properties: Properties) -> dict[str, Any]:
    """Return the record of an alarm; one over metric math is kept as one over its first metric."""
    metrics = properties.get("Metrics") or []
    periods = [int(each["MetricStat"]["Period"]) for each in metrics if "MetricStat" in each]
    _check_range(periods or [int(properties.get("Period", 60))], int(properties["EvaluationPeriods"]))
    if not metrics:
        record: dict[str, Any] = _record(name, properties)
        return record
    _check_metrics(metrics)
    first = next(each["MetricStat"] for each in metrics if "MetricStat" in each)
    simple = {key: value for key, value in properties.items() if key != "Metrics"}
    simple |= {**first["Metric"], "Period": first["Period"], "Statistic": first["Stat"]}
    return dict(_record(name, simple))


def _check_range(periods: list[int], evaluated: int) -> None:
    """Refuse as PutMetricAlarm does: "EvaluationPeriods"."""
    most = _SECONDS_IN_A_WEEK if min(periods) >= 3600 else _SECONDS_IN_A_DAY
    if max(periods) * evaluated > most:
        raise RefusedError(f"ValidationError: Metrics cannot be checked across more than {most} seconds")


def _check_metrics(metrics: list[Properties]) -> None:
    ids = [each["Id"] for each in metrics]
    if len(ids) != len(set(ids)) or not all(_ID.fullmatch(each) for each in ids):
        raise RefusedError("ValidationError: ids of metrics are unique and begin with a small letter")
    returned = [each["Id"] for each in metrics if str(each.get("ReturnData", True)).lower() != "false"]
    if len(returned) != 1:
        raise RefusedError(f"ValidationError: exactly one metric returns data, not {returned}")
    used = {name for each in metrics for name in _NAME.findall(str(each.get("Expression", "")))}
    if unknown := used - set(ids):
        raise RefusedError(f"ValidationError: an expression names {min(unknown)}, which is no metric")


def create_budget(_name: str, properties: Properties, _stack: str) -> tuple[str, dict[str, Any]]:
    """Create a budget, whose name is one of the account's."""
    budget = properties["Budget"]
    name = str(budget["BudgetName"])
    if (get_account_id(), name) in _budgets:
        raise RefusedError(f"DuplicateRecordException: the budget {name} exists already")
    _check_budget(properties)
    _budgets[get_account_id(), name] = properties
    return name, {}


def update_budget(
    name: str, _old: Properties, properties: Properties, _stack: str
) -> tuple[str, dict[str, Any]]:
    """Change a budget in place; its name is not among what changes."""
    _check_budget(properties)
    _budgets[get_account_id(), name] = properties
    return name, {}


def delete_budget(name: str, _properties: Properties) -> None:
    """Delete a budget."""
    _budgets.pop((get_account_id(), name), None)


def _check_budget(properties: Properties) -> None:
    amount = float(properties["Budget"].get("BudgetLimit", {}).get("Amount", 0))
    if amount <= 0:
        raise RefusedError("InvalidParameterException: the limit of a budget is above 0")
    notices = properties.get("NotificationsWithSubscribers", [])
    if len(notices) > 5:
        raise RefusedError("CreationLimitExceededException: a budget has at most five notifications")
    for notice in notices:
        for subscriber in notice["Subscribers"]:
            if subscriber["SubscriptionType"] == "SNS" and not _topic_exists(subscriber["Address"]):
                raise RefusedError(f"InvalidParameterException: there is no topic {subscriber['Address']}")


def _topic_exists(arn: str) -> bool:
    return arn in sns._topics


HANDLERS = {
    "AWS::Budgets::Budget": {"create": create_budget, "update": update_budget, "delete": delete_budget}
}
stock._cw_metric_alarm_record = alarm_record
