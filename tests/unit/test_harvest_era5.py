"""NetCDF files under ERA5 keys become Items."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import iris_sample_data
import numpy as np
import pystac
import pytest

from dask_regions.harvest.base import MemoryObjects, Skipped, StoredObject, harvest
from dask_regions.harvest.era5 import RangedReader, period_interval
from dask_regions.models import Dataset

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


def records(contents: dict[str, bytes]) -> list[Any]:
    return list(harvest(DATASET, MemoryObjects(contents)))


def test_a_month_becomes_an_item_with_an_asset_per_variable(sample: bytes) -> None:
    (item,) = records({KEY: sample, KEY.replace("air_temperature", "again"): sample})
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
    (item,) = records({KEY: sample})
    assert item["bbox"] == [-135.0, 15.0, -45.0, 60.0]
    assert item["properties"]["start_datetime"] == "1859-12-01T00:00:00Z"
    assert item["properties"]["end_datetime"] == "2099-11-30T23:59:59Z"
    assert item["properties"]["cube:variables"] == {
        "air_temperature": {"type": "data", "dimensions": ["time", "latitude", "longitude"], "unit": "K"}
    }
    assert item["properties"]["cube:dimensions"]["latitude"]["extent"] == [15.0, 60.0]


def test_the_item_is_valid_stac(sample: bytes) -> None:
    (item,) = records({KEY: sample})
    assert "https://stac-extensions.github.io/file/v2.1.0/schema.json" in item["stac_extensions"]
    pystac.Item.from_dict(item | {"stac_extensions": []}).validate()


def test_a_file_without_time_covers_the_period_of_its_key(tmp_path: Path) -> None:
    (item,) = records({"1990/01/data/orography.nc": file_without_time(tmp_path / "orography.nc")})
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
    item, skipped = records({KEY: sample, "1860/01/data/torn.nc": content})
    assert item["assets"].keys() == {"air_temperature"}
    assert isinstance(skipped, Skipped)
    assert skipped.key == "s3://demo-e1/1860/01/data/torn.nc"
    assert skipped.reason


def test_a_month_of_damaged_files_is_no_item_and_the_next_month_is() -> None:
    good = (Path(iris_sample_data.path) / "E1_north_america.nc").read_bytes()
    skipped, item = records({"1860/01/data/torn.nc": b"torn", "1870/01/data/air_temperature.nc": good})
    assert isinstance(skipped, Skipped)
    assert item["id"] == "e1.1870-01"


def test_other_prefixes_are_not_entered(sample: bytes) -> None:
    contents = {
        KEY: sample,
        "zarr/1860/01/data/x.zarr/.zgroup": b"",
        "1860/13/data/x.nc": b"",
        "18/01/data/x.nc": b"",
    }
    objects = MemoryObjects(contents)
    (item,) = harvest(DATASET, objects)
    assert isinstance(item, dict)
    assert item["id"] == "e1.1860-01"
    assert not [request for request in objects.requests if "zarr/" in request]


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
        list(harvest(DATASET, ThrottledObjects({KEY: sample})))
