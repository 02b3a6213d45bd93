"""Stores that know their Region, from a notebook that cannot see them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
import xarray as xr
import zarr
from dask.base import compute
from distributed import Client

import dask_regions
from dask_regions.data.contents import Location
from dask_regions.data.forward import forward
from dask_regions.errors import EmptyPoolError, NotFoundError, UnavailableError, WrongRegionError
from dask_regions.placement.hooks.scheduler.plugin import records

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.xdist_group("placement"),
    # Zarr warns of each store of format 3 with consolidated metadata that it writes.
    pytest.mark.filterwarnings("ignore:Consolidated metadata is currently not part"),
]

WEST, EAST = "us-west-2", "us-east-1"
Calls = list[tuple[str, str]]


@pytest.fixture
def forwarded(client: Client, monkeypatch: pytest.MonkeyPatch) -> Calls:
    """Record what the notebook asks workers to do, and let it see no store itself."""
    calls: Calls = []

    async def record(region: str, what: str, function: Callable[..., Any], *args: Any) -> Any:
        calls.append((region, function.__name__))
        return await forward(region, what, function, *args)

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("the notebook opened a store")

    monkeypatch.setattr("dask_regions.data.store.forward", record)
    monkeypatch.setattr(Location, "open", refuse)
    return calls


@pytest.fixture
def ran(client: Client) -> Callable[[], set[tuple[str, str]]]:
    """Return a function that tells of which Region, and where, stores were read or written since."""
    before = Counter(client.run_on_scheduler(records).reads)
    return lambda: set(Counter(client.run_on_scheduler(records).reads) - before)


def dataset(start: str = "2000-01-01", seed: int = 0) -> xr.Dataset:
    values = np.random.default_rng(seed).normal(size=(40, 80, 50))
    coordinates = {
        "time": xr.date_range(start, periods=40, unit="ns"),
        "lat": np.linspace(-90, 90, 80),
        "lon": np.arange(50.0),
    }
    return xr.Dataset({"tas": (("time", "lat", "lon"), values, {"units": "K"})}, coordinates).chunk(time=8)


@pytest.fixture
def west(tmp_path: Path) -> Path:
    dataset().to_zarr(tmp_path / "west.zarr", zarr_format=2, consolidated=True)
    return tmp_path / "west.zarr"


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("consolidated", [True, False])
def test_opening_takes_one_round_trip(
    forwarded: Calls, tmp_path: Path, zarr_format: Any, consolidated: bool
) -> None:
    dataset().to_zarr(tmp_path / "x.zarr", zarr_format=zarr_format, consolidated=consolidated)
    there = dask_regions.store(tmp_path / "x.zarr", region=WEST)
    opened = xr.open_zarr(there, consolidated=consolidated)
    assert forwarded == [(WEST, "look")]
    xr.testing.assert_identical(opened.compute(), dataset().compute())


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_dataset_is_written_appended_to_and_overwritten_in_part(
    forwarded: Calls, ran: Any, tmp_path: Path, zarr_format: Any
) -> None:
    target = dask_regions.store(tmp_path / "x.zarr", region=EAST)
    dataset().to_zarr(target, zarr_format=zarr_format)
    assert len(forwarded) <= 20, "metadata of four variables"
    dataset("2000-02-10", 1).to_zarr(target, append_dim="time")
    (dataset("2000-02-10", 1) * 2).isel(time=slice(8, 24)).to_zarr(target, region="auto")
    assert set(forwarded) == {(EAST, "look"), (EAST, "perform")}
    assert ran() == {(EAST, EAST)}
    expected = xr.concat([dataset(), dataset("2000-02-10", 1)], "time").compute()
    expected.tas[48:64] *= 2
    with zarr.config.set({"async.concurrency": 2}):
        xr.testing.assert_equal(xr.open_zarr(tmp_path / "x.zarr").compute(), expected)


def test_what_is_reduced_in_one_region_is_written_in_another(
    client: Client, forwarded: Calls, ran: Any, tmp_path: Path, west: Path
) -> None:
    mean = xr.open_zarr(dask_regions.store(west, region=WEST)).mean("time").drop_encoding()
    with dask_regions.transfers(client) as moved:
        mean.to_zarr(dask_regions.store(tmp_path / "mean.zarr", region=EAST))
    assert ran() == {(WEST, WEST), (EAST, EAST)}
    assert moved.crossed < dataset().nbytes / 4, moved
    written = xr.open_zarr(tmp_path / "mean.zarr").tas
    np.testing.assert_allclose(written, dataset().tas.mean("time").compute())


def test_a_write_may_wait_until_it_is_computed(
    forwarded: Calls, ran: Any, tmp_path: Path, west: Path
) -> None:
    doubled = 2 * xr.open_zarr(dask_regions.store(west, region=WEST)).drop_encoding()
    write = doubled.to_zarr(dask_regions.store(tmp_path / "x.zarr", region=EAST), compute=False)
    assert ran() == set()
    compute(write)
    assert ran() == {(WEST, WEST), (EAST, EAST)}
    np.testing.assert_array_equal(xr.open_zarr(tmp_path / "x.zarr").tas, 2 * dataset().tas.values)


def test_dask_arrays_are_stored_and_read(forwarded: Calls, ran: Any, tmp_path: Path) -> None:
    target = dask_regions.store(tmp_path / "x.zarr", region=EAST)
    for factor in (1, 2):  # mode "w" writes with a lock
        (factor * da.ones((40, 50), chunks=10)).to_zarr(target, mode="w")
        assert da.from_zarr(target).sum().compute() == factor * 2000
    # Two tasks write parts of each stored chunk.
    with zarr.config.set({"async.concurrency": 2}):
        array = zarr.open_array(target, mode="r+")
    da.store(3 * da.ones((40, 50), chunks=(5, 50)), array, lock=True)
    assert da.from_zarr(target).sum().compute() == 6000
    assert ran() == {(EAST, EAST)}


def test_no_task_reads_two_stores(forwarded: Calls, ran: Any, tmp_path: Path, west: Path) -> None:
    dataset(seed=1).to_zarr(tmp_path / "east.zarr")
    parts = [
        xr.open_dataset(
            dask_regions.store(path, region=region),  # type: ignore[arg-type]
            engine="zarr",
            chunks={},
            inline_array=True,
        ).tas
        for path, region in ((west, WEST), (tmp_path / "east.zarr", EAST))
    ]
    total = (parts[0] * 2 + parts[1]).sum().compute()
    assert ran() == {(WEST, WEST), (EAST, EAST)}
    np.testing.assert_allclose(total, (dataset().tas * 2 + dataset(seed=1).tas).sum().compute())


def test_several_stores_open_as_one_dataset(forwarded: Calls, tmp_path: Path, west: Path) -> None:
    dataset("2000-02-10", 1).to_zarr(tmp_path / "next.zarr")
    stores = [dask_regions.store(path, region=WEST) for path in (west, tmp_path / "next.zarr")]
    series = xr.open_mfdataset(stores, engine="zarr")  # type: ignore[arg-type]
    assert forwarded == [(WEST, "look")] * 2
    expected = np.concatenate([dataset().tas, dataset(seed=1).tas])
    np.testing.assert_array_equal(series.tas, expected)


def test_keys_change_with_the_metadata_only(forwarded: Calls, tmp_path: Path, west: Path) -> None:
    def name() -> str:
        return str(xr.open_zarr(dask_regions.store(west, region=WEST)).tas.data.name)

    before = name()
    assert name() == before
    dataset().assign_attrs(title="new").to_zarr(west, mode="w", zarr_format=2, consolidated=True)
    assert name() != before


@pytest.mark.parametrize("scheduler", ["synchronous", "threads"])
def test_the_notebook_is_refused_more_than_small_arrays(forwarded: Calls, west: Path, scheduler: Any) -> None:
    opened = xr.open_zarr(dask_regions.store(west, region=WEST))
    np.testing.assert_array_equal(opened.tas[0].compute(scheduler=scheduler), dataset().tas[0])
    with pytest.raises(
        WrongRegionError, match=r"west\.zarr, tas/\S+ \(of more than 1 MB\) is in Region us-west-2"
    ):
        opened.tas.compute(scheduler=scheduler)


def test_the_notebook_writes_small_objects_only(forwarded: Calls, tmp_path: Path) -> None:
    target = dask_regions.store(tmp_path / "x.zarr", region=EAST)
    large = xr.Dataset({"x": ("i", np.random.default_rng(0).normal(size=200_000))})
    with pytest.raises(WrongRegionError, match=r"about to be written.*dataset\.chunk\(\)"):
        large.to_zarr(target, encoding={"x": {"chunks": (200_000,)}})
    large.chunk(i=200_000).to_zarr(target, mode="w")
    xr.testing.assert_equal(xr.open_zarr(tmp_path / "x.zarr").compute(), large)


@pytest.mark.parametrize("mode", ["r", "w"])
def test_a_worker_of_another_region_refuses(client: Client, west: Path, mode: Any) -> None:
    there = dask_regions.store(west, region=WEST)

    def touch(hidden: list[Any]) -> Any:
        return zarr.open_group(hidden[0](), mode=mode)

    with pytest.raises(
        WrongRegionError, match=r"in Region us-west-2 and was about to be .* in Region us-east-1"
    ):
        # Hidden from the scheduler, which would place it.
        client.submit(touch, [lambda: there], resources={f"region-{EAST}": 0}).result()
    assert xr.open_zarr(west).sizes["time"] == 40


def test_what_is_not_there_is_named(forwarded: Calls, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"nothing at \S+gone\.zarr in Region us-east-1"):
        xr.open_zarr(dask_regions.store(tmp_path / "gone.zarr", region=EAST))
    assert not list(tmp_path.iterdir())


def test_an_empty_pool_is_named(client: Client, tmp_path: Path) -> None:
    def set_timeout(dask_scheduler: Any, seconds: float) -> float:
        before: float = dask_scheduler.no_workers_timeout
        dask_scheduler.no_workers_timeout = seconds
        return before

    before = client.run_on_scheduler(set_timeout, seconds=0.2)
    try:
        with pytest.raises(
            EmptyPoolError, match=r"pool eu-north-1 ha[sd] no workers.*dask-regions scale eu-north-1 1"
        ):
            xr.open_zarr(dask_regions.store(tmp_path / "x.zarr", region="eu-north-1"))
    finally:
        client.run_on_scheduler(set_timeout, seconds=before)


async def test_an_asynchronous_client_is_told_to_use_a_thread(
    client: Client, west: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = dask_regions.store(west, region=WEST)
    async with Client(client.scheduler_info()["address"], asynchronous=True):
        opened = await asyncio.to_thread(xr.open_zarr, there)
        assert opened.sizes["time"] == 40
        monkeypatch.setattr("dask_regions.data.forward._STANDSTILL_SECONDS", 0.2)
        with pytest.raises(UnavailableError, match=r"await asyncio\.to_thread"):
            xr.open_zarr(there)
