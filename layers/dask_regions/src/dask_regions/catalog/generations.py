"""The states of the catalog's generations, and every step from one state to the next.

A *generation* is one complete state of the catalog's Items. The *live* one is searched; the one before it is
kept, so that searches under way can page on. A sync builds the next beside them, from the changes alone:

.. code-block:: text

    begin ──► under way ──► finish, with changes ────► live ──► previous ──► discarded
                  │    └──► finish, without changes ─────────────────────► discarded
                  └──► overtaken: a later sync has finished ─────────────► discarded

What is here is pure: each step takes a :class:`Generations` and returns another. It is not a store: an engine
keeps the state, replaces it as a whole and only if nobody else has, and copies, changes, counts and deletes
Items. A sync that dies takes no step, and thus has no state of its own: it stays under way until a later sync
has finished. ``docs/decisions/0019-one-generation-state-machine.md`` says what the engines have in common,
and where they differ on purpose.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, TypeAlias, TypedDict

from dask_regions.catalog.changes import RegionOutcome
from dask_regions.errors import NotFoundError, UnavailableError

__all__ = [
    "Building", "Counts", "Freshness", "Generations", "Outcomes", "SwapResult", "begin", "describe",
    "failures", "finish", "forget", "holders", "nothing_synced", "require_reports", "result_of", "under_way",
    "unsynced", "verify",
]  # fmt: skip

#: Region to Collection to the number of Items.
Counts: TypeAlias = Mapping[str, Mapping[str, int]]
#: Region to how its part of a sync ended.
Outcomes: TypeAlias = Mapping[str, RegionOutcome]

# Results that a repeated swap is answered with. OpenSearch sends them with each search: they are few.
_RESULTS_TO_KEEP = 5


class SwapResult(TypedDict):
    """What a sync is told when its generation is finished."""

    generation: str | None
    """The live one."""
    items: int
    """Number of Items in all: one that several Regions hold counts once."""
    regions: dict[str, int]
    """Region to the number of Items that it holds, where it holds any."""
    changed: bool
    """Whether the generation is live now; else nothing had changed, and the live one stays."""
    failed: dict[str, str]
    """Region to what went wrong."""


@dataclass(frozen=True)
class Freshness:
    """When a Region's Items were last synced.

    Attributes
    ----------
    synced
        RFC 3339, in whole seconds, UTC; None where no sync of the Region has succeeded.
    error
        Why the last sync of the Region failed; None where it did not. Its Items are then stale.
    """

    synced: str | None
    error: str | None


@dataclass(frozen=True)
class Building:
    """A generation under way.

    Attributes
    ----------
    base
        The generation that was live when it began, which the changes are made to.
    regions
        Regions that are to report before it is finished.
    """

    base: str | None
    regions: tuple[str, ...]


@dataclass(frozen=True)
class Generations:
    """Which generations there are; a new catalog has none.

    Names sort by the time at which their syncs began.

    Attributes
    ----------
    live, previous
        Generations that can be searched. Both are complete, and never change again.
    freshness
        By Region.
    building
        Generations under way.
    results
        What the last syncs were told, by their generations.
    discarded
        Generations whose Items are to be deleted; none of them can be searched or is under way.
    """

    live: str | None = None
    previous: str | None = None
    freshness: Mapping[str, Freshness] = field(default_factory=dict)
    building: Mapping[str, Building] = field(default_factory=dict)
    results: Mapping[str, SwapResult] = field(default_factory=dict)
    discarded: tuple[str, ...] = ()

    @property
    def searchable(self) -> tuple[str, ...]:
        """The live generation and the previous one, as far as there are."""
        return tuple(name for name in (self.live, self.previous) if name is not None)


def _is_done(state: Generations, generation: str) -> bool:
    """Return whether a generation is finished, and not to be written again."""
    return generation in state.results or generation in state.searchable


def begin(state: Generations, generation: str, regions: Sequence[str]) -> Generations:
    """Begin a generation, based on the live one. One that is under way or done is left as it is.

    Raises
    ------
    NotFoundError
        Where it was given up, and what is left of it is not deleted yet.
    """
    if generation in state.discarded:
        raise NotFoundError(f"generation {generation} was given up for a later sync; start a new one")
    if generation in state.building or _is_done(state, generation):
        return state
    building = Building(state.live, tuple(regions))
    return replace(state, building={**state.building, generation: building})


def under_way(state: Generations, generation: str) -> Building:
    """Return a generation that may be written and finished.

    Raises
    ------
    NotFoundError
        Where it is done, has not begun, or was overtaken by another.
    """
    if _is_done(state, generation):
        raise NotFoundError(f"generation {generation} is done; start a new sync")
    if generation not in state.building:
        raise NotFoundError(
            f"generation {generation} has not begun, or a later sync has replaced it; start a new one"
        )
    building = state.building[generation]
    if building.base != state.live:
        raise NotFoundError(f"generation {generation} was overtaken by {state.live}; start a new sync")
    return building


def require_reports(state: Generations, generation: str, outcomes: Outcomes) -> None:
    """Check that every Region has reported to a generation under way.

    Raises
    ------
    NotFoundError
        Where it is not under way; see :func:`under_way`.
    UnavailableError
        Where a Region has not.
    """
    building = under_way(state, generation)
    if missing := [region for region in building.regions if region not in outcomes]:
        raise UnavailableError(f"{', '.join(missing)} did not report to {generation}; run sync_catalog again")


def nothing_synced(outcomes: Outcomes) -> bool:
    """Return whether every Region failed, so that nothing of a generation is kept."""
    return bool(outcomes) and all(outcome.error is not None for outcome in outcomes.values())


def unsynced(regions: Iterable[str], outcomes: Outcomes) -> list[str]:
    """Return those Regions that get back what they have in the live generation: all that did not succeed."""
    return sorted(
        region for region in regions if region not in outcomes or outcomes[region].error is not None
    )


def holders(collection: str, declared: Mapping[str, Sequence[str]]) -> set[str]:
    """Return the Regions that may hold a Collection; what others have is not in the next generation."""
    return {region for region, collections in declared.items() if collection in collections}


def verify(generation: str, outcomes: Outcomes, stored: Counts) -> None:
    """Check that each Region that was synced has what was counted while it was harvested.

    Raises
    ------
    UnavailableError
        Where it has not. The state stays: the generation is under way, and can be written and tried again.
    """
    for region, outcome in sorted(outcomes.items()):
        if outcome.error is not None:
            continue
        expected = {collection: items for collection, items in sorted(outcome.items.items()) if items}
        counted = {collection: items for collection, items in sorted(stored.get(region, {}).items()) if items}
        if counted != expected:
            raise UnavailableError(
                f"{region} has to have the Items {expected} and {counted} are stored in {generation}; "
                "what is live stays, run sync_catalog again"
            )


def result_of(
    live: str | None, items: int, stored: Counts, outcomes: Outcomes, *, changed: bool
) -> SwapResult:
    """Return what a sync is told.

    Parameters
    ----------
    live
        The generation that is live once the sync is finished.
    items
        Number of its Items, in all.
    stored
        Number of its Items, by Region and Collection.
    changed
        Whether it is the one that was under way.
    """
    regions = {region: sum(counts.values()) for region, counts in sorted(stored.items())}
    return {
        "generation": live,
        "items": items,
        "regions": {region: total for region, total in regions.items() if total},
        "changed": changed,
        "failed": failures(outcomes),
    }


def failures(outcomes: Outcomes) -> dict[str, str]:
    """Return what went wrong, by Region."""
    return {
        region: outcome.error for region, outcome in sorted(outcomes.items()) if outcome.error is not None
    }


def finish(
    state: Generations,
    generation: str,
    result: SwapResult,
    outcomes: Outcomes,
    declared: Collection[str],
    now: datetime,
) -> Generations:
    """Finish a generation that was verified; of one that is finished, return the state as it is.

    Where something changed it is live from now on, and all others under way are overtaken: they are based on
    what was live. Where nothing changed, the live generation stays, and so do those under way that began
    later; what began earlier is dead, because two syncs do not run at once.

    Parameters
    ----------
    result
        Of :func:`result_of`.
    outcomes
        What became of the Regions that were synced; how fresh others are stays.
    declared
        Regions that there are; how fresh others were is forgotten.
    now
        Time of the sync, for the Regions that succeeded.

    Raises
    ------
    NotFoundError
        Where the generation is not under way; see :func:`under_way`.
    """
    if generation in state.results:
        return state
    under_way(state, generation)
    changed = result["changed"]
    kept = {
        name: other
        for name, other in state.building.items()
        if not changed and name > generation and other.base == state.live
    }
    discarded = [*state.discarded, *(name for name in state.building if name not in kept)]
    if changed:
        discarded.remove(generation)
        discarded += [state.previous] if state.previous is not None else []
    results = {**dict(list(state.results.items())[1 - _RESULTS_TO_KEEP :]), generation: result}
    return Generations(
        live=generation if changed else state.live,
        previous=state.live if changed else state.previous,
        freshness=_refreshed(state.freshness, outcomes, declared, now),
        building=kept,
        results=results,
        discarded=tuple(discarded),
    )


def forget(state: Generations, deleted: Collection[str]) -> Generations:
    """Forget discarded generations of which nothing is left."""
    return replace(state, discarded=tuple(name for name in state.discarded if name not in deleted))


def _refreshed(
    freshness: Mapping[str, Freshness], outcomes: Outcomes, declared: Collection[str], now: datetime
) -> dict[str, Freshness]:
    """Note when Regions were synced; one that failed keeps its time, as it keeps its Items."""
    time = now.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    never = Freshness(None, None)
    latest = {
        region: Freshness(
            time if outcome.error is None else freshness.get(region, never).synced, outcome.error
        )
        for region, outcome in outcomes.items()
    }
    return {region: state for region, state in sorted({**freshness, **latest}.items()) if region in declared}


def describe(freshness: Mapping[str, Freshness]) -> dict[str, dict[str, Any]]:
    """Return what :meth:`dask_regions.catalog.engines.Store.freshness` answers."""
    return {
        region: {"synced": state.synced, "stale": state.error is not None, "error": state.error}
        for region, state in sorted(freshness.items())
    }
