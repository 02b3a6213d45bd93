"""Steps ``ImportMetadata`` and ``CheckImport``: a Region's file system learns the names of new objects."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from dask_regions.aws.fsx import MetadataImport, file_system_id
from dask_regions.errors import UnavailableError
from dask_regions.models import Configuration
from dask_regions.sync.steps import Import, RegionStep

__all__ = ["IMPORT_DEADLINE", "check_import", "start_import"]

#: An import of many millions of names takes hours; one that takes longer than this is given up.
IMPORT_DEADLINE = timedelta(hours=4)
# A tenth of what it took so far is lost at most; the longest keeps the execution's history short.
_SHORTEST_WAIT, _LONGEST_WAIT = 1, 300


def start_import(configuration: Configuration, system: str, step: RegionStep) -> dict[str, Any]:
    """Have the Region's file system import the names below the prefixes that it shows.

    Nothing is imported, and the id is empty, where all is read straight from S3, and where the Region's
    stack is not deployed: its deployment starts another sync.
    """
    datasets = [each for each in configuration.datasets_of(step.region) if each.access == "fsx"]
    paths = sorted({f"s3://{dataset.bucket}/{dataset.prefix}" for dataset in datasets})
    task_id = ""
    if paths and (file_system := file_system_id(system, step.region)) is not None:
        token = f"{step.generation}.{step.region}"
        task_id = MetadataImport(step.region).start(file_system, paths, token).task_id
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return {**step.model_dump(), "task_id": task_id, "started": now}


def check_import(step: Import) -> dict[str, Any]:
    """Return the import's state, and how long to wait before asking again, in seconds.

    Raises
    ------
    UnavailableError
        Where the import failed, or takes longer than :data:`IMPORT_DEADLINE`.
    """
    if not step.task_id:
        return {**step.model_dump(mode="json"), "lifecycle": "SUCCEEDED", "wait_seconds": _SHORTEST_WAIT}
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
    wait = min(max(int(elapsed.total_seconds() / 10), _SHORTEST_WAIT), _LONGEST_WAIT)
    return {**step.model_dump(mode="json"), "lifecycle": task.lifecycle, "wait_seconds": wait}
