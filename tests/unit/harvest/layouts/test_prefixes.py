"""Stores and files wherever below a prefix they lie."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import iris_sample_data
import pystac
import pytest
import xarray as xr

from dask_regions.client.opening.sources import sources
from dask_regions.harvest.base import Harvester, Reading, open_harvester
from dask_regions.harvest.item import item_id
from dask_regions.models import Dataset, Layout
from testing.sync.memory_bucket import MemoryObjects

Kind = tuple[Literal[2, 3], bool]
KINDS: list[Kind] = [(2, True), (2, False), (3, True), (3, False)]


def dataset(layout: Layout, prefix: str = "data/") -> Dataset:
    return Dataset(
        id="any",
        title="Anything",
        description="d",
        region="us-west-2",
        bucket="any-bucket",
        prefix=prefix,
        layout=layout,
        fsx_path="/fsx/any",
    )


def harvester(layout: Layout, objects: MemoryObjects, prefix: str = "data/") -> Harvester:
    return open_harvester(dataset(layout, prefix), objects)


def harvest(layout: Layout, contents: dict[str, bytes], prefix: str = "data/") -> list[Reading]:
    reader = harvester(layout, MemoryObjects(contents), prefix)
    return [reader.read_or_skip(source.key) for source in reader.sources()]


def sample() -> bytes:
    return (Path(iris_sample_data.path) / "A1B_north_america.nc").read_bytes()


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> dict[Kind, dict[str, bytes]]:
    """Return the objects of a store of every kind, by their path in it."""
    source = Path(iris_sample_data.path) / "A1B_north_america.nc"
    stores: dict[Kind, dict[str, bytes]] = {}
    with xr.open_dataset(source, engine="h5netcdf", decode_times=False) as dataset:
        dataset = dataset.isel(time=slice(0, 20)).load().drop_encoding()
        for kind in KINDS:
            zarr_format, consolidated = kind
            path = tmp_path_factory.mktemp("zarr") / "store"
            if zarr_format == 3:
                write_version_3(dataset, path, consolidated)
            else:
                dataset.to_zarr(path, zarr_format=2, consolidated=consolidated)
            files = [file for file in path.rglob("*") if file.is_file()]
            stores[kind] = {file.relative_to(path).as_posix(): file.read_bytes() for file in files}
    return stores


def write_version_3(dataset: xr.Dataset, path: Path, consolidated: bool) -> None:
    dataset.to_zarr(path, zarr_format=3, consolidated=False)
    if consolidated:  # by hand: zarr warns that Zarr 3 does not specify it
        root = json.loads((path / "zarr.json").read_text())
        nodes = {file.parent.name: json.loads(file.read_text()) for file in path.glob("*/zarr.json")}
        root["consolidated_metadata"] = {"kind": "inline", "must_understand": False, "metadata": nodes}
        (path / "zarr.json").write_text(json.dumps(root))


def below(prefix: str, store: dict[str, bytes]) -> dict[str, bytes]:
    return {prefix + key: value for key, value in store.items()}


@pytest.mark.parametrize("kind", KINDS)
def test_a_store_of_any_kind_is_found_and_read(stores: dict[Kind, dict[str, bytes]], kind: Kind) -> None:
    (reading,) = harvest("zarr", below("data/models/a1b.zarr/", stores[kind]))
    item = reading.item
    assert item is not None
    assert item["id"] == "any.models.a1b"
    assert item["bbox"] == [-135.0, 15.0, -45.0, 60.0]
    assert item["properties"]["start_datetime"] == "1859-12-01T00:00:00Z"
    assert item["properties"]["cube:variables"]["air_temperature"]["shape"] == [20, 37, 49]
    asset = item["assets"]["zarr"]
    assert (asset["zarr:zarr_format"], asset["zarr:consolidated"]) == kind
    assert asset["alternate"]["fsx"]["href"] == "file:///fsx/any/models/a1b.zarr/"
    pystac.Item.from_dict(item | {"stac_extensions": []}).validate()


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_anew_in_a_store_is_noticed(stores: dict[Kind, dict[str, bytes]], kind: Kind) -> None:
    contents = below("data/a.zarr/", stores[kind])
    [before] = harvester("zarr", MemoryObjects(contents)).sources()
    [same] = harvester("zarr", MemoryObjects(contents, page_size=2)).sources()
    assert same == before
    document = {
        (2, True): ".zmetadata",
        (2, False): "air_temperature/.zarray",
        (3, True): "zarr.json",
        (3, False): "air_temperature/zarr.json",
    }[kind]
    contents["data/a.zarr/" + document] += b" "
    [after] = harvester("zarr", MemoryObjects(contents)).sources()
    assert after.fingerprint != before.fingerprint


def test_stores_are_found_at_any_depth_in_order_and_not_entered(stores: dict[Kind, dict[str, bytes]]) -> None:
    store = stores[2, True]
    places = ["data/a-b/one.zarr/", "data/a/two/", "data/a/x/y/three.zarr/", "data/four/"]
    contents = {key: value for place in places for key, value in below(place, store).items()}
    contents |= {"data/README.md": b"", "data/a/notes/x.txt": b"", "other/.zgroup": b""}
    objects = MemoryObjects(contents)
    reader = harvester("zarr", objects)
    assert [source.key for source in reader.sources()] == places
    assert len(objects.requests) == 4 + 6  # a request for each store, and for what lies above
    assert reader.cuts() == ["data/a-b/", "data/a/", "data/four/"]
    for cut in (*places, *reader.cuts(), "data/a/two/x"):
        first = [source.key for source in reader.sources("", cut)]
        assert first + [source.key for source in reader.sources(cut)] == places


def test_the_prefix_itself_may_be_the_store(stores: dict[Kind, dict[str, bytes]]) -> None:
    (reading,) = harvest("zarr", below("data/", stores[2, True]))
    assert reading.item is not None
    assert reading.item["id"] == "any"


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        (".zgroup", b'{"zarr_format": 2}', "no data variables"),
        (".zarray", b"{}", "not a Zarr group"),
        ("zarr.json", b"{", "JSONDecodeError"),
        (".zmetadata", b'{"metadata": {"tas/.zarray": []}}', "TypeError"),
    ],
)
def test_a_damaged_or_empty_store_is_reported(name: str, content: bytes, reason: str) -> None:
    (reading,) = harvest("zarr", {f"data/a.zarr/{name}": content})
    assert reading.item is None
    assert reason in reading.reasons[0]


@pytest.mark.parametrize(
    ("size", "reason"), [(10**12, "too large"), (10**7, "10000 chunks: too many")], ids=["memory", "requests"]
)
def test_a_coordinate_that_would_take_too_much_is_not_read(size: int, reason: str) -> None:
    def array(size: int, units: str) -> dict[str, Any]:
        return {
            "tas/.zarray": {"shape": [size], "chunks": [1000], "dtype": "<f8", "zarr_format": 2},
            "tas/.zattrs": {"_ARRAY_DIMENSIONS": ["lat"]},
            "lat/.zarray": {
                "shape": [size],
                "chunks": [1000],
                "dtype": "<f8",
                "zarr_format": 2,
                "order": "C",
                "fill_value": None,
                "filters": None,
                "compressor": None,
            },
            "lat/.zattrs": {"_ARRAY_DIMENSIONS": ["lat"], "units": units},
            "lon/.zarray": {"shape": [1], "chunks": [1], "dtype": "<f8", "zarr_format": 2},
            "lon/.zattrs": {"_ARRAY_DIMENSIONS": ["lon"], "units": "degrees_east"},
        }

    document = json.dumps({"metadata": array(size, "degrees_north")}).encode()
    (reading,) = harvest("zarr", {"data/a.zarr/.zmetadata": document})
    assert reason in reading.reasons[0]


@pytest.mark.parametrize("key", ["data/a\nb.nc", "data/a\x00.nc", "data/\u202egnp.nc", "data/x\u2028y.nc"])
def test_a_key_that_cannot_be_printed_is_reported_and_not_read(key: str) -> None:
    objects = MemoryObjects({key: sample()})
    reader = harvester("netcdf", objects)
    (source,) = reader.sources()
    objects.requests.clear()
    reading = reader.read_or_skip(source.key)
    assert reading.item is None
    assert "cannot be printed" in reading.reasons[0]
    assert objects.requests == []


def test_a_key_with_any_printable_characters_is_an_item_that_opens_there() -> None:
    path = "Météo & 気候/#1 50%?.nc"
    (reading,) = harvest("netcdf", {"data/" + path: sample()})
    assert reading.item is not None
    assert reading.item["id"] == item_id("any", path.removesuffix(".nc"))
    assert reading.item["id"].isascii()
    [(source,)] = sources([reading.item], {"us-west-2"})
    assert source.path == f"/fsx/any/{path}"


def test_ids_of_different_paths_differ() -> None:
    paths = ["a/b", "a.b", "a_b", "a/b.zarr", "a b", "a%b", "a/_b"]
    endings = ["", ".nc4", ".netcdf"]
    assert len({item_id("any", path, ending) for path in paths for ending in endings}) == 21
    assert item_id("any", "a/b") == "any.a.b"


def test_files_beside_a_store_are_found_without_listing_its_chunks() -> None:
    chunks = {f"data/a.zarr/tas/{number}.0": b"" for number in range(100)}
    contents = chunks | {
        "data/a.zarr/inner.nc": b"",
        "data/a.zarr0.nc": b"",
        "data/b.nc": b"",
        "data/a.nc": b"",
    }
    objects = MemoryObjects(contents, page_size=3)
    keys = [source.key for source in harvester("netcdf", objects).sources()]
    assert keys == ["data/a.nc", "data/a.zarr0.nc", "data/b.nc"]
    assert len(objects.requests) == 2
    below = harvester("netcdf", MemoryObjects(contents), "data/a.zarr/")
    assert [source.key for source in below.sources()] == ["data/a.zarr/inner.nc"]


def test_files_that_differ_in_their_ending_are_items_of_their_own() -> None:
    contents = {f"data/a{ending}": sample() for ending in (".nc", ".nc4", ".netcdf")}
    ids = [reading.item["id"] for reading in harvest("netcdf", contents) if reading.item]
    assert len(set(ids)) == 3
    assert ids[0] == "any.a"


def test_stores_that_differ_in_their_ending_are_items_of_their_own(
    stores: dict[Kind, dict[str, bytes]],
) -> None:
    places = ["data/a.zarr/", "data/a/"]
    contents = {key: value for place in places for key, value in below(place, stores[2, True]).items()}
    ids = [reading.item["id"] for reading in harvest("zarr", contents) if reading.item]
    assert len(set(ids)) == 2
    assert ids[0] == "any.a"


def test_every_netcdf_file_below_the_prefix_is_an_item() -> None:
    contents = {
        "data/a/tas_1860.nc": sample(),
        "data/b.nc4": sample(),
        "data/c.txt": b"",
        "data/torn.nc": b"torn",
        "other.nc": sample(),
    }
    readings = harvest("netcdf", contents)
    assert [reading.item["id"] for reading in readings if reading.item] == [
        "any.a.tas_1860",
        item_id("any", "b", ".nc4"),
    ]
    (unreadable,) = [reading for reading in readings if not reading.item]
    assert unreadable.reasons[0].startswith("OSError")
    item = readings[0].item
    assert item is not None
    assert item["assets"]["netcdf"]["file:size"] == len(sample())
    assert item["properties"]["title"] == "Anything, a/tas_1860"
    reader = harvester("netcdf", MemoryObjects(contents, page_size=2))
    keys = [source.key for source in reader.sources()]
    for cut in ("data/a/", "data/b.nc4", "data/c"):
        assert keys == [source.key for pair in (("", cut), (cut, None)) for source in reader.sources(*pair)]


def test_a_file_that_is_gone_since_it_was_listed_is_reported() -> None:
    reading = harvester("netcdf", MemoryObjects({"data/a.nc.old": b""})).read_or_skip("data/a.nc")
    assert reading.item is None
    assert "gone since it was listed" in reading.reasons[0]
