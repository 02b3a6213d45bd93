"""How a provisioner says no: CloudFormation makes it the reason of the failed resource."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["RefusedError", "answer", "require"]


class RefusedError(ValueError):
    """AWS would refuse this, with the given error code and message."""


def require(store: Mapping[str, Any], key: str, code: str) -> Any:
    """Return a record, or refuse with AWS's error code where there is none."""
    record = store.get(key)
    if record is None:
        raise RefusedError(f"{code}: '{key}' does not exist")
    return record


def answer(response: tuple[int, Any, bytes]) -> bytes:
    """Return the body of an API's response, or refuse with what it says."""
    status, _, body = response
    if status >= 400:
        raise RefusedError(body.decode() if isinstance(body, bytes) else str(body))
    return body
