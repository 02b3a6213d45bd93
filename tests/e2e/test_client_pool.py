"""The client Region may have a pool: local mode runs it from the templates, beside the worker Regions'."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import boto3
import pytest

import dask_regions
from dask_regions import names
from dask_regions_local.emulator.system import LocalSystem
from testing.waiting import wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("client-pool")]


def test_the_client_region_s_pool_computes_and_is_sized_by_the_same_alarms(
    copy_of_the_artefacts: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = copy_of_the_artefacts("client-pool")
    datasets = root / "local" / "datasets.yaml"
    text = datasets.read_text()
    client = "    cidr: 10.0.0.0/16\n"
    assert text.count(client) == 1
    datasets.write_text(text.replace(client, client + "    pool: {minimum_tasks: 0, maximum_tasks: 2}\n"))
    with LocalSystem(tmp_path_factory.mktemp("client-pool-system"), root=root) as system:
        region = system.client_region
        assert region not in system.regions
        alarms = boto3.client("cloudwatch", region_name=region, endpoint_url=system.aws_endpoint)
        described = alarms.describe_alarms()["MetricAlarms"]
        assert {f"dask-regions-{end}" for end in ("tasks-missing", "tasks-surplus")} <= {
            alarm["AlarmName"] for alarm in described
        }
        with dask_regions.connect(system.scheduler_address) as client:
            resources = {names.region_resource(region): 0}
            assert client.submit(sum, [1, 2], resources=resources, pure=False).result(timeout=120) == 3

        def desired() -> int:
            ecs = boto3.client("ecs", region_name=region, endpoint_url=system.aws_endpoint)
            service = names.service_name("dask-regions")
            answer = ecs.describe_services(cluster=names.cluster_name("dask-regions"), services=[service])
            return int(answer["services"][0]["desiredCount"])

        wait_until(lambda: desired() == 0, "scale_pool takes away what nobody needs")
