"""Fifth stage: a Region for each open task, and for free ones whose results placed tasks need."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from itertools import chain

from dask.typing import Key

from dask_regions.placement.planning.problem import FREE, OPEN, Assignment, Problem, Region, TaskRegion
from dask_regions.placement.planning.stages.costing import Costs, cost_in_each_region

__all__ = ["choose"]

#: Up to so many open tasks are also put together into each Region: with more, it would take too long.
_MAX_TASKS_TO_COMPARE = 10_000
#: Share of the bytes that one Region for all has to save, to be taken instead of a Region for each.
_MIN_SHARE_SAVED = 0.02


def choose(problem: Problem, assignment: Assignment) -> Assignment:
    """Place open tasks where the fewest bytes cross, and free ones with most of their consumers.

    The problem is a minimum multiway cut: data and client are terminals, results are edges (strictly, nets:
    a result crosses once for all its consumers in a Region), and of every task one terminal is chosen.
    For two processors it is a minimum cut (Stone, "Multiprocessor Scheduling with the Aid of Network Flow
    Algorithms", IEEE Trans. Software Eng. 3(1), 1977); for three or more it is NP-hard (Dahlhaus et al.,
    "The Complexity of Multiterminal Cuts", SIAM J. Comput. 23(4), 1994). A cut of 100,000 tasks would take
    longer than their graph has, so what follows is linear:

    1. *Forward* (:func:`~dask_regions.placement.planning.stages.costing.cost_in_each_region`): what each
       open task costs in each Region, its inputs where they are best for that.
    2. *Backward*: each open task, the last first, takes the Region in which its own cost, and that of
       bringing its result to its consumers, whose Regions are known by then, is least.
    3. *Comparison*: all open tasks together, in each Region. What they share crosses once there, which the
       two passes cannot see.

    Free tasks are not part of the problem: in the same backward pass each goes to the Region that most of its
    consumers have (:func:`_with_most_consumers`), and stays free where none has one.

    On a tree, the two passes are the dynamic programme of Bokhari ("A Shortest Tree Algorithm for Optimal
    Assignments across Space and Time in a Distributed Processor System", IEEE Trans. Software Eng. 7(6),
    1981), and exact. That a shared input's cost is split evenly among its consumers is our own heuristic,
    and so is the comparison. Against an integer programme, 400 random graphs came to 1.007 times the least
    in sum, 7 of them above 1.1 and the worst 1.39, before the comparison was added
    (``docs/decisions/0008``; ``tests/functional/placement/test_properties.py`` holds the bound). There is
    no proof of how far off it can be.

    Where it makes next to no difference in which of two Regions much data meets, as in ``(a + b).mean()``,
    the tasks are spread over both: what crosses takes both directions of the link at once.
    """
    open_tasks = [key for key in assignment.undecided if assignment.regions[key] is OPEN]
    costs = cost_in_each_region(problem, assignment, open_tasks) if open_tasks else Costs([], {}, set())
    regions = _choose_backward(problem, assignment, costs)
    if 0 < len(open_tasks) <= _MAX_TASKS_TO_COMPARE and not costs.spread:
        regions = _one_region_if_cheaper(problem, assignment, open_tasks, costs.regions, regions)
    takers = assignment.takers + open_tasks
    for key in assignment.undecided:
        if _needed_in(key, assignment, regions) - {regions[key]}:
            takers += assignment.consumers[key]
    return assignment.with_regions(regions, takers)


def _choose_backward(problem: Problem, assignment: Assignment, costs: Costs) -> dict[Key, TaskRegion]:
    regions = dict(assignment.regions)
    received_nbytes = dict.fromkeys(costs.regions, 0.0)
    for key in reversed(assignment.undecided):
        if regions[key] is not OPEN:
            regions[key] = _with_most_consumers(key, assignment, regions)
        elif key in costs.spread:
            region = min(costs.about_least(key), key=lambda region: (received_nbytes[region], region))
            received_nbytes[region] += costs.of_tasks[key][1]
            regions[key] = region
        else:
            needed_in = _needed_in(key, assignment, regions)
            if key in problem.delivered:
                needed_in.add(problem.cluster.client_region)
            regions[key] = _cheapest(costs, key, problem.nbytes(key), needed_in)
    return regions


def _cheapest(costs: Costs, key: Key, nbytes: float, needed_in: Collection[Region]) -> Region:
    """Return the Region for a task whose result is needed in some.

    Of equal ones it is one where the result is needed, so that a whole group goes where its consumers are.
    """
    cheapest, least = "", float("inf")
    for region, cost in zip(costs.regions, costs.of_tasks[key][0], strict=True):
        here = region in needed_in
        total = round(cost + nbytes * (len(needed_in) - here)) - 0.5 * here
        if total < least:
            cheapest, least = region, total
    return cheapest


def _needed_in(key: Key, assignment: Assignment, regions: dict[Key, TaskRegion]) -> set[Region]:
    """Return the Regions of a task's consumers."""
    consumers = assignment.consumers.get(key, ())
    return {region for consumer in consumers if isinstance(region := regions[consumer], str)}


def _with_most_consumers(key: Key, assignment: Assignment, regions: dict[Key, TaskRegion]) -> TaskRegion:
    """Return the Region of most consumers of a free task, of equal ones the first by name.

    Where its result is delivered does not matter: Dask may spread such work.
    """
    consumers = assignment.consumers.get(key, ())
    counts = Counter(region for consumer in consumers if isinstance(region := regions[consumer], str))
    return min(counts, key=lambda region: (-counts[region], region), default=FREE)


def _one_region_if_cheaper(
    problem: Problem,
    assignment: Assignment,
    open_tasks: Collection[Key],
    candidates: Iterable[Region],
    regions: dict[Key, TaskRegion],
) -> dict[Key, TaskRegion]:
    """Put all open tasks into one Region if that is cheaper: an input that they share crosses once."""
    consumers = (assignment.consumers.get(key, ()) for key in open_tasks)
    takers = dict.fromkeys(chain(open_tasks, assignment.takers, *consumers))
    cheapest = regions
    least = _crossing_nbytes(problem, takers, regions) * (1 - _MIN_SHARE_SAVED)
    for candidate in candidates:
        together = {**regions, **dict.fromkeys(open_tasks, candidate)}
        nbytes = _crossing_nbytes(problem, takers, together)
        if nbytes < least:
            cheapest, least = together, nbytes
    # Free tasks follow their consumers anew.
    opened = set(open_tasks)
    for key in reversed(assignment.undecided):
        if key not in opened:
            cheapest[key] = _with_most_consumers(key, assignment, cheapest)
    return cheapest


def _crossing_nbytes(problem: Problem, takers: Iterable[Key], regions: dict[Key, TaskRegion]) -> float:
    """Return the bytes that cross to some tasks and from them to the client."""
    graph, client_region = problem.graph, problem.cluster.client_region
    crossing: set[tuple[Key, Region]] = set()
    for key in takers:
        region = regions[key]
        if isinstance(region, str):
            for dependency in graph[key].dependencies:
                if (source := regions[dependency]) is not FREE and source != region:
                    crossing.add((dependency, region))
        if region != client_region and key in problem.delivered:
            crossing.add((key, client_region))
    return sum(problem.nbytes(key) for key, _ in crossing)
