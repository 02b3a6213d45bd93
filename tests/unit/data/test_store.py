"""A store that knows its Region, without a cluster: what it is, and what a notebook remembers of it."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import zarr
from dask.base import tokenize
from zarr.storage import MemoryStore

import dask_regions
from dask_regions.data.contents import MISSING, Cache, Location, Look, look
from dask_regions.data.guard import enter_region
from dask_regions.errors import RequestError, UnavailableError, WrongRegionError
from dask_regions.placement.planning.payload import find_markers

WEST = "us-west-2"


@pytest.fixture
def _in_west() -> Any:
    enter_region(WEST)
    yield
    enter_region(None)


@pytest.mark.usefixtures("_in_west")
def test_in_its_region_it_is_the_store_that_it_stands_for(tmp_path: Path) -> None:
    there = dask_regions.store(tmp_path / "x.zarr", region=WEST)
    dataset = xr.Dataset({"x": ("i", np.arange(10.0))})
    dataset.to_zarr(there, zarr_format=2)
    xr.testing.assert_identical(xr.open_zarr(pickle.loads(pickle.dumps(there))).load(), dataset)
    del zarr.open_group(there)["x"]
    assert not (tmp_path / "x.zarr" / "x").exists()


@pytest.mark.usefixtures("_in_west")
def test_every_array_of_it_is_found_by_the_scheduler(tmp_path: Path) -> None:
    there = dask_regions.store(tmp_path / "x.zarr", region=WEST)
    array = zarr.create_array(there, shape=(4,), dtype="f8")
    [marker] = find_markers(array, {})
    assert marker.regions == (WEST,)


@pytest.mark.usefixtures("_in_west")
def test_elsewhere_it_refuses(tmp_path: Path) -> None:
    there = dask_regions.store(tmp_path / "x.zarr", region="us-east-1")
    with pytest.raises(WrongRegionError, match=r"us-east-1 and was about to be read in Region us-west-2"):
        zarr.open(there, mode="r")
    with pytest.raises(WrongRegionError, match="about to be written"):
        zarr.create_group(there, overwrite=True)


def test_without_a_client_the_fix_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match=r"connect first"):
        xr.open_zarr(dask_regions.store(tmp_path / "x.zarr", region=WEST))


def test_in_a_task_outside_the_pools_nothing_is_forwarded() -> None:
    travelled = pickle.loads(pickle.dumps(dask_regions.store("/x.zarr", region=WEST)))
    for read in (zarr.open_group, zarr.create_group):
        with pytest.raises(WrongRegionError, match="not a pool's worker"):
            read(travelled)


def test_it_survives_pickling_with_its_token() -> None:
    there = dask_regions.store("s3://bucket/x.zarr", region=WEST, storage_options={"anon": True})
    copy = pickle.loads(pickle.dumps(there))
    assert copy == there
    assert tokenize(copy) == tokenize(there)
    other = dask_regions.store("s3://bucket/x.zarr", region="us-east-1", storage_options={"anon": True})
    assert (other == there, tokenize(other) == tokenize(there)) == (False, False)
    assert "anon" not in repr(there)


def test_reading_only_is_kept() -> None:
    assert dask_regions.store("/x.zarr", region=WEST).with_read_only(True).read_only
    assert dask_regions.store(MemoryStore(read_only=True), region=WEST).read_only


@pytest.mark.parametrize(
    ("location", "options", "message"),
    [
        ("x.zarr", {}, "location: 'x.zarr' is no absolute path"),
        ("/x.zarr", {"storage_options": {"anon": True}}, "storage_options: they are for URLs"),
        (MemoryStore(), {"storage_options": {"anon": True}}, "give them to the store itself"),
        ("/x.zarr", {"region": ""}, "region: name the Region"),
    ],
)
def test_mistakes_are_named(location: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        dask_regions.store(location, **{"region": WEST, **options})


@pytest.mark.usefixtures("_in_west")
@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_look_brings_metadata_and_the_dimensions_coordinates(tmp_path: Path, zarr_format: Any) -> None:
    dataset = xr.Dataset({"x": (("i", "j"), np.ones((3, 4)))}, {"i": [1, 2, 3]})
    dataset.to_zarr(tmp_path / "x.zarr", zarr_format=zarr_format, consolidated=False)
    seen = look(Location(WEST, str(tmp_path / "x.zarr")), "", must_exist=True)
    chunks = {key for key, value in seen.objects.items() if value and key[-1].isdigit()}
    assert len(chunks) == 1
    assert chunks.pop().startswith("i/")
    assert set(seen.listings[""]) >= {"x", "i"}


@pytest.fixture
def clock() -> list[float]:
    return [100.0]


@pytest.fixture
def cache(clock: list[float]) -> Cache:
    cache = Cache(Location(WEST, "/x.zarr"), clock=lambda: clock[0])
    cache.add("", Look({"zarr.json": b"{}", "i/c/0": b"1"}, {"": ["i"], "new": []}, "1"))
    return cache


def test_a_look_is_forgotten_after_seconds(cache: Cache, clock: list[float]) -> None:
    assert cache.get("zarr.json") == b"{}"
    clock[0] += 60
    assert cache.get("zarr.json") is MISSING
    assert cache.listing("") is None


def test_what_this_process_writes_is_remembered_but_for_chunks(cache: Cache) -> None:
    cache.written("a/zarr.json", b"a")
    cache.written("i/c/0", b"2")
    assert cache.get("a/zarr.json") == b"a"
    assert cache.get("i/c/0") is MISSING
    assert cache.listing("") == ["i", "a"]


def test_what_was_deleted_is_absent_but_chunks_may_have_come(cache: Cache) -> None:
    cache.deleted("")
    assert cache.get("zarr.json") is None
    assert cache.get("j/zarr.json") is None
    assert cache.get("j/c/0") is MISSING


def test_another_store_of_the_same_location_makes_it_forget(cache: Cache) -> None:
    Cache(Location(WEST, "/y.zarr")).written("zarr.json", b"other location")
    assert cache.get("zarr.json") == b"{}"
    Cache(Location(WEST, "/x.zarr")).written("zarr.json", b"other")
    assert cache.get("zarr.json") is MISSING
