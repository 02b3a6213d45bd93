"""Step ``HarvestShard``: list a range of keys, read what is new or has changed, and stage the changes.

It stops in good time before the function would be ended, and says where to go on. What an interrupted
sync has read of the same range is taken from the staging bucket as long as the source's fingerprint has
not changed since. Where something was missing or forbidden, it is asked for again by every sync: that may
change without a sign in the listing, e.g. while a store is being copied.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

from dask_regions.catalog.changes import Known
from dask_regions.catalog.engines import refusal
from dask_regions.errors import ConfigurationError, NotFoundError, UnavailableError
from dask_regions.harvest.base import (
    Harvester,
    ObjectStore,
    Reading,
    Source,
    digest,
    open_harvester,
    printable,
    salt,
)
from dask_regions.models import Configuration, Dataset
from dask_regions.sync.comparing import Pair, compare
from dask_regions.sync.metering import Metered, MeteredStaging
from dask_regions.sync.staging import Staging, WritableStore
from dask_regions.sync.steps import Attempt, Counts, ShardStep, begun

__all__ = ["SECONDS_TO_FINISH", "SYNC_DEADLINE", "harvest_shard"]

#: A Region that is not harvested so long after the sync began is given up, so that the others are shown.
SYNC_DEADLINE = timedelta(hours=6)

#: What a batch of reads and the last part take while S3 is slow. A function that needs more is called again.
SECONDS_TO_FINISH = 120.0

_THREADS = 16
# A batch is read at once; between two batches the time is looked at.
_SOURCES_PER_BATCH = 64
# A part is an object of the staging bucket: a function that is ended loses no more than these changes.
_CHANGES_PER_PART = 500
_MAX_SKIPPED_TO_REPORT = 1000
# The readings that each earlier sync has staged are read from their start.
_MAX_EARLIER_SYNCS = 6
# This mark follows the fingerprint of a source that is read again without a change of its listing.
_RETRY_MARK = "?"
_MAX_REASON_CHARACTERS = 300


def harvest_shard(
    configuration: Configuration,
    staging: WritableStore,
    open_bucket: Callable[[Dataset], ObjectStore],
    step: ShardStep,
    seconds_left: Callable[[], float],
) -> dict[str, Any]:
    """Harvest a shard, or as much of it as there is time for.

    Memory: a batch of Items, a part of changes, and a part of each interrupted sync.

    Parameters
    ----------
    open_bucket
        Opens a dataset's bucket.
    seconds_left
        Seconds after which the function is ended. Less than :data:`SECONDS_TO_FINISH` ends the step after
        its next batch.

    Raises
    ------
    UnavailableError
        Later than :data:`SYNC_DEADLINE` after the sync began.
    """
    if (taken := datetime.now(UTC) - begun(step.generation)) > SYNC_DEADLINE:
        raise UnavailableError(
            f"{step.region} is not harvested after {taken}; the next sync takes up what was read"
        )
    dataset = _dataset(configuration, step)
    bucket, metered = Metered(open_bucket(dataset)), MeteredStaging(staging)
    shard = _Shard(open_harvester(dataset, bucket), Staging(metered), step)
    done = shard.run(salt(dataset), seconds_left)
    counts = shard.counts + bucket.counts + metered.counts
    attempt = Attempt(name=shard.attempt, parts=shard.parts)
    result = step.model_copy(
        update={
            "after": "" if done else shard.position,
            "attempts": (*step.attempts, attempt),
            "counts": step.counts + counts,
        }
    )
    return {**result.model_dump(mode="json", exclude_defaults=True), "done": done}


def _dataset(configuration: Configuration, step: ShardStep) -> Dataset:
    for dataset in configuration.datasets_of(step.region):
        if dataset.id == step.collection:
            return dataset
    raise ConfigurationError(f"{step.region} holds no {step.collection} any more; sync again")


class _Shard:
    """One run over a shard: what it counts, and what it stages."""

    def __init__(self, harvester: Harvester, staging: Staging, step: ShardStep) -> None:
        self.counts = Counts()
        self.position = step.after
        self.parts = 0
        self.attempt = f"{step.generation}-{uuid.uuid4().hex[:8]}"
        self._harvester, self._staging, self._step = harvester, staging, step
        self._lines = list[Any]()
        self._skipped = list[Any]()
        self._earlier: _Earlier | None = None

    def run(self, salted: str, seconds_left: Callable[[], float]) -> bool:
        """Harvest until the end or until time is short; return whether the end is reached."""
        try:
            done = self._harvest(salted, seconds_left)
        except Exception:
            # Mostly S3, which is too busy: what was read until then is taken up by the next try.
            self._stage()
            raise
        self._stage()
        self._staging.put_skipped(self._step, self.attempt, self._skipped)
        return done

    def _harvest(self, salted: str, seconds_left: Callable[[], float]) -> bool:
        with ThreadPoolExecutor(_THREADS) as pool:
            batch = list[Pair]()
            for pair in self._pairs(salted):
                if self.position > self._step.after and seconds_left() < SECONDS_TO_FINISH:
                    done = False
                    break
                if pair.unchanged:
                    self._keep(pair)
                else:
                    batch.append(pair)
                self.position = pair.key
                if len(batch) == _SOURCES_PER_BATCH:
                    self._apply(batch, pool)
                    batch = []
            else:
                done = True
            self._apply(batch, pool)
        return done

    def _pairs(self, salted: str) -> Iterator[Pair]:
        after = self._step.after
        lines = self._staging.plan(self._step, "known")
        first, last, is_listed = next(lines)
        begin = max(first, after)
        known = (
            Known(source, fingerprint, "" if item else None, reason)
            for source, fingerprint, item, reason in lines
        )
        listed = self._manifest() if is_listed else self._harvester.sources(begin, last)
        return compare(
            (
                Source(source.key, digest([salted, source.fingerprint]))
                for source in listed
                if source.key > after
            ),
            (source for source in known if source.source > after),
        )

    def _manifest(self) -> Iterator[Source]:
        return (Source(key, fingerprint) for key, fingerprint in self._staging.plan(self._step, "listed"))

    def _keep(self, pair: Pair) -> None:
        assert pair.known is not None
        self._count(sources=1, items=int(pair.known.item_id is not None))
        if pair.known.reason is not None:
            self._skip(pair.key, pair.known.reason)

    def _apply(self, batch: list[Pair], pool: ThreadPoolExecutor) -> None:
        """Read what a batch needs, several at once, and note its changes in their order."""
        if not batch:
            return
        if self._earlier is None:
            self._earlier = _Earlier(self._staging, self._step)
        readings = {pair.key: self._earlier.find(pair.listed) for pair in batch if pair.listed is not None}
        unread = [key for key, reading in readings.items() if reading is None]
        read = dict(zip(unread, pool.map(self._read, unread), strict=True))
        self._count(reused=len(readings) - len(read))
        for pair in batch:
            self._note(pair, readings.get(pair.key) or read.get(pair.key))
            if len(self._lines) == _CHANGES_PER_PART:
                self._stage()

    def _read(self, key: str) -> Reading:
        return _storable(self._harvester.read_or_skip(key), self._step.region)

    def _note(self, pair: Pair, reading: Reading | None) -> None:
        had = pair.known is not None and pair.known.item_id is not None
        if pair.listed is None or reading is None:
            self._count(removed=int(had))
            self._lines.append({"source": pair.key})
            return
        fingerprint = pair.listed.fingerprint + (_RETRY_MARK if reading.retry else "")
        reason = "; ".join(reading.reasons) or None
        if pair.known is not None and (pair.known.fingerprint, pair.known.reason) == (fingerprint, reason):
            # As before, after all: what could be read is the same, and so is the Item.
            self._keep(pair)
            return
        has = reading.item is not None
        self._count(
            sources=1,
            items=int(has),
            added=int(has and not had),
            changed=int(has and had),
            removed=int(had and not has),
        )
        if reason is not None:
            self._skip(pair.key, reason)
        self._lines.append(
            {"source": pair.key, "fingerprint": fingerprint, "item": reading.item, "reason": reason}
        )

    def _skip(self, key: str, reason: str) -> None:
        self._count(skipped=1)
        if len(self._skipped) < _MAX_SKIPPED_TO_REPORT:
            self._skipped.append([f"s3://{self._harvester.dataset.bucket}/{printable(key)}", reason])

    def _stage(self) -> None:
        if self._lines:
            self._staging.put_part(self._step, self.attempt, self.parts, self._lines)
            self.parts += 1
            self._lines = []

    def _count(self, **more: int) -> None:
        self.counts += Counts(**more)


class _Earlier:
    """What other runs over the same shard have read, in step with this one."""

    def __init__(self, staging: Staging, step: ShardStep) -> None:
        own = {attempt.name for attempt in step.attempts}
        others = [attempt for attempt in staging.attempts(step) if attempt.name not in own]
        syncs = sorted({_sync(attempt) for attempt in others})[-_MAX_EARLIER_SYNCS:]
        others = [attempt for attempt in others if _sync(attempt) in syncs]
        self._streams = [_read(staging, step, attempt) for attempt in others]
        self._heads: list[Any] = [next(stream, None) for stream in self._streams]

    def find(self, listed: Source) -> Reading | None:
        """Return what was read of a source with the same fingerprint; to be asked in the order of keys."""
        for index, stream in enumerate(self._streams):
            while self._heads[index] is not None and self._heads[index]["source"] < listed.key:
                self._heads[index] = next(stream, None)
        for head in self._heads:
            if head is not None and (head["source"], head.get("fingerprint")) == (
                listed.key,
                listed.fingerprint,
            ):
                return Reading(head["item"], (head["reason"],) if head["reason"] else ())
        return None


def _sync(attempt: Attempt) -> str:
    """Return the generation of the sync that an attempt belongs to."""
    return attempt.name.rpartition("-")[0]


def _read(staging: Staging, step: ShardStep, attempt: Attempt) -> Iterator[Any]:
    for number in range(attempt.parts):
        try:
            yield from staging.part(step, attempt.name, number)
        except NotFoundError:
            # The bucket's objects expire one by one, the first parts first.
            return


def _storable(reading: Reading, region: str) -> Reading:
    """Return a reading without an Item that the catalog would refuse, and with it all of its Region."""
    why = None if reading.item is None else refusal(reading.item, region)
    if why is None:
        return reading
    reason = printable(f"the catalog cannot hold it: {why}")[:_MAX_REASON_CHARACTERS]
    return Reading(None, (*reading.reasons, reason), reading.retry)
