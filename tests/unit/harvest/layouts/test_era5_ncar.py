"""ERA5 under the keys of NSF NCAR's bucket becomes Items."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from dask_regions.harvest.base import open_harvester
from dask_regions.models import Dataset
from testing.sync.memory_bucket import MemoryObjects

DATASET = Dataset(
    id="era5",
    title="ERA5",
    description="Reanalysis",
    region="us-west-2",
    bucket="nsf-ncar-era5",
    prefix="e5.oper.an.sfc/",
    layout="era5-ncar",
    fsx_path="/fsx/nsf-ncar-era5/e5.oper.an.sfc",
)
PRESSURE = DATASET.model_copy(update={"prefix": "e5.oper.an.pl/"})
# These keys are in the bucket; others of the kind are made below.
REAL = (
    "e5.oper.an.sfc/202401/e5.oper.an.sfc.128_167_2t.ll025sc.2024010100_2024013123.nc",
    "e5.oper.an.pl/202401/e5.oper.an.pl.128_129_z.ll025sc.2024010100_2024010123.nc",
)


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return a small file as the bucket has them: hours since 1900, latitude, longitude, VAR_2T."""
    hours = np.arange(1086960, 1086960 + 31 * 24, dtype="int32")
    dataset = xr.Dataset(
        {"VAR_2T": (("time", "latitude", "longitude"), np.zeros((hours.size, 2, 3), "float32"))},
        {
            "time": ("time", hours, {"units": "hours since 1900-01-01 00:00:00", "calendar": "gregorian"}),
            "latitude": ("latitude", [90.0, 89.75], {"units": "degrees_north"}),
            "longitude": ("longitude", [0.0, 0.25, 0.5], {"units": "degrees_east"}),
        },
    )
    path: Path = tmp_path_factory.mktemp("era5") / "month.nc"
    dataset.to_netcdf(path, engine="h5netcdf")
    return path.read_bytes()


def surface(month: str, number: str, variable: str, last: int) -> str:
    return f"e5.oper.an.sfc/{month}/e5.oper.an.sfc.{number}_{variable}.ll025sc.{month}0100_{month}{last}23.nc"


def items(objects: MemoryObjects, dataset: Dataset = DATASET, **between: Any) -> list[dict[str, Any]]:
    harvester = open_harvester(dataset, objects)
    readings = [harvester.read_or_skip(source.key) for source in harvester.sources(**between)]
    assert [reading.reasons for reading in readings if reading.reasons] == []
    return [reading.item for reading in readings if reading.item is not None]


def test_a_month_is_an_item_with_an_asset_for_each_variable(month: bytes) -> None:
    wind = surface("202401", "128_165", "10u", 31)
    (item,) = items(MemoryObjects({REAL[0]: month, wind: month, REAL[1]: month}))
    assert (item["id"], item["properties"]["title"]) == ("era5.2024-01", "ERA5, 2024-01")
    assert item["assets"].keys() == {"2t", "10u"}
    assert item["properties"]["start_datetime"] == "2024-01-01T00:00:00Z"
    assert item["properties"]["end_datetime"].startswith("2024-01-31T23:")
    asset = item["assets"]["2t"]
    assert asset["href"] == f"s3://nsf-ncar-era5/{REAL[0]}"
    assert asset["alternate"]["fsx"]["href"] == f"file:///fsx/nsf-ncar-era5/{REAL[0]}"


def test_files_of_a_day_have_their_start_in_the_asset_s_name(month: bytes) -> None:
    (item,) = items(MemoryObjects(dict.fromkeys(REAL, month)), PRESSURE)
    assert list(item["assets"]) == ["z-2024010100"]


def test_months_are_cut_and_listed_between_keys(month: bytes) -> None:
    months = [f"{year}{number:02d}" for year in (1999, 2000) for number in range(1, 13)]
    objects = MemoryObjects({surface(name, "128_167", "2t", 28): b"" for name in months}, page_size=5)
    harvester = open_harvester(DATASET, objects)
    keys = [f"e5.oper.an.sfc/{name}/" for name in months]
    assert harvester.cuts() == keys
    assert [source.key for source in harvester.sources()] == keys
    assert [source.key for source in harvester.sources(keys[3], keys[8])] == keys[4:9]


def test_other_keys_of_the_bucket_are_passed_over(month: bytes) -> None:
    strange = ("e5.oper.an.sfc/index.html", "e5.oper.an.sfc/202413/x.128_1_a.g.2024130100_2024133123.nc")
    assert items(MemoryObjects(dict.fromkeys(strange, month))) == []


def test_a_file_that_is_written_anew_changes_its_month(month: bytes) -> None:
    objects = MemoryObjects({REAL[0]: month})
    (before,) = open_harvester(DATASET, objects).sources()
    objects.contents[REAL[0]] = month + b"0"
    (after,) = open_harvester(DATASET, objects).sources()
    assert before.key == after.key
    assert before.fingerprint != after.fingerprint
