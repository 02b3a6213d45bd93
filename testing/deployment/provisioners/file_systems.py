"""FSx for Lustre: file systems and their links to buckets.

Not proven here: that anything can be mounted, throughput, the ten minutes of a creation, permissions.
"""

from __future__ import annotations

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
#: Data repository tasks that run, by file system; a test adds to it.
running_tasks: AccountRegionScopedDict = AccountRegionScopedDict()


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
    if running_tasks.get(identifier):
        raise RefusedError(f"BadRequest: a data repository task is executing on {identifier}")
    file_systems.pop(identifier, None)


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
    """Remove the link of a directory to a bucket."""
    associations.pop(association, None)


HANDLERS = {
    "AWS::FSx::FileSystem": {"create": create_file_system, "delete": delete_file_system},
    "AWS::FSx::DataRepositoryAssociation": {"create": create_association, "delete": delete_association},
}
