"""Inputs of the steps; each is part of the output of the step before it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

__all__ = [
    "Attempt",
    "Counts",
    "Failure",
    "Import",
    "PlanRequest",
    "RegionShards",
    "RegionStep",
    "ShardStep",
    "SwapRequest",
    "SyncedRegion",
    "begun",
    "generation_name",
]

_REASON_LENGTH = 1000
_TIME = "%Y%m%dT%H%M%SZ"


def generation_name(started: datetime, execution: str) -> str:
    """Return the name of the generation that an execution makes: names of later ones sort behind."""
    return f"{started.astimezone(UTC):{_TIME}}-{hashlib.sha256(execution.encode()).hexdigest()[:8]}"


def begun(generation: str) -> datetime:
    """Return when the sync began that made a generation."""
    return datetime.strptime(generation.partition("-")[0], _TIME).replace(tzinfo=UTC)


class _Step(BaseModel):
    # Extra fields are those of earlier steps, or of the event that started the execution.
    model_config = ConfigDict(extra="ignore", frozen=True)


class _Start(_Step):
    regions: tuple[str, ...] | None = None
    wait: bool = False


class PlanRequest(_Step):
    """Input of :func:`dask_regions.sync.planning.plan`.

    Attributes
    ----------
    execution_id, state_machine_id, start_time
        Of the execution, from its context object.
    input
        What started it: ``{}``, or ``{"regions": [...]}`` to sync only these; with ``"wait": true`` it waits
        for another sync that runs, as schedules and events want it, where a person is told.
    """

    execution_id: str
    state_machine_id: str
    start_time: AwareDatetime
    input: _Start = _Start()


class RegionStep(_Step):
    """A Region's part of a sync; input of its first step.

    Attributes
    ----------
    shards_at_most
        How many shards it may be cut into: an execution's history holds 25,000 events for all Regions.
    """

    region: str
    generation: str
    shards_at_most: int = Field(default=200, ge=1)


class Import(RegionStep):
    """A Region's part from its import on; ``started`` is when the Region's part began."""

    task_id: str
    started: AwareDatetime


class Counts(_Step):
    """What a step did; all are counts.

    Attributes
    ----------
    sources
        Stores and files (or sets of files) that are there.
    items
        Of these, those with an Item.
    added, changed, removed
        Items.
    skipped
        Sources that were left out, in whole or in part, now or by an earlier sync.
    reused
        Readings of an interrupted sync that were taken up.
    objects_listed
        Objects in the answers of LIST requests.
    lists, gets
        Requests to the Region's buckets.
    staging_writes, staging_reads
        Requests to the staging bucket.
    """

    sources: int = 0
    items: int = 0
    added: int = 0
    changed: int = 0
    removed: int = 0
    skipped: int = 0
    reused: int = 0
    objects_listed: int = 0
    lists: int = 0
    gets: int = 0
    staging_writes: int = 0
    staging_reads: int = 0

    def __add__(self, other: Counts) -> Counts:
        mine, theirs = self.model_dump(), other.model_dump()
        return Counts(**{name: mine[name] + theirs[name] for name in mine})


class Attempt(_Step):
    """One run of a shard's step: its folder in the staging bucket, and how many parts it staged."""

    name: str
    parts: int


class ShardStep(RegionStep):
    """A range of a Collection's keys; input of :func:`dask_regions.sync.harvesting.harvest_shard`.

    Attributes
    ----------
    collection, shard
        Whose range it is, and its id: the same range has the same id in every sync.
    after
        The last key that is done.
    done
        Whether the range is.
    attempts
        What has been staged of it, in order.
    """

    collection: str
    shard: str
    after: str = ""
    done: bool = False
    attempts: tuple[Attempt, ...] = ()
    counts: Counts = Counts()


class RegionShards(RegionStep):
    """A Region whose shards are done; input of :func:`dask_regions.sync.writing.write_items`.

    Attributes
    ----------
    planned
        What planning the shards took.
    position
        How many of the staged parts are written.
    """

    started: AwareDatetime
    shards: tuple[ShardStep, ...]
    planned: Counts = Counts()
    position: int = 0


class Failure(_Step):
    """An error as Step Functions hands it on."""

    error: str = Field(default="", alias="Error")
    cause: str = Field(default="", alias="Cause")

    def text(self) -> str:
        """Return the failure in a line: Lambda wraps the message of an exception in JSON."""
        cause = self.cause
        with suppress(ValueError, KeyError, TypeError):
            cause = json.loads(cause)["errorMessage"]
        return f"{self.error}: {cause}"[:_REASON_LENGTH]


class SyncedRegion(_Step):
    """How a Region's part ended: what it holds, or an error."""

    region: str
    items: Mapping[str, int] = Field(default_factory=dict)
    counts: Counts = Counts()
    seconds: float = 0
    skipped: tuple[str, ...] = ()
    error: Failure | None = None


class SwapRequest(_Step):
    """Input of :func:`dask_regions.sync.swapping.swap`: the plan, with each Region's outcome."""

    generation: str
    regions: tuple[SyncedRegion, ...]
