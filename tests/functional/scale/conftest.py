"""ECS, Secrets Manager and a scheduler, for the handlers of the scale journey."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws
from moto.ecs.responses import EC2ContainerServiceResponse

from dask_regions.aws.scheduler import secret_token
from testing.scale.functions import REGION, FakeScheduler


@pytest.fixture
def scheduler() -> Iterator[FakeScheduler]:
    with FakeScheduler() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def protection(monkeypatch: pytest.MonkeyPatch) -> dict[str, bool]:
    """UpdateTaskProtection, which moto does not have; returns what was last said of each ECS task."""
    said: dict[str, bool] = {}

    def update_task_protection(response: EC2ContainerServiceResponse) -> str:
        tasks = response._get_param("tasks")
        assert 1 <= len(tasks) <= 10, "AWS takes one to ten"
        said.update(dict.fromkeys(tasks, response._get_param("protectionEnabled")))
        return json.dumps({"protectedTasks": [], "failures": []})

    monkeypatch.setattr(
        EC2ContainerServiceResponse, "update_task_protection", update_task_protection, raising=False
    )
    return said


@pytest.fixture
def ecs(
    scheduler: FakeScheduler, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, protection: dict[str, bool]
) -> Iterator[Any]:
    datasets = tmp_path / "datasets.yaml"
    datasets.write_text(
        "regions:\n"
        "  - {name: eu-west-2, client: true, cidr: 10.0.0.0/16}\n"
        "  - {name: us-west-2, cidr: 10.1.0.0/16, pool: {minimum_tasks: 1, maximum_tasks: 3}}\n"
    )
    environment = {
        "AWS_DEFAULT_REGION": "eu-west-2",
        "AWS_REGION": "eu-west-2",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "SYSTEM_NAME": "demo",
        "DATASETS_FILE": str(datasets),
        "SCHEDULER_URL": scheduler.url,
        "SCHEDULER_SECRET": "token",
        "TARGET_DURATION": "90",
        "POWERTOOLS_SERVICE_NAME": "scale",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        boto3.client("secretsmanager").create_secret(Name="token", SecretString="first")
        client = boto3.client("ecs", region_name=REGION)
        client.create_cluster(clusterName="demo")
        client.register_task_definition(
            family="workers", containerDefinitions=[{"name": "worker", "image": "workers", "memory": 1024}]
        )
        client.create_service(
            cluster="demo", serviceName="demo-workers", taskDefinition="workers", desiredCount=1
        )
        secret_token.cache_clear()
        yield client
        secret_token.cache_clear()
