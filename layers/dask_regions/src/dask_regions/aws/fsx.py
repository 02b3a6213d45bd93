"""Import of S3's names into an FSx for Lustre file system.

FSx shows an object once its metadata are imported; the bytes come at the first read. Public buckets
cannot push their changes, so a data repository task imports them:
https://docs.aws.amazon.com/fsx/latest/LustreGuide/import-metadata-task.html.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import boto3
from botocore.exceptions import ClientError

from dask_regions.errors import NotFoundError, UnavailableError
from dask_regions.names import file_system_parameter

if TYPE_CHECKING:
    from mypy_boto3_fsx import FSxClient
    from mypy_boto3_fsx.type_defs import DescribeDataRepositoryTasksRequestTypeDef

logger = logging.getLogger(__name__)

__all__ = ["ImportTask", "MetadataImport", "file_system_id"]

_TYPE: Final = "IMPORT_METADATA_FROM_REPOSITORY"
_UNFINISHED = {"PENDING", "EXECUTING"}


@dataclass(frozen=True, slots=True)
class ImportTask:
    """State of a data repository task.

    Attributes
    ----------
    task_id
        Its id.
    lifecycle
        ``PENDING``, ``EXECUTING``, ``SUCCEEDED``, ``FAILED``, ``CANCELING`` or ``CANCELED``.
    failure
        What FSx says about a failure; empty otherwise.
    """

    task_id: str
    lifecycle: str
    failure: str = ""


def file_system_id(system: str, region: str) -> str | None:
    """Return the id of a Region's file system, which its stack leaves in Parameter Store.

    None where there is no such parameter: the Region's stack is not deployed, or has no file system.
    """
    name = file_system_parameter(system)
    try:
        answer = boto3.client("ssm", region_name=region).get_parameter(Name=name)
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") != "ParameterNotFound":
            raise
        logger.warning(
            "%s has no parameter %s: nothing is imported there until its stack is deployed", region, name
        )
        return None
    return answer["Parameter"]["Value"]


class MetadataImport:
    """Starts and watches the metadata imports of one Region.

    Parameters
    ----------
    region
        Region of the file system.
    """

    def __init__(self, region: str) -> None:
        self._region = region
        self._client: FSxClient = boto3.client("fsx", region_name=region)

    def start(self, file_system: str, paths: Sequence[str], token: str) -> ImportTask:
        """Start an import, or take up the one of these paths that is under way.

        Parameters
        ----------
        file_system
            Id of the file system.
        paths
            What to import, as ``s3://bucket/prefix``.
        token
            Names this attempt: the same token never starts a second task.

        Raises
        ------
        UnavailableError
            Where the file system is busy with a task of another type, or an import of other paths.
        """
        if running := self._running(file_system, paths):
            return running
        try:
            answer = self._client.create_data_repository_task(
                Type=_TYPE,
                FileSystemId=file_system,
                Paths=list(paths),
                Report={"Enabled": False},
                ClientRequestToken=hashlib.sha256(token.encode()).hexdigest()[:63],
            )
        except self._client.exceptions.DataRepositoryTaskExecuting as error:
            if running := self._running(file_system, paths):
                return running
            raise UnavailableError(
                f"{file_system} in {self._region} runs a data repository task of another type, or an import "
                f"of other paths than {', '.join(paths)}; wait until it is done and sync again"
            ) from error
        return _task(answer["DataRepositoryTask"])

    def check(self, task_id: str) -> ImportTask:
        """Return the state of a task.

        Raises
        ------
        NotFoundError
            Where FSx does not know it.
        """
        try:
            tasks = self._client.describe_data_repository_tasks(TaskIds=[task_id])["DataRepositoryTasks"]
        except self._client.exceptions.DataRepositoryTaskNotFound:
            tasks = []
        for task in tasks:
            if task["TaskId"] == task_id:
                return _task(task)
        raise NotFoundError(f"FSx in {self._region} knows no task {task_id}; sync again")

    def _running(self, file_system: str, paths: Sequence[str]) -> ImportTask | None:
        request: DescribeDataRepositoryTasksRequestTypeDef = {
            "Filters": [{"Name": "file-system-id", "Values": [file_system]}]
        }
        while True:
            answer = self._client.describe_data_repository_tasks(**request)
            for task in answer["DataRepositoryTasks"]:
                ours = task["Type"] == _TYPE and task.get("FileSystemId") == file_system
                if ours and task["Lifecycle"] in _UNFINISHED and _covers(task, paths):
                    return _task(task)
            if not (following := answer.get("NextToken")):
                return None
            request["NextToken"] = following


def _covers(task: Any, paths: Sequence[str]) -> bool:
    # Without paths a task imports all that is linked.
    imported = tuple(task.get("Paths") or ("s3://",))
    return all(path.startswith(imported) for path in paths)


def _task(task: Any) -> ImportTask:
    failure = task.get("FailureDetails", {}).get("Message", "")
    return ImportTask(task["TaskId"], task["Lifecycle"], failure)
