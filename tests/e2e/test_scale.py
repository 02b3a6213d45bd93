"""A burst of work for one Region grows that Region's pool and no other, and nothing is lost after it."""

from __future__ import annotations

import boto3
import pytest

import dask_regions
from dask_regions import names
from dask_regions_local.emulator.system import LocalSystem
from testing.local_system import desired, slow
from testing.waiting import WAIT_SECONDS, wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("local")]


def test_a_burst_grows_one_pool_which_comes_back_without_losing_a_result(system: LocalSystem) -> None:
    resource = {names.region_resource("us-west-2"): 0}
    with dask_regions.connect(system.scheduler_address) as client:
        futures = client.map(slow, range(120), resources=resource, pure=False)
        wait_until(lambda: desired(system, "us-west-2") > 1, "the pool of us-west-2 grows")
        wait_until(
            lambda: sum(f.status == "finished" for f in futures) == len(futures), "the burst is computed"
        )
        assert desired(system, "us-east-1") == 1

        # The results are still held, on workers that now go.
        wait_until(lambda: desired(system, "us-west-2") == 1, "the pool of us-west-2 comes back")
        wait_until(lambda: len(client.scheduler_info()["workers"]) == 2, "the surplus workers are gone")
        assert all(future.status == "finished" for future in futures)
        assert client.gather(futures) == list(range(120))
        assert desired(system, "us-east-1") == 1


def test_the_user_is_told_which_pool_is_empty_and_the_job_goes_on_when_it_is_scaled(
    system: LocalSystem,
) -> None:
    ecs = boto3.client("ecs", region_name="us-east-1", endpoint_url=system.aws_endpoint)
    cluster, service = names.cluster_name("dask-regions"), names.service_name("dask-regions")
    messages: list[str] = []
    with dask_regions.connect(system.scheduler_address, on_message=messages.append) as client:
        ecs.update_service(cluster=cluster, service=service, desiredCount=0)
        try:
            wait_until(lambda: len(client.scheduler_info()["workers"]) == 1, "the pool is stopped")
            future = client.submit(slow, 7, resources={names.region_resource("us-east-1"): 0}, pure=False)
            wait_until(lambda: bool(messages), "the user is told")
            assert "us-east-1" in messages[0]
            assert "dask-regions scale us-east-1 1" in messages[0]
            assert not future.done()
        finally:
            ecs.update_service(cluster=cluster, service=service, desiredCount=1)
        assert future.result(timeout=WAIT_SECONDS) == 7
