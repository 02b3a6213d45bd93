"""What the reconciler decides: from any state to Regions that reach each other, leaving others alone."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dask_regions.aws.networks.parts import Attachment, GatewayRoute, Member, Peering, Registry, Route
from dask_regions.join import calls
from dask_regions.join.planning import Plan, plan
from testing.joining import CLIENT, ROUNDS, RefusedCallError, World, converge, deployed, network

WEST, EAST, SOUTH = "us-west-2", "us-east-1", "ap-southeast-2"
FOREIGN = Route("rtb-10", "192.168.0.0/16", "pcx-foreign")
FOREIGN_PEERING = Peering("pcx-foreign", WEST, "vpc-10", "eu-north-1", "vpc-theirs", "active", ours=False)
KINDS = ["peering", "transit-gateway"]


def reached(world: World) -> set[tuple[str, str]]:
    """Return the pairs of Regions of which the first has a way to the second and is let in there."""
    pairs = set()
    for start, end in permutations(world.networks, 2):
        destination = world.networks[end].cidr
        (target,) = [
            route.target for route in world.routes[start] if route.destination == destination and route.active
        ] or [""]
        if target.startswith("pcx-"):
            peering = world.peerings[target]
            arrives = peering.status == "active" and {peering.vpc, peering.peer_vpc} == {
                world.networks[start].vpc,
                world.networks[end].vpc,
            }
        else:
            arrives = any(
                route.destination == destination
                and route.active
                and world.attachments[route.attachment].state == "available"
                for route in world.gateway_routes[start]
            )
        if arrives and world.networks[start].cidr in world.entries[end]:
            pairs.add((start, end))
    return pairs


def resolving(world: World) -> set[str]:
    """Return the Regions in which the scheduler's name resolves."""
    return {region for region, each in world.networks.items() if (region, each.vpc) in world.zone}


@pytest.mark.parametrize("kind", KINDS)
def test_all_regions_reach_each_other_and_find_the_scheduler(kind: str) -> None:
    world = deployed(WEST, EAST, kind=kind)
    decided = converge(world)
    assert decided.settled
    assert decided.joined == (CLIENT, EAST, WEST)
    assert reached(world) == set(permutations([CLIENT, WEST, EAST], 2))
    assert resolving(world) == {CLIENT, WEST, EAST}
    assert world.registry.joined == {each.member for each in world.networks.values()}


@pytest.mark.parametrize("kind", KINDS)
def test_a_second_run_does_nothing(kind: str) -> None:
    world = deployed(WEST, EAST, kind=kind)
    converge(world)
    assert plan(world.observe()) == Plan(joined=(CLIENT, EAST, WEST))


def test_a_region_that_published_nothing_is_not_deployed_and_no_error() -> None:
    world = deployed(WEST)
    world.configured.add(EAST)
    decided = converge(world)
    assert (decided.settled, decided.absent) == (True, (EAST,))
    assert reached(world) == {(CLIENT, WEST), (WEST, CLIENT)}


def test_nothing_is_separated_while_the_client_region_is_not_deployed() -> None:
    world = deployed(WEST, EAST)
    converge(world)
    observed = world.observe()
    without = replace(observed, regions={WEST: observed.regions[WEST], EAST: observed.regions[EAST]})
    assert plan(without) == Plan(absent=(CLIENT,))


@pytest.mark.parametrize("kind", KINDS)
def test_a_region_that_is_configured_no_more_is_left(kind: str) -> None:
    world = deployed(WEST, EAST, kind=kind)
    converge(world)
    world.configured.remove(EAST)
    assert converge(world).settled
    assert reached(world) == {(CLIENT, WEST), (WEST, CLIENT)}
    assert resolving(world) == {CLIENT, WEST}
    assert world.entries[EAST] == set()
    assert {
        peering.status for peering in world.peerings.values() if EAST in (peering.region, peering.peer_region)
    } <= {"deleted"}
    assert EAST not in {member.region for member in world.registry.joined}
    assert [route.target for route in world.routes[EAST]] == ["local", "nat-1"]


