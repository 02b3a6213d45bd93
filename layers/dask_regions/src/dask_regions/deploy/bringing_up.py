"""Carry out a deployment: repositories, images, stacks of all Regions at once, then the network.

Every stage looks at what is there and does what lacks, so that a run that was interrupted, or failed, is
repeated by the same command.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from dask_regions.aws.configuration import publish
from dask_regions.aws.deployment.account import create_service_roles
from dask_regions.aws.deployment.stacks import Stack, delete, failures, look, settle
from dask_regions.deploy.images.building import Builder
from dask_regions.deploy.images.providing import provide, replicate
from dask_regions.deploy.joining import join
from dask_regions.deploy.plan import Plan
from dask_regions.deploy.sam import CommandFailedError, Sam, Say
from dask_regions.deploy.samconfig.environments import environment_of, images_environment, render
from dask_regions.deploy.states import Step, stack_names, step
from dask_regions.errors import DaskRegionsError
from dask_regions.models import Region
from dask_regions.names import client_stack, images_stack

__all__ = ["IncompleteError", "bring_up", "commands"]


class IncompleteError(DaskRegionsError):
    """A part of a deployment failed; the others are done. Mend what is named, and deploy again."""


@dataclass(frozen=True)
class _Target:
    """A stack to deploy: its Region and name, its environment, and its parameters where that lacks some."""

    region: str
    stack: str
    environment: str
    overrides: Sequence[str] = ()


def commands(plan_regions: Sequence[Region], client: Region, sam: Sam) -> Iterator[list[str]]:
    """Yield the commands of a deployment in their order; images are built and copied after the first few."""
    for name in dict.fromkeys([client.name, *(region.name for region in plan_regions)]):
        yield sam.deploy_command(images_environment(name))
    if client in plan_regions:
        yield sam.build_command()
    for region in plan_regions:
        yield sam.deploy_command(environment_of(region))


def bring_up(plan: Plan, sam: Sam, builder: Builder, say: Say) -> None:
    """Carry out a plan.

    Raises
    ------
    IncompleteError
        Where stacks failed; what could be done is done.
    """
    system = plan.system
    sam.samconfig.write_text(render(system.configuration, system.checkout), encoding="utf-8")
    for service in create_service_roles(system.client):
        say(f"created the service-linked role of {service}")
    _deploy(_image_targets(plan), sam, say)
    replicate(plan, say)
    provide(plan, builder, say)
    if any(region.client for region in plan.regions):
        sam.build()
    _deploy(_targets(plan), sam, say)
    if look(system.client, client_stack(system.name)):
        version = publish(system.name, system.client, system.datasets)
        say(f"{system.client}: {system.datasets.name} is published, version {version}")
    join(system, plan.returning, say)


def _image_targets(plan: Plan) -> list[_Target]:
    names = dict.fromkeys([plan.system.client, *(region.name for region in plan.regions)])
    stack = images_stack(plan.system.name)
    return [_Target(name, stack, images_environment(name)) for name in names]


def _targets(plan: Plan) -> list[_Target]:
    return [
        _Target(
            region.name,
            stack_names(plan.system.name, client=region.client)[1],
            environment_of(region),
            plan.overrides(region),
        )
        for region in plan.regions
    ]


def _deploy(targets: Sequence[_Target], sam: Sam, say: Say) -> None:
    """Deploy stacks side by side; they are of different Regions."""
    with ThreadPoolExecutor(max_workers=max(len(targets), 1)) as pool:
        outcomes = list(pool.map(lambda target: _attempt(target, sam, say), targets))
    if problems := [problem for problem in outcomes if problem]:
        raise IncompleteError("; ".join(problems) + "; mend that, and run `dask-regions deploy` again")


def _attempt(target: _Target, sam: Sam, say: Say) -> str | None:
    """Deploy one stack; return what went wrong."""
    try:
        _clear(look(target.region, target.stack), say)
        sam.deploy(target.environment, target.overrides)
    except CommandFailedError as error:
        stack = look(target.region, target.stack)
        reasons = failures(stack)[:3] if stack else []
        status = f"is {stack.status}" if stack else "was not created"
        return f"{target.region}: the stack {target.stack} {status}: {'; '.join(reasons) or error}"
    except DaskRegionsError as error:
        return f"{target.region}: {error}"
    return None


def _clear(stack: Stack | None, say: Callable[[str], None]) -> None:
    """Wait for another run, and delete what an earlier one could not create."""
    if stack is not None and step(stack) is Step.WAIT:
        stack = settle(stack, say)
    if stack is None or step(stack) is not Step.RECREATE:
        return
    say(f"{stack.region}: the stack {stack.name} is {stack.status}, so nothing of it serves: it goes first")
    rest = delete(stack, say)
    if rest is not None:
        raise IncompleteError(
            f"the stack {stack.name} cannot be deleted ({'; '.join(failures(rest)[:3]) or rest.reason}); "
            f"delete what holds it, then `dask-regions remove {stack.region}`"
        )
