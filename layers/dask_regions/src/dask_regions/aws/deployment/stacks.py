"""Stacks of CloudFormation as they stand: looked at, waited for, deleted."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import boto3
from botocore.exceptions import ClientError
from pydantic import BaseModel, ConfigDict

from dask_regions.aws.deployment.account import readable_errors
from dask_regions.errors import UnavailableError

__all__ = ["Stack", "delete", "failures", "look", "resources", "settle"]

#: A client Region takes some 30 minutes, of which OpenSearch is most; CloudFormation's own limits are longer.
SETTLE_LIMIT_SECONDS = 2 * 3600
_POLL_SECONDS = 2.0


class Stack(BaseModel):
    """A stack as it stands.

    Attributes
    ----------
    status
        CloudFormation's ``StackStatus``.
    reason
        Why it has that status, where CloudFormation says so.
    parameters, outputs, tags
        By name.
    """

    model_config = ConfigDict(frozen=True)

    region: str
    name: str
    identifier: str
    status: str
    reason: str = ""
    parameters: dict[str, str] = {}
    outputs: dict[str, str] = {}
    tags: dict[str, str] = {}


def look(region: str, name: str) -> Stack | None:
    """Return a stack by its name or id; None where there is none, or it is deleted."""
    client = boto3.client("cloudformation", region_name=region)
    with readable_errors(f"describe the stack {name} in {region}"):
        try:
            (answer,) = client.describe_stacks(StackName=name)["Stacks"]
        except ClientError as error:
            if "does not exist" in str(error):
                return None
            raise
    stack = _stack(region, answer)
    return None if stack.status == "DELETE_COMPLETE" else stack


def _stack(region: str, answer: Any) -> Stack:
    return Stack(
        region=region,
        name=answer["StackName"],
        identifier=answer["StackId"],
        status=answer["StackStatus"],
        reason=answer.get("StackStatusReason") or "",
        parameters={
            entry["ParameterKey"]: entry.get("ParameterValue", "") for entry in answer.get("Parameters", [])
        },
        outputs={entry["OutputKey"]: entry["OutputValue"] for entry in answer.get("Outputs", [])},
        tags={entry["Key"]: entry["Value"] for entry in answer.get("Tags", [])},
    )


def settle(stack: Stack, say: Callable[[str], None]) -> Stack | None:
    """Wait until nothing is in progress; return the stack as it is then, None where it is gone.

    Parameters
    ----------
    say
        Gets a sentence for each status that is waited out.

    Raises
    ------
    UnavailableError
        After ``SETTLE_LIMIT_SECONDS``.
    """
    current: Stack | None = stack
    announced = ""
    deadline = time.monotonic() + SETTLE_LIMIT_SECONDS
    while current is not None and current.status.endswith("IN_PROGRESS"):
        if current.status == "REVIEW_IN_PROGRESS":
            return current  # a change set that nobody executed; nothing goes on
        if current.status != announced:
            say(f"{stack.region}: waiting for the stack {stack.name}, which is {current.status}")
            announced = current.status
        if time.monotonic() > deadline:
            raise UnavailableError(
                f"the stack {stack.name} in {stack.region} is {current.status} for two hours; look at its "
                "events in the console, then run this again"
            )
        time.sleep(_POLL_SECONDS)
        current = look(stack.region, stack.identifier)
    return current


def delete(stack: Stack, say: Callable[[str], None]) -> Stack | None:
    """Delete a stack and wait for it; return None, or the stack where a part of it could not be deleted."""
    with readable_errors(f"delete the stack {stack.name} in {stack.region}"):
        boto3.client("cloudformation", region_name=stack.region).delete_stack(StackName=stack.identifier)
    say(f"{stack.region}: deleting the stack {stack.name}")
    current = look(stack.region, stack.identifier)
    return settle(current, say) if current else None


def resources(region: str, identifier: str, kind: str) -> list[str]:
    """Return the physical ids of a stack's resources of a type, and of those of the stacks nested in it."""
    client = boto3.client("cloudformation", region_name=region)
    with readable_errors(f"list the resources of {identifier} in {region}"):
        entries = [
            entry
            for page in client.get_paginator("list_stack_resources").paginate(StackName=identifier)
            for entry in page["StackResourceSummaries"]
            if entry.get("PhysicalResourceId") and entry["ResourceStatus"] != "DELETE_COMPLETE"
        ]
    own = [entry["PhysicalResourceId"] for entry in entries if entry["ResourceType"] == kind]
    nested = [entry for entry in entries if entry["ResourceType"] == "AWS::CloudFormation::Stack"]
    return own + [name for entry in nested for name in resources(region, entry["PhysicalResourceId"], kind)]


def failures(stack: Stack) -> list[str]:
    """Return why resources of a stack, and of those nested in it, failed, the latest first."""
    client = boto3.client("cloudformation", region_name=stack.region)
    with readable_errors(f"list the events of {stack.name} in {stack.region}"):
        events = client.describe_stack_events(StackName=stack.identifier)["StackEvents"]
    reasons: list[str] = []
    for event in events:
        reason = event.get("ResourceStatusReason", "")
        if not event["ResourceStatus"].endswith("FAILED") or "cancelled" in reason:
            continue
        nested = event.get("PhysicalResourceId", "")
        is_nested = event["ResourceType"] == "AWS::CloudFormation::Stack" and nested != stack.identifier
        inner = look(stack.region, nested) if is_nested and nested else None
        reasons += failures(inner) if inner else [f"{event['LogicalResourceId']}: {reason}"]
    return list(dict.fromkeys(reasons))
