"""The peers: how each cluster is started and how each opens a dataset, all else being equal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import xarray as xr
from dask.base import annotate
from distributed import Client

import dask_regions
from benchmarks.wan.network import ADDRESSES
from testing.workload_data import VARIABLE, GuardedStore, RemoteStore, item
from testing.workloads import CLIENT, EAST, REGIONS, WEST

__all__ = ["PEERS", "PORT", "Peer"]

#: The web servers beside the data listen on this port.
PORT = 8000

#: Workers of one thread each, by Region; those of the client Region are its pool.
_POOLS: Mapping[str, int] = {EAST: 2, WEST: 2, CLIENT: 1}
_NO_FUSION = {
    "DASK_OPTIMIZATION__FUSE__ACTIVE": "False",
    # Blockwise fusion would merge the restrictions of two Regions: into none, or into a Region that is both.
    "DASK_OPTIMIZATION__ANNOTATIONS__FUSE": "False",
}
# A task that no worker may run fails instead of waiting until the time limit.
_STOCK = {"DASK_DISTRIBUTED__SCHEDULER__NO_WORKERS_TIMEOUT": "20s"}


@dataclass(frozen=True)
class Peer:
    """A way to compute on data in several Regions.

    Attributes
    ----------
    name, title
        Short name and what it is.
    open
        From a client, a path and a dataset's name to its lazy array.
    pools
        Workers by Region.
    placement
        Whether scheduler and workers are started with our preload modules.
    environment
        Of the scheduler.
    """

    name: str
    title: str
    open: Callable[[Client, Path, str], xr.DataArray]
    pools: Mapping[str, int] = field(default_factory=lambda: _POOLS)
    placement: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)


def _open_ours(client: Client, store: Path, name: str) -> xr.DataArray:
    dataset = dask_regions.open_dataset(item(store, REGIONS[name]), client)
    return dataset[VARIABLE]


def _open_pulled(client: Client, store: Path, name: str) -> xr.DataArray:  # noqa: ARG001  as the others
    if REGIONS[name] == CLIENT:
        return _open_store(GuardedStore(store, CLIENT))
    url = f"http://{ADDRESSES[REGIONS[name]]}:{PORT}/{store.name}"
    return _open_store(RemoteStore(store, url))


def _open_pinned(client: Client, store: Path, name: str) -> xr.DataArray:
    resource = f"region-{REGIONS[name]}"
    workers = client.scheduler_info(n_workers=-1)["workers"]
    pool = [address for address, worker in workers.items() if resource in worker["resources"]]
    with annotate(workers=pool, allow_other_workers=False):
        return _open_store(GuardedStore(store, REGIONS[name]))


def _open_restricted(client: Client, store: Path, name: str) -> xr.DataArray:  # noqa: ARG001  as the others
    # One unit of the one that each worker has: it has one thread.
    with annotate(resources={f"region-{REGIONS[name]}": 1}):
        return _open_store(GuardedStore(store, REGIONS[name]))


def _open_store(store: GuardedStore | RemoteStore) -> xr.DataArray:
    array: xr.DataArray = xr.open_zarr(store, chunks={}, consolidated=True)[VARIABLE]
    return array


PEERS: Mapping[str, Peer] = {
    peer.name: peer
    for peer in (
        Peer("ours", "dask-regions", _open_ours, placement=True),
        Peer(
            "pulled",
            "all data pulled to the client Region, which has all workers",
            _open_pulled,
            pools={CLIENT: sum(_POOLS.values())},
            environment=_STOCK,
        ),
        Peer(
            "hand",
            "reads pinned by hand with annotate(workers=...), fusion off on the scheduler",
            _open_pinned,
            environment={**_STOCK, **_NO_FUSION},
        ),
        Peer(
            "stock",
            "reads restricted with annotate(resources=...), fusion off on the scheduler",
            _open_restricted,
            environment={**_STOCK, **_NO_FUSION},
        ),
    )
}
