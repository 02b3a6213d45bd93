"""What was planned is what is metered, and a budget is kept, on a real scheduler."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr
from distributed import Client, wait, worker_client

import dask_regions
from dask_regions.errors import BudgetError
from testing.waiting import WAIT_SECONDS

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("placement")]

WEST, EAST, CLIENT = "us-west-2", "us-east-1", "eu-west-2"
#: Bytes that a message adds, at most, to those that it carries: keys, types, shapes.
_MAX_MESSAGE_BYTES = 3_000


def test_a_plan_tells_where_it_would_read_and_run_and_runs_nothing(
    client: Client, data: Any, west: xr.DataArray, east: xr.DataArray
) -> None:
    with dask_regions.transfers(client) as moved:
        plan = dask_regions.plan(west.mean("time") - east.mean("time"), client=client)
    assert not moved.tasks
    assert plan.read == {WEST: data.west.nbytes, EAST: data.east.nbytes}
    assert plan.tasks[WEST] >= 10
    assert plan.tasks[EAST] >= 8
    assert not plan.empty
    assert "Estimate" in str(plan)


@pytest.mark.parametrize("operation", ["difference of means", "delivery", "mean of a product"])
def test_what_is_planned_is_within_a_factor_of_two_of_what_is_metered(
    client: Client, west: xr.DataArray, east: xr.DataArray, operation: str
) -> None:
    lazy = {
        "difference of means": lambda: west.mean("time") - east.mean("time"),
        "delivery": lambda: west[:8],
        "mean of a product": lambda: (west * east).mean(),
    }[operation]()
    plan = dask_regions.plan(lazy, client=client)
    with dask_regions.transfers(client) as moved:
        [got] = dask_regions.compute(lazy, budget=plan.crossed, client=client)
    assert isinstance(got, xr.DataArray)
    messages = 20 * _MAX_MESSAGE_BYTES
    assert plan.crossed / 2 <= moved.crossed <= 2 * plan.crossed + messages


def test_a_budget_refuses_before_anything_runs(client: Client, data: Any, west: xr.DataArray) -> None:
    with dask_regions.transfers(client) as moved, pytest.raises(BudgetError) as caught:
        dask_regions.compute(west * 2, budget="1 MB", client=client)
    assert not moved.tasks
    plan = caught.value.plan
    assert isinstance(plan, dask_regions.client.plan.Plan)
    assert plan.crossed == pytest.approx(data.west.nbytes, rel=0.05)
    assert f"from {WEST} to {CLIENT}" in str(caught.value)
    [got] = dask_regions.compute(west.max(), budget="1 MB", client=client)
    assert float(got) == data.west.max()


def test_what_is_persisted_is_not_read_again(client: Client, data: Any, west: xr.DataArray) -> None:
    kept = client.persist(west)
    wait(kept)
    plan = dask_regions.plan(kept.mean("time"), client=client)
    with dask_regions.transfers(client) as moved:
        kept.mean("time").compute()
    assert not sum(plan.read.values())
    assert plan.crossed >= data.west[0].nbytes
    assert plan.crossed / 2 <= moved.crossed <= 2 * plan.crossed + 20 * _MAX_MESSAGE_BYTES


def test_an_empty_pool_is_planned_and_told(client: Client, data: Any) -> None:
    def mark_elsewhere(array: xr.DataArray) -> Any:
        graph = dict(array.data.__dask_graph__())
        [node] = [value for key, value in graph.items() if str(key).startswith("original-")]
        lazy = getattr(node, "value", node)
        while not hasattr(lazy, "__dask_region__"):
            lazy = lazy.array
        lazy.__dask_region__ = "ap-south-1"
        return array.sum()

    lazy = mark_elsewhere(dask_regions.open_dataset(data.west_item, client).tas)
    plan = dask_regions.plan(lazy, client=client)
    assert plan.empty == ("ap-south-1",)
    assert "dask-regions scale ap-south-1 1" in str(plan)


def test_scattered_data_are_metered(cluster: Any, client: Client) -> None:
    values = np.ones(100_000)
    with dask_regions.transfers(client) as moved:
        wait(client.scatter(values, workers=cluster.workers(EAST)))
    assert moved.between[CLIENT, EAST] == pytest.approx(values.nbytes, rel=0.01)


def test_a_client_inside_a_task_is_noted(start_cluster: Any) -> None:
    def gather() -> int:
        with worker_client() as inner:  # leaves the worker's only thread to what it submits
            return int(inner.submit(int, 7).result())

    alone = start_cluster(WEST)
    try:
        with dask_regions.transfers(alone.client) as moved:
            assert alone.client.submit(gather).result(timeout=WAIT_SECONDS) == 7
    finally:
        alone.close()
    look = "look at client.transfers._clients_inside: Dask names a worker's client otherwise"
    assert any("client of its own" in note for note in moved.notes), look
