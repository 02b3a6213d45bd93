"""Secrets of Secrets Manager, whose ``Ref`` is their ARN on AWS and their name in ministack."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ministack.services import secretsmanager
from ministack.services.cloudformation import provisioners as stock

__all__ = ["OVERRIDES"]

Properties = Mapping[str, Any]


def create(name: str, properties: Properties, stack: str) -> tuple[str, dict[str, Any]]:
    """Create a secret; its physical id is its ARN."""
    _, attributes = stock._sm_secret_create(name, dict(properties), stack)
    return attributes["Arn"], attributes


def update(
    identifier: str, old: Properties, new: Properties, stack: str, logical_id: str | None = None
) -> tuple[str, dict[str, Any]]:
    """Update a secret; its ARN stays."""
    stock._sm_secret_update(_name(identifier), dict(old), dict(new), stack, logical_id)
    return identifier, {"Id": identifier, "Arn": identifier}


def delete(identifier: str, properties: Properties) -> None:
    """Delete a secret at once."""
    stock._sm_secret_delete(_name(identifier), properties)


def _name(identifier: str) -> str:
    return next(
        (name for name, secret in secretsmanager._secrets.items() if secret["ARN"] == identifier), identifier
    )


OVERRIDES = {"AWS::SecretsManager::Secret": {"create": create, "update": update, "delete": delete}}
