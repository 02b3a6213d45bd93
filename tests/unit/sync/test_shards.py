"""Shards: only what changed is read, what was read is not lost, and what is gone is noted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dask_regions.catalog.changes import Known
from dask_regions.errors import ConfigurationError, NotFoundError, UnavailableError
from dask_regions.harvest.base import Source, open_harvester
from dask_regions.names import LATEST_SYNC_REPORT
from dask_regions.sync import harvesting, sharding
from dask_regions.sync.comparing import compare
from dask_regions.sync.sharding import cut
from testing.sync.memory_bucket import MemoryObjects
from testing.sync.steps import BUCKET, WEST, Syncing, configuration, contents_of
from testing.sync.synthetic_bucket import SyntheticBucket, delimiter_walk

STORES = 60


@pytest.fixture(scope="module")
def contents() -> dict[str, bytes]:
    return contents_of(STORES)


@pytest.fixture
def objects(contents: dict[str, bytes]) -> MemoryObjects:
    return MemoryObjects(contents)


@pytest.fixture
def syncing(objects: MemoryObjects) -> Syncing:
    return Syncing(configuration(), {BUCKET: objects})


def stores(objects: MemoryObjects) -> list[str]:
    return [key.removesuffix(".zmetadata") for key in sorted(objects.contents) if key.endswith(".zmetadata")]


def read(objects: MemoryObjects) -> list[str]:
    """Return which stores' metadata were read since the last look."""
    stores_read = [
        request[4:].rpartition("/")[0] + "/" for request in objects.requests if request.endswith(".zmetadata")
    ]
    gets = [request for request in objects.requests if request.startswith("GET")]
    objects.requests.clear()
    assert gets or not stores_read
    return sorted(set(stores_read))


def remove(objects: MemoryObjects, store: str) -> None:
    for key in [key for key in objects.contents if key.startswith(store)]:
        del objects.contents[key]


def counts(report: dict[str, Any]) -> dict[str, int]:
    return {
        name: report[name] for name in ("items", "added", "changed", "removed", "skipped") if report[name]
    }


def test_a_first_sync_reads_every_store_once(syncing: Syncing, objects: MemoryObjects) -> None:
    report = syncing.sync(WEST)
    assert counts(report) == {"items": STORES, "added": STORES}
    assert len(syncing.catalog.items()) == STORES
    assert (report["lists"], report["gets"]) == (
        sum(request.startswith("LIST") for request in objects.requests),
        sum(request.startswith("GET") for request in objects.requests),
    )
    assert report["dollars"] > 0
    assert read(objects) == stores(objects)


def test_an_unchanged_sync_reads_nothing_and_writes_nothing(syncing: Syncing, objects: MemoryObjects) -> None:
    before = syncing.sync(WEST)["summary"]["generation"]
    objects.requests.clear()
    syncing.catalog.writes = 0
    report = syncing.sync(WEST)
    assert counts(report) == {"items": STORES}
    assert report["gets"] == 0
    assert not [request for request in objects.requests if request.startswith("GET")]
    assert syncing.catalog.writes == 0
    assert not report["summary"]["changed"]
    assert report["summary"]["generation"] == before


