"""A scheduler that is stopped, and a month whose budget is spent: pools go to rest, and nothing fails."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest

from dask_regions.aws.spending import read_spending
from dask_regions.errors import ConfigurationError, UnavailableError
from dask_regions.names import spending_parameter
from testing.scale.functions import REGION, FakeScheduler, call, demand

CLIENT = "eu-west-2"
BUSY = {"seconds": 2700.0, "runnable": 500, "unassigned": 400}


@pytest.fixture
def services(ecs: Any, monkeypatch: pytest.MonkeyPatch) -> Services:
    """The scheduler's service beside the pool's, a state machine and a topic."""
    client = boto3.client("ecs", region_name=CLIENT)
    client.create_cluster(clusterName="demo")
    client.register_task_definition(
        family="scheduler", containerDefinitions=[{"name": "scheduler", "image": "a", "memory": 1024}]
    )
    client.create_service(
        cluster="demo", serviceName="demo-scheduler", taskDefinition="scheduler", desiredCount=1
    )
    role = "arn:aws:iam::123456789012:role/any"
    definition = json.dumps({"StartAt": "A", "States": {"A": {"Type": "Succeed"}}})
    machine = boto3.client("stepfunctions").create_state_machine(
        name="scale", definition=definition, roleArn=role
    )["stateMachineArn"]
    topic = boto3.client("sns").create_topic(Name="alarms")["TopicArn"]
    queue = boto3.client("sqs").create_queue(QueueName="told")["QueueUrl"]
    boto3.client("sns").subscribe(
        TopicArn=topic, Protocol="sqs", Endpoint=f"arn:aws:sqs:{CLIENT}:123456789012:told"
    )
    monkeypatch.setenv("SCALE_POOL_ARN", machine)
    monkeypatch.setenv("ALARM_TOPIC_ARN", topic)
    monkeypatch.setenv("SCHEDULER_IDLE_MINUTES", "30")
    return Services(client, ecs, machine, queue)


class Services:
    """The ECS services of the system, and what was started and told."""

    def __init__(self, client: Any, pool: Any, machine: str, queue: str) -> None:
        self._client, self._pool, self._machine, self._queue = client, pool, machine, queue

    def set(self, scheduler: int | None = None, pool: int | None = None) -> None:
        if scheduler is not None:
            self._client.update_service(cluster="demo", service="demo-scheduler", desiredCount=scheduler)
        if pool is not None:
            self._pool.update_service(cluster="demo", service="demo-workers", desiredCount=pool)

    def counts(self) -> tuple[int, int]:
        answers = (
            self._client.describe_services(cluster="demo", services=["demo-scheduler"]),
            self._pool.describe_services(cluster="demo", services=["demo-workers"]),
        )
        scheduler, pool = (answer["services"][0]["desiredCount"] for answer in answers)
        return scheduler, pool

    def started(self) -> int:
        return len(boto3.client("stepfunctions").list_executions(stateMachineArn=self._machine)["executions"])

    def told(self) -> list[str]:
        messages = boto3.client("sqs").receive_message(QueueUrl=self._queue).get("Messages", [])
        return [json.loads(message["Body"])["Message"] for message in messages]


def test_a_scheduler_that_somebody_uses_goes_on(scheduler: FakeScheduler, services: Services) -> None:
    scheduler.activity = {"clients": 1, "tasks": 0, "idle_seconds": 0.0}
    assert call("watch_scheduler", {})["state"] == "used"
    scheduler.activity = {"clients": 0, "tasks": 7, "idle_seconds": 0.0}
    assert call("watch_scheduler", {})["state"] == "used"
    assert services.counts()[0] == 1


def test_a_scheduler_is_stopped_after_the_minutes_and_not_before(
    scheduler: FakeScheduler, services: Services
) -> None:
    services.set(pool=3)
    scheduler.activity = {"clients": 0, "tasks": 0, "idle_seconds": 29 * 60.0}
    assert call("watch_scheduler", {})["state"] == "idle"
    assert services.counts()[0] == 1
    scheduler.activity = {"clients": 0, "tasks": 0, "idle_seconds": 30 * 60.0}
    watch = call("watch_scheduler", {})
    assert (watch["state"], watch["resting"]) == ("stop", [REGION])
    assert services.counts()[0] == 0
    assert services.started() == 1


def test_no_minutes_is_never(
    scheduler: FakeScheduler, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCHEDULER_IDLE_MINUTES", "0")
    scheduler.activity = {"clients": 0, "tasks": 0, "idle_seconds": 1e9}
    assert call("watch_scheduler", {})["state"] == "idle"
    assert services.counts()[0] == 1


def test_a_stopped_scheduler_is_not_down_and_one_that_should_run_is(
    services: Services, scheduler: FakeScheduler, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setenv("SCHEDULER_URL", "http://127.0.0.1:9")
    assert call("watch_scheduler", {})["state"] == "down"
    assert _published(capsys) == 1
    services.set(scheduler=0)
    assert call("watch_scheduler", {})["state"] == "stopped"
    assert _published(capsys) == 0


def test_what_the_pools_have_is_published_for_the_dashboard(
    services: Services, scheduler: FakeScheduler, capsys: Any
) -> None:
    services.set(pool=2)
    (pool,) = call("watch_scheduler", {})["pools"]
    assert (pool["region"], pool["desired"]) == (REGION, 2)
    (line,) = (json.loads(text) for text in capsys.readouterr().out.splitlines() if "TasksDesired" in text)
    assert line["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["System", "Region"]]
    assert (line["Region"], line["TasksDesired"]) == (REGION, [2.0])


def _published(capsys: Any) -> float:
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "SchedulerDown" in line]
    (line,) = (line for line in lines if "_aws" in line)
    assert line["System"] == "demo"
    assert line["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["System"]]
    (value,) = line["SchedulerDown"]
    return float(value)


def test_the_pool_of_a_stopped_scheduler_goes_to_its_minimum_and_its_execution_succeeds(
    services: Services,
    scheduler: FakeScheduler,
    protection: dict[str, bool],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    services.set(scheduler=0, pool=3)
    monkeypatch.setenv("SCHEDULER_URL", "http://127.0.0.1:9")
    decision = call("read_pool", {"region": REGION})
    assert (decision["action"], decision["desired"]) == ("rest", 1)
    assert "the scheduler is stopped" in decision["reason"]
    settled = call("set_pool", decision)
    assert services.counts() == (0, 1)
    assert call("read_pool", settled)["action"] == "hold"


def test_protected_ecs_tasks_of_a_pool_at_rest_are_let_go(
    services: Services, scheduler: FakeScheduler, ecs: Any, protection: dict[str, bool]
) -> None:
    subnet = boto3.client("ec2", region_name=REGION).describe_subnets()["Subnets"][0]["SubnetId"]
    started = ecs.run_task(
        cluster="demo",
        taskDefinition="workers",
        count=2,
        launchType="FARGATE",
        networkConfiguration={"awsvpcConfiguration": {"subnets": [subnet]}},
    )
    services.set(pool=2)
    call("stop_pools", _notice("spent"))
    call("set_pool", call("read_pool", {"region": REGION}))
    assert protection == {task["taskArn"].rsplit("/", 1)[-1]: False for task in started["tasks"]}


def test_a_scheduler_that_should_run_and_does_not_fails_the_scaling(
    services: Services, scheduler: FakeScheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCHEDULER_URL", "http://127.0.0.1:9")
    with pytest.raises(UnavailableError, match="does not answer"):
        call("read_pool", {"region": REGION})


def _notice(message: str) -> dict[str, Any]:
    return {"Records": [{"Sns": {"Message": message}}]}


def test_a_spent_budget_stops_a_busy_pool_below_its_minimum_until_it_is_lifted(
    services: Services, scheduler: FakeScheduler, protection: dict[str, bool]
) -> None:
    scheduler.pools = {REGION: demand(1, **BUSY)}
    call("stop_pools", _notice("AWS Budgets: demo-month has exceeded your alert threshold\n..."))
    assert services.started() == 1
    (message,) = services.told()
    assert spending_parameter("demo") in message
    assert "has exceeded" in message
    decision = call("read_pool", {"region": REGION})
    assert (decision["action"], decision["desired"]) == ("rest", 0)
    assert "budget is spent" in decision["reason"]
    call("set_pool", decision)
    assert services.counts() == (1, 0)
    assert call("read_pool", {"region": REGION})["action"] == "hold"
    boto3.client("ssm").put_parameter(
        Name=spending_parameter("demo"), Value="{}", Type="String", Overwrite=True
    )
    assert call("read_pool", {"region": REGION})["action"] == "grow"


def test_a_decision_made_before_the_budget_was_spent_does_not_grow_the_pool(
    services: Services, scheduler: FakeScheduler, protection: dict[str, bool]
) -> None:
    scheduler.pools = {REGION: demand(1, **BUSY)}
    decision = call("read_pool", {"region": REGION})
    assert decision["action"] == "grow"
    call("stop_pools", _notice("spent"))
    call("set_pool", decision)
    assert services.counts()[1] == 0


def test_a_parameter_that_somebody_has_spoilt_names_the_cure(services: Services) -> None:
    boto3.client("ssm").put_parameter(Name=spending_parameter("demo"), Value="no", Type="String")
    with pytest.raises(ConfigurationError, match=r"write \{\} into it"):
        read_spending("demo")
