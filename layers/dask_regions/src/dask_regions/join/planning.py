"""Decide what one round does: pure, from an observation to calls in their order.

A round removes what is left over, then connects, then routes. What needs the outcome of a call is left to
the next round, so that a plan is right whatever state it finds: nothing is remembered between rounds but
the registry, which is written before anything is made and cleared after everything is removed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network

from dask_regions.aws.networks.parts import Member, Registry
from dask_regions.join.calls import (
    AssociateZone,
    Call,
    DisassociateZone,
    ModifyPrefixList,
    Register,
)
from dask_regions.join.connecting import connect
from dask_regions.join.observation import Observation, RegionState
from dask_regions.join.routing import plan_routes

__all__ = ["Plan", "plan"]


@dataclass(frozen=True)
class Plan:
    """What one round does.

    Attributes
    ----------
    calls
        In the order in which they are made.
    pending
        What AWS, or a later round, has yet to do.
    refused
        What somebody has to mend; each says how.
    joined
        Regions that are, or are going to be, joined.
    absent
        Regions that are configured and not deployed.
    """

    calls: tuple[Call, ...] = ()
    pending: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    joined: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()

    @property
    def settled(self) -> bool:
        """Whether nothing is left to do or to mend."""
        return not (self.calls or self.pending or self.refused)


def plan(observation: Observation) -> Plan:
    """Decide what one round does.

    Notes
    -----
    Without the client Region's network nothing is done: a client stack that is being deployed is no reason
    to separate Regions. A Region that overlaps another stays out; those that were joined before it stay.
    """
    absent = tuple(sorted(observation.configured - observation.regions.keys()))
    client = observation.client_region
    if client and client not in observation.regions:
        return Plan(absent=absent)
    joined, refused = _members(observation)
    connections = connect(observation, list(joined.values()))
    removals, routes = plan_routes(observation, joined, connections.links)
    lists, more_pending, more_refused = _prefix_lists(observation, joined)
    associations, dissociations, zone_pending = _zone(observation, joined)
    removals += [*connections.deletions, *dissociations]
    waiting = [*connections.pending, *more_pending, *zone_pending]
    removing = bool(removals) or bool(connections.pending)
    before, after = _register(observation, joined, removing=removing)
    calls: list[Call] = [
        *before,
        *removals,
        *connections.requests,
        *routes,
        *lists,
        *associations,
        *after,
    ]
    return Plan(
        tuple(calls),
        tuple(waiting),
        (*refused, *connections.refused, *more_refused),
        tuple(sorted(joined)),
        absent,
    )


def _members(observation: Observation) -> tuple[dict[str, RegionState], list[str]]:
    """Return the Regions to join, and why others cannot be.

    Where the system is taken apart, the client Region alone is left: the state machine, which may run at
    the same time, comes to the same, and neither undoes what the other did.
    """
    client, left = observation.client_region, observation.left
    if not client:
        states = observation.regions.items()
        return {region: state for region, state in states if state.network.role == "client"}, []
    candidates = [
        state
        for region, state in observation.regions.items()
        if region in observation.configured and (region == client or state.network.member not in left)
    ]
    registered = observation.registry.joined
    candidates.sort(
        key=lambda state: (
            state.network.region != client,
            state.network.member not in registered,
            state.network.region,
        )
    )
    joined: dict[str, RegionState] = {}
    refused = []
    for state in candidates:
        block = IPv4Network(state.network.cidr)
        overlapped = [
            other.network for other in joined.values() if IPv4Network(other.network.cidr).overlaps(block)
        ]
        if overlapped:
            refused.append(
                f"{state.network.region} is not joined: its {block} overlaps {overlapped[0].cidr} of "
                f"{overlapped[0].region}; give it a cidr of its own in datasets.yaml and deploy it, which "
                "replaces its network"
            )
        else:
            joined[state.network.region] = state
    return joined, refused


def _prefix_lists(
    observation: Observation, joined: Mapping[str, RegionState]
) -> tuple[list[Call], list[str], list[str]]:
    """Return the changes that make each prefix list hold the blocks of all joined Regions, and no other."""
    calls: list[Call] = []
    pending, refused = [], []
    blocks = {state.network.cidr for state in joined.values()}
    for region, state in observation.regions.items():
        entries, prefix_list = blocks if region in joined else set(), state.prefix_list
        if prefix_list is None:
            if region in joined:
                pending.append(f"prefix list {state.network.prefix_list} in {region} is not there")
        elif entries == prefix_list.entries:
            continue
        elif prefix_list.state.endswith("in-progress"):
            pending.append(f"prefix list {prefix_list.id} in {region} is being changed")
        elif len(entries) > prefix_list.maximum:
            refused.append(
                f"prefix list {prefix_list.id} in {region} holds {prefix_list.maximum} blocks, and there "
                f"are {len(entries)} Regions; raise MaxEntries in regional_stack/network.yaml and deploy them"
            )
        else:
            add, remove = sorted(entries - prefix_list.entries), sorted(prefix_list.entries - entries)
            calls.append(
                ModifyPrefixList(region, prefix_list.id, prefix_list.version, tuple(add), tuple(remove))
            )
    return calls, pending, refused


def _zone(
    observation: Observation, joined: Mapping[str, RegionState]
) -> tuple[list[Call], list[Call], list[str]]:
    """Return associations to make and to remove, and what is pending, for the scheduler's name."""
    zone, client = observation.zone, observation.client_region
    workers = {
        (region, state.network.vpc) for region, state in joined.items() if state.network.role != "client"
    }
    if zone is None:
        return [], [], ["the scheduler's hosted zone is not published yet"] if workers else []
    home = {
        (member.region, member.vpc)
        for member in observation.known
        if member.region == client or _is_client(observation, member)
    }
    known = {(member.region, member.vpc) for member in observation.known} - home
    zone_region = client or next((region for region, _ in home), "")
    stale = sorted((zone.vpcs & known) - workers)
    return (
        [AssociateZone(zone_region, zone.id, *vpc) for vpc in sorted(workers - zone.vpcs)],
        [DisassociateZone(zone_region, zone.id, *vpc) for vpc in stale],
        [],
    )


def _is_client(observation: Observation, member: Member) -> bool:
    state = observation.regions.get(member.region)
    return state is not None and state.network.role == "client"


def _register(
    observation: Observation, joined: Mapping[str, RegionState], *, removing: bool
) -> tuple[list[Register], list[Register]]:
    """Return the entries to write before anything else, and after all else."""
    region, registry = observation.registry_region, observation.registry
    if not region:
        return [], []
    members = frozenset(state.network.member for state in joined.values())
    present = Registry(registry.joined | members, observation.left)
    settled = Registry(members, observation.left)
    before = [Register(region, present)] if present != registry else []
    # Nothing is cleared in the round that removes: the next one sees whether it is gone.
    after = [Register(region, settled)] if settled != present and not removing and not before else []
    return before, after
