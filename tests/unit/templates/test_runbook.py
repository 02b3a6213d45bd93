"""Who is told of an alarm finds it in the runbook."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from samtranslator.yaml_helper import yaml_parse

ROOT = Path(__file__).parents[3]
TEMPLATES: dict[str, dict[str, Any]] = {
    path.name: yaml_parse(path.read_text())
    for path in [ROOT / "template.yaml", *(ROOT / "regional_stack").glob("*.yaml")]
    if path.parent == ROOT or path.name != "template.yaml"
}
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
_SYSTEM = "${SystemName}-"
#: What sizes the pools, and what is told by way of the bus.
_SCALING = {"tasks-missing", "tasks-surplus"}


def watched() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield template, name without the system's, and properties of every alarm and budget."""
    for template, document in TEMPLATES.items():
        for resource in document["Resources"].values():
            if resource["Type"] == "AWS::CloudWatch::Alarm":
                name = resource["Properties"]["AlarmName"]["Fn::Sub"]
            elif resource["Type"] == "AWS::Budgets::Budget":
                name = resource["Properties"]["Budget"]["BudgetName"]["Fn::Sub"]
            else:
                continue
            assert name.startswith(_SYSTEM), name
            yield template, name.removeprefix(_SYSTEM), resource["Properties"]


def test_every_alarm_has_an_entry_and_every_entry_an_alarm() -> None:
    entries = re.findall(r"^### (\S+)$", RUNBOOK, re.MULTILINE)
    assert sorted(entries) == sorted({name for _, name, _ in watched()})


@pytest.mark.parametrize("name", sorted({name for _, name, _ in watched()} - _SCALING))
def test_an_entry_says_what_it_means_where_to_look_and_what_cures_it(name: str) -> None:
    entry = RUNBOOK.split(f"### {name}\n")[1].split("\n##")[0]
    assert all(f"**{part}.** " in entry for part in ("Meaning", "Look", "Cure"))


def test_two_templates_that_one_region_may_have_name_no_alarm_alike() -> None:
    # The client Region's pool is never beside a worker Region's.
    names = [name for template, name, _ in watched() if template != "client_pool.yaml"]
    assert len(names) == len(set(names))


def test_every_alarm_of_the_client_region_tells_the_operator() -> None:
    for template, name, properties in watched():
        if template == "operations.yaml" and "AlarmName" in properties:
            assert properties["AlarmActions"] == properties["OKActions"] == [{"Ref": "Topic"}], name


def test_every_alarm_of_a_worker_region_is_sent_to_the_client_region() -> None:
    document = TEMPLATES["alarms.yaml"]["Resources"]
    pattern = document["OperatorRule"]["Properties"]["EventPattern"]["detail"]["alarmName"]
    _, all_of_them, without_storage = pattern["Fn::If"]
    alarms = {name for name, resource in document.items() if resource["Type"] == "AWS::CloudWatch::Alarm"}
    assert {alarm["Ref"] for alarm in all_of_them} == alarms
    assert {alarm["Ref"] for alarm in without_storage} == {
        name for name in alarms if "Condition" not in document[name]
    }


def rules() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every target of a rule, SAM's included, that crosses Regions or starts a state machine."""
    for template, document in TEMPLATES.items():
        for name, resource in document["Resources"].items():
            properties = resource.get("Properties", {})
            if resource["Type"] == "AWS::Events::Rule":
                for target in properties["Targets"]:
                    yield f"{template}:{name}", target
            elif resource["Type"] == "AWS::Serverless::StateMachine":
                for event, declared in properties.get("Events", {}).items():
                    yield f"{template}:{name}:{event}", declared["Properties"]


def test_no_event_is_lost_without_a_word() -> None:
    targets = dict(rules())
    assert len(targets) >= 7
    regional = yaml_parse((ROOT / "regional_stack" / "template.yaml").read_text())["Resources"]
    targets["DeployedRule"] = regional["DeployedRule"]["Properties"]["Targets"][0]
    assert [name for name, target in targets.items() if "Arn" not in target.get("DeadLetterConfig", {})] == []


def test_the_notification_of_a_spent_budget_is_kept_where_its_function_fails() -> None:
    functions = {
        name: resource["Properties"]
        for name, resource in TEMPLATES["template.yaml"]["Resources"].items()
        if resource["Type"] == "AWS::Serverless::Function"
        and any(event["Type"] == "SNS" for event in resource["Properties"].get("Events", {}).values())
    }
    assert functions.keys() == {"StopPoolsFunction"}
    queue = functions["StopPoolsFunction"]["DeadLetterQueue"]
    assert queue == {
        "Type": "SQS",
        "TargetArn": {"Fn::GetAtt": ["Operations", "Outputs.UndeliveredQueueArn"]},
    }
