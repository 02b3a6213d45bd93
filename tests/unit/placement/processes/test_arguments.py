"""The arguments with which scheduler and workers start Dask's commands."""

from __future__ import annotations

import socket

import dask.config
import distributed
import pytest

from dask_regions.errors import ConfigurationError
from dask_regions.placement.processes import scheduler, worker

WORKER = {"AWS_REGION": "us-west-2", "DASK_SCHEDULER_ADDRESS": "tcp://scheduler:8786"}


def _option(arguments: list[str], name: str) -> str:
    return arguments[arguments.index(name) + 1]


def test_worker_offers_its_regions_resource_and_is_named_by_region_and_ecs_task(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "host-7")
    alone = worker.arguments(WORKER)
    assert alone[0] == "tcp://scheduler:8786"
    assert _option(alone, "--resources") == "region-us-west-2=1"
    assert _option(alone, "--name") == "us-west-2.host-7-0"
    assert "--no-nanny" in alone
    assert _option(alone, "--worker-port") == "10000:10063"
    assert "--nanny-port" not in alone
    ten = worker.arguments(WORKER | {"WORKERS_PER_TASK": "10", "THREADS_PER_WORKER": "2"})
    assert _option(ten, "--name") == "us-west-2.host-7", "dask numbers them itself"
    assert (_option(ten, "--nworkers"), _option(ten, "--nthreads")) == ("10", "2")
    assert "--no-nanny" not in ten
    assert (_option(ten, "--worker-port"), _option(ten, "--nanny-port")) == ("10000:10063", "10100:10163")


def test_worker_reports_every_missing_variable() -> None:
    with pytest.raises(ConfigurationError) as caught:
        worker.arguments({})
    assert len(caught.value.problems) == 2


def test_our_routes_are_added_to_those_of_dask() -> None:
    assert vars(distributed)["__version__"]
    before = list(dask.config.get("distributed.scheduler.http.routes"))
    with dask.config.set({"distributed.scheduler.http.routes": before}):
        scheduler.add_routes()
        scheduler.add_routes()
        after = dask.config.get("distributed.scheduler.http.routes")
    assert after == [*before, "dask_regions.placement.pools.routes"]
