"""NetCDF files under ERA5 keys become Items."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import iris_sample_data
import numpy as np
import pystac
import pytest
import xarray as xr

from dask_regions.harvest.base import Reading, StoredObject, open_harvester
from dask_regions.harvest.files import RangedReader
from dask_regions.harvest.layouts.era5 import Era5Harvester, period_interval
from dask_regions.models import Dataset
from testing.sync.memory_bucket import MemoryObjects

DATASET = Dataset(
    id="e1",
    title="E1",
    description="Air temperature",
    region="us-east-1",
    bucket="demo-e1",
    layout="era5",
    period="P10Y",
    fsx_path="/fsx/demo-e1",
    properties={"scenario": "E1"},
)
KEY = "1860/01/data/air_temperature.nc"


@pytest.fixture(scope="module")
def sample() -> bytes:
    """Return a NetCDF-4 file of the Met Office: 240 annual means, 360-day calendar, 1.7 MB."""
    return (Path(iris_sample_data.path) / "E1_north_america.nc").read_bytes()


def file_without_time(path: Path) -> bytes:
    with h5py.File(path, "w") as file:
        for name, values, units in (
            ("lat", [0.0, 1.0], "degrees_north"),
            ("lon", [5.0, 6.0], "degrees_east"),
        ):
            file[name] = np.array(values)
            file[name].make_scale(name)
            file[name].attrs["units"] = units
        file["orography"] = np.zeros((2, 2))
        for axis, name in enumerate(("lat", "lon")):
            file["orography"].dims[axis].attach_scale(file[name])
    return path.read_bytes()


def harvest(objects: MemoryObjects) -> list[Reading]:
    harvester = open_harvester(DATASET, objects)
    return [harvester.read_or_skip(source.key) for source in harvester.sources()]


def items(contents: dict[str, bytes]) -> list[dict[str, Any]]:
    return [reading.item for reading in harvest(MemoryObjects(contents)) if reading.item is not None]


def test_a_month_becomes_an_item_with_an_asset_per_variable(sample: bytes) -> None:
    (item,) = items({KEY: sample, KEY.replace("air_temperature", "again"): sample})
    assert item["id"] == "e1.1860-01"
    assert item["assets"].keys() == {"air_temperature", "again"}
    asset = item["assets"]["air_temperature"]
    assert asset["href"] == f"s3://demo-e1/{KEY}"
    assert asset["alternate"]["fsx"]["href"] == f"file:///fsx/demo-e1/{KEY}"
    assert (asset["type"], asset["file:size"]) == ("application/netcdf", len(sample))
    assert item["properties"]["regions"] == ["us-east-1"]
    assert item["properties"]["scenario"] == "E1"
    assert item["properties"]["variables"] == ["air_temperature"]


def test_extents_come_from_the_file(sample: bytes) -> None:
    (item,) = items({KEY: sample})
    assert item["bbox"] == [-135.0, 15.0, -45.0, 60.0]
    assert item["properties"]["start_datetime"] == "1859-12-01T00:00:00Z"
    assert item["properties"]["end_datetime"] == "2099-11-30T23:59:59Z"
    assert item["properties"]["cube:variables"] == {
        "air_temperature": {
            "type": "data",
            "dimensions": ["time", "latitude", "longitude"],
            "unit": "K",
            "data_type": "float32",
            "shape": [240, 37, 49],
            "chunks": [1, 37, 49],
            "nbytes": 240 * 37 * 49 * 4,
        }
    }
    assert item["properties"]["cube:dimensions"]["latitude"]["extent"] == [15.0, 60.0]


def test_the_item_is_valid_stac(sample: bytes) -> None:
    (item,) = items({KEY: sample})
    assert "https://stac-extensions.github.io/file/v2.1.0/schema.json" in item["stac_extensions"]
    pystac.Item.from_dict(item | {"stac_extensions": []}).validate()


def test_a_file_without_time_covers_the_period_of_its_key(tmp_path: Path) -> None:
    (item,) = items({"1990/01/data/orography.nc": file_without_time(tmp_path / "orography.nc")})
    assert item["properties"]["start_datetime"] == "1990-01-01T00:00:00Z"
    assert item["properties"]["end_datetime"] == "1999-12-31T23:59:59Z"
    assert item["bbox"] == [5.0, 0.0, 6.0, 1.0]


@pytest.mark.parametrize(
    ("month", "period", "end"),
    [
        ("2020-02", "P1M", "2020-02-29T23:59:59Z"),
        ("2020-12", "P1M", "2020-12-31T23:59:59Z"),
        ("2020-11", "P3M", "2021-01-31T23:59:59Z"),
        ("2020-01", "P1Y", "2020-12-31T23:59:59Z"),
    ],
)
def test_a_period_ends_with_its_last_second(month: str, period: str, end: str) -> None:
    assert period_interval(month, period) == (f"{month}-01T00:00:00Z", end)


@pytest.mark.parametrize("content", [b"", b"CDF\x01 classic", b"\x89HDF\r\n\x1a\n torn"])
def test_a_damaged_file_is_left_out_of_its_month(sample: bytes, content: bytes) -> None:
    (reading,) = harvest(MemoryObjects({KEY: sample, "1860/01/data/torn.nc": content}))
    assert reading.item is not None
    assert reading.item["assets"].keys() == {"air_temperature"}
    (reason,) = reading.reasons
    assert reason.startswith("torn: OSError")


def test_a_month_of_damaged_files_is_no_item_and_the_next_month_is() -> None:
    good = (Path(iris_sample_data.path) / "E1_north_america.nc").read_bytes()
    contents = {"1860/01/data/torn.nc": b"torn", "1870/01/data/air_temperature.nc": good}
    skipped, read = harvest(MemoryObjects(contents))
    assert skipped.item is None
    assert skipped.reasons
    assert read.item is not None
    assert read.item["id"] == "e1.1870-01"


def test_other_prefixes_are_not_entered(sample: bytes) -> None:
    contents = {
        KEY: sample,
        "1860/13/data/x.nc": b"",
        "18/01/data/x.nc": b"",
        "1860/02/x.nc": b"",
        "zarr/1860/13/data/x.zarr/.zmetadata": b"",
        "zarr/x/.zmetadata": b"",
        **{f"later/{number}": b"" for number in range(50)},
    }
    objects = MemoryObjects(contents, page_size=10)
    (reading,) = harvest(objects)
    assert reading.item is not None
    assert reading.item["id"] == "e1.1860-01"
    assert len(objects.requests) < 10


def test_of_a_large_file_only_some_blocks_are_read(tmp_path: Path) -> None:
    path = tmp_path / "large.nc"
    with h5py.File(path, "w") as file:
        file["data"] = np.zeros((20, 1 << 20), dtype="u1")
        file["units"] = np.arange(3)
    objects = MemoryObjects({"large.nc": path.read_bytes()})
    with h5py.File(RangedReader(objects, StoredObject("large.nc", path.stat().st_size)), "r") as file:
        assert file["units"][:].tolist() == [0, 1, 2]
    assert len(objects.requests) <= 4


def test_a_reader_gives_the_same_bytes_as_the_object_across_blocks() -> None:
    content = np.random.default_rng(1).bytes(3 << 20)
    reader = RangedReader(MemoryObjects({"k": content}), StoredObject("k", len(content)))
    reader.seek((1 << 20) - 7)
    buffer = bytearray((1 << 20) + 20)
    assert reader.readinto(buffer) == len(buffer)
    assert bytes(buffer) == content[(1 << 20) - 7 : (2 << 20) + 13]
    reader.seek(-3, 2)
    assert reader.read() == content[-3:]


def test_an_error_of_the_service_passes_through_the_hdf5_library(sample: bytes) -> None:
    class Throttled(Exception):  # noqa: N818
        pass

    class ThrottledObjects(MemoryObjects):
        def read(self, key: str, start: int = 0, length: int | None = None) -> bytes:
            raise Throttled

    with pytest.raises(Throttled):
        harvest(ThrottledObjects({KEY: sample}))


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Return the objects of a Zarr store with the sample's data."""
    path = tmp_path_factory.mktemp("zarr") / "store"
    source = Path(iris_sample_data.path) / "E1_north_america.nc"
    with xr.open_dataset(source, engine="h5netcdf") as dataset:
        dataset.load().drop_encoding().to_zarr(path, zarr_format=2, consolidated=True)
    return {
        f"zarr/1860/01/data/air_temperature.zarr/{file.relative_to(path).as_posix()}": file.read_bytes()
        for file in path.rglob("*")
        if file.is_file()
    }


