"""What the reconciler asks of AWS: one class for each call, with the Region that is asked."""

from __future__ import annotations

from dataclasses import dataclass

from dask_regions.aws.networks.parts import Registry

__all__ = [
    "AcceptAttachment",
    "AcceptPeering",
    "AssociateZone",
    "Call",
    "DeleteAttachment",
    "DeleteGatewayRoute",
    "DeletePeering",
    "DeleteRoute",
    "DisassociateZone",
    "ModifyPrefixList",
    "PutGatewayRoute",
    "PutRoute",
    "Register",
    "RequestAttachment",
    "RequestPeering",
]


@dataclass(frozen=True)
class Register:
    """Remember who is joined and who has left."""

    region: str
    registry: Registry


@dataclass(frozen=True)
class RequestPeering:
    """Request a peering connection between two VPCs."""

    region: str
    vpc: str
    peer_region: str
    peer_vpc: str


@dataclass(frozen=True)
class AcceptPeering:
    """Accept a peering connection in the Region of its accepter."""

    region: str
    peering: str


@dataclass(frozen=True)
class DeletePeering:
    """Delete a peering connection."""

    region: str
    peering: str


@dataclass(frozen=True)
class PutRoute:
    """Create a route, or replace the one to the same destination."""

    region: str
    table: str
    destination: str
    target: str
    replaces: bool = False


@dataclass(frozen=True)
class DeleteRoute:
    """Delete a route."""

    region: str
    table: str
    destination: str


@dataclass(frozen=True)
class RequestAttachment:
    """Request a peering attachment between two Transit Gateways of one account."""

    region: str
    gateway: str
    peer_region: str
    peer_gateway: str
    account: str


@dataclass(frozen=True)
class AcceptAttachment:
    """Accept a peering attachment in the Region of its accepter."""

    region: str
    attachment: str


@dataclass(frozen=True)
class DeleteAttachment:
    """Delete a peering attachment."""

    region: str
    attachment: str


@dataclass(frozen=True)
class PutGatewayRoute:
    """Create a static route of a Transit Gateway, or replace the one to the same destination."""

    region: str
    table: str
    destination: str
    attachment: str
    replaces: bool = False


@dataclass(frozen=True)
class DeleteGatewayRoute:
    """Delete a static route of a Transit Gateway."""

    region: str
    table: str
    destination: str


@dataclass(frozen=True)
class ModifyPrefixList:
    """Add and remove blocks of a prefix list that still has this version."""

    region: str
    prefix_list: str
    version: int
    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()


@dataclass(frozen=True)
class AssociateZone:
    """Let names of the private hosted zone resolve in a VPC."""

    region: str
    zone: str
    vpc_region: str
    vpc: str


@dataclass(frozen=True)
class DisassociateZone:
    """Let them resolve no more."""

    region: str
    zone: str
    vpc_region: str
    vpc: str


Call = (
    Register
    | RequestPeering
    | AcceptPeering
    | DeletePeering
    | PutRoute
    | DeleteRoute
    | RequestAttachment
    | AcceptAttachment
    | DeleteAttachment
    | PutGatewayRoute
    | DeleteGatewayRoute
    | ModifyPrefixList
    | AssociateZone
    | DisassociateZone
)