def test_only_what_is_new_or_has_changed_is_read(syncing: Syncing, objects: MemoryObjects) -> None:
    syncing.sync(WEST)
    first, second, third = stores(objects)[0], stores(objects)[STORES // 2], stores(objects)[-1]
    objects.contents[second + ".zmetadata"] += b" "
    new = third.replace("/v2018", "/v2019")
    objects.contents |= {
        new + key.removeprefix(third): body
        for key, body in list(objects.contents.items())
        if key.startswith(third)
    }
    remove(objects, first)
    objects.requests.clear()
    assert counts(syncing.sync(WEST)) == {"items": STORES, "added": 1, "changed": 1, "removed": 1}
    assert read(objects) == sorted([second, new])
    assert len(syncing.catalog.items()) == STORES


def test_a_damaged_store_is_told_and_not_read_again_until_it_changes(
    syncing: Syncing, objects: MemoryObjects
) -> None:
    damaged = stores(objects)[7]
    good = objects.contents[damaged + ".zmetadata"]
    objects.contents[damaged + ".zmetadata"] = b'{"metadata'
    report = syncing.sync(WEST)
    assert counts(report) == {"items": STORES - 1, "added": STORES - 1, "skipped": 1}
    assert report["examples"][0].startswith(f"s3://{BUCKET}/{damaged}: JSONDecodeError")
    objects.requests.clear()
    second = syncing.sync(WEST)
    assert counts(second) == {"items": STORES - 1, "skipped": 1}
    assert second["examples"] == report["examples"]
    assert read(objects) == []
    kept = json.loads(syncing.staging.contents[LATEST_SYNC_REPORT])
    assert [skipped["source"] for skipped in kept["skipped"][WEST]] == [f"s3://{BUCKET}/{damaged}"]
    objects.contents[damaged + ".zmetadata"] = good
    assert counts(syncing.sync(WEST)) == {"items": STORES, "added": 1}
    objects.contents[damaged + ".zmetadata"] = b"[]"
    assert counts(syncing.sync(WEST)) == {"items": STORES - 1, "removed": 1, "skipped": 1}


def test_strange_keys_are_skipped_and_the_rest_goes_on(syncing: Syncing, objects: MemoryObjects) -> None:
    store = stores(objects)[0]
    body = objects.contents[store + ".zmetadata"]
    strange = [store.replace("/gn/", f"/{grid}/") for grid in ("g\nn", "g\u2028n", "g\u202en")]
    objects.contents |= {key + ".zmetadata": body for key in strange}
    report = syncing.sync(WEST)
    assert counts(report) == {"items": STORES, "added": STORES, "skipped": 3}
    assert syncing.catalog.reasons().keys() == set(strange)
    assert all(example.isprintable() for example in report["examples"])


def test_what_the_configuration_says_of_a_dataset_is_renewed_in_its_items(
    syncing: Syncing, objects: MemoryObjects
) -> None:
    syncing.sync(WEST)
    syncing.configuration = configuration(properties={"scenario": "renamed"})
    assert counts(syncing.sync(WEST)) == {"items": STORES, "changed": STORES}
    assert {item["properties"]["scenario"] for item in syncing.catalog.items().values()} == {"renamed"}
    syncing.configuration = configuration(properties={"scenario": "renamed"}, description="other words")
    assert counts(syncing.sync(WEST)) == {"items": STORES}


def test_a_dataset_that_lists_nothing_keeps_its_items(syncing: Syncing, objects: MemoryObjects) -> None:
    syncing.sync(WEST)
    kept = dict(objects.contents)
    objects.contents.clear()
    with pytest.raises(NotFoundError, match="cmip6 has no Items: nothing readable"):
        syncing.sync(WEST)
    assert len(syncing.catalog.items()) == STORES
    objects.contents |= dict.fromkeys(kept, b"")
    with pytest.raises(NotFoundError, match=rf"skipped {STORES}, one of them .*JSONDecodeError"):
        syncing.sync(WEST)
    assert len(syncing.catalog.items()) == STORES


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make shards, batches and parts of what is otherwise hundreds."""
    for module, name, value in (
        (sharding, "_SOURCES", 8),
        (sharding, "_STRIDE", 2),
        (harvesting, "_SOURCES_PER_BATCH", 4),
        (harvesting, "_CHANGES_PER_PART", 3),
    ):
        monkeypatch.setattr(module, name, value)


@pytest.mark.usefixtures("small")
def test_the_shards_of_later_syncs_are_even_and_found_without_listing(
    syncing: Syncing, objects: MemoryObjects
) -> None:
    first = syncing.plan(WEST)["shards"]
    assert len(first) > 1
    syncing.sync(WEST)
    objects.requests.clear()
    planned = syncing.plan(WEST)
    assert objects.requests == []
    sources = [syncing.harvest(shard)["counts"]["sources"] for shard in planned["shards"]]
    assert sources == [8] * 7 + [4]


@pytest.mark.usefixtures("small")
def test_what_lies_outside_all_known_keys_is_found_and_what_vanished_is_removed(
    syncing: Syncing, objects: MemoryObjects
) -> None:
    syncing.sync(WEST)
    last = stores(objects)[-1]
    for activity in ("AAA", "Middle", "zzz"):
        parts = last.split("/")
        key = "/".join([parts[0], activity, *parts[2:]])
        objects.contents |= {
            key + name.removeprefix(last): body
            for name, body in list(objects.contents.items())
            if name.startswith(last)
        }
    gone = [store for store in stores(objects) if "/historical/" in store]
    for store in gone:
        remove(objects, store)
    report = syncing.sync(WEST)
    assert counts(report) == {"items": STORES + 3 - len(gone), "added": 3, "removed": len(gone)}
    assert len(syncing.catalog.items()) == STORES + 3 - len(gone)


@pytest.mark.usefixtures("small")
def test_a_function_short_of_time_goes_on_where_it_stopped(syncing: Syncing, objects: MemoryObjects) -> None:
    ticks = count()
    syncing.seconds_left = lambda: 900.0 if next(ticks) % 9 else 1.0
    report = syncing.sync(WEST)
    assert counts(report) == {"items": STORES, "added": STORES}
    assert read(objects) == stores(objects)
    assert report["reused"] == 0
    syncing.seconds_left = lambda: 0.0
    assert counts(syncing.sync(WEST)) == {"items": STORES}
    assert read(objects) == []


class Killed(BaseException):
    """What ends a process ends it without a word."""


class Dying(MemoryObjects):
    """A bucket whose reader is killed after some reads."""

    left = 10**9

    def read(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        type(self).left -= 1
        if self.left < 0:
            raise Killed
        return super().read(key, start, length)


@pytest.mark.usefixtures("small")
def test_what_a_killed_sync_has_read_is_not_read_again(contents: dict[str, bytes]) -> None:
    objects = Dying(contents)
    syncing = Syncing(configuration(), {BUCKET: objects})
    Dying.left = 140  # of the 240 that all stores need
    with pytest.raises(Killed):
        syncing.sync(WEST)
    assert syncing.catalog.items() == {}
    first = set(read(objects))
    Dying.left = 10**9
    report = syncing.sync(WEST)
    assert counts(report) == {"items": STORES, "added": STORES}
    second = set(read(objects))
    assert first | second == set(stores(objects))
    assert report["reused"] > 15
    assert len(first & second) <= 12  # of the batch and the part that were not staged yet


@pytest.mark.usefixtures("small")
def test_a_reading_is_taken_up_only_while_the_source_is_the_same(
    syncing: Syncing, objects: MemoryObjects
) -> None:
    planned = syncing.plan(WEST)
    for shard in planned["shards"]:
        syncing.harvest(shard)
    changed = stores(objects)[42]
    objects.contents[changed + ".zmetadata"] += b" "
    objects.requests.clear()
    assert counts(syncing.sync(WEST)) == {"items": STORES, "added": STORES}
    assert read(objects) == [changed]


def test_a_sync_that_takes_too_long_gives_the_region_up(
    syncing: Syncing, monkeypatch: pytest.MonkeyPatch
) -> None:
    (shard,) = syncing.plan(WEST)["shards"]
    monkeypatch.setattr(harvesting, "SYNC_DEADLINE", harvesting.SYNC_DEADLINE * -1)
    with pytest.raises(UnavailableError, match="the next sync takes up what was read"):
        syncing.harvest(shard)


def test_a_dataset_that_left_the_configuration_meanwhile_is_named(syncing: Syncing) -> None:
    (shard,) = syncing.plan(WEST)["shards"]
    syncing.configuration = configuration(id="other")
    with pytest.raises(ConfigurationError, match="holds no cmip6 any more"):
        syncing.harvest(shard)


def test_a_service_that_fails_fails_the_shard(syncing: Syncing, objects: MemoryObjects) -> None:
    class Throttled(Exception):  # noqa: N818
        pass

    class ThrottledObjects(MemoryObjects):
        def read(self, key: str, start: int = 0, length: int | None = None) -> bytes:
            raise Throttled

    syncing.buckets[BUCKET] = ThrottledObjects(objects.contents)
    with pytest.raises(Throttled):
        syncing.sync(WEST)


@pytest.mark.usefixtures("small")
def test_a_manifest_is_read_instead_of_listing(objects: MemoryObjects) -> None:
    keys = stores(objects)
    rows = [f"a,s3://cmip6-pds/{key}" for key in reversed(keys)]
    objects.contents["manifest.csv"] = "\n".join(["activity_id,zstore", *rows]).encode()
    syncing = Syncing(configuration(manifest="manifest.csv"), {BUCKET: objects})
    assert counts(syncing.sync(WEST)) == {"items": STORES, "added": STORES}
    assert not [request for request in objects.requests if request.startswith("LIST")]
    objects.requests.clear()
    rows[0] = rows[0].replace("a,", "b,")
    gone = "a,s3://cmip6-pds/" + keys[10].replace("/v2018", "/v1999")
    objects.contents["manifest.csv"] = "\n".join(["activity_id,zstore", *rows[:-1], gone]).encode()
    report = syncing.sync(WEST)
    assert counts(report) == {"items": STORES - 1, "changed": 1, "removed": 1, "skipped": 1}
    assert "no .zmetadata" in report["examples"][0]


def test_the_listing_of_many_stores_needs_few_requests() -> None:
    bucket = SyntheticBucket(5_000)
    (dataset,) = configuration().datasets
    harvester = open_harvester(dataset, bucket)
    keys = [source.key for source in harvester.sources()]
    assert keys == bucket.keys
    flat = bucket.lists
    harvester.cuts()
    ours, bucket.lists = bucket.lists, 0
    assert delimiter_walk(bucket) == bucket.keys
    assert flat < ours <= 0.05 * bucket.lists


def test_ranges_are_even_and_no_more_than_allowed() -> None:
    candidates = [f"{number:05}" for number in range(5000)]
    for sources_each, at_most in ((1, 200), (100, 200), (100, 7), (1000, 1)):
        ranges = cut(candidates, sources_each, at_most)
        assert len(ranges) <= at_most
        assert ranges[0][0] == ""
        assert ranges[-1][1] is None
        assert [after for after, _ in ranges[1:]] == [last for _, last in ranges[:-1]]
    assert cut([], 10, 200) == [("", None)]


KEYS = st.lists(st.text(alphabet="ab/\u00e9\U0001f30d\uffff", max_size=4), unique=True).map(sorted)


@given(KEYS, KEYS)
def test_comparing_yields_every_key_once_in_the_order_of_bytes(listed: list[str], known: list[str]) -> None:
    pairs = list(compare((Source(key, "f") for key in listed), (Known(key, "f", "i") for key in known)))
    assert [pair.key for pair in pairs] == sorted({*listed, *known}, key=str.encode)
    for pair in pairs:
        assert (pair.listed is not None) == (pair.key in listed)
        assert (pair.known is not None) == (pair.key in known)
        assert pair.unchanged == (pair.key in listed and pair.key in known)


@pytest.mark.parametrize("keys", [["b", "a"], ["a", "a"]])
def test_a_listing_out_of_order_is_not_believed(keys: list[str]) -> None:
    def sources() -> Iterator[Source]:
        for key in keys:
            yield Source(key, "f")

    with pytest.raises(ValueError, match="not in the order"):
        list(compare(sources(), ()))
