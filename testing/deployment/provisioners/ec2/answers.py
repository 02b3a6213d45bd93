"""Answers of EC2's API in XML, by botocore's description of them."""

from __future__ import annotations

from typing import Any
from xml.sax.saxutils import escape

from botocore.session import get_session
from ministack.services import ec2

__all__ = ["render"]

Response = tuple[int, Any, bytes]

_model = get_session().get_service_model("ec2")


def render(operation: str, document: dict[str, Any]) -> Response:
    """Return what an operation answers.

    Parameters
    ----------
    document
        The answer as a client sees it: members of it that botocore does not know are left out.
    """
    shape = _model.operation_model(operation).output_shape
    response: Response = ec2._xml(200, f"{operation}Response", _members(shape, document))
    return response


def _members(shape: Any, document: dict[str, Any]) -> str:
    return "".join(
        f"<{name}>{_value(member, document[key])}</{name}>"
        for key, member in shape.members.items()
        if key in document
        for name in (member.serialization.get("name", key),)
    )


def _value(shape: Any, value: Any) -> str:
    if shape.type_name == "structure":
        return _members(shape, value)
    if shape.type_name == "list":
        return "".join(f"<item>{_value(shape.member, item)}</item>" for item in value)
    return escape(str(value).lower() if isinstance(value, bool) else str(value))
