"""What local mode takes from the inside of moto. A failure here comes before one of local mode."""

from __future__ import annotations

import inspect
import json
import re
from typing import Any
from unittest.mock import Mock

import pytest
from moto.awslambda_simple.models import LambdaSimpleBackend
from moto.cloudwatch.models import Alarm, CloudWatchBackend, MetricDatum
from moto.core.config import default_user_config
from moto.ecs.models import EC2ContainerServiceBackend, Service
from moto.ecs.responses import EC2ContainerServiceResponse
from moto.events.models import EventPattern, EventsBackend, Rule
from moto.events.utils import EventTemplateParser
from moto.fsx.responses import FSxResponse
from moto.stepfunctions.parser.asl.utils import boto_client

from dask_regions_local.emulator import moto_patches
from dask_regions_local.settings import ROOT

README = ROOT / "local" / "README.md"
NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
ACCOUNT, REGION = "123456789012", "eu-west-2"
EVENT: Any = {
    "version": "0",
    "id": "1",
    "account": ACCOUNT,
    "region": REGION,
    "time": 1.0,
    "ingestion-time": 1.0,
    "resources": [],
    "source": "aws.cloudwatch",
    "detail-type": "b",
    "detail": {"state": {"value": "ALARM"}},
}


def parameters(function: Any) -> list[str]:
    return list(inspect.signature(function).parameters)


def test_the_lambda_backend_without_docker_is_still_invoked_the_same_way() -> None:
    expected = ["self", "function_name", "qualifier", "body", "headers", "response_headers"]
    assert parameters(LambdaSimpleBackend.invoke) == expected, (
        "adapt moto_patches._invoke to the new signature"
    )
    function = parameters(LambdaSimpleBackend.get_function)
    assert function[:3] == ["self", "function_name_or_arn", "qualifier"], "adapt moto_patches._invoke"
    assert "use_docker" in default_user_config["lambda"], (
        "adapt aws.serve: how is Lambda without Docker chosen?"
    )


@pytest.mark.parametrize(
    "target",
    [
        "states:eu-west-2:123456789012:stateMachine:a",
        "lambda:eu-west-2:123456789012:function:a",
        "sns:eu-west-2:123456789012:a",
    ],
)
def test_event_rules_still_lack_lambda_step_functions_and_sns(target: str) -> None:
    rule: Any = Rule.__new__(Rule)  # moto types it as its base
    rule.targets = [{"Id": "1", "Arn": f"arn:aws:{target}"}]
    rule.event_pattern = EventPattern("{}", {})
    try:
        rule.send_to_targets(EVENT)
    except NotImplementedError:
        return
    pytest.fail("moto delivers to this target now: see whether moto_patches._send_to_targets can go")


def test_event_rules_are_still_matched_and_transformed_the_same_way() -> None:
    assert parameters(Rule.send_to_targets) == ["self", "original_event", "transform_input"], (
        "adapt moto_patches._send_to_targets to the new signature"
    )
    without: Any = None  # moto passes it for a target without transformer, against its own types
    transformed = EventTemplateParser.parse(input_template=without, input_paths_map={}, event=EVENT)
    assert transformed["detail"] == EVENT["detail"], (
        "adapt moto_patches._send_to_targets: an event without transformer changed"
    )
    pattern = EventPattern("", {"detail": {"state": {"value": ["ALARM"]}}})
    assert pattern.matches_event(EVENT)
    assert "event_bus.rules" in inspect.getsource(EventsBackend.put_events), (
        "put_events finds rules elsewhere"
    )


def test_a_rule_with_a_schedule_alone_still_matches_every_event() -> None:
    assert EventPattern.load(None).matches_event(EVENT), (
        "moto tells schedules from patterns now: moto_patches._send_to_targets need not"
    )
    delivered: list[str] = []
    hooks: Any = Mock(deliver=lambda arn, _: delivered.append(arn))
    rule: Any = Rule.__new__(Rule)
    rule.targets = [{"Id": "1", "Arn": "arn:aws:states:eu-west-2:123456789012:stateMachine:a"}]
    with moto_patches.applied(hooks):
        for pattern in (None, '{"source": ["somewhere else"]}', json.dumps({"source": [EVENT["source"]]})):
            rule.event_pattern = EventPattern.load(pattern)
            rule.send_to_targets(EVENT)
    assert len(delivered) == 1


@pytest.mark.parametrize("action", ["create_data_repository_task", "describe_data_repository_tasks"])
def test_fsx_still_lacks_data_repository_tasks(action: str) -> None:
    assert not hasattr(FSxResponse, action), f"moto has {action} now: see whether moto_patches._fsx can go"
    assert isinstance(inspect.getattr_static(FSxResponse, "fsx_backend"), property)


