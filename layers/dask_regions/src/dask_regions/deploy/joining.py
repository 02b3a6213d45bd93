"""Have the Regions joined by the state machine ``join_regions`` of the client Region's stack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dask_regions.aws.deployment import joining
from dask_regions.aws.deployment.stacks import look
from dask_regions.deploy.plan import System
from dask_regions.deploy.sam import Say
from dask_regions.errors import NotFoundError, UnavailableError
from dask_regions.join.rounds import clean
from dask_regions.join.rounds import leave as take_out
from dask_regions.names import client_stack

__all__ = ["STATE_MACHINE_OUTPUT", "join", "leave", "separate"]

#: Output of the client Region's stack.
STATE_MACHINE_OUTPUT = "JoinRegionsStateMachineArn"


def join(system: System, returning: Sequence[str], say: Say) -> None:
    """Join the Regions that are deployed, and wait until they are.

    Parameters
    ----------
    returning
        Regions that had left the network and are to come back.

    Raises
    ------
    UnavailableError
        Where they cannot be joined; the state machine tries again every hour.
    """
    state_machine = _state_machine(system)
    if state_machine is None:
        say(f"the Regions are joined once {system.client} is deployed: `dask-regions deploy {system.client}`")
        return
    _follow(system, state_machine, {"join": list(returning)} if returning else {}, say)
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


def separate(system: System, regions: Sequence[str], say: Say, *, whole: bool) -> None:
    """Undo what joins Regions that are about to be removed, also where the client Region is gone.

    Notes
    -----
    What is refused is said and no reason to stop: a VPC takes its routes and peerings with it.
    """
    if not regions:
        return
    state_machine = _state_machine(system)
    configured = [region.name for region in system.configuration.regions]
    if whole or system.client in regions or state_machine is None:
        rounds = clean(system.name, dict.fromkeys([*configured, *regions]))
    else:
        rounds = take_out(system.name, system.client, configured, list(regions))
    for outcome in rounds:
        for done in outcome.done:
            say(f"network: {done}")
        if outcome.action == "again":
            say(f"network: waiting for {'; '.join(outcome.pending) or 'AWS'}")
        for refused in outcome.refused:
            say(f"network: {refused}")


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
