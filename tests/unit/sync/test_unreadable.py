"""Data that are missing, or described by nonsense: told, skipped, and tried again where that helps."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

from dask_regions.sync import harvesting, sharding
from testing.sync.memory_bucket import MemoryObjects
from testing.sync.steps import BUCKET, WEST, Syncing, configuration, contents_of
from testing.sync.synthetic_bucket import PREFIX

STORES = 12


@pytest.fixture(scope="module")
def contents() -> dict[str, bytes]:
    return contents_of(STORES)


@pytest.fixture
def objects(contents: dict[str, bytes]) -> MemoryObjects:
    return MemoryObjects(contents)


@pytest.fixture
def store(objects: MemoryObjects) -> str:
    """Return the key of a store in the midst of the others."""
    return sorted(objects.contents)[4 * 5].removesuffix(".zmetadata")


@pytest.fixture
def syncing(objects: MemoryObjects) -> Syncing:
    return Syncing(configuration(), {BUCKET: objects})


def counts(report: dict[str, Any]) -> dict[str, int]:
    names = ("items", "added", "changed", "removed", "skipped")
    return {name: report[name] for name in names if report[name]}


def gets(objects: MemoryObjects) -> set[str]:
    """Return the keys that were read since the last look."""
    keys = {request[4:] for request in objects.requests if request.startswith("GET")}
    objects.requests.clear()
    return keys


def test_what_is_missing_is_asked_for_by_every_sync_until_it_is_there(
    syncing: Syncing, objects: MemoryObjects, store: str
) -> None:
    late = objects.contents.pop(store + "time/0")
    assert counts(syncing.sync(WEST)) == {"items": STORES - 1, "added": STORES - 1, "skipped": 1}
    gets(objects)
    syncing.catalog.writes = 0
    waiting = syncing.sync(WEST)
    assert counts(waiting) == {"items": STORES - 1, "skipped": 1}
    assert not waiting["summary"]["changed"]
    assert syncing.catalog.writes == 0
    assert gets(objects) == {store + ".zmetadata", store + "time/0"}
    objects.contents[store + "time/0"] = late
    assert counts(syncing.sync(WEST)) == {"items": STORES, "added": 1}
    gets(objects)
    assert counts(syncing.sync(WEST)) == {"items": STORES}
    assert gets(objects) == set()


def test_an_item_whose_store_is_being_replaced_comes_back(
    syncing: Syncing, objects: MemoryObjects, store: str
) -> None:
    syncing.sync(WEST)
    time = objects.contents.pop(store + "time/0")
    objects.contents[store + ".zmetadata"] += b" "
    assert counts(syncing.sync(WEST)) == {"items": STORES - 1, "removed": 1, "skipped": 1}
    objects.contents[store + "time/0"] = time
    assert counts(syncing.sync(WEST)) == {"items": STORES, "added": 1}


def test_a_store_that_the_manifest_names_too_early_is_found_when_it_arrives(
    objects: MemoryObjects, store: str
) -> None:
    keys = [key.removesuffix(".zmetadata") for key in objects.contents if key.endswith(".zmetadata")]
    rows = ["zstore", *(f"s3://elsewhere/{key}" for key in keys)]
    objects.contents["manifest.csv"] = "\n".join(rows).encode()
    syncing = Syncing(configuration(manifest="manifest.csv"), {BUCKET: objects})
    late = objects.contents.pop(store + ".zmetadata")
    assert counts(syncing.sync(WEST)) == {"items": STORES - 1, "added": STORES - 1, "skipped": 1}
    objects.contents[store + ".zmetadata"] = late
    assert counts(syncing.sync(WEST)) == {"items": STORES, "added": 1}


def test_an_item_of_which_a_part_is_missing_is_not_written_again_and_again(
    objects: MemoryObjects, store: str
) -> None:
    files = {key.removeprefix(store): body for key, body in objects.contents.items() if key.startswith(store)}
    folder = "zarr/2018/01/data/"
    month = MemoryObjects(
        {f"{folder}{name}.zarr/{key}": body for name in "ab" for key, body in files.items()}
    )
    syncing = Syncing(configuration(layout="era5", prefix=""), {BUCKET: month})
    late = month.contents.pop(f"{folder}b.zarr/time/0")
    assert counts(syncing.sync(WEST)) == {"items": 1, "added": 1, "skipped": 1}
    syncing.catalog.writes = 0
    assert counts(syncing.sync(WEST)) == {"items": 1, "skipped": 1}
    assert syncing.catalog.writes == 0
    month.contents[f"{folder}b.zarr/time/0"] = late
    assert counts(syncing.sync(WEST)) == {"items": 1, "changed": 1}
    (item,) = syncing.catalog.items().values()
    assert item["assets"].keys() == {"a.zarr", "b.zarr"}


Change = Callable[[dict[str, Any], str], None]


def attributes(**more: str) -> Change:
    def change(metadata: dict[str, Any], variable: str) -> None:
        metadata[f"{variable}/.zattrs"] |= more

    return change


def chunks(size: float) -> Change:
    def change(metadata: dict[str, Any], _variable: str) -> None:
        metadata["extra/.zarray"] = metadata["time/.zarray"] | {"chunks": [size]}
        metadata["extra/.zattrs"] = {"_ARRAY_DIMENSIONS": ["k"]}

    return change


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (attributes(standard_name="half\ud83c"), "surrogates not allowed"),
        (attributes(long_name="half \ud83c"), "surrogates not allowed"),
        (attributes(standard_name="x" * 40_000), "variables is longer than 32766 bytes"),
        (attributes(long_name="x" * 2_000_000), "bytes; shorten its attributes"),
        (chunks(float("nan")), "not JSON compliant"),
        (chunks(2**64), "Integer exceeds 64-bit range"),
    ],
    ids=[
        "half a character in a name",
        "and in a description",
        "a long name",
        "a large Item",
        "no number",
        "a number too large",
    ],
)
def test_an_item_that_the_catalog_would_refuse_is_skipped_and_the_region_goes_on(
    syncing: Syncing, objects: MemoryObjects, store: str, change: Change, reason: str
) -> None:
    key = store + ".zmetadata"
    document = json.loads(objects.contents[key])
    change(document["metadata"], store.split("/")[-4])
    objects.contents[key] = json.dumps(document).encode()
    report = syncing.sync(WEST)
    assert counts(report) == {"items": STORES - 1, "added": STORES - 1, "skipped": 1}
    assert "the catalog cannot hold it" in report["examples"][0]
    assert reason in report["examples"][0]
    gets(objects)
    assert counts(syncing.sync(WEST)) == {"items": STORES - 1, "skipped": 1}
    assert gets(objects) == set()


def test_examples_fit_into_what_travels_between_states(
    syncing: Syncing, objects: MemoryObjects, store: str
) -> None:
    strange = store.replace("/gn/", "/" + "\x01" * 900 + "/")
    objects.contents[strange + ".zmetadata"] = b""
    (example,) = syncing.sync(WEST)["examples"]
    assert example.startswith(f"s3://{BUCKET}/{PREFIX}")
    assert len(example) <= 500


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make one shard of all stores, and a part of every other."""
    monkeypatch.setattr(harvesting, "_SOURCES_PER_BATCH", 1)
    monkeypatch.setattr(harvesting, "_CHANGES_PER_PART", 2)
    monkeypatch.setattr(sharding, "_SOURCES", 10_000)


