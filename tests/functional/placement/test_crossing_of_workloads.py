"""The workloads of the benchmark, small: the same numbers of chunks and tasks, and what their results weigh.

``make bench-wan`` measures bytes on the wire and seconds, against peers, with large chunks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from distributed import Client

import dask_regions
from testing.workload_data import VARIABLE, item, make
from testing.workloads import CLIENT, EAST, REGIONS, SMALL_SIZE, WEST, WORKLOADS, Workload

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.xdist_group("placement"),
    # flox 0.11.2 asks for it in its module xrdtypes when it is imported.
    pytest.mark.filterwarnings("ignore:The 'generic' unit for NumPy timedelta:DeprecationWarning"),
]

#: Each result that crosses is sent with 0.3 to 1 kB about it; 100 results, which none of the workloads needs.
_SLACK = 100_000


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return make(tmp_path_factory.mktemp("wan"), SMALL_SIZE)


@pytest.fixture(scope="module")
def client(start_cluster: Callable[..., Any]) -> Iterator[Client]:
    cluster = start_cluster(EAST, EAST, WEST, WEST, CLIENT)
    yield cluster.client
    cluster.close()


@pytest.mark.parametrize("workload", WORKLOADS.values(), ids=WORKLOADS.keys())
def test_little_more_than_the_minimum_crosses(
    client: Client, stores: dict[str, Path], workload: Workload
) -> None:
    _received(client)
    there = [
        dask_regions.open_dataset(item(stores[name], REGIONS[name]), client)[VARIABLE]
        for name in workload.datasets
    ]
    with dask_regions.transfers(client) as moved:
        result = workload.build(*there).compute()
    # NumPy's sums in float32, of which chunks change the order, are good to 1e-3 or so.
    tolerance = 1e-6 if result.dtype == float else 1e-3
    here = [xr.open_zarr(stores[name], chunks=None)[VARIABLE].astype(float) for name in workload.datasets]
    np.testing.assert_allclose(result, workload.build(*here), rtol=tolerance, atol=tolerance)
    most = 1.1 * workload.minimum(SMALL_SIZE) + _SLACK
    assert moved.crossed <= most, str(moved)
    assert _received(client) <= most, "compression hides what crosses"


def _received(client: Client) -> int:
    """Return the bytes of results, in memory, that workers took from other Regions since the last call."""

    def take(dask_worker: Any) -> list[tuple[str, int]]:
        log = list(dask_worker.transfer_incoming_log)
        taken, dask_worker._taken = getattr(dask_worker, "_taken", 0), len(log)
        return [(entry["who"], entry["total"]) for entry in log[taken:] if entry["who"]]

    workers = client.scheduler_info(n_workers=-1)["workers"]
    pools = {address: set(worker["resources"]) for address, worker in workers.items()}
    logs = client.run(take).items()
    return sum(
        nbytes for address, log in logs for who, nbytes in log if pools[who].isdisjoint(pools[address])
    )
