"""The staging bucket: what the steps of a sync leave for each other, and for the next sync.

``sync/plans/<generation>/<region>/<collection>/<shard>.known``
    What the catalog knows of a shard, after a line with its range.
``sync/plans/<generation>/<region>/<collection>/<shard>.listed``
    What a manifest lists of it.
``sync/changes/<region>/<collection>/<shard>/<attempt>/<part>``
    Changes, in the order of the keys; beside them ``skipped``: what was left out, and why.
``sync/plans/<generation>/<region>.skipped``
    What a Region left out.
``sync/reports/<generation>.json``, ``sync/reports/latest.json``
    What a sync did.

All but reports are gzipped lines of JSON. Changes bear no generation before the shard: a sync that was
interrupted has left its readings where the next one looks for them.
"""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterable, Iterator
from typing import Any, Protocol

from dask_regions.harvest.base import ObjectStore
from dask_regions.names import LATEST_SYNC_REPORT, sync_report
from dask_regions.sync.steps import Attempt, RegionStep, ShardStep

__all__ = ["Staging", "WritableStore", "plan_key"]

_SKIPPED = "skipped"


class WritableStore(ObjectStore, Protocol):
    """A bucket that takes objects."""

    def write(self, key: str, body: bytes) -> None:
        """Store an object, replacing what is there."""


class Staging:
    """Names and forms of what is staged.

    Parameters
    ----------
    objects
        The bucket.
    """

    def __init__(self, objects: WritableStore) -> None:
        self._objects = objects

    def put_plan(self, step: ShardStep, kind: str, lines: Iterable[Any]) -> None:
        """Store a shard's plan: ``known`` or ``listed``."""
        self._objects.write(plan_key(step, kind), _packed(lines))

    def plan(self, step: ShardStep, kind: str) -> Iterator[Any]:
        """Yield the lines of a shard's plan."""
        return self._lines(plan_key(step, kind))

    def put_part(self, step: ShardStep, attempt: str, number: int, lines: Iterable[Any]) -> None:
        """Store a part of a shard's changes."""
        self._objects.write(_part_key(step, attempt, number), _packed(lines))

    def part(self, step: ShardStep, attempt: str, number: int) -> Iterator[Any]:
        """Yield a part of a shard's changes."""
        return self._lines(_part_key(step, attempt, number))

    def attempts(self, step: ShardStep) -> list[Attempt]:
        """Return all that any sync has staged of a shard, the oldest first."""
        folder, number_of_parts, after, more = _changes(step), dict[str, int](), "", True
        while more:
            page, more = self._objects.page(folder, after)
            for entry in page:
                attempt, _, part = entry.key.removeprefix(folder).partition("/")
                if part != _SKIPPED:
                    number_of_parts[attempt] = number_of_parts.get(attempt, 0) + 1
                after = entry.key
        return [Attempt(name=name, parts=parts) for name, parts in sorted(number_of_parts.items())]

    def put_skipped(self, step: ShardStep, attempt: str, lines: Iterable[Any]) -> None:
        """Store what an attempt left out."""
        self._objects.write(f"{_changes(step)}{attempt}/{_SKIPPED}", _packed(lines))

    def skipped(self, step: ShardStep, attempt: str) -> Iterator[Any]:
        """Yield what an attempt left out."""
        return self._lines(f"{_changes(step)}{attempt}/{_SKIPPED}")

    def put_report(self, generation: str, report: Any) -> str:
        """Store a sync's report, also as the latest; return its key."""
        body = json.dumps(report, indent=1).encode()
        key = sync_report(generation)
        for name in (key, LATEST_SYNC_REPORT):
            self._objects.write(name, body)
        return key

    def put_region_report(self, step: RegionStep, lines: Iterable[Any]) -> None:
        """Store what a Region left out."""
        self._objects.write(_region_key(step.generation, step.region), _packed(lines))

    def region_report(self, generation: str, region: str) -> Iterator[Any]:
        """Yield what a Region left out."""
        return self._lines(_region_key(generation, region))

    def _lines(self, key: str) -> Iterator[Any]:
        with gzip.open(io.BytesIO(self._objects.read(key))) as lines:
            for line in lines:
                yield json.loads(line)


def plan_key(step: ShardStep, kind: str) -> str:
    """Return the key of a shard's plan."""
    return f"sync/plans/{step.generation}/{step.region}/{step.collection}/{step.shard}.{kind}"


def _region_key(generation: str, region: str) -> str:
    return f"sync/plans/{generation}/{region}.skipped"


def _changes(step: ShardStep) -> str:
    return f"sync/changes/{step.region}/{step.collection}/{step.shard}/"


def _part_key(step: ShardStep, attempt: str, number: int) -> str:
    return f"{_changes(step)}{attempt}/{number:05d}"


def _packed(lines: Iterable[Any]) -> bytes:
    buffer = io.BytesIO()
    # Level 1 packs Items nine to one, and takes a third of the default's time.
    with gzip.GzipFile(fileobj=buffer, mode="wb", compresslevel=1, mtime=0) as packed:
        for line in lines:
            packed.write(json.dumps(line, allow_nan=False, separators=(",", ":")).encode() + b"\n")
    return buffer.getvalue()
