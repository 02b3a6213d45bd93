"""CloudFormation, where ministack accepts what AWS does not.

Not proven here: waiting times, quotas, stack policies, drift.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ministack.services.cloudformation import _ACTION_HANDLERS, _stacks, handlers
from ministack.services.cloudformation import provisioners as stock
from ministack.services.cloudformation.helpers import _error, _p

Properties = Mapping[str, Any]
Params = Mapping[str, list[str]]
Response = tuple[int, Any, bytes]

#: Statuses of a stack that can only be deleted, "Stack status codes" in the CloudFormation user guide.
_DELETE_ONLY = ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED", "CREATE_FAILED")


def _refusing(action: str) -> Callable[[Params], Response]:
    handler: Callable[[Params], Response] = _ACTION_HANDLERS[action]

    def answer(params: Params) -> Response:
        stack = handlers._resolve_stack(_p(params, "StackName"))
        if stack and stack["StackStatus"] in _DELETE_ONLY:
            if _p(params, "ChangeSetType") == "CREATE":
                return _refusal("AlreadyExistsException", f"Stack [{stack['StackName']}] already exists")
            state = f"is in {stack['StackStatus']} state and can not be updated."
            return _refusal("ValidationError", f"Stack:{stack['StackId']} {state}")
        return handler(params)

    return answer


def _refusal(code: str, message: str) -> Response:
    response: Response = _error(code, message)
    return response


_update_resource = stock._update_resource


def _update_keeping_attributes(
    kind: str,
    physical: str,
    old: Properties,
    new: Properties,
    stack: str,
    logical: str | None = None,
    attributes: Properties | None = None,
) -> tuple[str, Properties]:
    """Update a resource; one of a nested stack that has not changed keeps its attributes."""
    if attributes is None and logical in _stacks[stack]["_resources"]:
        attributes = _stacks[stack]["_resources"][logical].get("Attributes")
    updated: tuple[str, Properties] = _update_resource(kind, physical, old, new, stack, logical, attributes)
    return updated


def install() -> None:
    """Put these in the place of ministack's."""
    stock._update_resource = _update_keeping_attributes


ACTIONS = {action: _refusing(action) for action in ("CreateChangeSet", "UpdateStack")}
