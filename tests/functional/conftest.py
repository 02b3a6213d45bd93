"""Clusters of several Regions and data that each reads, for tests of data, placement and client."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import xarray as xr
from distributed import Client

import dask_regions
from testing.placement.clusters import CLIENT, EAST, RECORDER, SOUTH, WEST, Cluster, Data, item


@pytest.fixture(scope="session")
def start_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Cluster]]:
    """Return a function that starts a cluster with workers in the given Regions.

    ``preloads`` are more modules for the scheduler.
    """
    clusters: list[Cluster] = []

    def start(*regions: str, preloads: Iterable[Path] = ()) -> Cluster:
        cluster = Cluster(tmp_path_factory.mktemp("cluster"), *preloads)
        clusters.append(cluster)
        for region in regions:
            cluster.add_worker(region)
        cluster.client.wait_for_workers(len(regions), timeout=300)
        return cluster

    yield start
    for cluster in clusters:
        cluster.close()


@pytest.fixture(scope="session")
def cluster(start_cluster: Callable[..., Cluster]) -> Cluster:
    """Two workers in the first Region and one in the other, for all tests that harm none."""
    return start_cluster(WEST, WEST, EAST)


@pytest.fixture
def client(cluster: Cluster) -> Client:
    return cluster.client


@pytest.fixture(autouse=True)
def computes_on_its_cluster(request: pytest.FixtureRequest) -> Iterator[None]:
    """Let ``compute()`` go to the client that a test takes.

    Dask takes the client that was made last, which among clusters of a session is any.
    """
    client = request.getfixturevalue("client") if "client" in request.fixturenames else None
    with client.as_current() if isinstance(client, Client) else nullcontext():
        yield


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Data:
    return Data(tmp_path_factory.mktemp("data"))


@pytest.fixture
def west(client: Client, data: Data) -> xr.DataArray:
    array: xr.DataArray = dask_regions.open_dataset(data.west_item, client).tas
    return array


@pytest.fixture
def east(client: Client, data: Data) -> xr.DataArray:
    array: xr.DataArray = dask_regions.open_dataset(data.east_items, client).tas
    return array


@pytest.fixture(scope="session")
def watched(start_cluster: Callable[..., Cluster]) -> Cluster:
    """Two workers in the first of three worker Regions, one in the others and in the client Region.

    What its scheduler sees is written down; ``least_crossing.Observer`` takes it.
    """
    regions = (WEST, WEST, EAST, SOUTH, CLIENT)
    return start_cluster(*regions, preloads=[RECORDER])


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., dict[str, Any]]:
    """Return a function that stores an array as Zarr in a Region, and returns its Item."""

    def store(array: xr.DataArray, region: str, chunks: tuple[int, ...]) -> dict[str, Any]:
        path = tmp_path_factory.mktemp(region) / f"{array.name}.zarr"
        encoding = {array.name: {"chunks": chunks}}
        array.to_dataset().to_zarr(path, zarr_format=2, consolidated=True, encoding=encoding)
        return item(str(array.name), region, path)

    return store