def test_a_region_that_was_told_to_leave_stays_out_until_it_is_deployed_anew() -> None:
    world = deployed(WEST, EAST)
    converge(world)
    converge(world, leaving=frozenset({EAST}))
    assert converge(world).joined == (CLIENT, WEST)
    assert reached(world) == {(CLIENT, WEST), (WEST, CLIENT)}
    world.delete(EAST)
    world.deploy(network(EAST, 2, generation=1))
    assert converge(world).settled
    assert reached(world) == set(permutations([CLIENT, WEST, EAST], 2))


def test_a_region_that_left_comes_back_when_it_is_told_to() -> None:
    world = deployed(WEST)
    converge(world, leaving=frozenset({WEST}))
    for call in plan(world.observe(returning=frozenset({WEST}))).calls:
        world.make(call)
    assert converge(world).settled
    assert reached(world) == {(CLIENT, WEST), (WEST, CLIENT)}


def test_a_region_whose_stack_was_deleted_without_leaving_is_cleared() -> None:
    world = deployed(WEST, EAST)
    converge(world)
    world.delete(EAST)
    assert converge(world).settled
    assert world.entries[CLIENT] == {"10.0.0.0/16", "10.1.0.0/16"}
    assert all(route.active for table in world.routes.values() for route in table)
    assert world.zone == {(CLIENT, "vpc-00"), (WEST, "vpc-10")}


@pytest.mark.parametrize("made", range(1, 9))
def test_an_execution_that_stops_after_any_call_is_taken_up_by_the_next(made: int) -> None:
    world = deployed(WEST, EAST)
    converge(world)
    world.delete(EAST)
    world.configured.remove(EAST)
    for call in plan(world.observe()).calls[:made]:
        world.make(call)
    assert converge(world).settled
    assert [route for route in world.routes[WEST] if not route.active] == []
    assert (EAST, "vpc-20") not in world.zone
    assert "10.2.0.0/16" not in world.entries[WEST]


def test_a_new_network_of_a_region_takes_the_place_of_the_old() -> None:
    world = deployed(WEST, EAST)
    converge(world)
    world.delete(WEST)
    world.deploy(network(WEST, 1, generation=1))
    assert converge(world).settled
    assert reached(world) == set(permutations([CLIENT, WEST, EAST], 2))
    assert (WEST, "vpc-10") not in world.zone


@pytest.mark.parametrize("kind", KINDS)
def test_a_system_is_taken_apart_without_its_configuration(kind: str) -> None:
    world = deployed(WEST, EAST, kind=kind)
    converge(world)
    for _ in range(ROUNDS):
        for call in plan(world.take_apart()).calls:
            world.make(call)
        world.tick()
    assert plan(world.take_apart()).settled
    assert reached(world) == set()
    assert resolving(world) == {CLIENT}
    assert {peering.status for peering in world.peerings.values()} <= {"deleted"}
    assert {attachment.state for attachment in world.attachments.values()} <= {"deleted"}
    alone = {world.networks[CLIENT].cidr}
    assert world.entries == {CLIENT: alone, WEST: set(), EAST: set()}
    # The state machine, which is still there, does not join them meanwhile.
    assert converge(world).joined == (CLIENT,)


def test_the_other_kind_of_network_takes_over_without_an_interruption() -> None:
    world = deployed(WEST)
    converge(world)
    for number, region in enumerate([CLIENT, WEST]):
        world.networks[region] = replace(
            world.networks[region], kind="transit-gateway", gateway=f"tgw-{number}"
        )
    for _ in range(ROUNDS):
        for call in plan(world.observe()).calls:
            world.make(call)
            assert all(route.active for table in world.routes.values() for route in table)
        world.tick()
    assert plan(world.observe()).settled
    assert {peering.status for peering in world.peerings.values()} == {"deleted"}
    assert reached(world) == {(CLIENT, WEST), (WEST, CLIENT)}


