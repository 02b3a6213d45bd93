"""Networks in memory that answer the reconciler's calls as EC2 and Route 53 do, for tests of its plans."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from ipaddress import IPv4Network
from itertools import count
from typing import TypeVar

from dask_regions.aws.networks.parts import (
    Attachment,
    Gateway,
    GatewayRoute,
    HostedZone,
    Network,
    Peering,
    PrefixList,
    Registry,
    Route,
)
from dask_regions.join import calls
from dask_regions.join.observation import Observation, RegionState
from dask_regions.join.planning import Plan, plan

__all__ = ["CLIENT", "ROUNDS", "RefusedCallError", "World", "converge", "deployed", "network"]

CLIENT = "eu-west-2"
#: Rounds in which any state has to settle: request, accept, wait twice, route, clear, and look once more.
ROUNDS = 10
_RouteT = TypeVar("_RouteT", Route, GatewayRoute)
_ENDED = ("deleted", "failed", "expired", "rejected")


class RefusedCallError(Exception):
    """AWS would refuse the call."""


def network(region: str, number: int, kind: str = "peering", generation: int = 0) -> Network:
    """Return what a Region's stack publishes; another generation is another VPC of the same block."""
    return Network(
        region=region,
        role="client" if region == CLIENT else "worker",
        vpc=f"vpc-{number}{generation}",
        cidr=f"10.{number}.0.0/16",
        tables=(f"rtb-{number}{generation}",),
        prefix_list=f"pl-{number}{generation}",
        kind="transit-gateway" if kind == "transit-gateway" else "peering",
        gateway=f"tgw-{number}{generation}" if kind == "transit-gateway" else "",
    )


