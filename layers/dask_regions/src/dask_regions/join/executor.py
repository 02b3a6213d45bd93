"""Make the calls of a plan. What another caller has done meanwhile, or AWS is not ready for, is no error."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import astuple, dataclass, field
from functools import cache
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from dask_regions.aws.networks import parameters
from dask_regions.aws.networks.dns import HostedZones
from dask_regions.aws.networks.ec2 import RegionalNetworks
from dask_regions.errors import UnavailableError
from dask_regions.join import calls

__all__ = ["Applied", "apply"]

#: Codes that say that a call was made already, or cannot be made yet: the next round looks at what is there.
_SEEN_NEXT_ROUND = frozenset(
    {
        "ConcurrentModification",
        "ConflictingDomainExists",
        "DuplicateTransitGatewayAttachment",
        "IncorrectState",
        "InternalError",
        "InvalidPrefixListModification",
        "InvalidRoute.NotFound",
        "InvalidState",
        "InvalidStateTransition",
        "InvalidTransitGatewayAttachmentID.NotFound",
        "InvalidTransitGatewayID.NotFound",
        "InvalidVpcPeeringConnectionID.NotFound",
        "NotFound",
        "PrefixListVersionMismatch",
        "PriorRequestNotComplete",
        "RequestLimitExceeded",
        "RouteAlreadyExists",
        "Throttling",
        "ThrottlingException",
        "TransitGatewayRouteAlreadyExists",
        "Unavailable",
        "VPCAssociationNotFound",
        "VpcPeeringConnectionAlreadyExists",
    }
)
_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})


@dataclass
class Applied:
    """What became of a plan's calls, each as text.

    Attributes
    ----------
    done
        Calls that were made.
    pending
        Calls that the next round decides on anew.
    refused
        Calls that AWS refused, with the cure.
    """

    done: list[str] = field(default_factory=list)
    pending: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


def apply(system: str, planned: Iterable[calls.Call]) -> Applied:
    """Make calls in their order; one that is refused stops none but those after a refused registration.

    Raises
    ------
    UnavailableError
        Where AWS does not answer, or the registry cannot be written: nothing is made that nobody remembers.
    """
    applied = Applied()
    make = _Makers(system)
    for call in planned:
        text = _text(call)
        try:
            make(call)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if isinstance(call, calls.Register):
                raise UnavailableError(f"{text}: {error}; nothing was changed, try again") from error
            if code in _SEEN_NEXT_ROUND:
                applied.pending.append(f"{text}: {error}")
            else:
                applied.refused.append(f"{text}: {error}; {_cure(code)}")
        except BotoCoreError as error:
            raise UnavailableError(f"{text}: {error}; try again") from error
        else:
            applied.done.append(text)
    return applied


def _cure(code: str) -> str:
    if code in _DENIED:
        return (
            "allow it: deploy the client stack of this version, or sign in with the right to change networks"
        )
    if "LimitExceeded" in code:
        return "raise the quota (`dask-regions quotas`), or take a Region out"
    if code in ("OptInRequired", "AuthFailure"):
        return "enable the Region for this account"
    return "mend what it says; the next execution tries again"


def _text(call: calls.Call) -> str:
    if isinstance(call, calls.Register):
        members = ", ".join(member.region for member in sorted(call.registry.joined))
        return f"Register {call.region}: {members or 'no Region'}"
    values = (part if isinstance(part, tuple) else (part,) for part in astuple(call))
    words = [str(word) for part in values for word in part if not isinstance(word, bool)]
    return " ".join([type(call).__name__, *words])


class _Makers:
    """Makes each kind of call in its Region."""

    def __init__(self, system: str) -> None:
        self._system = system
        self._ec2 = cache(lambda region: RegionalNetworks(region, system))
        self._zones = cache(HostedZones)

    def __call__(self, call: calls.Call) -> None:
        _MAKE[type(call)](self, call)

    def register(self, call: calls.Register) -> None:
        parameters.write_registry(self._system, call.region, call.registry)

    def request_peering(self, call: calls.RequestPeering) -> None:
        self._ec2(call.region).request_peering(call.vpc, call.peer_region, call.peer_vpc)

    def accept_peering(self, call: calls.AcceptPeering) -> None:
        self._ec2(call.region).accept_peering(call.peering)

    def delete_peering(self, call: calls.DeletePeering) -> None:
        self._ec2(call.region).delete_peering(call.peering)

    def put_route(self, call: calls.PutRoute) -> None:
        self._ec2(call.region).put_route(call.table, call.destination, call.target, replaces=call.replaces)

    def delete_route(self, call: calls.DeleteRoute) -> None:
        self._ec2(call.region).delete_route(call.table, call.destination)

    def request_attachment(self, call: calls.RequestAttachment) -> None:
        self._ec2(call.region).request_attachment(
            call.gateway, call.peer_region, call.peer_gateway, call.account
        )

    def accept_attachment(self, call: calls.AcceptAttachment) -> None:
        self._ec2(call.region).accept_attachment(call.attachment)

    def delete_attachment(self, call: calls.DeleteAttachment) -> None:
        self._ec2(call.region).delete_attachment(call.attachment)

    def put_gateway_route(self, call: calls.PutGatewayRoute) -> None:
        self._ec2(call.region).put_gateway_route(
            call.table, call.destination, call.attachment, replaces=call.replaces
        )

    def delete_gateway_route(self, call: calls.DeleteGatewayRoute) -> None:
        self._ec2(call.region).delete_gateway_route(call.table, call.destination)

    def modify_prefix_list(self, call: calls.ModifyPrefixList) -> None:
        self._ec2(call.region).modify_prefix_list(call.prefix_list, call.version, call.add, call.remove)

    def associate_zone(self, call: calls.AssociateZone) -> None:
        self._zones(call.region).associate(call.zone, call.vpc_region, call.vpc)

    def disassociate_zone(self, call: calls.DisassociateZone) -> None:
        self._zones(call.region).disassociate(call.zone, call.vpc_region, call.vpc)


_MAKE: Mapping[type, Callable[[_Makers, Any], None]] = {
    calls.Register: _Makers.register,
    calls.RequestPeering: _Makers.request_peering,
    calls.AcceptPeering: _Makers.accept_peering,
    calls.DeletePeering: _Makers.delete_peering,
    calls.PutRoute: _Makers.put_route,
    calls.DeleteRoute: _Makers.delete_route,
    calls.RequestAttachment: _Makers.request_attachment,
    calls.AcceptAttachment: _Makers.accept_attachment,
    calls.DeleteAttachment: _Makers.delete_attachment,
    calls.PutGatewayRoute: _Makers.put_gateway_route,
    calls.DeleteGatewayRoute: _Makers.delete_gateway_route,
    calls.ModifyPrefixList: _Makers.modify_prefix_list,
    calls.AssociateZone: _Makers.associate_zone,
    calls.DisassociateZone: _Makers.disassociate_zone,
}
