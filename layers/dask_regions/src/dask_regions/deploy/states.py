"""What a stack's state means for the next deployment, and whose stack it is. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum

from dask_regions.aws.deployment.stacks import Stack
from dask_regions.models import Configuration
from dask_regions.names import client_stack, images_stack, worker_stack

__all__ = ["Step", "conflicts", "stack_names", "step"]

#: A stack that was never whole holds nothing, and CloudFormation lets it only be deleted.
_FAILED = {"ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED"}


class Step(StrEnum):
    """What comes next for a stack."""

    CREATE = "create"
    UPDATE = "update"
    WAIT = "wait"
    RECREATE = "delete what has failed, then create"
    STUCK = "stuck"


def step(stack: Stack | None) -> Step:
    """Return what comes next for a stack that is to be there."""
    if stack is None or stack.status == "REVIEW_IN_PROGRESS":
        return Step.CREATE  # a change set that was never executed is replaced by the next
    if stack.status.endswith("IN_PROGRESS"):
        return Step.WAIT
    if stack.status in _FAILED:
        return Step.RECREATE
    return Step.STUCK if stack.status == "UPDATE_ROLLBACK_FAILED" else Step.UPDATE


def stack_names(system: str, *, client: bool) -> tuple[str, str]:
    """Return the names of a Region's stacks in the order of their creation."""
    return images_stack(system), client_stack(system) if client else worker_stack(system)


def conflicts(
    configuration: Configuration, regions: Sequence[str], stacks: Mapping[tuple[str, str], Stack]
) -> list[str]:
    """Return why these Regions cannot be deployed over what is there, each with the cure.

    Parameters
    ----------
    regions
        Regions to deploy.
    stacks
        Stacks that are there, by Region and name.
    """
    return [
        problem
        for region in configuration.regions
        if region.name in regions
        for problem in _conflicts_of(configuration, region.name, stacks)
    ]


def _conflicts_of(
    configuration: Configuration, name: str, stacks: Mapping[tuple[str, str], Stack]
) -> Iterator[str]:
    system, client = configuration.system.name, configuration.client_region.name
    region = next(region for region in configuration.regions if region.name == name)
    own = client_stack(system) if region.client else worker_stack(system)
    other = worker_stack(system) if region.client else client_stack(system)
    rename = f"name this system otherwise (system.name in datasets.yaml; {system!r} is taken)"
    for stack_name in (own, images_stack(system)):
        stack = stacks.get((name, stack_name))
        if stack is not None and stack.tags.get("system", system) != system:
            yield f"{name} has a stack {stack_name} of another system, {stack.tags['system']}; {rename}"
        elif stack is not None and _client_region(stack, client) != client:
            yield (
                f"{name} has a stack {stack_name} whose client Region is {_client_region(stack, client)}, "
                f"not {client}: two systems of one name. Either {rename}, or take the other's Region away "
                f"first: `dask-regions remove {name}`"
            )
    if (name, other) in stacks:
        yield (
            f"{name} has the stack {other}, so it is {'a worker' if region.client else 'the client'} Region "
            f"of {system!r} already; a Region is one or the other. Either {rename}, or "
            f"`dask-regions remove {name}`"
        )
    deployed = stacks.get((name, own))
    cidr = deployed.parameters.get("Cidr") if deployed else None
    if deployed and step(deployed) is Step.UPDATE and cidr and cidr != str(region.cidr):
        yield (
            f"{name} is deployed with cidr {cidr}, and datasets.yaml says {region.cidr}; a network cannot "
            f"change its block while it is used. Put {cidr} back, or run `dask-regions remove {name}` first"
        )
    if deployed and step(deployed) is Step.STUCK:
        yield (
            f"{name}: the stack {own} could not be rolled back ({deployed.reason}); mend the cause, then "
            f"`aws cloudformation continue-update-rollback --stack-name {own} --region {name}`, "
            "and run this again"
        )


def _client_region(stack: Stack, default: str) -> str:
    return stack.parameters.get("ClientRegion") or stack.tags.get("client-region") or default