def test_ecs_still_lacks_task_protection_and_runs_no_tasks_for_a_service() -> None:
    assert not hasattr(EC2ContainerServiceResponse, "update_task_protection"), (
        "moto has update_task_protection now: see whether moto_patches._update_task_protection can go"
    )
    assert hasattr(EC2ContainerServiceResponse, "list_tasks"), "moto_patches._list_tasks replaces nothing now"
    backend = EC2ContainerServiceBackend(REGION, ACCOUNT)
    backend.create_cluster("a")
    container = {"name": "a", "image": "a", "command": ["python"], "memory": 1}
    backend.register_task_definition("a", [container])
    service = backend.create_service("a", "b", 2, task_definition_str="a")
    assert backend.list_tasks("a", None, None, None, None, None) == [], "moto runs tasks now: see pools.py"
    assert list(backend.services.values()) == [service], "pools.py reads the services of a Region from here"
    assert (service.name, service.cluster_name, service.desired_count) == ("b", "a", 2)
    assert service.task_definition is not None
    definition = backend.describe_task_definition(service.task_definition).container_definitions[0]
    assert definition["command"] == ["python"], "pools.py reads command, environment and secrets from here"
    assert {"running_count", "pending_count"} <= vars(service).keys(), "pools.py writes the counts here"
    assert isinstance(service, Service)


def test_alarms_and_metrics_are_still_kept_where_alarms_py_reads_them() -> None:
    backend = CloudWatchBackend(REGION, ACCOUNT)
    names = set(parameters(Alarm.__init__))
    needed = {"comparison_operator", "datapoints_to_alarm", "evaluation_periods", "period", "statistic"}
    assert needed | {"threshold", "treat_missing_data"} <= names, "adapt alarms.evaluate to moto's Alarm"
    dimension = [{"Name": "Region", "Value": REGION}]
    backend.put_metric_data("DaskRegions", [{"MetricName": "a", "Value": 2.0, "Dimensions": dimension}])
    [metric] = backend.metric_data
    assert isinstance(metric, MetricDatum), "alarms._samples expects single values"
    assert (metric.namespace, metric.name, metric.value) == ("DaskRegions", "a", 2.0)
    assert [(each.name, each.value) for each in metric.dimensions] == [("Region", REGION)]
    assert metric.timestamp is not None


def test_state_machines_still_call_lambda_at_the_port_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MOTO_PORT", "4242")
    client = boto_client.boto_client_for(region=REGION, service="lambda")
    assert client.meta.endpoint_url == "http://localhost:4242", (
        "adapt aws.serve: where do ASL tasks find Lambda?"
    )
    assert "execute_state_machine" in default_user_config["stepfunctions"], "adapt aws.serve"


def test_readme_lists_the_patches_that_are_applied() -> None:
    section = README.read_text(encoding="utf-8").split("## The patches of moto")[1].split("\n## ")[0]
    listed = re.findall(r"^\| `([\w.]+)` \|", section, re.MULTILINE)
    patched = [f"{each.owner.__name__}.{each.name}" for each in moto_patches.PATCHES]
    assert listed == patched
    assert f"replaces {NUMBERS[len(patched)]} methods" in section


def test_every_patch_is_applied_and_undone() -> None:
    hooks: Any = Mock()
    before = [getattr(each.owner, each.name, None) for each in moto_patches.PATCHES]
    with moto_patches.applied(hooks):
        applied = [getattr(each.owner, each.name) for each in moto_patches.PATCHES]
    assert all(new is not old for new, old in zip(applied, before, strict=True))
    assert [getattr(each.owner, each.name, None) for each in moto_patches.PATCHES] == before


def test_patches_are_undone() -> None:
    before = Rule.send_to_targets, LambdaSimpleBackend.invoke, EC2ContainerServiceResponse.list_tasks
    hooks = moto_patches.Hooks(
        invoke=lambda *_: (False, b""),
        deliver=lambda *_: None,
        create_task=lambda *_: json.loads("{}"),
        describe_tasks=lambda *_: json.loads("{}"),
        list_tasks=lambda _: [],
        protect=lambda _: [],
    )
    with moto_patches.applied(hooks):
        assert Rule.send_to_targets is not before[0]
        assert hasattr(FSxResponse, "create_data_repository_task")
    assert (
        Rule.send_to_targets,
        LambdaSimpleBackend.invoke,
        EC2ContainerServiceResponse.list_tasks,
    ) == before
    assert not hasattr(FSxResponse, "create_data_repository_task")
