"""The steps of the state machine ``sync_catalog``; ``statemachines/README.md`` shows their order.

Every step may be run again with the same input: a generation is begun once, an import under way is
taken up, a staging object is replaced, Items are upserted, and a swap that is done stays done.
"""

from __future__ import annotations

import hashlib
import json
import logging
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from dask_regions.aws.fsx import MetadataImport, file_system_id
from dask_regions.aws.s3 import S3Bucket
from dask_regions.errors import NotFoundError, RequestError, UnavailableError
from dask_regions.harvest.base import Skipped, harvest
from dask_regions.models import Configuration, Dataset

__all__ = [
    "CatalogWriter",
    "Harvested",
    "Import",
    "PlanRequest",
    "RegionStep",
    "SwapRequest",
    "check_import",
    "harvest_region",
    "plan",
    "start_import",
    "swap",
    "write_items",
]

logger = logging.getLogger(__name__)

#: An import of many millions of names takes hours; one that takes longer than this is given up.
IMPORT_DEADLINE = timedelta(hours=4)
_SHORTEST_WAIT, _LONGEST_WAIT = 1, 60
_EXAMPLES = 10


class CatalogWriter(Protocol):
    """What a sync needs of the catalog. All methods may be repeated with the same arguments."""

    def begin(self, generation: str, regions: Sequence[str]) -> None:
        """Start a generation that readers do not see yet."""

    def write(self, generation: str, region: str, items: Iterable[dict[str, Any]]) -> int:
        """Upsert a Region's Items; return how many."""

    def swap(
        self,
        generation: str,
        failed: Mapping[str, str],
        counts: Mapping[str, int],
        declared: Mapping[str, Sequence[str]],
    ) -> dict[str, Any]:
        """Verify the counts, carry over the Items of other Regions, and show the generation to readers.

        Only Items of Collections that a Region is ``declared`` to hold are carried over.
        """


class _Step(BaseModel):
    # Extra fields are those of earlier steps, or of the event that started the execution.
    model_config = ConfigDict(extra="ignore", frozen=True)


class _Start(_Step):
    regions: tuple[str, ...] | None = None


class PlanRequest(_Step):
    """Input of :func:`plan`.

    Attributes
    ----------
    execution_id, start_time
        Of the execution, from its context object.
    input
        What started it: ``{}``, a schedule's event, or ``{"regions": [...]}`` to sync only these.
    """

    execution_id: str
    start_time: AwareDatetime
    input: _Start = _Start()


class RegionStep(_Step):
    """A Region's part of a sync; input of its first and its last step."""

    region: str
    generation: str


class Import(RegionStep):
    """A Region's part while FSx imports; input of :func:`check_import`."""

    task_id: str
    started: AwareDatetime


class Harvested(RegionStep):
    """A Region's part once it is harvested; input of :func:`write_items`.

    Attributes
    ----------
    records
        Number of Items.
    key
        Staging object with one Item a line.
    """

    records: int
    key: str


class _Failure(_Step):
    error: str = Field(default="", alias="Error")
    cause: str = Field(default="", alias="Cause")

    def text(self) -> str:
        """Return the failure in a line: Lambda wraps the message of an exception in JSON."""
        with suppress(ValueError, KeyError, TypeError):
            return f"{self.error}: {json.loads(self.cause)['errorMessage']}"
        return f"{self.error}: {self.cause}"


class _Outcome(RegionStep):
    written: int | None = None
    error: _Failure | None = None


class SwapRequest(_Step):
    """Input of :func:`swap`: the plan, with each Region's outcome."""

    generation: str
    regions: tuple[_Outcome, ...]


def plan(configuration: Configuration, catalog: CatalogWriter, request: PlanRequest) -> dict[str, Any]:
    """Name the generation, choose the Regions, and begin the generation.

    Raises
    ------
    RequestError
        Where a Region is asked for that holds no dataset.
    """
    holding = [region.name for region in configuration.regions if configuration.datasets_of(region.name)]
    wanted = holding if request.input.regions is None else list(dict.fromkeys(request.input.regions))
    if unknown := [region for region in wanted if region not in holding]:
        raise RequestError(
            "regions", f"{', '.join(unknown)} hold no datasets; use some of {', '.join(holding)}"
        )
    digest = hashlib.sha256(request.execution_id.encode()).hexdigest()[:8]
    generation = f"{request.start_time.astimezone(UTC):%Y%m%dT%H%M%SZ}-{digest}"
    catalog.begin(generation, wanted)
    return {
        "generation": generation,
        "regions": [{"region": region, "generation": generation} for region in wanted],
    }


def start_import(configuration: Configuration, system: str, step: RegionStep) -> dict[str, Any]:
    """Have the Region's file system import the names below its datasets' prefixes."""
    paths = sorted({f"s3://{one.bucket}/{one.prefix}" for one in configuration.datasets_of(step.region)})
    file_system = file_system_id(system, step.region)
    token = f"{step.generation}.{step.region}"
    task = MetadataImport(step.region).start(file_system, paths, token)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return {**step.model_dump(), "task_id": task.task_id, "started": now}


