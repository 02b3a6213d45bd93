"""Publishing the pools' demand from a scheduler in this process to CloudWatch in moto."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import NoCredentialsError
from distributed import Scheduler
from moto import mock_aws
from moto.cloudwatch.models import cloudwatch_backends
from moto.core.models import DEFAULT_ACCOUNT_ID

from dask_regions.aws import cloudwatch, configuration
from dask_regions.models import Pool
from dask_regions.names import configuration_parameter
from dask_regions.placement.pools import publish
from dask_regions.placement.pools.demand import measure
from dask_regions.placement.pools.publish import Publisher
from dask_regions.scaling import Damping, Difference

POOLS = {
    "us-west-2": Pool(minimum_tasks=1, maximum_tasks=3),
    "us-east-1": Pool(minimum_tasks=0, maximum_tasks=3),
}


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    cloudwatch._client.cache_clear()
    with mock_aws():
        yield
    cloudwatch._client.cache_clear()


@pytest.fixture
async def scheduler() -> AsyncIterator[Scheduler]:
    async with Scheduler(port=0, dashboard_address="127.0.0.1:0", host="127.0.0.1") as started:
        yield started


def _published(region: str) -> dict[str, float]:
    data: Any = cloudwatch_backends[DEFAULT_ACCOUNT_ID][region].metric_data
    dimensions = [("System", "tides"), ("Region", region)]
    assert all([(d.name, d.value) for d in each.dimensions] == dimensions for each in data)
    return {each.name: each.value for each in data}


async def test_each_pool_is_published_in_its_own_region(aws: None, scheduler: Scheduler) -> None:
    await Publisher(scheduler, lambda: POOLS, Damping(), "tides").publish()
    assert _published("us-west-2") == {"TasksMissing": 1, "TasksSurplus": 0, "MemoryUsed": 0}
    assert _published("us-east-1") == {"TasksMissing": 0, "TasksSurplus": 0, "MemoryUsed": 0}


async def test_one_region_that_fails_harms_no_other_and_is_logged_once(
    aws: None, scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real, broken = cloudwatch.put_pool_metrics, True

    def put(system: str, region: str, *numbers: Any) -> None:
        if broken and region == "us-west-2":
            client = boto3.client("cloudwatch", region_name=region)
            raise client.exceptions.ClientError({"Error": {"Code": "AccessDenied"}}, "PutMetricData")
        real(system, region, *numbers)

    monkeypatch.setattr(publish, "put_pool_metrics", put)
    publisher = Publisher(scheduler, lambda: POOLS, Damping(), "tides")
    with caplog.at_level(logging.INFO, publish.__name__):
        await publisher.publish()
        await publisher.publish()
        broken = False
        await publisher.publish()
    messages = [record.message for record in caplog.records if record.name == publish.__name__]
    assert len(messages) == 2, messages
    assert "us-west-2 cannot be published" in messages[0]
    assert "us-west-2 is published again" in messages[1]
    assert _published("us-east-1")


async def test_without_a_configuration_nothing_is_published(
    scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DATASETS_FILE", "CLIENT_REGION"):
        monkeypatch.delenv(name, raising=False)
    before = set(scheduler.periodic_callbacks)
    assert publish.publish_demand(scheduler) is None
    assert set(scheduler.periodic_callbacks) == before


async def test_a_running_scheduler_follows_what_is_published(
    aws: None, scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("DATASETS_FILE", raising=False)
    monkeypatch.setenv("CLIENT_REGION", "eu-west-2")
    monkeypatch.setenv("SYSTEM_NAME", "tides")
    now = [0.0]
    monkeypatch.setattr(configuration, "monotonic", lambda: now[0])
    location: Any = {"LocationConstraint": "eu-west-2"}
    s3 = boto3.client("s3", region_name="eu-west-2")
    s3.create_bucket(Bucket="configuration", CreateBucketConfiguration=location)
    s3.put_bucket_versioning(Bucket="configuration", VersioningConfiguration={"Status": "Enabled"})
    pointer = '{"bucket": "configuration", "key": "datasets.yaml", "version_id": ""}'
    boto3.client("ssm", region_name="eu-west-2").put_parameter(
        Name=configuration_parameter("tides"), Value=pointer, Type="String"
    )
    configuration.forget_configurations()
    publisher = publish.publish_demand(scheduler)
    assert publisher is not None
    await publisher.publish()
    assert measure(scheduler) == {}

    file = tmp_path / "datasets.yaml"
    file.write_text(
        "system: {name: tides}\n"
        "regions:\n"
        "  - {name: eu-west-2, client: true, cidr: 10.0.0.0/16}\n"
        "  - {name: us-west-2, cidr: 10.1.0.0/16, pool: {minimum_tasks: 1, maximum_tasks: 3}}\n"
    )
    configuration.publish("tides", "eu-west-2", file)
    now[0] = configuration.MAX_AGE_SECONDS
    await publisher.publish()
    assert measure(scheduler).keys() == {"us-west-2"}
    assert _published("us-west-2")["TasksMissing"] == 1
    configuration.forget_configurations()


def test_credentials_that_come_later_are_found(aws: None, monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = Difference(missing=0, surplus=0)
    with monkeypatch.context() as without:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            without.delenv(name)
        without.setenv("AWS_EC2_METADATA_DISABLED", "true")
        without.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
        without.setenv("AWS_CONFIG_FILE", "/nonexistent")
        without.setattr(boto3, "DEFAULT_SESSION", None)
        with pytest.raises(NoCredentialsError):
            cloudwatch.put_pool_metrics("tides", "us-west-2", nothing, 0.0)
    cloudwatch.put_pool_metrics("tides", "us-west-2", nothing, 0.0)
    assert _published("us-west-2")