# ---- What is refused ----
def test_a_region_that_overlaps_stays_out_and_the_others_stay_joined() -> None:
    world = deployed(WEST)
    converge(world)
    world.deploy(replace(network(EAST, 2), cidr="10.1.128.0/17"))
    decided = converge(world)
    (refusal,) = decided.refused
    assert refusal.startswith(f"{EAST} is not joined: its 10.1.128.0/17 overlaps 10.1.0.0/16 of {WEST}")
    assert "cidr of its own in datasets.yaml" in refusal
    assert reached(world) == {(CLIENT, WEST), (WEST, CLIENT)}


def test_a_peering_that_failed_is_reported_and_not_requested_for_ever() -> None:
    world = deployed(WEST)
    world.peerings["pcx-9"] = Peering(
        "pcx-9", CLIENT, "vpc-00", WEST, "vpc-10", "failed", "VPCs have overlapping CIDR blocks"
    )
    decided = converge(world)
    (refusal,) = decided.refused
    assert "pcx-9" in refusal
    assert "VPCs have overlapping CIDR blocks" in refusal
    assert not any(isinstance(call, calls.RequestPeering) for call in world.made)


@pytest.mark.parametrize("status", ["expired", "rejected", "deleted"])
def test_a_peering_that_ended_is_requested_anew(status: str) -> None:
    world = deployed(WEST)
    world.peerings["pcx-9"] = Peering("pcx-9", CLIENT, "vpc-00", WEST, "vpc-10", status)
    assert converge(world).settled
    assert reached(world) == {(CLIENT, WEST), (WEST, CLIENT)}


def test_a_peering_that_somebody_else_requested_is_neither_accepted_nor_deleted() -> None:
    world = deployed(WEST)
    theirs = Peering("pcx-9", CLIENT, "vpc-00", WEST, "vpc-10", "pending-acceptance", ours=False)
    world.peerings["pcx-9"] = theirs
    (refusal,) = converge(world).refused
    assert "pcx-9" in refusal
    assert "accept it, or delete it" in refusal
    assert world.peerings["pcx-9"] == theirs


def test_regions_of_two_kinds_of_network_are_refused_and_keep_what_connects_them() -> None:
    world = deployed(WEST)
    converge(world)
    world.networks[WEST] = replace(world.networks[WEST], kind="transit-gateway", gateway="tgw-1")
    decided = converge(world)
    (refusal,) = decided.refused
    assert "deploy both Regions" in refusal
    assert reached(world) == {(CLIENT, WEST), (WEST, CLIENT)}


def test_more_regions_than_a_prefix_list_holds_are_refused() -> None:
    world = deployed(WEST, EAST)
    world.maximum = 2
    decided = converge(world)
    assert len(decided.refused) == 3
    assert all("MaxEntries" in refusal for refusal in decided.refused)


def test_an_attachment_is_waited_for_while_a_transit_gateway_is_not_available() -> None:
    world = deployed(WEST, kind="transit-gateway")
    observed = world.observe()
    state = observed.regions[WEST]
    assert state.gateway is not None
    waiting = replace(state, gateway=replace(state.gateway, state="pending"))
    decided = plan(replace(observed, regions={**observed.regions, WEST: waiting}))
    assert any("tgw-10" in text for text in decided.pending)
    assert not any(isinstance(call, calls.RequestAttachment) for call in decided.calls)


