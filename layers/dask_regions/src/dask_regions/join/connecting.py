"""The connections between two Regions: which one is used, what is requested, accepted or deleted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from dask_regions.aws.networks.parts import Attachment, Network, Peering
from dask_regions.join.calls import (
    AcceptAttachment,
    AcceptPeering,
    Call,
    DeleteAttachment,
    DeletePeering,
    RequestAttachment,
    RequestPeering,
)
from dask_regions.join.observation import Observation, RegionState

__all__ = ["Connections", "Link", "connect"]

#: Status codes of a peering connection that is, or becomes, active.
_LIVE_PEERING = ("active", "pending-acceptance", "provisioning", "initiating-request")
#: States of an attachment that is, or becomes, available.
_LIVE_ATTACHMENT = (
    "available",
    "pendingAcceptance",
    "pending",
    "modifying",
    "initiating",
    "initiatingRequest",
)
_ENDING = ("deleting", "rejecting", "rollingBack")
#: States that stay visible for hours after a connection has ended.
_ENDED = ("deleted", "expired", "rejected", "failed", "failing")


@dataclass(frozen=True)
class Link:
    """The way from one Region to another.

    Attributes
    ----------
    target
        Target of the route in the VPC's route tables; empty until the connection carries traffic.
    attachment
        Target of the static route in the Transit Gateway's route table; empty for peering.
    """

    target: str = ""
    attachment: str = ""


@dataclass
class Connections:
    """What was found and decided for all pairs of Regions.

    Attributes
    ----------
    links
        By the two Regions, in both directions.
    requests, deletions
        Calls that make connections, and that remove those that nobody wants.
    pending, refused
        What has to be waited for, and what somebody has to mend.
    """

    links: dict[tuple[str, str], Link] = field(default_factory=dict)
    requests: list[Call] = field(default_factory=list)
    deletions: list[Call] = field(default_factory=list)
    pending: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    _kept: set[str] = field(default_factory=set)

    def keep(self, *connections: Peering | Attachment) -> None:
        """Do not delete these."""
        self._kept |= {connection.id for connection in connections}

    def keeps(self, connection: Peering | Attachment) -> bool:
        """Return whether a connection is wanted."""
        return connection.id in self._kept


def connect(observation: Observation, joined: Sequence[RegionState]) -> Connections:
    """Decide on the connections between all pairs of the joined Regions, and on those that are left over."""
    connections = Connections()
    ordered = sorted(joined, key=lambda state: state.network.region)
    for index, first in enumerate(ordered):
        for second in ordered[index + 1 :]:
            _connect_pair(observation, first, second, connections)
    _remove_left_over(observation, connections)
    return connections


def _connect_pair(
    observation: Observation, first: RegionState, second: RegionState, connections: Connections
) -> None:
    peerings = [peering for peering in observation.peerings if _joins_vpcs(peering, first, second)]
    attachments = [each for each in observation.attachments if _joins_gateways(each, first, second)]
    kinds = {first.network.kind, second.network.kind}
    if kinds == {"peering"}:
        _peer(first, second, peerings, connections)
    elif kinds == {"transit-gateway"}:
        _attach(first, second, attachments, connections)
    else:
        connections.keep(*peerings, *attachments)
        connections.refused.append(
            f"{first.network.region} is deployed for {first.network.kind} and {second.network.region} for "
            f"{second.network.kind}; set 'network' under 'system' in datasets.yaml and deploy both Regions"
        )


def _joins_vpcs(peering: Peering, first: RegionState, second: RegionState) -> bool:
    ends = {(peering.region, peering.vpc), (peering.peer_region, peering.peer_vpc)}
    return ends == {(state.network.region, state.network.vpc) for state in (first, second)}


def _joins_gateways(attachment: Attachment, first: RegionState, second: RegionState) -> bool:
    ends = {(attachment.region, attachment.gateway), (attachment.peer_region, attachment.peer_gateway)}
    return ends == {(state.network.region, state.network.gateway) for state in (first, second)}


def _peer(first: RegionState, second: RegionState, peerings: list[Peering], connections: Connections) -> None:
    """Use, accept or request a peering connection; the Region that comes first by name requests it."""
    near, far = first.network, second.network
    pair = f"{near.region} and {far.region}"
    live = [peering for peering in peerings if peering.status in _LIVE_PEERING]
    live.sort(key=lambda peering: (_LIVE_PEERING.index(peering.status), not peering.ours, peering.id))
    if not live:
        failed = next((peering for peering in peerings if peering.status == "failed"), None)
        if failed is not None:
            connections.refused.append(
                f"peering connection {failed.id} between {pair} failed: {failed.message}; mend that "
                "(overlapping blocks: another cidr in datasets.yaml; a quota: `dask-regions quotas`). It is "
                "requested anew once EC2 shows the failed one no more, within two hours"
            )
        elif any(peering.status in _ENDING for peering in peerings):
            connections.pending.append(f"the old peering connection between {pair} is being deleted")
        else:
            connections.requests.append(RequestPeering(near.region, near.vpc, far.region, far.vpc))
        return
    peering = live[0]
    connections.keep(peering)
    if peering.status == "active":
        connections.links[near.region, far.region] = Link(peering.id)
        connections.links[far.region, near.region] = Link(peering.id)
    elif not peering.ours:
        connections.refused.append(
            f"peering connection {peering.id} between {pair} was not made by this system and is "
            f"{peering.status}; accept it, or delete it"
        )
    elif peering.status == "pending-acceptance":
        connections.requests.append(AcceptPeering(peering.peer_region, peering.id))
    else:
        connections.pending.append(f"peering connection {peering.id} between {pair} is {peering.status}")


def _attach(
    first: RegionState, second: RegionState, attachments: list[Attachment], connections: Connections
) -> None:
    """Use, accept or request a peering attachment of two Transit Gateways."""
    near, far = first.network, second.network
    pair = f"{near.region} and {far.region}"
    for state in (first, second):
        if state.gateway is None or state.gateway.state != "available":
            connections.keep(*attachments)
            connections.pending.append(
                f"Transit Gateway {state.network.gateway} in {state.network.region} is not available"
            )
            return
    live = [attachment for attachment in attachments if attachment.state in _LIVE_ATTACHMENT]
    live.sort(key=lambda each: (_LIVE_ATTACHMENT.index(each.state), not each.ours, each.id))
    if not live:
        _request_attachment(
            near, far, second.gateway.owner if second.gateway else "", attachments, connections
        )
        return
    attachment = live[0]
    connections.keep(attachment)
    if attachment.state == "available":
        connections.links[near.region, far.region] = Link(near.gateway, attachment.id)
        connections.links[far.region, near.region] = Link(far.gateway, attachment.id)
    elif not attachment.ours:
        connections.refused.append(
            f"peering attachment {attachment.id} between {pair} was not made by this system and is "
            f"{attachment.state}; accept it, or delete it"
        )
    elif attachment.state == "pendingAcceptance":
        connections.requests.append(AcceptAttachment(attachment.peer_region, attachment.id))
    else:
        connections.pending.append(f"peering attachment {attachment.id} between {pair} is {attachment.state}")


def _request_attachment(
    near: Network, far: Network, account: str, ended: list[Attachment], connections: Connections
) -> None:
    pair = f"{near.region} and {far.region}"
    failed = next((each for each in ended if each.state in ("failed", "failing")), None)
    if failed is not None:
        connections.refused.append(
            f"peering attachment {failed.id} between {pair} failed: {failed.message}; mend that. "
            "It is requested anew once EC2 shows the failed one no more"
        )
    elif any(each.state in _ENDING for each in ended):
        connections.pending.append(f"the old peering attachment between {pair} is being deleted")
    else:
        connections.requests.append(
            RequestAttachment(near.region, near.gateway, far.region, far.gateway, account)
        )


def _remove_left_over(observation: Observation, connections: Connections) -> None:
    """Delete what is the system's and wanted no more, once no route leads through it."""
    used = {route.target for _, route in observation.routes() if route.active}
    for peering in observation.peerings:
        if not peering.ours or connections.keeps(peering) or peering.status in _ENDED:
            continue
        if peering.status in _ENDING:
            connections.pending.append(f"peering connection {peering.id} is being deleted")
        elif peering.id in used:
            connections.pending.append(f"peering connection {peering.id} is deleted once no route needs it")
        elif peering.status in ("active", "pending-acceptance"):
            connections.deletions.append(DeletePeering(peering.region, peering.id))
        else:
            connections.pending.append(f"peering connection {peering.id} is {peering.status}")
    for attachment in observation.attachments:
        if not attachment.ours or connections.keeps(attachment) or attachment.state in _ENDED:
            continue
        if attachment.state in ("available", "pendingAcceptance"):
            connections.deletions.append(DeleteAttachment(attachment.region, attachment.id))
        else:
            connections.pending.append(f"peering attachment {attachment.id} is {attachment.state}")