@dataclass
class World:
    """The networks of an account.

    Attributes
    ----------
    configured
        Regions of ``datasets.yaml``.
    networks
        What is deployed, by Region.
    routes, entries, versions, gateway_routes
        Contents of route tables, prefix lists and Transit Gateways, by Region.
    """

    configured: set[str] = field(default_factory=set)
    networks: dict[str, Network] = field(default_factory=dict)
    registry: Registry = field(default_factory=Registry)
    peerings: dict[str, Peering] = field(default_factory=dict)
    attachments: dict[str, Attachment] = field(default_factory=dict)
    routes: dict[str, list[Route]] = field(default_factory=dict)
    gateway_routes: dict[str, list[GatewayRoute]] = field(default_factory=dict)
    entries: dict[str, set[str]] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)
    zone: set[tuple[str, str]] = field(default_factory=set)
    maximum: int = 16
    made: list[calls.Call] = field(default_factory=list)
    _numbers: count[int] = field(default_factory=count)

    def deploy(self, published: Network, *, configure: bool = True) -> None:
        """Deploy a Region's stack."""
        region = published.region
        self.networks[region] = published
        (table,) = published.tables
        self.routes[region] = [Route(table, published.cidr, "local"), Route(table, "0.0.0.0/0", "nat-1")]
        self.entries[region], self.versions[region], self.gateway_routes[region] = set(), 1, []
        if region == CLIENT:
            self.zone.add((region, published.vpc))
        if configure:
            self.configured.add(region)

    def delete(self, region: str) -> None:
        """Delete a Region's stack: its VPC goes, and with it its connections."""
        gone = self.networks.pop(region)
        for key, peering in self.peerings.items():
            if gone.vpc in (peering.vpc, peering.peer_vpc) and peering.status not in _ENDED:
                self.peerings[key] = replace(peering, status="deleted")
        for key, attachment in self.attachments.items():
            if gone.gateway and gone.gateway in (attachment.gateway, attachment.peer_gateway):
                self.attachments[key] = replace(attachment, state="deleted")
        for store in (self.routes, self.entries, self.versions, self.gateway_routes):
            store.pop(region)
        self._darken()

    def observe(
        self, leaving: frozenset[str] = frozenset(), returning: frozenset[str] = frozenset()
    ) -> Observation:
        """Return what a round sees of the system."""
        return Observation(
            client_region=CLIENT,
            configured=frozenset(self.configured),
            regions={region: self._state(region) for region in self.networks},
            registry=self.registry,
            registry_region=CLIENT if CLIENT in self.networks else "",
            leaving=leaving,
            returning=returning,
            peerings=tuple(peering for peering in self.peerings.values() if self._concerns(peering)),
            attachments=tuple(self.attachments.values()),
            zone=HostedZone("Z1", frozenset(self.zone)) if CLIENT in self.networks else None,
        )

    def take_apart(self) -> Observation:
        """Return what a round sees where the whole system is to go."""
        return replace(self.observe(), client_region="")

    def tick(self) -> None:
        """Let AWS finish what it has begun."""
        for key, peering in self.peerings.items():
            following = {
                "initiating-request": "pending-acceptance",
                "provisioning": "active",
                "deleting": "deleted",
            }
            self.peerings[key] = replace(peering, status=following.get(peering.status, peering.status))
        for key, attachment in self.attachments.items():
            states = {
                "initiating": "pendingAcceptance",
                "initiatingRequest": "pendingAcceptance",
                "pending": "available",
                "modifying": "available",
                "deleting": "deleted",
                "rollingBack": "deleted",
                "rejecting": "rejected",
            }
            self.attachments[key] = replace(attachment, state=states.get(attachment.state, attachment.state))
        self._darken()

    def make(self, call: calls.Call) -> None:
        """Make a call, or refuse it as AWS does."""
        self.made.append(call)
        match call:
            case calls.Register():
                self.registry = call.registry
            case calls.RequestPeering():
                self._request_peering(call)
            case calls.AcceptPeering():
                peering = self._peering(call.peering, "pending-acceptance")
                _require(call.region == peering.peer_region, "accepted in another Region")
                self.peerings[call.peering] = replace(peering, status="provisioning")
            case calls.DeletePeering():
                peering = self._peering(call.peering, "active", "pending-acceptance")
                _require(peering.ours, "a foreign connection")
                self.peerings[call.peering] = replace(peering, status="deleting")
            case calls.RequestAttachment():
                key = f"tgw-attach-{next(self._numbers)}"
                self.attachments[key] = Attachment(
                    key, call.region, call.gateway, call.peer_region, call.peer_gateway, "initiatingRequest"
                )
            case calls.AcceptAttachment():
                attachment = self.attachments[call.attachment]
                _require(attachment.state == "pendingAcceptance", "nothing to accept")
                _require(call.region == attachment.peer_region, "accepted in another Region")
                self.attachments[call.attachment] = replace(attachment, state="pending")
            case calls.DeleteAttachment():
                attachment = self.attachments[call.attachment]
                _require(attachment.ours, "a foreign attachment")
                self.attachments[call.attachment] = replace(attachment, state="deleting")
            case _:
                self._change(call)
        self._darken()

    def _change(self, call: calls.Call) -> None:
        match call:
            case calls.PutRoute():
                self._require_target(call)
                self._put(
                    self.routes[call.region], Route(call.table, call.destination, call.target), call.replaces
                )
            case calls.DeleteRoute():
                self._drop(self.routes[call.region], call.destination)
            case calls.PutGatewayRoute():
                _require(self.attachments[call.attachment].state == "available", "attachment not available")
                self._put(
                    self.gateway_routes[call.region],
                    GatewayRoute(call.destination, call.attachment),
                    call.replaces,
                )
            case calls.DeleteGatewayRoute():
                self._drop(self.gateway_routes[call.region], call.destination)
            case calls.ModifyPrefixList():
                _require(call.version == self.versions[call.region], "another version")
                entries = (self.entries[call.region] | set(call.add)) - set(call.remove)
                _require(len(entries) <= self.maximum, "more entries than the list holds")
                self.entries[call.region] = entries
                self.versions[call.region] += 1
            case calls.AssociateZone():
                _require((call.vpc_region, call.vpc) not in self.zone, "associated already")
                self.zone.add((call.vpc_region, call.vpc))
            case calls.DisassociateZone():
                self.zone.remove((call.vpc_region, call.vpc))

    def _request_peering(self, call: calls.RequestPeering) -> None:
        ends = {call.vpc, call.peer_vpc}
        present = [each for each in self.peerings.values() if {each.vpc, each.peer_vpc} == ends]
        _require(all(each.status in _ENDED for each in present), "there is one already")
        by_vpc = {each.vpc: each for each in self.networks.values()}
        blocks = [IPv4Network(by_vpc[vpc].cidr) for vpc in ends]
        status = "failed" if blocks[0].overlaps(blocks[1]) else "initiating-request"
        key = f"pcx-{next(self._numbers)}"
        self.peerings[key] = Peering(key, call.region, call.vpc, call.peer_region, call.peer_vpc, status)

    def _require_target(self, call: calls.PutRoute) -> None:
        if call.target.startswith("pcx-"):
            peering = self._peering(call.target, "active")
            _require(call.region in (peering.region, peering.peer_region), "a connection of other Regions")
        else:
            _require(call.target == self.networks[call.region].gateway, "no such Transit Gateway here")

    def _peering(self, key: str, *statuses: str) -> Peering:
        peering = self.peerings[key]
        _require(peering.status in statuses, f"{key} is {peering.status}")
        return peering

    def _put(self, table: list[_RouteT], route: _RouteT, replaces: bool) -> None:
        present = [each for each in table if each.destination == route.destination]
        _require(bool(present) == replaces, f"{route.destination} present: {bool(present)}")
        table[:] = [each for each in table if each.destination != route.destination] + [route]

    def _drop(self, table: list[_RouteT], destination: str) -> None:
        kept = [each for each in table if each.destination != destination]
        _require(len(kept) < len(table), f"no route to {destination}")
        table[:] = kept

    def _darken(self) -> None:
        """Make blackholes of routes whose target is gone."""
        gone = {key for key, each in self.peerings.items() if each.status in ("deleted", "deleting")}
        ended = {key for key, each in self.attachments.items() if each.state in ("deleted", "deleting")}
        for table in self.routes.values():
            table[:] = [replace(each, active=False) if each.target in gone else each for each in table]
        for gateway_table in self.gateway_routes.values():
            gateway_table[:] = [
                replace(each, active=False) if each.attachment in ended else each for each in gateway_table
            ]

    def _state(self, region: str) -> RegionState:
        published = self.networks[region]
        prefix_list = PrefixList(
            published.prefix_list,
            self.versions[region],
            "modify-complete",
            self.maximum,
            frozenset(self.entries[region]),
        )
        gateway = Gateway(
            published.gateway, "available", f"table-{region}", "1", tuple(self.gateway_routes[region])
        )
        return RegionState(
            published, tuple(self.routes[region]), prefix_list, gateway if published.gateway else None
        )

    def _concerns(self, peering: Peering) -> bool:
        vpcs = {each.vpc for each in self.networks.values()}
        return peering.ours or {peering.vpc, peering.peer_vpc} <= vpcs


def _require(condition: bool, otherwise: str) -> None:
    if not condition:
        raise RefusedCallError(otherwise)


def deployed(*regions: str, kind: str = "peering") -> World:
    """Return a world in which the client Region and some worker Regions are deployed, and not joined."""
    world = World()
    for number, region in enumerate([CLIENT, *regions]):
        world.deploy(network(region, number, kind))
    return world


def converge(world: World, *, leaving: frozenset[str] = frozenset(), strict: bool = True) -> Plan:
    """Run rounds until one has nothing to do; fail where that takes too many, or AWS refuses a call."""
    for _ in range(ROUNDS):
        decided = plan(world.observe(leaving=leaving))
        if not decided.calls and not decided.pending:
            return decided
        for call in decided.calls:
            try:
                world.make(call)
            except RefusedCallError:
                if strict:
                    raise
        world.tick()
    raise AssertionError(f"not settled: {plan(world.observe(leaving=leaving))}")
