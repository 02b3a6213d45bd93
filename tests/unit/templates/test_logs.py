"""What is logged, for how long, and with which right."""

from __future__ import annotations

import json

import pytest

from dask_regions.catalog.opensearch.control import SLOW_THRESHOLDS
from testing.templates import resources_of, template

CATALOG = template("regional_stack/catalog.yaml")["Resources"]
NETWORK = template("regional_stack/network.yaml")["Resources"]


def test_every_log_group_forgets() -> None:
    for path, logical, properties in resources_of("AWS::Logs::LogGroup"):
        assert properties["RetentionInDays"] == {"Ref": "LogRetentionDays"}, f"{path}: {logical}"


def test_connections_of_the_vpc_are_logged_into_a_group_of_its_own() -> None:
    flow_log = NETWORK["FlowLog"]["Properties"]
    assert (flow_log["ResourceId"], flow_log["TrafficType"]) == ({"Ref": "Vpc"}, "ALL")
    assert flow_log["LogGroupName"] == {"Ref": "FlowLogGroup"}
    writing, looking = NETWORK["FlowLogsRolePolicy"]["Properties"]["PolicyDocument"]["Statement"]
    assert writing["Resource"] == {"Fn::GetAtt": ["FlowLogGroup", "Arn"]}
    assert looking["Action"] == "logs:DescribeLogGroups"


@pytest.mark.parametrize("path", ["template.yaml", "regional_stack/template.yaml"])
def test_flow_logs_are_a_choice_of_each_root(path: str) -> None:
    document = template(path)
    assert document["Resources"]["Network"]["Properties"]["Parameters"]["FlowLogs"] == {"Ref": "FlowLogs"}
    assert NETWORK["FlowLog"]["Condition"] == "Logged"


def test_opensearch_may_write_its_three_logs_before_it_is_told_to() -> None:
    published = CATALOG["Domain"]["Properties"]["LogPublishingOptions"]
    assert published.keys() == {"SEARCH_SLOW_LOGS", "INDEX_SLOW_LOGS", "ES_APPLICATION_LOGS"}
    assert CATALOG["Domain"]["DependsOn"] == "LogsPolicy"
    (statement,) = json.loads(CATALOG["LogsPolicy"]["Properties"]["PolicyDocument"]["Fn::Sub"])["Statement"]
    assert statement["Condition"] == {"StringEquals": {"aws:SourceAccount": "${AWS::AccountId}"}}
    prefix = statement["Resource"].split("log-group:")[1].removesuffix("*")
    for options in published.values():
        logical, _ = options["CloudWatchLogsLogGroupArn"]["Fn::GetAtt"]
        assert CATALOG[logical]["Properties"]["LogGroupName"]["Fn::Sub"].startswith(prefix)


def test_indexes_say_what_is_slow() -> None:
    assert {threshold.split(".")[0] for threshold in SLOW_THRESHOLDS} == {"search", "indexing"}
