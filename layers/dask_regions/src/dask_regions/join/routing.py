"""The routes between joined Regions, in the tables of VPCs and of Transit Gateways."""

from __future__ import annotations

from collections.abc import Mapping

from dask_regions.join.calls import Call, DeleteGatewayRoute, DeleteRoute, PutGatewayRoute, PutRoute
from dask_regions.join.connecting import Link
from dask_regions.join.observation import Observation, RegionState

__all__ = ["plan_routes"]


def plan_routes(
    observation: Observation,
    joined: Mapping[str, RegionState],
    links: Mapping[tuple[str, str], Link],
) -> tuple[list[Call], list[Call]]:
    """Return the routes to delete, and those to make or to replace.

    A route is the system's where it leads to a connection of the system, or to the block of one of its
    Regions; others are left alone. While a connection is not there yet, a route to its Region stays if it
    leads anywhere, so that another kind of network takes over without an interruption.

    Parameters
    ----------
    joined
        Regions that are to reach each other.
    links
        Way from one Region to another, for each pair whose connection carries traffic.
    """
    removals: list[Call] = []
    additions: list[Call] = []
    for region, state in observation.regions.items():
        others = {
            other.network.cidr: links.get((region, name))
            for name, other in joined.items()
            if region in joined and name != region
        }
        for table in state.network.tables:
            _vpc_routes(observation, state, table, others, removals, additions)
        _gateway_routes(observation, state, others, removals, additions)
    return removals, additions


def _vpc_routes(
    observation: Observation,
    state: RegionState,
    table: str,
    others: Mapping[str, Link | None],
    removals: list[Call],
    additions: list[Call],
) -> None:
    region = state.network.region
    connections = {peering.id for peering in observation.peerings if peering.ours}
    connections |= {other.network.gateway for other in observation.regions.values()} - {""}
    present = {
        route.destination: route
        for route in state.routes
        if route.table == table
        and route.target != "local"
        and (route.target in connections or route.destination in _blocks(observation))
    }
    for destination, route in present.items():
        if _is_left_over(destination, others, active=route.active):
            removals.append(DeleteRoute(region, table, destination))
    for destination, link in others.items():
        if link is None:
            continue
        current = present.get(destination)
        if current is None or (current.target, current.active) != (link.target, True):
            replaces = current is not None
            additions.append(PutRoute(region, table, destination, link.target, replaces))


def _gateway_routes(
    observation: Observation,
    state: RegionState,
    others: Mapping[str, Link | None],
    removals: list[Call],
    additions: list[Call],
) -> None:
    region, gateway = state.network.region, state.gateway
    if gateway is None or gateway.state != "available":
        return
    connections = {attachment.id for attachment in observation.attachments if attachment.ours}
    present = {
        route.destination: route
        for route in gateway.routes
        if route.attachment in connections or route.destination in _blocks(observation)
    }
    for destination, route in present.items():
        if _is_left_over(destination, others, active=route.active):
            removals.append(DeleteGatewayRoute(region, gateway.table, destination))
    for destination, link in others.items():
        if link is None or not link.attachment:
            continue
        current = present.get(destination)
        if current is None or (current.attachment, current.active) != (link.attachment, True):
            replaces = current is not None
            additions.append(PutGatewayRoute(region, gateway.table, destination, link.attachment, replaces))


def _is_left_over(destination: str, others: Mapping[str, Link | None], *, active: bool) -> bool:
    if destination not in others:
        return True
    return others[destination] is None and not active


def _blocks(observation: Observation) -> set[str]:
    return {member.cidr for member in observation.known}
