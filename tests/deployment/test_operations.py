"""The alarms, budgets and topics of the templates can be created, and deleted again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from testing.deployment.emulator import Emulator

pytestmark = [pytest.mark.deployment, pytest.mark.xdist_group("operations")]

ROOT = Path(__file__).parents[2]
CLIENT, WORKER = "eu-west-2", "us-west-2"
MACHINE = "arn:aws:states:eu-west-2:123456789012:stateMachine:"
OPERATIONS = {
    "SystemName": "team",
    "AlarmEmail": "operator@example.com",
    "BusName": "default",
    "SyncCatalogStateMachineArn": MACHINE + "sync",
    "ScalePoolStateMachineArn": MACHINE + "scale",
    "JoinRegionsStateMachineArn": MACHINE + "join",
    "ApiId": "abc",
    "DomainName": "catalog",
    "VolumeSize": "20",
    "KeyArn": "",
    "MonthlyBudget": "100",
    "MonthlyTransferBudget": "10",
    "BudgetScope": "account",
    "BudgetAction": "stop",
}


def test_the_client_region_s_operations_are_created_and_deleted(account: Emulator) -> None:
    queues = account.client("sqs", CLIENT).list_queues().get("QueueUrls", [])
    template = (ROOT / "regional_stack" / "operations.yaml").read_text()
    status = account.create(CLIENT, "operations", template, OPERATIONS)
    assert status == "CREATE_COMPLETE", account.reasons(CLIENT, "operations")
    alarms = account.client("cloudwatch", CLIENT).describe_alarms()["MetricAlarms"]
    assert "team-sync-stale" in {alarm["AlarmName"] for alarm in alarms}
    topics = [topic["TopicArn"] for topic in account.client("sns", CLIENT).list_topics()["Topics"]]
    (topic,) = (arn for arn in topics if arn.endswith(":team-alarms"))
    subscriptions = account.client("sns", CLIENT).list_subscriptions_by_topic(TopicArn=topic)
    assert [each["Endpoint"] for each in subscriptions["Subscriptions"]] == ["operator@example.com"]
    body = account.client("cloudwatch", CLIENT).get_dashboard(DashboardName="team")["DashboardBody"]
    assert len(json.loads(body)["widgets"]) == 6
    assert account.delete(CLIENT, "operations") == ""
    assert account.client("cloudwatch", CLIENT).describe_alarms()["MetricAlarms"] == []
    # Other tests of the account keep queues of their own.
    assert account.client("sqs", CLIENT).list_queues().get("QueueUrls", []) == queues


@pytest.mark.parametrize("file_system", ["fs-1", ""])
def test_a_worker_region_s_alarms_are_created_and_deleted(account: Emulator, file_system: str) -> None:
    template = (ROOT / "regional_stack" / "alarms.yaml").read_text()
    given = {"SystemName": "team", "ClientRegion": CLIENT, "FileSystemId": file_system}
    status = account.create(WORKER, "alarms", template, {**given, "StorageCapacity": "1200", "KeyArn": ""})
    assert status == "CREATE_COMPLETE", account.reasons(WORKER, "alarms")
    alarms = account.client("cloudwatch", WORKER).describe_alarms()["MetricAlarms"]
    assert ("team-storage" in {alarm["AlarmName"] for alarm in alarms}) == bool(file_system)
    assert account.delete(WORKER, "alarms") == ""


def test_an_alarm_that_looks_back_too_far_is_refused(account: Emulator) -> None:
    template = (
        (ROOT / "regional_stack" / "operations.yaml")
        .read_text()
        .replace("EvaluationPeriods: 26", "EvaluationPeriods: 200")
    )
    assert account.create(CLIENT, "far", template, OPERATIONS).startswith("ROLLBACK")
    assert "cannot be checked across" in account.reasons(CLIENT, "far")


def test_an_expression_that_names_no_metric_is_refused(account: Emulator) -> None:
    template = (ROOT / "regional_stack" / "operations.yaml").read_text().replace("FILL(late", "FILL(slow")
    assert account.create(CLIENT, "unknown", template, OPERATIONS).startswith("ROLLBACK")
    assert "names slow, which is no metric" in account.reasons(CLIENT, "unknown")
