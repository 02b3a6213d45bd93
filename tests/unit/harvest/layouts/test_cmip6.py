"""Zarr stores under CMIP6 keys become Items."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import iris_sample_data
import pystac
import pytest
import xarray as xr

from dask_regions.harvest.base import Reading, open_harvester
from dask_regions.harvest.layouts.cmip6 import Cmip6Harvester
from dask_regions.models import Dataset
from testing.sync.memory_bucket import MemoryObjects

STORE = "CMIP6/ScenarioMIP/MOHC/UM/ssp126/r1i1p1f1/Ayr/tas/gn/v20111101/"
DATASET = Dataset(
    id="a1b",
    title="A1B",
    description="Air temperature",
    region="us-west-2",
    bucket="demo-a1b",
    prefix="CMIP6/",
    layout="cmip6",
    fsx_path="/fsx/demo-a1b/CMIP6",
    properties={"scenario": "A1B"},
)


def sample(path: Path, zarr_format: Literal[2, 3]) -> dict[str, bytes]:
    """Return the objects of a store with 240 annual means in 3 chunks of time."""
    source = Path(iris_sample_data.path) / "A1B_north_america.nc"
    with xr.open_dataset(source, engine="h5netcdf", decode_times=False) as dataset:
        chunks = {"air_temperature": {"chunks": (80, 37, 49)}, "time_bnds": {"chunks": (80, 2)}}
        for variable in dataset.variables.values():
            variable.encoding = {}
        dataset.to_zarr(path, zarr_format=zarr_format, consolidated=False, encoding=chunks)
    files = [file for file in path.rglob("*") if file.is_file()]
    return {file.relative_to(path).as_posix(): file.read_bytes() for file in files}


def consolidate_2(store: dict[str, bytes]) -> dict[str, bytes]:
    names = (".zgroup", ".zattrs", ".zarray")
    metadata = {key: json.loads(value) for key, value in store.items() if key.split("/")[-1] in names}
    document = {"zarr_consolidated_format": 1, "metadata": metadata}
    return store | {".zmetadata": json.dumps(document).encode()}


def consolidate_3(store: dict[str, bytes]) -> dict[str, bytes]:
    nodes = {
        k.removesuffix("/zarr.json"): json.loads(v) for k, v in store.items() if k.endswith("/zarr.json")
    }
    root = json.loads(store["zarr.json"])
    root["consolidated_metadata"] = {"kind": "inline", "must_understand": False, "metadata": nodes}
    return store | {"zarr.json": json.dumps(root).encode()}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return consolidate_2(sample(tmp_path_factory.mktemp("zarr2") / "store", 2))


def below(prefix: str, store: dict[str, bytes]) -> dict[str, bytes]:
    return {prefix + key: value for key, value in store.items()}


def harvest(objects: MemoryObjects) -> list[Reading]:
    harvester = open_harvester(DATASET, objects)
    return [harvester.read_or_skip(source.key) for source in harvester.sources()]


def items(objects: MemoryObjects) -> list[dict[str, Any]]:
    return [reading.item for reading in harvest(objects) if reading.item is not None]


def keys(objects: MemoryObjects, after: str = "", last: str | None = None) -> list[str]:
    return [source.key for source in Cmip6Harvester(DATASET, objects).sources(after, last)]


def test_a_store_becomes_an_item_that_says_where_it_is(store: dict[str, bytes]) -> None:
    (item,) = items(MemoryObjects(below(STORE, store)))
    assert item["id"] == "CMIP6.ScenarioMIP.MOHC.UM.ssp126.r1i1p1f1.Ayr.tas.gn.v20111101"
    assert item["collection"] == "a1b"
    assert item["bbox"] == [-135.0, 15.0, -45.0, 60.0]
    asset = item["assets"]["zarr"]
    assert asset["href"] == f"s3://demo-a1b/{STORE}"
    assert asset["alternate"]["fsx"]["href"] == f"file:///fsx/demo-a1b/{STORE}"
    assert (asset["type"], asset["roles"]) == ("application/vnd+zarr", ["data"])
    assert (asset["zarr:zarr_format"], asset["zarr:consolidated"]) == (2, True)
    schemes = item["properties"]["storage:schemes"]
    assert schemes.keys() == {"s3-us-west-2", "fsx-us-west-2"}
    assert asset["storage:refs"] == ["s3-us-west-2"]
    assert asset["alternate"]["fsx"]["storage:refs"] == ["fsx-us-west-2"]


def test_a_part_of_the_archive_makes_the_same_items(store: dict[str, bytes]) -> None:
    objects = MemoryObjects(below(STORE, store))
    whole = DATASET.model_copy(update={"prefix": "CMIP6/", "fsx_path": "/fsx/b/CMIP6"})
    path = STORE.removeprefix("CMIP6/").split("/")[:2]
    part = whole.model_copy(
        update={"prefix": f"CMIP6/{'/'.join(path)}/", "fsx_path": f"/fsx/b/CMIP6/{'/'.join(path)}"}
    )
    of_whole, of_part = (open_harvester(each, objects) for each in (whole, part))
    assert [source.key for source in of_part.sources()] == [STORE]
    assert of_part.read(STORE).item["assets"] == of_whole.read(STORE).item["assets"]  # type: ignore[index]
    assert of_part.read(STORE).item["id"] == of_whole.read(STORE).item["id"]  # type: ignore[index]
    assert of_part.cuts() == of_whole.cuts()


def test_an_item_can_be_searched_by_what_a_scientist_knows(store: dict[str, bytes]) -> None:
    (item,) = items(MemoryObjects(below(STORE, store)))
    properties = item["properties"]
    assert properties["variables"] == ["air_temperature"]
    assert properties["regions"] == ["us-west-2"]
    assert properties["scenario"] == "A1B"
    assert properties["cmip6:experiment_id"] == "ssp126"
    assert properties["cmip6:source_id"] == "UM"
    # A 360-day calendar whose first cell begins and last cell ends on 1 December.
    assert properties["start_datetime"] == "1859-12-01T00:00:00Z"
    assert properties["end_datetime"] == "2099-11-30T23:59:59Z"
    assert properties["datetime"] is None


def test_the_item_is_valid_stac(store: dict[str, bytes]) -> None:
    (item,) = items(MemoryObjects(below(STORE, store)))
    assert "https://stac-extensions.github.io/zarr/v1.1.0/schema.json" in item["stac_extensions"]
    # The core schemas are shipped with pystac; those of the extensions would need the network.
    pystac.Item.from_dict(item | {"stac_extensions": []}).validate()


def test_the_experiment_is_the_scenario_unless_the_dataset_says_otherwise(store: dict[str, bytes]) -> None:
    plain = DATASET.model_copy(update={"properties": {}})
    item = Cmip6Harvester(plain, MemoryObjects(below(STORE, store))).read(STORE).item
    assert item is not None
    assert item["properties"]["scenario"] == "ssp126"


def test_a_zarr_3_store_reads_the_same(store: dict[str, bytes], tmp_path: Path) -> None:
    (second,) = items(MemoryObjects(below(STORE, store)))
    (third,) = items(MemoryObjects(below(STORE, consolidate_3(sample(tmp_path / "store", 3)))))
    assert third["assets"]["zarr"].pop("zarr:zarr_format") == 3
    second["assets"]["zarr"].pop("zarr:zarr_format")
    assert third == second


def test_data_chunks_are_never_read_and_of_time_only_the_ends(store: dict[str, bytes]) -> None:
    objects = MemoryObjects(below(STORE, store))
    items(objects)
    read = {request.removeprefix(f"GET {STORE}") for request in objects.requests if "GET" in request}
    assert read == {
        ".zmetadata",
        "time_bnds/0.0",
        "time_bnds/2.0",
        "latitude/0",
        "longitude/0",
    }


def test_chunks_are_skipped_by_the_listing_and_no_store_is_lost(store: dict[str, bytes]) -> None:
    stores = [STORE.replace("v20111101", version) for version in ("v2011110", "v20111101", "v20200101")]
    contents = {key: value for prefix in stores for key, value in below(prefix, store).items()}
    contents |= {f"{stores[0]}air_temperature/{chunk}.0.0": b"" for chunk in range(1000, 1500)}
    objects = MemoryObjects(contents, page_size=10)
    assert keys(objects) == stores
    assert len(objects.requests) <= len(stores) + 1


def test_keys_that_do_not_fit_the_layout_are_passed_over(store: dict[str, bytes]) -> None:
    strays = {"CMIP6/README": b"", "CMIP6/ScenarioMIP/MOHC/UM/ssp126/notes.txt": b"", "other/x": b""}
    objects = MemoryObjects(below(STORE, store) | strays, page_size=1)
    assert keys(objects) == [STORE]


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        ({".zmetadata": b"{"}, "JSONDecodeError"),
        ({".zmetadata": b"{}"}, "KeyError"),
        ({".zmetadata": b'{"metadata": {}}'}, "no data variables"),
        ({".zmetadata": b'{"metadata": {"a/.zarray": {"shape": 1}}}'}, "TypeError"),
        ({".zmetadata": None}, "zarr.consolidate_metadata"),
        ({"latitude/0": b"torn"}, "latitude|RuntimeError|ValueError|OSError"),
        ({"longitude/0": None}, "chunk longitude/0 of a coordinate is missing"),
    ],
    ids=["not JSON", "not Zarr", "empty", "wrong type", "not consolidated", "torn chunk", "lost chunk"],
)
def test_a_damaged_store_is_reported_and_the_next_is_read(
    store: dict[str, bytes], damage: dict[str, bytes | None], reason: str
) -> None:
    broken = {key: value for key, value in (store | damage).items() if value is not None}
    later = STORE.replace("v20111101", "v20200101")
    skipped, read = harvest(MemoryObjects(below(STORE, broken) | below(later, store)))
    assert skipped.item is None
    assert any(word in skipped.reasons[0] for word in reason.split("|"))
    assert read.item is not None
    assert read.item["id"].endswith("v20200101")


def test_a_failing_service_is_not_taken_for_a_damaged_store(store: dict[str, bytes]) -> None:
    class Throttled(Exception):  # noqa: N818
        pass

    class ThrottledObjects(MemoryObjects):
        def read(self, key: str, start: int = 0, length: int | None = None) -> bytes:
            raise Throttled

    with pytest.raises(Throttled):
        harvest(ThrottledObjects(below(STORE, store)))


def without_time(store: dict[str, bytes]) -> dict[str, bytes]:
    metadata = json.loads(store[".zmetadata"])["metadata"]
    kept = {k: v for k, v in metadata.items() if not k.startswith(("time", "forecast"))}
    kept["air_temperature/.zattrs"]["_ARRAY_DIMENSIONS"] = ["latitude", "longitude"]
    kept["air_temperature/.zarray"] |= {"shape": [37, 49], "chunks": [37, 49]}
    document = json.dumps({"zarr_consolidated_format": 1, "metadata": kept}).encode()
    return store | {".zmetadata": document}


@pytest.mark.parametrize("table", ["fx", "Ofx", "IfxGre"])
def test_a_fixed_field_holds_at_all_times(store: dict[str, bytes], table: str) -> None:
    (item,) = items(MemoryObjects(below(STORE.replace("Ayr", table), without_time(store))))
    assert item["properties"]["start_datetime"] == "0001-01-01T00:00:00Z"
    assert item["properties"]["end_datetime"] == "9999-12-31T23:59:59Z"


def test_a_series_without_a_time_axis_is_reported(store: dict[str, bytes]) -> None:
    (reading,) = harvest(MemoryObjects(below(STORE, without_time(store))))
    assert reading.item is None
    assert "no time axis" in reading.reasons[0]


def test_an_unknown_calendar_is_reported(store: dict[str, bytes]) -> None:
    wrong = store[".zmetadata"].replace(b'"360_day"', b'"lunar"')
    assert wrong != store[".zmetadata"]
    (reading,) = harvest(MemoryObjects(below(STORE, store | {".zmetadata": wrong})))
    assert reading.item is None
    assert "calendar" in reading.reasons[0]


def test_an_item_says_how_its_variables_are_stored(store: dict[str, bytes]) -> None:
    (item,) = items(MemoryObjects(below(STORE, store)))
    assert item["properties"]["cube:variables"]["air_temperature"] == {
        "type": "data",
        "dimensions": ["time", "latitude", "longitude"],
        "unit": "K",
        "data_type": "float32",
        "shape": [240, 37, 49],
        "chunks": [80, 37, 49],
        "nbytes": 240 * 37 * 49 * 4,
    }


@pytest.mark.parametrize("page_size", [1, 2, 3, 7, 1000])
def test_the_metadata_tell_the_state_wherever_a_page_ends(store: dict[str, bytes], page_size: int) -> None:
    versions = [STORE.replace("v20111101", version) for version in ("v1", "v2", "v3")]
    contents = {key: value for prefix in versions for key, value in below(prefix, store).items()}
    before = list(Cmip6Harvester(DATASET, MemoryObjects(contents)).sources())
    contents[versions[1] + ".zmetadata"] += b" "
    contents[versions[2] + "air_temperature/0.0.0"] += b" "
    after = list(Cmip6Harvester(DATASET, MemoryObjects(contents, page_size)).sources())
    assert [source.key for source in after] == versions
    assert [old == new for old, new in zip(before, after, strict=True)] == [True, False, True]


@pytest.mark.parametrize("page_size", [3, 1000])
def test_the_late_metadata_of_zarr_3_tell_the_state_too(tmp_path: Path, page_size: int) -> None:
    contents = below(STORE, consolidate_3(sample(tmp_path / "store", 3)))
    [before] = Cmip6Harvester(DATASET, MemoryObjects(contents)).sources()
    contents[STORE + "zarr.json"] += b" "
    [after] = Cmip6Harvester(DATASET, MemoryObjects(contents, page_size)).sources()
    assert before.key == after.key
    assert before.fingerprint != after.fingerprint


def test_ranges_hold_every_store_once(store: dict[str, bytes]) -> None:
    stores = [STORE.replace("v20111101", f"v{version}") for version in range(1, 8)]
    objects = MemoryObjects({key: b"" for prefix in stores for key in below(prefix, store)}, page_size=11)
    for cut in (stores[3], STORE.rpartition("v2")[0], stores[3] + "x", "CMIP6/", "D"):
        assert keys(objects, "", cut) + keys(objects, cut, None) == stores
    assert keys(objects, stores[1], stores[4]) == stores[2:5]


def test_the_listing_is_cut_at_experiments(store: dict[str, bytes]) -> None:
    objects = MemoryObjects(below(STORE, store) | below(STORE.replace("ssp126", "ssp585"), store))
    root = "CMIP6/ScenarioMIP/MOHC/UM/"
    assert Cmip6Harvester(DATASET, objects).cuts() == [root + "ssp126/", root + "ssp585/"]
    assert all(request.startswith("LIST") for request in objects.requests)
