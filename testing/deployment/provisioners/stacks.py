"""CloudFormation and Secrets Manager, where ministack accepts what AWS does not, or differs in ``Ref``.

Not proven here: waiting times, quotas, stack policies, drift.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ministack.services import secretsmanager
from ministack.services.cloudformation import _ACTION_HANDLERS, handlers
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


def create_secret(name: str, properties: Properties, stack: str) -> tuple[str, dict[str, Any]]:
    """Create a secret, whose ``Ref`` is its ARN."""
    _, attributes = stock._sm_secret_create(name, dict(properties), stack)
    return attributes["Arn"], attributes


def _name(arn: str) -> str:
    for name, secret in secretsmanager._secrets.items():
        if secret["ARN"] == arn:
            return str(name)
    return arn


def update_secret(
    arn: str, old: Properties, new: Properties, stack: str, logical: str
) -> tuple[str, dict[str, Any]]:
    """Update a secret; another name is another secret."""
    _, attributes = stock._sm_secret_update(_name(arn), dict(old), dict(new), stack, logical)
    return attributes["Arn"], attributes


def delete_secret(arn: str, properties: Properties) -> None:
    """Delete a secret without a recovery window, as CloudFormation does."""
    stock._sm_secret_delete(_name(arn), dict(properties))


ACTIONS = {action: _refusing(action) for action in ("CreateChangeSet", "UpdateStack")}
OVERRIDES = {
    "AWS::SecretsManager::Secret": {
        "create": create_secret,
        "update": update_secret,
        "update_with_logical_id": True,
        "delete": delete_secret,
    }
}
