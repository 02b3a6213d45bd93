"""Look at what is there, in every Region that is, or was, part of the system."""

from __future__ import annotations

from collections.abc import Iterable

from botocore.exceptions import BotoCoreError, ClientError

from dask_regions.aws.networks import parameters
from dask_regions.aws.networks.dns import HostedZones
from dask_regions.aws.networks.ec2 import RegionalNetworks
from dask_regions.aws.networks.parts import Attachment, HostedZone, Network, Peering, Registry
from dask_regions.errors import UnavailableError
from dask_regions.join.observation import Observation, RegionState

__all__ = ["observe"]


def observe(
    system: str,
    client_region: str,
    configured: Iterable[str],
    *,
    leaving: Iterable[str] = (),
    returning: Iterable[str] = (),
) -> Observation:
    """Look at the networks of a system.

    Parameters
    ----------
    system
        Name of the system.
    client_region
        Empty where the system is taken apart.
    configured
        Regions to look at; those that the registry knows are looked at, too.
    leaving, returning
        As in :class:`Observation`.

    Raises
    ------
    ConfigurationError
        Where a Region publishes what this version does not understand.
    UnavailableError
        Where AWS refuses, or does not answer.
    """
    configured_regions = frozenset(configured)
    try:
        home = client_region or _client_of(system, configured_regions)
        registry = parameters.registry(system, home) if home else None
        members = registry.joined | registry.left if registry else frozenset()
        regions = sorted(configured_regions | {member.region for member in members} | set(leaving))
        adapters = {region: RegionalNetworks(region, system) for region in regions}
        states = {
            region: state
            for region, ec2 in adapters.items()
            if (state := _state(ec2, parameters.network(system, region))) is not None
        }
        return Observation(
            client_region=client_region,
            configured=configured_regions,
            regions=states,
            registry=registry or Registry(),
            registry_region=home if registry else "",
            leaving=frozenset(leaving),
            returning=frozenset(returning),
            peerings=_peerings(adapters.values(), states.values()),
            attachments=_attachments(adapters.values(), states.values()),
            zone=_zone(system, [client_region] if client_region else regions),
        )
    except (BotoCoreError, ClientError) as error:
        raise UnavailableError(
            f"the networks of {system} cannot be looked at: {error}; check rights and Regions, and try again"
        ) from error


def _client_of(system: str, regions: Iterable[str]) -> str:
    """Return the Region that publishes itself as the client Region; empty where none does."""
    published = (parameters.network(system, region) for region in sorted(regions))
    return next((each.region for each in published if each and each.role == "client"), "")


def _state(ec2: RegionalNetworks, network: Network | None) -> RegionState | None:
    """Return a Region's state; None where it published nothing, or a VPC that does not exist."""
    if network is None or not ec2.has_vpc(network.vpc):
        return None
    return RegionState(
        network=network,
        routes=ec2.routes(network.tables),
        prefix_list=ec2.prefix_list(network.prefix_list),
        gateway=ec2.gateway(network.gateway) if network.gateway else None,
    )


def _peerings(adapters: Iterable[RegionalNetworks], states: Iterable[RegionState]) -> tuple[Peering, ...]:
    vpcs = {(state.network.region, state.network.vpc) for state in states}
    return tuple(
        peering
        for ec2 in adapters
        for peering in ec2.peerings()
        if peering.ours or {(peering.region, peering.vpc), (peering.peer_region, peering.peer_vpc)} <= vpcs
    )


def _attachments(
    adapters: Iterable[RegionalNetworks], states: Iterable[RegionState]
) -> tuple[Attachment, ...]:
    gateways = {(state.network.region, state.network.gateway) for state in states}
    return tuple(
        each
        for ec2 in adapters
        for each in ec2.attachments()
        if each.ours or {(each.region, each.gateway), (each.peer_region, each.peer_gateway)} <= gateways
    )


def _zone(system: str, regions: Iterable[str]) -> HostedZone | None:
    for region in regions:
        if identifier := parameters.hosted_zone_id(system, region):
            return HostedZones(region).zone(identifier)
    return None
