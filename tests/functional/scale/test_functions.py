"""The handlers of the scale journey, as Lambda calls them, against ECS and Secrets Manager in moto."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from dask_regions.aws.ecs import PoolService
from dask_regions.aws.scheduler import SchedulerClient
from dask_regions.errors import ConfigurationError, NotFoundError, UnavailableError
from dask_regions.scale.history import DecisionRecord
from testing.scale.functions import REGION, FakeScheduler, call, demand

BUSY = {"seconds": 2700.0, "runnable": 500, "unassigned": 400}


def desired(ecs: Any) -> int:
    (service,) = ecs.describe_services(cluster="demo", services=["demo-workers"])["services"]
    count: int = service["desiredCount"]
    return count


def test_a_burst_grows_the_pool_to_what_its_work_asks_for(scheduler: FakeScheduler, ecs: Any) -> None:
    scheduler.pools = {REGION: demand(1, **BUSY)}
    decision = call("read_pool", {"region": REGION})
    assert (decision["action"], decision["desired"], decision["round"]) == ("grow", 3, 1)
    assert call("set_pool", decision)["desired"] == 3
    assert call("set_pool", decision)["desired"] == 3, "repeated"
    assert desired(ecs) == 3


def test_rounds_are_counted_and_a_growing_pool_is_waited_for(scheduler: FakeScheduler, ecs: Any) -> None:
    scheduler.pools = {REGION: demand(1, **BUSY)}
    settled = call("set_pool", call("read_pool", {"region": REGION}))
    second = call("read_pool", settled)
    assert (second["action"], second["round"]) == ("wait", 2)


def test_every_decision_is_logged_with_what_it_was_made_on(
    scheduler: FakeScheduler, ecs: Any, caplog: pytest.LogCaptureFixture
) -> None:
    scheduler.pools = {REGION: demand(1, **BUSY)}
    decision = call("read_pool", {"region": REGION})
    (entry,) = caplog.records
    assert entry.getMessage() == decision["reason"]
    record = DecisionRecord.model_validate({name: vars(entry)[name] for name in DecisionRecord.model_fields})
    assert record.decision.model_dump(mode="json") == decision
    assert (record.demand.seconds, record.state.desired, record.damping.target_seconds) == (2700.0, 1, 90.0)


def test_scale_in_stops_only_what_was_emptied(
    scheduler: FakeScheduler, ecs: Any, protection: dict[str, bool]
) -> None:
    tasks = _three_running_tasks(ecs)
    scheduler.pools = {REGION: demand(3)}
    scheduler.retirable = [tasks[1]]
    decision = call("read_pool", {"region": REGION})
    assert (decision["action"], decision["tasks_to_retire"]) == ("shrink", 1)
    retired = call("retire_workers", decision)
    assert (retired["tasks"], retired["desired"]) == ([tasks[1]], 2)
    call("set_pool", retired)
    assert desired(ecs) == 2
    assert call("set_pool", call("retire_workers", decision))["desired"] == 2, "both repeated"
    assert desired(ecs) == 2
    assert protection == {tasks[0]: True, tasks[1]: False, tasks[2]: True}


def test_nothing_is_stopped_where_nothing_could_be_emptied(
    scheduler: FakeScheduler, ecs: Any, protection: dict[str, bool]
) -> None:
    _three_running_tasks(ecs)
    scheduler.pools = {REGION: demand(3)}
    call("set_pool", call("retire_workers", call("read_pool", {"region": REGION})))
    assert desired(ecs) == 3
    assert not protection


def test_a_retired_ecs_task_that_stopped_by_itself_costs_no_other(scheduler: FakeScheduler, ecs: Any) -> None:
    _three_running_tasks(ecs)
    scheduler.pools = {REGION: demand(3)}
    scheduler.retirable = ["no-longer-there"]
    call("set_pool", call("retire_workers", call("read_pool", {"region": REGION})))
    assert desired(ecs) == 3


def test_a_decision_is_void_once_the_count_has_changed(scheduler: FakeScheduler, ecs: Any) -> None:
    scheduler.pools = {REGION: demand(1, **BUSY)}
    decision = call("read_pool", {"region": REGION})
    ecs.update_service(cluster="demo", service="demo-workers", desiredCount=2)
    assert call("set_pool", decision)["desired"] == 2
    assert desired(ecs) == 2


def test_no_decision_takes_the_count_out_of_its_bounds(scheduler: FakeScheduler, ecs: Any) -> None:
    scheduler.pools = {REGION: demand(1, **BUSY)}
    decision = call("read_pool", {"region": REGION})
    assert call("set_pool", decision | {"desired": 50})["desired"] == 3
    assert desired(ecs) == 3


def test_a_changed_token_is_read_again(scheduler: FakeScheduler, ecs: Any) -> None:
    scheduler.pools = {REGION: demand(1)}
    call("read_pool", {"region": REGION})
    scheduler.token = "second"
    boto3.client("secretsmanager").put_secret_value(SecretId="token", SecretString="second")
    assert call("read_pool", {"region": REGION})["action"] == "hold"


def test_a_wrong_token_is_the_configurations_mistake(scheduler: FakeScheduler, ecs: Any) -> None:
    scheduler.token = "another"
    with pytest.raises(ConfigurationError, match="refuses the token"):
        call("read_pool", {"region": REGION})


def test_a_scheduler_that_does_not_answer_is_unavailable(
    ecs: Any, monkeypatch: pytest.MonkeyPatch, scheduler: FakeScheduler
) -> None:
    monkeypatch.setenv("SCHEDULER_URL", "http://127.0.0.1:9")
    with pytest.raises(UnavailableError, match="does not answer"):
        call("read_pool", {"region": REGION})


def test_a_region_without_a_service_names_the_stack_to_deploy(scheduler: FakeScheduler, ecs: Any) -> None:
    scheduler.pools = {REGION: demand(1)}
    ecs.delete_service(cluster="demo", service="demo-workers", force=True)
    with pytest.raises(NotFoundError, match="sam deploy --config-env us-west-2"):
        call("read_pool", {"region": REGION})


def test_a_region_without_a_pool_is_refused(ecs: Any) -> None:
    with pytest.raises(ConfigurationError, match="eu-west-2 has no pool"):
        call("read_pool", {"region": "eu-west-2"})


def _three_running_tasks(ecs: Any) -> list[str]:
    """Start what ECS would for a count of three; moto counts, and starts nothing."""
    ecs.update_service(cluster="demo", service="demo-workers", desiredCount=3)
    subnet = boto3.client("ec2", region_name=REGION).describe_subnets()["Subnets"][0]["SubnetId"]
    started = ecs.run_task(
        cluster="demo",
        taskDefinition="workers",
        count=3,
        launchType="FARGATE",
        networkConfiguration={"awsvpcConfiguration": {"subnets": [subnet]}},
    )
    return [task["taskArn"].rsplit("/", 1)[-1] for task in started["tasks"]]


def test_a_region_without_a_cluster_names_the_stack_to_deploy(
    scheduler: FakeScheduler, ecs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    scheduler.pools = {REGION: demand(1)}
    monkeypatch.setenv("SYSTEM_NAME", "absent")
    service = PoolService(REGION, "absent")
    for ask in (lambda: call("read_pool", {"region": REGION}), service.tasks, lambda: service.set_desired(1)):
        with pytest.raises(NotFoundError, match="sam deploy --config-env us-west-2"):
            ask()


def test_a_throttled_service_is_asked_again(ecs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def throttled(*_: Any, **__: Any) -> Any:
        raise ClientError({"Error": {"Code": "ThrottlingException"}}, "UpdateService")

    service = PoolService(REGION, "demo")
    monkeypatch.setattr(service._client, "update_service", throttled)
    with pytest.raises(UnavailableError, match="has too much to do"):
        service.set_desired(1)


def test_white_space_around_the_token_does_not_matter(scheduler: FakeScheduler, ecs: Any) -> None:
    scheduler.pools = {REGION: demand(1)}
    boto3.client("secretsmanager").put_secret_value(SecretId="token", SecretString="first\n")
    assert call("read_pool", {"region": REGION})["action"] == "hold"


@pytest.mark.parametrize("token", ["sec\nret", "secret\u2603"])
def test_a_token_that_no_header_carries_is_not_shown(token: str) -> None:
    with pytest.raises(ConfigurationError, match="characters that a header cannot carry") as raised:
        SchedulerClient("http://127.0.0.1:9", lambda: token).demand(REGION)
    assert "sec" not in str(raised.value).replace("secret", "")
    assert raised.value.__context__ is None


def test_a_scheduler_of_another_version_is_the_configurations_mistake(
    scheduler: FakeScheduler, ecs: Any
) -> None:
    scheduler.pools = {REGION: demand(1, novelty=1)}
    with pytest.raises(ConfigurationError, match="deploy both from one commit"):
        call("read_pool", {"region": REGION})
