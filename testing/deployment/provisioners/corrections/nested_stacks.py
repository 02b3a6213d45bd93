"""Nested stacks: what one cannot delete fails its parent, and one that failed is deleted as it rolls back.

ministack forgets both, so that a resource in a nested stack could keep nothing from being deleted.
Not proven here: that CloudFormation tries again for minutes what another resource still holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ministack.services.cloudformation import _exports, _stacks
from ministack.services.cloudformation import provisioners as stock
from ministack.services.cloudformation.engine import _topological_sort
from ministack.services.cloudformation.stacks import _add_event

from ..refusals import RefusedError

Properties = Mapping[str, Any]


def create_stack(name: str, properties: Properties, parent: str) -> tuple[str, dict[str, Any]]:
    """Create a nested stack; one that fails is rolled back, and what it cannot delete is in the reason."""
    before = set(_stacks)
    try:
        created: tuple[str, dict[str, Any]] = stock._cfn_nested_stack_create(name, dict(properties), parent)
    except Exception as error:
        failures = []
        for stack in reversed([key for key in _stacks if key not in before]):
            if _stacks[stack].get("_parent_stack_name") == parent:
                kept = _delete_resources(stack)
                _stacks[stack]["StackStatus"] = "DELETE_FAILED" if kept else "DELETE_COMPLETE"
                failures += kept
        raise RefusedError("; ".join([str(error), *failures])) from error
    return created


def delete_stack(physical: str, _properties: Properties) -> None:
    """Delete a nested stack, dependents first; what cannot be deleted stays, and fails it."""
    stack = stock._nested_stack_lookup_name(physical)
    if stack not in _stacks:
        return
    if failures := _delete_resources(stack):
        _stacks[stack]["StackStatus"] = "DELETE_FAILED"
        raise RefusedError("; ".join(failures))
    for output in _stacks[stack].get("Outputs", []):
        _exports.pop(output.get("ExportName"), None)
    _stacks[stack]["StackStatus"] = "DELETE_COMPLETE"


def _delete_resources(stack: str) -> list[str]:
    """Delete a stack's resources, dependents first; return why some stay."""
    record = _stacks[stack]
    resources, definitions = record["_resources"], record["_template"].get("Resources", {})
    order = _topological_sort(definitions, record["_conditions"])
    order += [logical for logical in resources if logical not in order]
    failures = []
    for logical in reversed(order):
        if logical not in resources:
            continue
        resource = resources[logical]
        kind, physical = resource["ResourceType"], resource["PhysicalResourceId"]
        try:
            stock._delete_resource(kind, physical, resource["Properties"], stack, logical)
        except Exception as error:  # noqa: BLE001  whatever a provisioner raises is the reason
            failures.append(f"{logical}: {error}")
            _add_event(record["StackId"], stack, logical, kind, "DELETE_FAILED", str(error), physical)
        else:
            del resources[logical]
            _add_event(record["StackId"], stack, logical, kind, "DELETE_COMPLETE", "", physical)
    return failures


OVERRIDES = {"AWS::CloudFormation::Stack": {"create": create_stack, "delete": delete_stack}}
