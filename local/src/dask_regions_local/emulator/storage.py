"""S3 and FSx: moto's S3 filled from a directory, and file systems that are directories.

``<directory>/s3/<region>/<bucket>/`` is what a bucket holds; a Region's FSx for Lustre file system
shows it below ``<directory>/fsx/<region>/`` after a metadata import.
"""

from __future__ import annotations

import hashlib
import threading
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml

from dask_regions.models import Configuration, Dataset
from dask_regions_local.emulator.aws import Aws
from dask_regions_local.emulator.processes.lifecycle import background

__all__ = ["FileSystems", "Storage", "localise_datasets"]


def localise_datasets(source: Path, target: Path, mounts: Path) -> None:
    """Copy ``datasets.yaml`` with every ``fsx_path`` moved below ``<mounts>/<region>/``."""
    document = yaml.safe_load(source.read_text())
    for dataset in document.get("datasets") or ():
        for copy in (dataset, *(dataset.get("replicas") or ())):
            where = Path(copy["fsx_path"]).relative_to("/")
            copy["fsx_path"] = str(mounts / copy["region"] / where)
    target.write_text(yaml.safe_dump(document, sort_keys=False))


class Storage:
    """The datasets' buckets, which are others' on AWS and therefore in no template of ours."""

    def __init__(self, aws: Aws, directory: Path, configuration: Configuration) -> None:
        self._aws, self._directory, self._configuration = aws, directory, configuration

    def create(self) -> None:
        """Create the buckets of the datasets."""
        for region, bucket in sorted({(item.region, item.bucket) for item in self._configuration.copies}):
            location = {"LocationConstraint": region}
            extra = {} if region == "us-east-1" else {"CreateBucketConfiguration": location}
            self._aws.client("s3", region).create_bucket(Bucket=bucket, **extra)

    def upload(self) -> int:
        """Put the files of ``<directory>/s3`` into the buckets; return how many there were.

        What stands there for a bucket that no dataset names any more is left alone.
        """
        buckets = {(item.region, item.bucket) for item in self._configuration.copies}
        files = [
            path
            for region, bucket in sorted(buckets)
            for path in (self._directory / region / bucket).glob("**/*")
            if path.is_file()
        ]
        with ThreadPoolExecutor(4) as executor:
            list(executor.map(self._put, files))
        return len(files)

    def _put(self, path: Path) -> None:
        region, bucket, *key = path.relative_to(self._directory).parts
        self._aws.client("s3", region).put_object(Bucket=bucket, Key="/".join(key), Body=path.read_bytes())


class FileSystems:
    """FSx's data repository tasks, which moto lacks.

    A metadata import here copies what is new or changed, where FSx lists it and loads it on first
    access. As in FSx, one task runs at a time, and files that left the bucket stay.
    """

    def __init__(self, aws: Aws, configuration: Configuration) -> None:
        self._aws, self._configuration = aws, configuration
        self._tasks: dict[str, dict[str, Any]] = {}
        self._importing = threading.Lock()

    def create_task(self, region: str, request: dict[str, Any]) -> dict[str, Any]:
        """Answer ``CreateDataRepositoryTask``: start copying in the background."""
        task = {
            "TaskId": f"task-{uuid.uuid4().hex[:17]}",
            "Lifecycle": "PENDING",
            "Type": request["Type"],
            "FileSystemId": request["FileSystemId"],
            "Paths": request.get("Paths", []),
        }
        self._tasks[task["TaskId"]] = task
        datasets = self._configuration.datasets_of(region)
        background(lambda: self._import(task, datasets))
        return {"DataRepositoryTask": task}

    def describe_tasks(self, _region: str, request: dict[str, Any]) -> dict[str, Any]:
        """Answer ``DescribeDataRepositoryTasks``."""
        wanted = request.get("TaskIds") or list(self._tasks)
        return {"DataRepositoryTasks": [self._tasks[task] for task in wanted if task in self._tasks]}

    def _import(self, task: dict[str, Any], datasets: Sequence[Dataset]) -> None:
        with self._importing:
            task["Lifecycle"] = "EXECUTING"
            try:
                for dataset in datasets:
                    self._copy(dataset)
            except Exception as error:
                task |= {"Lifecycle": "FAILED", "FailureDetails": {"Message": str(error)}}
                raise
            task["Lifecycle"] = "SUCCEEDED"

    def _copy(self, dataset: Dataset) -> None:
        s3 = self._aws.client("s3", dataset.region)
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=dataset.bucket, Prefix=dataset.prefix)
        for listed in (item for page in pages for item in page.get("Contents", ())):
            target = Path(dataset.fsx_path, listed["Key"].removeprefix(dataset.prefix))
            if not target.exists() or _etag(target) != listed["ETag"]:
                target.parent.mkdir(parents=True, exist_ok=True)
                body = s3.get_object(Bucket=dataset.bucket, Key=listed["Key"])["Body"].read()
                # Workers may be reading the file: it is replaced, never changed in place.
                part = target.with_name(f".{target.name}.part")
                part.write_bytes(body)
                part.replace(target)


def _etag(path: Path) -> str:
    return f'"{hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()}"'
