"""The states of generations, whatever engine keeps them: any syncs, in any order, that die anywhere."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from dask_regions.catalog import generations
from dask_regions.catalog.changes import RegionOutcome
from dask_regions.catalog.generations import Building, Freshness, Generations, SwapResult
from dask_regions.errors import NotFoundError, UnavailableError

WEST, EAST, NORTH = "us-west-2", "us-east-1", "eu-north-1"
REGIONS = (WEST, EAST, NORTH)
START = datetime(2026, 11, 24, tzinfo=UTC)
DECLARED = {region: ["c"] for region in REGIONS}

#: Region to the Items that it has; of one Collection, c.
Contents = Mapping[str, frozenset[str]]

some_regions = st.sets(st.sampled_from(REGIONS))


def counts_of(contents: Contents) -> dict[str, dict[str, int]]:
    return {region: {"c": len(items)} for region, items in contents.items()}


class Syncs(RuleBasedStateMachine):
    """The smallest engine there can be: it keeps Items in a dict, and may stop between any two steps."""

    begun = Bundle("begun")

    def __init__(self) -> None:
        super().__init__()
        self.state = Generations()
        #: What is stored of each generation.
        self.stored: dict[str, Contents] = {}
        #: What each generation had is noted when it goes live.
        self.complete: dict[str, Contents] = {}
        self.syncs = 0

    def live(self) -> Contents:
        return {} if self.state.live is None else self.stored[self.state.live]

    def now(self) -> datetime:
        return START + timedelta(seconds=self.syncs)

    @rule(target=begun, regions=some_regions)
    def begin(self, regions: set[str]) -> str:
        self.syncs += 1
        generation = f"g{self.syncs:03}"
        self.state = generations.begin(self.state, generation, sorted(regions))
        assert self.state.building[generation] == Building(self.state.live, tuple(sorted(regions)))
        return generation

    @rule(generation=begun, regions=some_regions)
    def begin_again(self, generation: str, regions: set[str]) -> None:
        before = self.state
        try:
            self.state = generations.begin(before, generation, sorted(regions))
        except NotFoundError:
            assert generation in before.discarded
            return
        assert generation not in before.discarded
        if generation in {*before.building, *before.results, *before.searchable}:
            assert self.state == before

    @rule(
        generation=begun, region=st.sampled_from(REGIONS), item=st.sampled_from("abc"), remove=st.booleans()
    )
    def write(self, generation: str, region: str, item: str, remove: bool) -> None:
        if not self.may_be_written(generation):
            return
        contents = self.stored.get(generation, self.live())
        items = contents.get(region, frozenset())
        changed = items - {item} if remove else items | {item}
        self.stored[generation] = {**contents, region: changed}

    def may_be_written(self, generation: str) -> bool:
        try:
            building = generations.under_way(self.state, generation)
        except NotFoundError:
            assert generation not in self.state.building
            return False
        assert building.base == self.state.live
        return True

    @rule(
        generation=begun,
        failing=some_regions,
        forgotten=st.sampled_from([*[()] * 5, (WEST,), (EAST, NORTH)]),
        miscounted=st.sampled_from([None, None, None, WEST]),
    )
    def swap(
        self, generation: str, failing: set[str], forgotten: tuple[str, ...], miscounted: str | None
    ) -> None:
        if not self.may_be_written(generation):
            return
        before, live = self.state, self.live()
        declared = {region: ["c"] for region in REGIONS if region not in forgotten}
        written = self.stored.get(generation, live)
        outcomes = {}
        for region in before.building[generation].regions:
            items = 0 if region in forgotten else len(written.get(region, ())) + (region == miscounted)
            outcomes[region] = RegionOutcome({"c": items}, "denied" if region in failing else None)
        generations.require_reports(before, generation, outcomes)
        contents = self.contents_after(written, outcomes, declared)
        if any(region == miscounted and not outcomes[region].error for region in {*outcomes} & {*declared}):
            with pytest.raises(UnavailableError, match=str(miscounted)):
                generations.verify(generation, outcomes, counts_of(contents))
            return
        generations.verify(generation, outcomes, counts_of(contents))
        self.finish(generation, contents, outcomes, declared)
        for region in {*failing} & {*outcomes} & {*declared}:
            assert contents.get(region) == live.get(region)
            synced = before.freshness[region].synced if region in before.freshness else None
            assert self.state.freshness[region] == Freshness(synced, "denied")
        for region in {*outcomes} - failing & {*declared}:
            assert region in forgotten or self.state.freshness[region].error is None
        for region in {*before.freshness} - {*outcomes} - {*forgotten}:
            assert self.state.freshness[region] == before.freshness[region]
        assert not {*self.state.freshness} & {*forgotten}

    @rule(target=begun, region=st.sampled_from(REGIONS), item=st.sampled_from("abc"))
    def sync(self, region: str, item: str) -> str:
        """Run a whole sync that changes something."""
        self.syncs += 1
        generation = f"g{self.syncs:03}"
        self.state = generations.begin(self.state, generation, [region])
        self.write(generation, region, item, remove=item in self.live().get(region, ()))
        self.swap(generation, set(), (), None)
        assert self.state.live == generation
        return generation

    def contents_after(
        self, written: Contents, outcomes: generations.Outcomes, declared: Mapping[str, list[str]]
    ) -> Contents:
        live = self.live()
        if generations.nothing_synced(outcomes):
            return live
        failed = generations.unsynced(written, outcomes)
        contents = {region: live.get(region) if region in failed else written[region] for region in written}
        holders = generations.holders("c", declared)
        return {region: items for region, items in contents.items() if items and region in holders}

    def finish(
        self,
        generation: str,
        contents: Contents,
        outcomes: generations.Outcomes,
        declared: Mapping[str, list[str]],
    ) -> None:
        before, changed = self.state, contents != self.live()
        items = len(frozenset[str]().union(*contents.values()))
        result = generations.result_of(
            generation if changed else before.live, items, counts_of(contents), outcomes, changed=changed
        )
        self.state = generations.finish(before, generation, result, outcomes, declared, self.now())
        assert self.state.results[generation] == result
        assert generations.finish(self.state, generation, result, {}, {}, START) is self.state
        assert generation not in self.state.building
        if changed:
            self.stored[generation] = self.complete[generation] = contents
            assert (self.state.live, self.state.previous) == (generation, before.live)
            assert not self.state.building
        else:
            assert (self.state.live, self.state.previous) == (before.live, before.previous)
            assert all(name > generation for name in self.state.building)

    @rule()
    def delete_discarded(self) -> None:
        for generation in self.state.discarded:
            self.stored.pop(generation, None)
        self.state = generations.forget(self.state, self.state.discarded)
        assert not self.state.discarded

    @invariant()
    def readers_see_a_whole_generation(self) -> None:
        for generation in self.state.searchable:
            assert self.stored[generation] == self.complete[generation]

    @invariant()
    def what_is_deleted_is_of_no_use(self) -> None:
        assert not {*self.state.discarded} & {*self.state.searchable, *self.state.building}
        assert len(self.state.searchable) == len({*self.state.searchable})

    @invariant()
    def nothing_is_left_behind(self) -> None:
        assert {*self.stored} <= {*self.state.searchable, *self.state.building, *self.state.discarded}

    @invariant()
    def the_state_stays_small(self) -> None:
        assert len(self.state.results) <= 5


TestSyncs = Syncs.TestCase
TestSyncs.settings = settings(max_examples=200, stateful_step_count=30, deadline=None)


def result(generation: str | None, *, changed: bool = True) -> SwapResult:
    return {"generation": generation, "items": 0, "regions": {}, "changed": changed, "failed": {}}


def finished(state: Generations, generation: str, *, changed: bool = True) -> Generations:
    swapped = result(generation if changed else state.live, changed=changed)
    return generations.finish(state, generation, swapped, {}, (), START)


def test_a_generation_that_is_done_is_told_from_one_that_was_overtaken() -> None:
    state = Generations()
    for generation in ("g1", "g2"):
        state = generations.begin(state, generation, [WEST])
    state = finished(state, "g2")
    for generation, message in (
        ("g1", "g1 has not begun, or a later sync has replaced it; start a new one"),
        ("g2", "g2 is done; start a new sync"),
        ("g3", "g3 has not begun, or a later sync has replaced it; start a new one"),
    ):
        with pytest.raises(NotFoundError, match=f"^generation {message}$"):
            generations.under_way(state, generation)


def test_a_generation_that_was_left_under_way_is_overtaken_by_what_is_live() -> None:
    # An engine that died before it deleted what was overtaken.
    state = Generations(live="g2", building={"g1": Building("g0", (WEST,))})
    with pytest.raises(NotFoundError, match=r"^generation g1 was overtaken by g2; start a new sync$"):
        generations.under_way(state, "g1")


def test_the_live_generation_cannot_begin_again_when_its_result_is_forgotten() -> None:
    state = Generations(live="g1", previous="g0")
    for generation in ("g0", "g1"):
        assert generations.begin(state, generation, [WEST]) == state
        with pytest.raises(NotFoundError, match="is done"):
            generations.under_way(state, generation)


def test_a_generation_that_is_being_deleted_cannot_begin() -> None:
    state = Generations(live="g2", discarded=("g1",))
    with pytest.raises(NotFoundError, match="g1 was given up for a later sync; start a new one"):
        generations.begin(state, "g1", [WEST])
    assert "g1" in generations.begin(generations.forget(state, ["g1"]), "g1", [WEST]).building


def test_a_sync_with_changes_overtakes_earlier_and_later_ones() -> None:
    state = Generations(live="g0")
    for generation in ("g1", "g2", "g3"):
        state = generations.begin(state, generation, [WEST])
    state = finished(state, "g2")
    assert (state.live, state.previous, dict(state.building)) == ("g2", "g0", {})
    assert {*state.discarded} == {"g1", "g3"}


def test_a_sync_without_changes_leaves_a_later_one_under_way() -> None:
    state = Generations(live="g0")
    for generation in ("g1", "g2", "g3"):
        state = generations.begin(state, generation, [WEST])
    state = finished(state, "g2", changed=False)
    assert (state.live, [*state.building], {*state.discarded}) == ("g0", ["g3"], {"g1", "g2"})


def test_a_region_that_did_not_report_keeps_the_generation_from_being_swapped_in() -> None:
    state = generations.begin(Generations(), "g1", [WEST, EAST, NORTH])
    with pytest.raises(
        UnavailableError, match="us-east-1, eu-north-1 did not report to g1; run sync_catalog"
    ):
        generations.require_reports(state, "g1", {WEST: RegionOutcome()})
    generations.require_reports(state, "g1", dict.fromkeys(REGIONS, RegionOutcome(error="denied")))


@pytest.mark.parametrize(
    ("items", "stored"),
    [
        ({"c": 2}, {WEST: {"c": 2}}),
        ({"c": 2, "d": 0}, {WEST: {"c": 2}}),
        ({}, {}),
        ({}, {WEST: {"c": 0}}),
        ({"c": 1}, {WEST: {"c": 1}, EAST: {"c": 7}}),
    ],
)
def test_counts_agree(items: dict[str, int], stored: dict[str, dict[str, int]]) -> None:
    generations.verify("g1", {WEST: RegionOutcome(items)}, stored)


@pytest.mark.parametrize(
    ("items", "stored"),
    [
        ({"c": 2}, {WEST: {"c": 1}}),
        ({"c": 2}, {}),
        ({}, {WEST: {"c": 1}}),
        ({"c": 1}, {WEST: {"d": 1}}),
        ({"c": 1}, {EAST: {"c": 1}}),
    ],
)
def test_counts_that_differ_are_told_for_both_sides(
    items: dict[str, int], stored: dict[str, dict[str, int]]
) -> None:
    with pytest.raises(UnavailableError) as caught:
        generations.verify("g1", {WEST: RegionOutcome(items), EAST: RegionOutcome(error="denied")}, stored)
    assert f"us-west-2 has to have the Items {items} and {stored.get(WEST, {})} are stored in g1" in str(
        caught.value
    )


def test_the_counts_of_a_region_that_failed_do_not_matter() -> None:
    generations.verify("g1", {WEST: RegionOutcome({"c": 9}, "denied")}, {WEST: {"c": 1}})


def test_what_a_sync_is_told() -> None:
    outcomes = {WEST: RegionOutcome({"c": 2}), EAST: RegionOutcome(error="denied")}
    stored = {WEST: {"c": 2, "d": 1}, EAST: {"c": 4}, NORTH: {"c": 0}}
    assert generations.result_of("g1", 5, stored, outcomes, changed=True) == {
        "generation": "g1",
        "items": 5,
        "regions": {EAST: 4, WEST: 3},
        "changed": True,
        "failed": {EAST: "denied"},
    }


@pytest.mark.parametrize(
    ("outcomes", "nothing"),
    [
        ({}, False),
        ({WEST: RegionOutcome()}, False),
        ({WEST: RegionOutcome(error="denied")}, True),
        ({WEST: RegionOutcome(error="denied"), EAST: RegionOutcome()}, False),
        ({WEST: RegionOutcome(error="denied"), EAST: RegionOutcome(error="")}, True),
    ],
)
def test_nothing_is_kept_where_every_region_failed(outcomes: dict[str, RegionOutcome], nothing: bool) -> None:
    assert generations.nothing_synced(outcomes) is nothing


def test_times_are_whole_seconds_of_utc() -> None:
    state = generations.begin(Generations(), "g1", [WEST])
    now = datetime.fromisoformat("2026-11-24T01:02:03.999999+01:00")
    outcomes = {WEST: RegionOutcome(), EAST: RegionOutcome(error="no route")}
    state = generations.finish(state, "g1", result("g1"), outcomes, DECLARED, now)
    assert generations.describe(state.freshness) == {
        EAST: {"synced": None, "stale": True, "error": "no route"},
        WEST: {"synced": "2026-11-24T00:02:03Z", "stale": False, "error": None},
    }
