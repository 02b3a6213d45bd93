"""FSx for Lustre: file systems and their links to buckets.

Not proven here: that anything can be mounted, throughput, the ten minutes of a creation, permissions.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from typing import Any

from ministack.core.responses import AccountRegionScopedDict, get_account_id, get_region
from ministack.services import ec2

from .refusals import RefusedError, require

Properties = Mapping[str, Any]
#: "Data repository associations for an FSx for Lustre file system", Amazon FSx quotas.
MAX_ASSOCIATIONS = 8

file_systems: AccountRegionScopedDict = AccountRegionScopedDict()
associations: AccountRegionScopedDict = AccountRegionScopedDict()
#: Data repository tasks by id. They run until they are cancelled.
data_repository_tasks: AccountRegionScopedDict = AccountRegionScopedDict()


def create_file_system(_name: str, properties: Properties, _stack: str) -> tuple[str, dict[str, Any]]:
    """Create a file system in one subnet."""
    [subnet] = properties["SubnetIds"]
    require(ec2._subnets, subnet, "InvalidNetworkSettings")
    if int(properties["StorageCapacity"]) % 1200:
        raise RefusedError("BadRequest: invalid storage capacity, use 1200 GiB or a multiple of 2400 GiB")
    identifier = f"fs-{secrets.token_hex(9)[:17]}"
    attributes = {
        "DNSName": f"{identifier}.fsx.{get_region()}.amazonaws.com",
        "LustreMountName": secrets.token_hex(4),
        "ResourceARN": f"arn:aws:fsx:{get_region()}:{get_account_id()}:file-system/{identifier}",
    }
    file_systems[identifier] = {"Properties": dict(properties), **attributes}
    return identifier, attributes


def delete_file_system(identifier: str, _properties: Properties) -> None:
    """Delete a file system; refused while a data repository task runs on it."""
    _refuse_while_a_task_runs(identifier)
    file_systems.pop(identifier, None)


def _refuse_while_a_task_runs(identifier: str) -> None:
    for task in data_repository_tasks.values():
        if task["FileSystemId"] == identifier and task["Lifecycle"] == "EXECUTING":
            raise RefusedError(f"BadRequest: data repository task {task['TaskId']} executes on {identifier}")


def create_association(_name: str, properties: Properties, _stack: str) -> tuple[str, dict[str, Any]]:
    """Link a directory of a file system to a bucket; at most eight for each file system."""
    identifier = properties["FileSystemId"]
    require(file_systems, identifier, "FileSystemNotFound")
    others = [record for record in associations.values() if record["FileSystemId"] == identifier]
    if len(others) >= MAX_ASSOCIATIONS:
        raise RefusedError(
            f"ServiceLimitExceeded: {identifier} has {len(others)} data repository associations"
        )
    path = properties["FileSystemPath"]
    if any(record["FileSystemPath"] == path for record in others):
        raise RefusedError(f"BadRequest: {path} is the path of another association")
    association = f"dra-{secrets.token_hex(9)[:17]}"
    associations[association] = dict(properties)
    arn = f"arn:aws:fsx:{get_region()}:{get_account_id()}:association/{identifier}/{association}"
    return association, {"AssociationId": association, "ResourceARN": arn}


def delete_association(association: str, _properties: Properties) -> None:
    """Remove the link of a directory to a bucket; refused while a data repository task runs."""
    if association in associations:
        _refuse_while_a_task_runs(associations[association]["FileSystemId"])
    associations.pop(association, None)


async def handle_request(
    _method: str, _path: str, headers: Mapping[str, str], body: bytes, _query: Mapping[str, Any]
) -> tuple[int, dict[str, str], bytes]:
    """Answer FSx's API: data repository tasks are started, listed and cancelled."""
    action = headers["x-amz-target"].rpartition(".")[2]
    status, document = _ACTIONS[action](json.loads(body or b"{}"))
    return status, {"Content-Type": "application/x-amz-json-1.1"}, json.dumps(document).encode()


def _create_task(request: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
    if request["FileSystemId"] not in file_systems:
        return 400, {"__type": "FileSystemNotFound", "message": request["FileSystemId"]}
    task = {
        "TaskId": f"task-{secrets.token_hex(9)[:17]}",
        "FileSystemId": request["FileSystemId"],
        "Type": request["Type"],
        "Lifecycle": "EXECUTING",
    }
    data_repository_tasks[task["TaskId"]] = task
    return 200, {"DataRepositoryTask": task}


def _describe_tasks(request: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
    fields = {"file-system-id": "FileSystemId", "task-lifecycle": "Lifecycle"}
    tasks = [
        task
        for task in data_repository_tasks.values()
        if all(task[fields[each["Name"]]] in each["Values"] for each in request.get("Filters", []))
    ]
    return 200, {"DataRepositoryTasks": tasks}


def _cancel_task(request: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
    task = data_repository_tasks[request["TaskId"]]
    if task["Lifecycle"] != "EXECUTING":
        return 400, {"__type": "DataRepositoryTaskEnded", "message": request["TaskId"]}
    task["Lifecycle"] = "CANCELED"
    return 200, {"Lifecycle": "CANCELED", "TaskId": request["TaskId"]}


_ACTIONS = {
    "CreateDataRepositoryTask": _create_task,
    "DescribeDataRepositoryTasks": _describe_tasks,
    "CancelDataRepositoryTask": _cancel_task,
}
HANDLERS = {
    "AWS::FSx::FileSystem": {"create": create_file_system, "delete": delete_file_system},
    "AWS::FSx::DataRepositoryAssociation": {"create": create_association, "delete": delete_association},
}
