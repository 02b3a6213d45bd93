"""Choose Regions for the tasks that could run in several, so that the fewest bytes cross.

Two passes over these tasks alone. Forward, what it costs to have a result in each Region: every input is
made where that is cheapest and crosses if it is elsewhere, shared among the tasks that need it. Backward,
each task takes the Region in which its own cost and that of bringing its result to its consumers, whose
Regions are known by then, is least. Exact on trees; on shared inputs within a few per cent of an integer
programme's optimum (tests/functional/placement/crossings.py).

Where it makes next to no difference in which of two Regions much data meets, as in ``(a + b).mean()``, the
tasks are dealt to both: what crosses takes both directions of the link at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from dask.typing import Key

__all__ = ["OPEN", "Cheapest"]

#: Bytes to be brought for which it pays to use several links, and the share of them that this may cost more.
_MUCH = 1e6
_LITTLE = 0.05

#: Where a task is whose Region is not decided yet.
OPEN = ""


class Cheapest:
    """Costs, in bytes that cross, of having results in each of several Regions.

    Parameters
    ----------
    regions
        Regions to choose from.
    where
        Key to Region, None for what needs none, or :data:`OPEN`.
    size
        Bytes of a result.
    consumers
        How many tasks need a result, delivery included.
    """

    def __init__(
        self,
        regions: Iterable[str],
        where: Mapping[Key, str | None],
        size: Callable[[Key], float],
        consumers: Mapping[Key, int],
    ) -> None:
        #: To choose from, sorted.
        self.regions = sorted(regions)
        self._number = {region: number for number, region in enumerate(self.regions)}
        self._where = where
        self._size = size
        self._consumers = consumers
        self._costs: dict[Key, tuple[Sequence[float], float]] = {}
        #: Tasks that may be dealt out to several Regions.
        self.dealt: set[Key] = set()
        #: Those that put the results of such together.
        self._above: set[Key] = set()
        self._received = dict.fromkeys(self.regions, 0.0)

    def add(self, key: Key, inputs: Collection[Key]) -> None:
        """Work out what a task costs in each Region; its inputs have to be known or added before."""
        costs = [0.0] * len(self.regions)
        everywhere = 0.0
        for dependency in inputs:
            there = self._where[dependency]
            if there is None:
                continue
            nbytes, share = self._size(dependency), 1 / self._consumers[dependency]
            if there == OPEN:
                made, least = self._costs[dependency]
                brought = least + nbytes
                for number, cost in enumerate(made):
                    costs[number] += min(brought, cost) * share
            else:
                everywhere += nbytes * share
                if there in self._number:
                    costs[self._number[there]] -= nbytes * share
        found = [cost + everywhere for cost in costs]
        self._costs[key] = found, min(found)
        self._look_at_links(key, inputs)

    def _look_at_links(self, key: Key, inputs: Collection[Key]) -> None:
        if not self._above.isdisjoint(inputs) or not self.dealt.isdisjoint(inputs):
            self._above.add(key)
        elif self._size(key) <= _LITTLE * (self._costs[key][1] - _MUCH) and len(self._equal(key)) > 1:
            self.dealt.add(key)

    def _equal(self, key: Key) -> list[str]:
        """Return the Regions in which a task costs about the least."""
        made, least = self._costs[key]
        pairs = zip(self.regions, made, strict=True)
        return [region for region, cost in pairs if cost <= least * (1 + _LITTLE)]

    def choose(self, key: Key, needed_in: Collection[str]) -> str:
        """Return the Region for a task whose result is needed in some.

        Of equal ones that where it is needed, so that a whole group goes where its consumers are.
        """
        if key in self.dealt:
            region = min(self._equal(key), key=lambda region: (self._received[region], region))
            self._received[region] += self._costs[key][1]
            return region
        nbytes = self._size(key)
        made, _ = self._costs[key]
        best, least = "", float("inf")
        for region, cost in zip(self.regions, made, strict=True):
            here = region in needed_in
            total = round(cost + nbytes * (len(needed_in) - here)) - 0.5 * here
            if total < least:
                best, least = region, total
        return best


def most_common(regions: Iterable[str]) -> str:
    """Return the Region named most often, of equal ones the first by name."""
    counts = Counter(regions)
    return min(counts, key=lambda region: (-counts[region], region))