# ---- Any state ----
PEERING_STATES = [
    "initiating-request",
    "pending-acceptance",
    "provisioning",
    "active",
    "deleting",
    "deleted",
    "expired",
    "rejected",
]
ATTACHMENT_STATES = ["initiatingRequest", "pendingAcceptance", "pending", "available", "deleting", "deleted"]


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Any half-made state of a system with something foreign beside it."""
    kind = draw(st.sampled_from(KINDS))
    world = deployed(WEST, EAST, SOUTH, kind=kind)
    names = list(world.networks)
    for first, second in permutations(names, 2):
        if draw(st.booleans()):
            continue
        near, far = world.networks[first], world.networks[second]
        ours = draw(st.sampled_from([True, True, True, False]))
        pair = {near.vpc, far.vpc}
        live = [
            peering
            for peering in world.peerings.values()
            if {peering.vpc, peering.peer_vpc} == pair
            and peering.status not in ("deleted", "deleting", "expired", "rejected")
        ]
        status = draw(st.sampled_from(PEERING_STATES if not live else PEERING_STATES[-4:]))
        if not ours and status in PEERING_STATES[:3]:
            status = "active"
        key = f"pcx-old-{len(world.peerings)}"
        world.peerings[key] = Peering(key, first, near.vpc, second, far.vpc, status, ours=ours)
        if kind == "transit-gateway" and draw(st.booleans()):
            state = draw(st.sampled_from(ATTACHMENT_STATES))
            key = f"tgw-attach-old-{len(world.attachments)}"
            world.attachments[key] = Attachment(
                key, first, near.gateway, second, far.gateway, state, ours=True
            )
    for region in names:
        _disturb(draw, world, region)
    members = [each.member for each in world.networks.values()]
    world.registry = Registry(
        frozenset(draw(st.sets(st.sampled_from([*members, Member("eu-west-3", "vpc-99", "10.99.0.0/16")])))),
    )
    world.configured -= draw(st.sets(st.sampled_from([WEST, EAST, SOUTH])))
    world.zone |= {(each.region, each.vpc) for each in world.networks.values() if draw(st.booleans())} | {
        ("eu-north-1", "vpc-theirs")
    }
    world.routes[WEST].append(FOREIGN)
    world.peerings["pcx-foreign"] = FOREIGN_PEERING
    world.tick()
    world._darken()
    return world


def _disturb(draw: st.DrawFn, world: World, region: str) -> None:
    """Put any routes and entries into a Region."""
    published = world.networks[region]
    targets = ["pcx-gone", *world.peerings, *([published.gateway] if published.gateway else [])]
    for other in world.networks.values():
        if other.region != region and draw(st.booleans()):
            target = draw(st.sampled_from(targets))
            world.routes[region].append(Route(published.tables[0], other.cidr, target, target != "pcx-gone"))
        if published.gateway and world.attachments and draw(st.booleans()):
            attachment = draw(st.sampled_from(list(world.attachments)))
            world.gateway_routes[region] = [
                route for route in world.gateway_routes[region] if route.destination != other.cidr
            ] + [GatewayRoute(other.cidr, attachment)]
    world.entries[region] = draw(st.sets(st.sampled_from(["10.1.0.0/16", "10.2.0.0/16", "10.77.0.0/16"])))


@settings(max_examples=200, deadline=None)
@given(world=worlds())
def test_any_state_settles_and_nothing_foreign_is_touched(world: World) -> None:
    decided = converge(world)
    assert decided.settled
    joined = {CLIENT, *world.configured}
    assert reached(world) >= set(permutations(joined, 2))
    assert resolving(world) == joined
    assert ("eu-north-1", "vpc-theirs") in world.zone
    assert FOREIGN in world.routes[WEST]
    assert world.peerings["pcx-foreign"] == FOREIGN_PEERING
    assert world.registry.joined == {world.networks[region].member for region in joined}
    for region in world.networks:
        assert Route(world.networks[region].tables[0], "0.0.0.0/0", "nat-1") in world.routes[region]
        expected = {world.networks[each].cidr for each in joined} if region in joined else set()
        assert world.entries[region] == expected


@settings(max_examples=100, deadline=None)
@given(world=worlds(), stale=st.lists(st.booleans(), min_size=ROUNDS, max_size=ROUNDS))
def test_two_callers_at_once_do_no_harm(world: World, stale: list[bool]) -> None:
    for both in stale:
        first, second = plan(world.observe()), plan(world.observe())
        for decided in [first, second] if both else [first]:
            for call in decided.calls:
                try:
                    world.make(call)
                except (RefusedCallError, KeyError):
                    continue
        world.tick()
    assert converge(world, strict=False).settled
    assert reached(world) >= set(permutations({CLIENT, *world.configured}, 2))
