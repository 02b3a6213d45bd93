"""What AWS refuses an account that has not the service-linked roles yet: a fresh account has none.

Not proven here: roles that a service makes by itself when it is first used (ECS, Auto Scaling, FSx).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ministack.services import iam
from ministack.services.cloudformation import provisioners as stock

from .refusals import RefusedError

Properties = Mapping[str, Any]


def create_domain(name: str, properties: Properties, stack: str) -> tuple[str, dict[str, Any]]:
    """Create an OpenSearch domain, which in a VPC wants its service-linked role."""
    service = "opensearchservice.amazonaws.com"
    if properties.get("VPCOptions") and not any(service in role["Path"] for role in iam._roles.values()):
        raise RefusedError(
            "ValidationException: Before you can proceed, you must enable a service-linked role to give "
            f"Amazon OpenSearch Service permissions to access your VPC ({service})"
        )
    created: tuple[str, dict[str, Any]] = stock._opensearch_domain_create(name, dict(properties), stack)
    return created


OVERRIDES = {"AWS::OpenSearchService::Domain": {"create": create_domain}}
