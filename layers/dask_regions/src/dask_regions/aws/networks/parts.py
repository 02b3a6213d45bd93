"""What networks consist of, as AWS describes it; plain values, without boto3."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = [
    "Attachment",
    "Gateway",
    "GatewayRoute",
    "HostedZone",
    "Kind",
    "Member",
    "Network",
    "Peering",
    "PrefixList",
    "Registry",
    "Route",
]

Kind = Literal["peering", "transit-gateway"]


@dataclass(frozen=True, order=True)
class Member:
    """A Region's VPC as it was joined: what is needed to take it out when its stack is gone.

    It is not the Region: one that was deployed anew has another VPC, and is another member.
    """

    region: str
    vpc: str
    cidr: str


@dataclass(frozen=True)
class Network:
    """What a Region's stack publishes of its network (``names.network_parameter``).

    Attributes
    ----------
    role
        ``client`` or ``worker``.
    tables
        Ids of the route tables that get the routes to the other Regions.
    kind
        How the Region is deployed to be joined.
    gateway
        Id of its Transit Gateway; empty for peering.
    """

    region: str
    role: str
    vpc: str
    cidr: str
    tables: tuple[str, ...]
    prefix_list: str
    kind: Kind = "peering"
    gateway: str = ""

    @property
    def member(self) -> Member:
        """The Region's VPC, to be registered."""
        return Member(self.region, self.vpc, self.cidr)


@dataclass(frozen=True)
class Registry:
    """What the reconciler remembers, in the client Region.

    Attributes
    ----------
    joined
        VPCs that were joined and have not been taken out completely.
    left
        VPCs that were told to leave: they stay out until their Region is deployed anew, or told to join.
    """

    joined: frozenset[Member] = frozenset()
    left: frozenset[Member] = frozenset()


@dataclass(frozen=True)
class Peering:
    """A VPC peering connection, as its requester's Region describes it.

    Attributes
    ----------
    status
        EC2's status code, e.g. ``pending-acceptance``.
    message
        EC2's explanation of the status.
    ours
        Whether it has the system's tag.
    """

    id: str
    region: str
    vpc: str
    peer_region: str
    peer_vpc: str
    status: str
    message: str = ""
    ours: bool = True


@dataclass(frozen=True)
class Attachment:
    """A Transit Gateway peering attachment, as its requester's Region describes it; fields as in Peering."""

    id: str
    region: str
    gateway: str
    peer_region: str
    peer_gateway: str
    state: str
    message: str = ""
    ours: bool = True


@dataclass(frozen=True)
class Route:
    """A route of a VPC's route table.

    Attributes
    ----------
    target
        Id of the peering connection or Transit Gateway; anything else as it is named, e.g. ``local``.
    active
        False for a blackhole, whose target is gone.
    """

    table: str
    destination: str
    target: str
    active: bool = True


@dataclass(frozen=True)
class GatewayRoute:
    """A static route of a Transit Gateway's route table; ``attachment`` is empty where its target is gone."""

    destination: str
    attachment: str
    active: bool = True


@dataclass(frozen=True)
class Gateway:
    """A Transit Gateway; ``table`` is its default route table, and ``owner`` its account."""

    id: str
    state: str
    table: str
    owner: str
    routes: tuple[GatewayRoute, ...] = ()


@dataclass(frozen=True)
class PrefixList:
    """A managed prefix list; ``state`` is EC2's, e.g. ``modify-in-progress``."""

    id: str
    version: int
    state: str
    maximum: int
    entries: frozenset[str] = frozenset()


@dataclass(frozen=True)
class HostedZone:
    """A private hosted zone, with Region and id of each VPC that is associated."""

    id: str
    vpcs: frozenset[tuple[str, str]] = frozenset()
