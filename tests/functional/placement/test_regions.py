"""Placement on a real scheduler: right values, no read outside its Region, little crosses."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from typing import Any

import dask.array as da
import numpy as np
import pytest
import xarray as xr
from dask.base import annotate
from distributed import Client, get_worker, wait

import dask_regions
from dask_regions.client.transfers import Transfers
from dask_regions.data.array import RegionArray
from dask_regions.errors import WrongRegionError
from testing.placement.clusters import Cluster

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("placement")]

WEST, EAST = "us-west-2", "us-east-1"


@pytest.fixture(scope="module")
def cluster(start_cluster: Callable[..., Cluster]) -> Iterator[Cluster]:
    """A cluster of their own: the meter notes clients that tasks opened at any time of a cluster's life."""
    started = start_cluster(WEST, WEST, EAST)
    yield started
    started.close()


def assert_read_at_home(moved: Transfers, **reads: int) -> None:
    assert moved.reads == {(region, region): count for region, count in reads.items()}


def test_a_difference_of_means_moves_only_the_means(
    client: Client, data: Any, west: xr.DataArray, east: xr.DataArray
) -> None:
    with dask_regions.transfers(client) as moved:
        got = (west.mean("time") - east.mean("time")).compute()
    np.testing.assert_allclose(got, data.west.mean(0) - data.east.mean(0), rtol=1e-9)
    assert_read_at_home(moved, **{WEST: 10, EAST: 8})
    assert 0 < moved.crossed < 0.05 * (data.west.nbytes + data.east.nbytes)
    assert moved.between.keys() <= {(a, b) for a in (WEST, EAST) for b in (WEST, EAST, "eu-west-2")}
    assert not moved.notes


@pytest.mark.parametrize("inline", [False, True])
def test_operands_of_two_regions_are_read_apart(client: Client, data: Any, inline: bool) -> None:
    arrays = [
        _rewrap(dask_regions.open_dataset(item, client).tas, inline)
        for item in (data.west_item, data.east_items[0])
    ]
    first, second = arrays[0][:20], arrays[1]
    with dask_regions.transfers(client) as moved:
        got = (first * 2 + second).mean().compute()
    np.testing.assert_allclose(got, (data.west[:20] * 2 + data.east[:20]).mean(), rtol=1e-9)
    assert set(moved.reads) == {(WEST, WEST), (EAST, EAST)}


def _rewrap(array: xr.DataArray, inline: bool) -> da.Array:
    """Make the Dask array again from the lazy array that it reads, inlined into each task or not."""
    graph = dict(array.data.__dask_graph__())
    [lazy] = [getattr(node, "value", node) for key, node in graph.items() if str(key).startswith("original-")]
    region = _mark(lazy)
    with annotate(region=region):
        made: da.Array = da.from_array(
            lazy, chunks=(10, 120, 100), inline_array=inline, name=f"{inline}-{region}"
        )
    return made


def _mark(lazy: Any) -> str:
    while not isinstance(lazy, RegionArray):
        lazy = lazy.array
    assert isinstance(lazy.__dask_region__, str)
    return lazy.__dask_region__


def test_what_follows_a_read_stays_in_its_region(client: Client, data: Any, west: xr.DataArray) -> None:
    with dask_regions.transfers(client) as moved:
        got = (west - west.mean("time")).std().compute()
    np.testing.assert_allclose(got, (data.west - data.west.mean(0)).std(), rtol=1e-9)
    assert set(moved.tasks) == {WEST}
    assert moved.crossed < 10_000


def test_what_follows_a_persisted_array_stays_in_its_region(
    client: Client, data: Any, west: xr.DataArray
) -> None:
    kept = client.persist(west)
    wait(kept)
    with dask_regions.transfers(client) as moved:
        got = (kept**2).mean().compute()
    np.testing.assert_allclose(got, (data.west**2).mean(), rtol=1e-9)
    assert set(moved.tasks) == {WEST}
    assert not moved.reads
    assert moved.crossed < 10_000


def test_the_larger_operand_stays_where_it_is(
    client: Client, data: Any, west: xr.DataArray, east: xr.DataArray
) -> None:
    with dask_regions.transfers(client) as moved:
        got = (east - west.mean()).std().compute()
    np.testing.assert_allclose(got, (data.east - data.west.mean()).std(), rtol=1e-9)
    assert moved.crossed < 0.01 * data.east.nbytes


def test_a_rechunk_stays_in_its_region(client: Client, data: Any, west: xr.DataArray) -> None:
    with dask_regions.transfers(client) as moved:
        got = west.chunk(time=-1, lat=30).median("time").sum().compute()
    np.testing.assert_allclose(got, np.median(data.west, axis=0).sum(), rtol=1e-9)
    assert set(moved.tasks) == {WEST}
    assert moved.crossed < 10_000


def test_a_read_forced_into_another_region_is_refused(
    cluster: Any, client: Client, west: xr.DataArray
) -> None:
    future = client.compute(west.isel(time=0).sum(), workers=cluster.workers(EAST))
    with pytest.raises(WrongRegionError, match=f"in Region {WEST} .* read in Region {EAST}") as caught:
        future.result()
    error = pickle.loads(pickle.dumps(caught.value))
    assert (error.data, error.worker) == (WEST, EAST)


def test_user_restrictions_are_kept(cluster: Any, client: Client, west: xr.DataArray) -> None:
    chosen = cluster.workers(WEST)[:1]
    # Functions of this module are local, so that they travel by value: workers cannot import it.
    future = client.submit(lambda _: get_worker().address, client.compute(west.mean()), workers=chosen)
    assert future.result() == chosen[0]


def test_unrelated_work_is_left_alone(client: Client) -> None:
    def restrictions(keys: list[str], dask_scheduler: Any) -> list[object]:
        return [dask_scheduler.tasks[key].resource_restrictions for key in keys]

    futures = client.map(lambda number: number**2, range(6))
    assert client.gather(futures) == [number**2 for number in range(6)]
    assert not any(client.run_on_scheduler(restrictions, [future.key for future in futures]))
