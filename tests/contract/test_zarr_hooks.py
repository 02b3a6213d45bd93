"""What placement uses of Zarr, and of xarray's Zarr backend, beyond their documented interfaces."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import zarr
from dask.tokenize import tokenize
from distributed import Client, LocalCluster
from xarray.backends.zarr import ZarrArrayWrapper
from xarray.core import indexing
from zarr.core.sync import sync
from zarr.storage import LocalStore, MemoryStore, StorePath, WrapperStore

from dask_regions.data.array import RegionArray


def test_an_array_stores_what_leads_to_its_store() -> None:
    store = MemoryStore()
    array = zarr.create_array(store, shape=(4,), dtype="f8")
    look = "look at _WRAPPED in planning/payload.py: it follows stored attributes"
    assert vars(array)["_async_array"] is not None, look
    path = vars(array._async_array)["store_path"]
    assert isinstance(path, StorePath), look
    assert vars(path)["store"] is store, look
    wrapper: Any = ZarrArrayWrapper
    assert wrapper(array)._array is array, look


def test_coroutines_of_a_store_run_on_zarrs_own_event_loop() -> None:
    async def thread() -> int:
        return threading.get_ident()

    look = "look at data/contents.py and forward.py: they wait for it from a task's thread"
    assert sync(thread()) == sync(thread()) != threading.get_ident(), look


def test_reading_opens_a_read_only_copy(tmp_path: Path) -> None:
    copies: list[bool] = []

    class Store(WrapperStore[Any]):
        def with_read_only(self, read_only: bool = False) -> Any:
            copies.append(read_only)
            return super().with_read_only(read_only)

    xr.Dataset({"x": ("i", np.arange(3.0))}).to_zarr(tmp_path, zarr_format=2)
    xr.open_zarr(Store(LocalStore(tmp_path)))
    assert copies, "look at RegionStore: its copies share the version, and must_exist is of read-only ones"
    assert all(copies), "look at RegionStore._look"


def test_a_recorder_sees_every_read_of_opening(tmp_path: Path) -> None:
    seen: set[str] = set()

    class Recorder(WrapperStore[Any]):
        _supports_sync_io = False

        async def get(self, key: str, prototype: Any, byte_range: Any = None) -> Any:
            seen.add(key)
            return await self._store.get(key, prototype, byte_range)

    xr.Dataset({"x": ("i", np.arange(3.0))}, {"i": [1, 2, 3]}).to_zarr(tmp_path, zarr_format=2)
    xr.open_zarr(Recorder(LocalStore(tmp_path, read_only=True)), chunks=None)
    assert {".zmetadata", "i/0"} <= seen, "look at _Recorder in data/contents.py"


@pytest.mark.xdist_group("placement")
def test_a_clients_event_loop_is_reachable_from_other_threads() -> None:
    with (
        LocalCluster(n_workers=0, processes=False, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        assert client.loop is not None
        loop = client.loop.asyncio_loop
        assert loop.is_running(), "look at data/forward.py"


def test_a_store_that_wraps_another_overrides_these_methods() -> None:
    look = "look at data/contents.py: its recorder overrides them"
    for name in ("_get_many", "_ensure_open"):
        assert callable(getattr(WrapperStore, name, None)), look


def test_a_registered_token_goes_before_an_objects_own() -> None:
    class Refuses(xr.Variable):
        def __dask_tokenize__(self) -> Any:
            raise AssertionError("look at data/array.py: _without_reading")

    array = RegionArray(np.ones(3), region="us-west-2", what="x", token="1")
    lazy = indexing.LazilyIndexedArray(array)
    assert tokenize(Refuses("x", lazy)) == tokenize(Refuses("x", lazy))