def check_import(step: Import) -> dict[str, Any]:
    """Return the import's state, and how long to wait before asking again, in seconds.

    Raises
    ------
    UnavailableError
        Where the import failed, or takes longer than :data:`IMPORT_DEADLINE`.
    """
    task = MetadataImport(step.region).check(step.task_id)
    elapsed = datetime.now(UTC) - step.started
    if task.lifecycle not in ("PENDING", "EXECUTING", "SUCCEEDED"):
        raise UnavailableError(
            f"import {task.task_id} in {step.region} is {task.lifecycle}: {task.failure or 'no details'}; "
            "look at the task in the FSx console and sync again"
        )
    if task.lifecycle != "SUCCEEDED" and elapsed > IMPORT_DEADLINE:
        raise UnavailableError(
            f"import {task.task_id} in {step.region} is still {task.lifecycle} after {elapsed}; "
            "it goes on, and the next sync takes it up"
        )
    wait = min(max(int(elapsed.total_seconds()), _SHORTEST_WAIT), _LONGEST_WAIT)
    return {**step.model_dump(mode="json"), "lifecycle": task.lifecycle, "wait_seconds": wait}


def harvest_region(configuration: Configuration, staging: S3Bucket, step: RegionStep) -> dict[str, Any]:
    """Write the Items of a Region's datasets to the staging bucket, one a line.

    What cannot be read is skipped, logged and counted.

    Raises
    ------
    NotFoundError
        Where a dataset yields no Item at all: the Region then keeps those it had.
    """
    begun = time.monotonic()
    key = f"sync/{step.generation}/{step.region}.jsonl"
    buckets: list[S3Bucket] = []
    records, skipped = 0, list[Skipped]()
    with tempfile.TemporaryFile() as lines:
        for dataset in configuration.datasets_of(step.region):
            buckets.append(S3Bucket(dataset.bucket, dataset.region))
            written = 0
            for record in harvest(dataset, buckets[-1]):
                if isinstance(record, Skipped):
                    logger.warning("skipped %s: %s", record.key, record.reason)
                    skipped.append(record)
                    continue
                lines.write(json.dumps(record, allow_nan=False).encode() + b"\n")
                written += 1
            _require_items(dataset, written, skipped)
            records += written
        lines.seek(0)
        staging.upload(key, lines)
    return {
        **step.model_dump(),
        "records": records,
        "skipped": len(skipped),
        "skipped_examples": [f"{one.key}: {one.reason[:300]}" for one in skipped[:_EXAMPLES]],
        "key": key,
        "objects_listed": sum(bucket.listed for bucket in buckets),
        "requests": sum(bucket.requests for bucket in buckets),
        "seconds": round(time.monotonic() - begun, 3),
    }


def _require_items(dataset: Dataset, written: int, skipped: Sequence[Skipped]) -> None:
    if written:
        return
    why = f"; the last one skipped: {skipped[-1].key}: {skipped[-1].reason}" if skipped else ""
    raise NotFoundError(
        f"dataset {dataset.id} has no Items: nothing readable below s3://{dataset.bucket}/{dataset.prefix} "
        f"in layout {dataset.layout}{why}. Check bucket, prefix and layout in datasets.yaml"
    )


def write_items(catalog: CatalogWriter, staging: S3Bucket, step: Harvested) -> dict[str, Any]:
    """Write a Region's staged Items into the generation."""
    items = (json.loads(line) for line in staging.lines(step.key))
    written = catalog.write(step.generation, step.region, items)
    return {"region": step.region, "generation": step.generation, "written": written}


def swap(configuration: Configuration, catalog: CatalogWriter, request: SwapRequest) -> dict[str, Any]:
    """Show the generation to readers; Regions that failed keep their Items and are marked stale.

    What the configuration no longer declares, a Region or a dataset, is not kept.
    The catalog raises where the Items are not all there, and the generation before stays live.

    Returns
    -------
    dict
        ``generation``, ``complete`` (whether no Region failed), ``swapped`` (Items by Region),
        ``failed`` (what went wrong by Region) and ``catalog`` (the catalog's own report).
    """
    failed = {one.region: one.error.text() for one in request.regions if one.error is not None}
    counts = {one.region: one.written or 0 for one in request.regions if one.error is None}
    declared = {
        region.name: [dataset.id for dataset in configuration.datasets_of(region.name)]
        for region in configuration.regions
    }
    report = catalog.swap(request.generation, failed, counts, declared)
    for region, reason in failed.items():
        logger.warning("%s keeps its old Items: %s", region, reason)
    return {
        "generation": request.generation,
        "complete": not failed,
        "swapped": counts,
        "failed": failed,
        "catalog": report,
    }
