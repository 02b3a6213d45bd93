"""Have the Regions joined by the state machine ``join_regions`` of the client Region's stack."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dask_regions.aws.deployment import joining
from dask_regions.aws.deployment.stacks import look
from dask_regions.deploy.plan import System
from dask_regions.deploy.sam import Say
from dask_regions.errors import NotFoundError, UnavailableError
from dask_regions.names import client_stack

__all__ = ["STATE_MACHINE_OUTPUT", "join", "leave"]

#: Output of the client Region's stack.
STATE_MACHINE_OUTPUT = "JoinRegionsStateMachineArn"


def join(system: System, say: Say) -> None:
    """Join the Regions that are deployed, and wait until they are.

    Raises
    ------
    UnavailableError
        Where they cannot be joined; the state machine tries again every hour.
    """
    state_machine = _state_machine(system)
    if state_machine is None:
        say(f"the Regions are joined once {system.client} is deployed: `dask-regions deploy {system.client}`")
        return
    _follow(system, state_machine, {}, say)
    say("the Regions are joined")


def leave(system: System, region: str, say: Say) -> None:
    """Take a Region out of the network; its stacks stay.

    Raises
    ------
    NotFoundError
        Where there is no client Region, so that there is no network.
    """
    state_machine = _state_machine(system)
    if state_machine is None:
        raise NotFoundError(
            f"{system.client} has no stack {client_stack(system.name)} with a state machine that joins "
            f"Regions; deploy it (`dask-regions deploy {system.client}`), or remove the Region: "
            f"`dask-regions remove {region}`"
        )
    _follow(system, state_machine, {"leave": [region]}, say)
    say(f"{region} has left the network")


def _state_machine(system: System) -> str | None:
    stack = look(system.client, client_stack(system.name))
    return stack.outputs.get(STATE_MACHINE_OUTPUT) if stack else None


def _follow(system: System, state_machine: str, payload: Mapping[str, Any], say: Say) -> None:
    say(f"{system.client}: waiting for {state_machine.rsplit(':', 1)[-1]} {dict(payload) or ''}".rstrip())
    *_, last = joining.run(system.client, state_machine, payload)
    if last.status != "SUCCEEDED":
        reason = ": ".join(text for text in (last.error, last.cause) if text) or "no reason given"
        raise UnavailableError(
            f"the Regions are not joined, {last.status} ({reason}); it is tried again every hour, and by "
            f"`dask-regions deploy`. Its history: {last.arn}"
        )