class Throttled(Exception):  # noqa: N818
    """As S3 raises it; every call of a function ends with it."""


class ThrottledObjects(MemoryObjects):
    """A bucket that answers only so many reads."""

    left = 30

    def read(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        self.left -= 1
        if self.left < 0:
            raise Throttled
        return super().read(key, start, length)


def test_what_was_read_before_a_service_failed_is_taken_up(
    syncing: Syncing, objects: MemoryObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(harvesting, "_SOURCES_PER_BATCH", 2)
    syncing.buckets[BUCKET] = ThrottledObjects(objects.contents)
    with pytest.raises(Throttled):
        syncing.sync(WEST)
    syncing.buckets[BUCKET] = objects
    report = syncing.sync(WEST)
    assert (counts(report), report["reused"]) == ({"items": STORES, "added": STORES}, 6)


@pytest.mark.usefixtures("small")
def test_all_calls_of_an_interrupted_sync_are_taken_up(syncing: Syncing, objects: MemoryObjects) -> None:
    ticks = count()
    syncing.seconds_left = lambda: 900.0 if next(ticks) % 2 else 1.0
    (shard,) = syncing.plan(WEST)["shards"]
    assert len(syncing.harvest(shard)["attempts"]) > 6
    gets(objects)
    syncing.seconds_left = lambda: 900.0
    report = syncing.sync(WEST)
    assert (counts(report), report["reused"]) == ({"items": STORES, "added": STORES}, STORES)
    assert gets(objects) == set()


@pytest.mark.usefixtures("small")
def test_readings_of_which_a_part_has_expired_do_not_fail_the_next_sync(
    syncing: Syncing, objects: MemoryObjects
) -> None:
    (shard,) = syncing.plan(WEST)["shards"]
    syncing.harvest(shard)
    third = [key for key in sorted(syncing.staging.contents) if key.endswith("/00002")]
    for key in third:
        del syncing.staging.contents[key]
    assert len(third) == 1
    report = syncing.sync(WEST)
    assert (counts(report), report["reused"]) == ({"items": STORES, "added": STORES}, 4)
