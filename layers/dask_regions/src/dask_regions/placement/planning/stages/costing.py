"""Serves the fifth stage: what it costs, in bytes that cross, to have a result in each Region."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import chain

from dask.typing import Key

from dask_regions.placement.planning.problem import FREE, OPEN, Assignment, Problem, Region

__all__ = ["Costs", "cost_in_each_region"]

#: A task has to cost so much for it to pay to use both directions of a link.
_SPREAD_ABOVE_BYTES = 1e6
#: Costs within this share of the least count as equal, and so do bytes within it of what is saved.
_EQUAL_WITHIN_SHARE = 0.05


@dataclass(frozen=True)
class Costs:
    """What the open tasks cost in each Region, their open inputs included.

    Attributes
    ----------
    regions
        Regions to choose from, sorted.
    of_tasks
        Open task to the bytes that cross for it to be in each of these, in their order, and the least of
        them. One dict: the hash of a block's key is computed anew at every look-up.
    spread
        Tasks that are to be spread over the Regions in which they cost about the least.
    """

    regions: list[Region]
    of_tasks: dict[Key, tuple[list[float], float]]
    spread: set[Key]

    def about_least(self, key: Key) -> list[Region]:
        """Return the Regions in which a task costs about the least."""
        costs, least = self.of_tasks[key]
        limit = least * (1 + _EQUAL_WITHIN_SHARE)
        pairs = zip(self.regions, costs, strict=True)
        return [region for region, cost in pairs if cost <= limit]


def cost_in_each_region(problem: Problem, assignment: Assignment, open_tasks: Iterable[Key]) -> Costs:
    """Work out what open tasks cost in each Region, inputs first.

    A task in Region R costs what its inputs cost where each is best for R: an input that is open is made
    wherever that is cheapest and crosses, or is made in R; one that is placed crosses if it is elsewhere.
    The cost of an input that several tasks may take is shared among them, because it crosses once.

    See :func:`~dask_regions.placement.planning.stages.choosing.choose` for the method.
    """
    regions = _regions_to_choose_from(problem, assignment)
    numbers = {region: number for number, region in enumerate(regions)}
    consumers = _count_consumers(problem, assignment)
    graph, nbytes_of, assigned = problem.graph, problem.nbytes, assignment.regions
    estimate = Costs(regions, {}, set())
    above_spread: set[Key] = set()
    for key in open_tasks:
        inputs = graph[key].dependencies
        costs = [0.0] * len(regions)
        everywhere = 0.0
        for dependency in inputs:
            region = assigned[dependency]
            if region is FREE:
                continue
            nbytes, share = nbytes_of(dependency), 1 / consumers[dependency]
            if region is OPEN:
                costs_of_input, least = estimate.of_tasks[dependency]
                brought = least + nbytes
                for number, cost in enumerate(costs_of_input):
                    costs[number] += min(brought, cost) * share
            else:
                everywhere += nbytes * share
                if region in numbers:
                    costs[numbers[region]] -= nbytes * share
        costs = [cost + everywhere for cost in costs]
        estimate.of_tasks[key] = costs, min(costs)
        if not above_spread.isdisjoint(inputs) or not estimate.spread.isdisjoint(inputs):
            above_spread.add(key)
        elif _is_to_be_spread(key, nbytes_of(key), estimate):
            estimate.spread.add(key)
    return estimate


def _is_to_be_spread(key: Key, nbytes: float, estimate: Costs) -> bool:
    """Whether much data meets in a task, it may do so in several Regions, and little comes of it."""
    surplus = estimate.of_tasks[key][1] - _SPREAD_ABOVE_BYTES
    return nbytes <= _EQUAL_WITHIN_SHARE * surplus and len(estimate.about_least(key)) > 1


def _regions_to_choose_from(problem: Problem, assignment: Assignment) -> list[Region]:
    """Return the Regions of what is placed, and the client's if it has workers."""
    regions = {region for region in assignment.regions.values() if isinstance(region, str)}
    if problem.cluster.client_region in problem.cluster.alive:
        regions.add(problem.cluster.client_region)
    return sorted(regions)


def _count_consumers(problem: Problem, assignment: Assignment) -> Counter[Key]:
    """Return how many tasks that may take it elsewhere share an input's cost, the client included."""
    takers: Collection[Key] = [*assignment.undecided, *assignment.takers]
    consumers = Counter(chain.from_iterable(problem.graph[key].dependencies for key in takers))
    consumers.update(problem.delivered)
    return consumers
