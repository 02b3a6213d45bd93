"""What a round looks at before it decides: who is to be joined, and what is there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from dask_regions.aws.networks.parts import (
    Attachment,
    Gateway,
    HostedZone,
    Member,
    Network,
    Peering,
    PrefixList,
    Registry,
    Route,
)

__all__ = ["Observation", "RegionState"]


@dataclass(frozen=True)
class RegionState:
    """The network of a Region that is deployed.

    Attributes
    ----------
    routes
        Of the route tables that the Region publishes.
    gateway
        Its Transit Gateway, where it has one.
    """

    network: Network
    routes: tuple[Route, ...] = ()
    prefix_list: PrefixList | None = None
    gateway: Gateway | None = None


@dataclass(frozen=True)
class Observation:
    """All that a plan is made of.

    Attributes
    ----------
    client_region
        Empty where the system is taken apart: then the client Region is left alone.
    registry_region
        Region in which the registry is; empty where the client Region's stack is gone.
    configured
        Regions of ``datasets.yaml``, the client Region included.
    leaving, returning
        Regions that are told now to leave, and to be joined although they were told to leave before.
    regions
        By name, those that have published a network whose VPC exists; others are not deployed.
    peerings, attachments
        Those that have the system's tag, and those between VPCs or Transit Gateways that are published.
    zone
        Private hosted zone of the scheduler's name, once it is published.
    """

    client_region: str
    configured: frozenset[str]
    regions: Mapping[str, RegionState]
    registry: Registry = field(default_factory=Registry)
    registry_region: str = ""
    leaving: frozenset[str] = frozenset()
    returning: frozenset[str] = frozenset()
    peerings: tuple[Peering, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    zone: HostedZone | None = None

    @property
    def known(self) -> frozenset[Member]:
        """VPCs that are or were part of the system."""
        published = {state.network.member for state in self.regions.values()}
        return self.registry.joined | self.registry.left | published

    @property
    def left(self) -> frozenset[Member]:
        """VPCs that stay out; one that is published no more needs no mention.

        Where the system is taken apart they are all workers', so that none is joined anew meanwhile.
        """
        networks = [state.network for state in self.regions.values()]
        if not self.client_region:
            return frozenset(network.member for network in networks if network.role != "client")
        published = {network.member for network in networks}
        now = {member for member in published if member.region in self.leaving}
        before = {member for member in self.registry.left & published if member.region not in self.returning}
        return frozenset(now | before)

    def routes(self) -> Iterator[tuple[str, Route]]:
        """Yield every route with its Region."""
        for region, state in self.regions.items():
            for route in state.routes:
                yield region, route
