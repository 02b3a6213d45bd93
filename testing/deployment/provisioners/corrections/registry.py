"""The replication configuration of ECR, which ministack answers with nothing.

Not proven here: that ECR replicates anything, and that layers arrive.
"""

from __future__ import annotations

import json
from typing import Any

from ministack.core.responses import AccountRegionScopedDict, json_response
from ministack.services import ecr

__all__ = ["install"]

_configurations = AccountRegionScopedDict()
_handle_request = ecr.handle_request


async def _handle(method: str, path: str, headers: Any, body: Any, query: Any) -> Any:
    action = headers.get("x-amz-target", "").split(".")[-1]
    if action == "PutReplicationConfiguration":
        _configurations["rules"] = json.loads(body)["replicationConfiguration"]
        return json_response({"replicationConfiguration": _configurations["rules"]})
    if action == "DescribeRegistry":
        configuration = _configurations.get("rules", {"rules": []})
        return json_response({"registryId": ecr._registry_id(), "replicationConfiguration": configuration})
    return await _handle_request(method, path, headers, body, query)


def install() -> None:
    """Answer both requests."""
    ecr.handle_request = _handle