def test_a_file_and_the_store_with_the_same_data_are_two_assets_of_one_item(
    sample: bytes, twin: dict[str, bytes]
) -> None:
    (reading,) = harvest(MemoryObjects({KEY: sample, **twin}))
    assert reading.reasons == ()
    assert reading.item is not None
    assets = reading.item["assets"]
    assert {name: asset["type"] for name, asset in assets.items()} == {
        "air_temperature": "application/netcdf",
        "air_temperature.zarr": "application/vnd+zarr",
    }
    assert assets["air_temperature.zarr"]["href"] == "s3://demo-e1/zarr/1860/01/data/air_temperature.zarr/"
    assert reading.item["properties"]["variables"] == ["air_temperature"]


def test_a_store_alone_is_a_month_too_and_a_damaged_one_is_left_out(
    sample: bytes, twin: dict[str, bytes]
) -> None:
    (item,) = items(twin)
    assert item["id"] == "e1.1860-01"
    truncated = twin | {"zarr/1860/01/data/air_temperature.zarr/.zmetadata": b"{"}
    (reading,) = harvest(MemoryObjects({KEY: sample, **truncated}))
    assert reading.item is not None
    assert reading.item["assets"].keys() == {"air_temperature"}
    assert reading.reasons[0].startswith("air_temperature.zarr: JSONDecodeError")


