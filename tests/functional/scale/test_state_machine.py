"""The file of the state machine, executed by moto with answers in place of the functions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws
from moto.awslambda_simple.models import LambdaSimpleBackend

from testing.waiting import wait_until

FILE = Path(__file__).parents[3] / "statemachines" / "scale_pool.asl.json"
REGION = "eu-west-2"


class Functions:
    """Answers for each function in turn, and the order of calls."""

    def __init__(self) -> None:
        self.answers: list[dict[str, Any]] = []
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def invoke(self, name: str, event: dict[str, Any]) -> dict[str, Any]:
        self.calls.append((name, event))
        if name == "read_pool":
            return self.answers.pop(0)
        return event


@pytest.fixture
def functions(monkeypatch: pytest.MonkeyPatch) -> Iterator[Functions]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    functions = Functions()

    def invoke(
        backend: Any, function_name: str, qualifier: Any, body: Any, headers: Any, response_headers: Any
    ) -> str:
        return json.dumps(functions.invoke(function_name.rsplit(":", 1)[-1], json.loads(body)))

    monkeypatch.setattr(LambdaSimpleBackend, "invoke", invoke)
    with mock_aws(config={"lambda": {"use_docker": False}, "stepfunctions": {"execute_state_machine": True}}):
        yield functions


def run(event: dict[str, Any]) -> dict[str, Any]:
    text = FILE.read_text()
    for name in ("ReadPool", "RetireWorkers", "SetPool"):
        function = "".join("_" + c.lower() if c.isupper() else c for c in name).strip("_")
        arn = f"arn:aws:lambda:{REGION}:123456789012:function:{function}"
        text = text.replace(f"${{{name}FunctionArn}}", arn)
    assert "${" not in text
    definition = json.loads(text)
    definition["States"]["LetItSettle"]["Seconds"] = 0
    role = {"Version": "2012-10-17", "Statement": []}
    created = boto3.client("iam").create_role(RoleName="scale", AssumeRolePolicyDocument=json.dumps(role))
    client = boto3.client("stepfunctions", region_name=REGION)
    machine = client.create_state_machine(
        name="scale", definition=json.dumps(definition), roleArn=created["Role"]["Arn"]
    )
    execution = client.start_execution(
        stateMachineArn=machine["stateMachineArn"], name="once", input=json.dumps(event)
    )["executionArn"]

    def ended() -> dict[str, Any]:
        described = client.describe_execution(executionArn=execution)
        return dict(described) if described["status"] != "RUNNING" else {}

    return wait_until(ended, "the end of the execution")


def decision(action: str, round_: int = 1, **fields: Any) -> dict[str, Any]:
    return {"region": "us-west-2", "action": action, "desired": 2, "round": round_, **fields}


def test_a_pool_grows_and_is_looked_at_until_it_is_right(functions: Functions) -> None:
    functions.answers = [decision("grow"), decision("wait", 2), decision("hold", 3)]
    assert run({"detail": {"alarmName": "TasksMissing"}})["status"] == "SUCCEEDED"
    assert [name for name, _ in functions.calls] == ["read_pool", "set_pool", "read_pool", "read_pool"]
    assert functions.calls[0][1] == {"detail": {"alarmName": "TasksMissing"}}
    assert functions.calls[2][1]["round"] == 1, "the round travels back to the next look"


def test_workers_are_retired_before_the_count_is_lowered(functions: Functions) -> None:
    functions.answers = [decision("shrink", tasks_to_retire=1), decision("hold", 2)]
    assert run({"region": "us-west-2"})["status"] == "SUCCEEDED"
    assert [name for name, _ in functions.calls] == ["read_pool", "retire_workers", "set_pool", "read_pool"]


@pytest.mark.parametrize("answer", [decision("wait", 361), decision("dance"), {}])
def test_what_does_not_settle_or_is_not_understood_fails(
    functions: Functions, answer: dict[str, Any]
) -> None:
    functions.answers = [answer]
    assert run({"region": "us-west-2"})["status"] == "FAILED"
