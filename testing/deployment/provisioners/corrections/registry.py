"""The replication of ECR, which ministack answers with nothing.

Not proven here: that layers are pushed and arrive, how long a replication takes, and what is copied through
the registry's own HTTP interface, which there is not.
"""

from __future__ import annotations

import json
from typing import Any

from ministack.core.responses import AccountRegionScopedDict, get_account_id, json_response, request_scope
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
    response = await _handle_request(method, path, headers, body, query)
    if action == "PutImage" and response[0] < 400:
        _replicate(json.loads(body))
    return response


def _replicate(request: dict[str, Any]) -> None:
    """Copy an image that is pushed; what was pushed before its rule stays where it is, as on AWS."""
    name = request["repositoryName"]
    for rule in _configurations.get("rules", {"rules": []})["rules"]:
        prefixes = [record["filter"] for record in rule.get("repositoryFilters", [])]
        if prefixes and not any(name.startswith(prefix) for prefix in prefixes):
            continue
        for destination in rule["destinations"]:
            with request_scope(get_account_id(), destination["region"]):
                if name in ecr._repositories:
                    ecr._put_image(request)


def install() -> None:
    """Answer both requests, and replicate."""
    ecr.handle_request = _handle