def test_a_store_that_is_not_consolidated_is_read_again_when_an_array_has_changed(
    twin: dict[str, bytes],
) -> None:
    store = "zarr/1860/01/data/air_temperature.zarr/"
    plain = {key: body for key, body in twin.items() if key != store + ".zmetadata"}
    grown = plain | {store + "time/.zarray": plain[store + "time/.zarray"] + b" "}
    assert len(items(plain)) == 1
    fingerprints = [
        [source.fingerprint for source in Era5Harvester(DATASET, MemoryObjects(contents)).sources()]
        for contents in (plain, dict(plain), grown)
    ]
    assert fingerprints[0] == fingerprints[1] != fingerprints[2]


def test_nested_files_of_the_same_name_are_assets_of_their_own(sample: bytes) -> None:
    (item,) = items({KEY: sample, "1860/01/data/again/air_temperature.nc": sample})
    assert item["assets"].keys() == {"air_temperature", "again/air_temperature"}


def test_a_month_s_fingerprint_tells_every_file_and_store(sample: bytes, twin: dict[str, bytes]) -> None:
    contents = {KEY: sample, "1860/02/data/air_temperature.nc": sample, **twin}

    def told(changes: dict[str, bytes]) -> list[str]:
        objects = MemoryObjects(contents | changes, page_size=7)
        return [source.fingerprint for source in Era5Harvester(DATASET, objects).sources()]

    january, february = told({})
    for key in (KEY, "1860/01/data/new.nc", "zarr/1860/01/data/air_temperature.zarr/.zmetadata"):
        changed = told({key: b"other"})
        assert changed[0] != january
        assert changed[1:] == [february]


def test_ranges_hold_every_month_once(sample: bytes, twin: dict[str, bytes]) -> None:
    months = ["1859/12/", "1860/01/", "1860/02/", "1861/01/"]
    contents = {f"{month}data/x.nc": b"" for month in months if month != "1860/01/"} | twin
    harvester = Era5Harvester(DATASET, MemoryObjects(contents, page_size=5))
    assert harvester.cuts() == ["1859/", "1860/", "1861/"]
    for cut in ("1859/", "1860/", "1860/01/", "1860/02/", "1862/"):
        first = [source.key for source in harvester.sources("", cut)]
        second = [source.key for source in harvester.sources(cut, None)]
        assert first + second == months
