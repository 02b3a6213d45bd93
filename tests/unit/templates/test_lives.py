"""What lets stacks be deployed beside each other, be deleted in any order, and start what is due."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from testing.templates import read

TEMPLATES = read()
#: Resource types to the property that is their name in an account's Region, which two systems share.
NAMES = {
    "AWS::CloudWatch::Alarm": "AlarmName",
    "AWS::CloudWatch::Dashboard": "DashboardName",
    "AWS::ECR::Repository": "RepositoryName",
    "AWS::ECS::Cluster": "ClusterName",
    "AWS::ECS::Service": "ServiceName",
    "AWS::ECS::TaskDefinition": "Family",
    "AWS::Events::EventBus": "Name",
    "AWS::KMS::Alias": "AliasName",
    "AWS::Logs::LogGroup": "LogGroupName",
    "AWS::OpenSearchService::Domain": "DomainName",
    "AWS::SNS::Topic": "TopicName",
    "AWS::SQS::Queue": "QueueName",
    "AWS::SSM::Parameter": "Name",
    "AWS::SecretsManager::Secret": "Name",
    "AWS::SageMaker::NotebookInstance": "NotebookInstanceName",
    "AWS::ServiceDiscovery::PrivateDnsNamespace": "Name",
}


def named() -> Iterator[Any]:
    for template, document in TEMPLATES.items():
        for resource, content in document["Resources"].items():
            name = content.get("Properties", {}).get(NAMES.get(content["Type"], ""))
            if name is not None:
                yield pytest.param(name, id=f"{template}:{resource}")


def below(value: Any) -> Iterator[Any]:
    """Yield a value and all that it holds."""
    yield value
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from below(item)


@pytest.mark.parametrize("name", named())
def test_a_name_that_two_systems_of_an_account_would_share_has_the_system_s(name: Any) -> None:
    texts = [text for text in below(name) if isinstance(text, str)]
    assert "SystemName" in texts or any(
        "${SystemName}" in text or "${AWS::StackName}" in text for text in texts
    )


@pytest.mark.parametrize("template", TEMPLATES)
def test_no_stack_holds_another_by_an_export(template: str) -> None:
    keys = {key for value in below(TEMPLATES[template]) if isinstance(value, dict) for key in value}
    assert "Resources" in keys
    assert not keys & {"Export", "Fn::ImportValue"}, "Regions are deleted in any order: publish it in SSM"


def test_every_schedule_and_rule_is_enabled() -> None:
    scheduled = [
        (template, value)
        for template, document in TEMPLATES.items()
        for value in below(document["Resources"])
        if isinstance(value, dict)
        and {"Schedule", "ScheduleExpression", "EventPattern", "Pattern"} & value.keys()
    ]
    assert len(scheduled) >= 5
    for template, value in scheduled:
        assert value.get("Enabled", True) is True, template
        assert str(value.get("State", "ENABLED")).upper() == "ENABLED", template
