"""Tell what a graph would read and move, on the scheduler, without running it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dask._task_spec import GraphNode
from dask.core import flatten
from dask.typing import Key
from dask.utils import key_split
from distributed.protocol.serialize import deserialize
from distributed.utils import offload

from dask_regions.placement.hooks.scheduler.materialize import cluster_state, plan_expression
from dask_regions.placement.hooks.scheduler.plugin import plugin_of
from dask_regions.placement.planning.cluster import ClusterState
from dask_regions.placement.planning.fused import inside
from dask_regions.placement.planning.plan import Plan

if TYPE_CHECKING:
    from distributed.scheduler import Scheduler

__all__ = ["Crossing", "Forecast", "forecast", "forecast_of"]

#: Number of operations to name, of those whose results cross.
_MAX_OPERATIONS = 10
#: Bytes that Dask sends with each result, besides its values: 331 to 346 were metered for arrays.
_HEADER_BYTES = 340
_Packed = tuple[dict[str, Any], list[bytes]]


@dataclass(frozen=True)
class Crossing:
    """Results of one operation that are expected to leave their Region.

    Attributes
    ----------
    source, target
        Regions.
    name
        Prefix of the tasks, as on Dask's dashboard.
    tasks
        How many of them cross.
    nbytes
        Their bytes together, estimated.
    """

    source: str
    target: str
    name: str
    tasks: int
    nbytes: int


@dataclass(frozen=True)
class Forecast:
    """What a graph is expected to do.

    Attributes
    ----------
    client_region
        Region of scheduler and client.
    tasks
        Dask tasks by Region; under ``""`` those that any Region may run.
    read
        Bytes that are read, by Region.
    between
        Bytes expected to cross by (from Region, to Region), delivery to the client included.
    largest
        What crosses, largest first, at most ten operations.
    empty
        Regions in which tasks would wait, because their pools have no workers.
    """

    client_region: str
    tasks: dict[str, int]
    read: dict[str, int]
    between: dict[tuple[str, str], int]
    largest: tuple[Crossing, ...]
    empty: tuple[str, ...]


async def forecast(packed: _Packed, dask_scheduler: Scheduler) -> Forecast:
    """Plan an expression as ``update_graph`` would; for ``client.run_on_scheduler(forecast, packed)``.

    Parameters
    ----------
    packed
        Header and frames of the optimised expression, as a client serialises it for the scheduler.
    dask_scheduler
        Filled in by Dask.

    Raises
    ------
    ConfigurationError
        Where the scheduler was started without placement.
    """
    now = cluster_state(dask_scheduler, plugin_of(dask_scheduler).client_region)
    expected: Forecast = await offload(_forecast, packed, now)
    return expected


def _forecast(packed: _Packed, now: ClusterState) -> Forecast:
    expression = deserialize(*packed)
    wanted = list(flatten(expression.__dask_keys__()))
    plan, _ = plan_expression(expression, False, wanted, now)
    return forecast_of(plan, now)


def forecast_of(plan: Plan, now: ClusterState) -> Forecast:
    """Sum up what a plan expects."""
    tasks = Counter(plan.regions.get(key, "") for key in plan.graph)
    nbytes: defaultdict[tuple[str, str, str], float] = defaultdict(float)
    counts: Counter[tuple[str, str, str]] = Counter()
    for source, target, key, size in _crossings(plan, now.client_region):
        group = (source, target, _operation(key))
        nbytes[group] += size
        counts[group] += 1
    between: Counter[tuple[str, str]] = Counter()
    for (source, target, _), size in nbytes.items():
        between[source, target] += round(size)
    largest = sorted(nbytes, key=lambda group: -nbytes[group])[:_MAX_OPERATIONS]
    return Forecast(
        client_region=now.client_region,
        tasks=dict(tasks),
        read=_read(plan),
        between=dict(between),
        largest=tuple(
            Crossing(*group, tasks=counts[group], nbytes=round(nbytes[group])) for group in largest
        ),
        empty=tuple(sorted(set(plan.regions.values()) - now.alive)),
    )


def _crossings(plan: Plan, client_region: str) -> Iterator[tuple[str, str, Key, float]]:
    for (key, source, target), nbytes in plan.crossings().items():
        yield source, target, key, nbytes + _HEADER_BYTES
    for key in plan.requested:
        region = plan.regions.get(key)
        if region is not None and region != client_region:
            yield region, client_region, key, plan.sizes.of(key, plan.graph) + _HEADER_BYTES


def _operation(key: Key) -> str:
    return str(key_split(key))


def _read(plan: Plan) -> dict[str, int]:
    read: Counter[str] = Counter()
    for key in plan.reads.markers:
        region = plan.regions.get(key)
        if region is not None:
            known = max(_blocks_inside(plan, key), default=None)
            read[region] += round((plan.reads.share(key) or 0) if known is None else known)
    return dict(read)


def _blocks_inside(plan: Plan, key: Key) -> Iterator[float]:
    """Yield the sizes of what a task computes, the largest of which is what it reads, or less."""
    stack: list[tuple[Key, GraphNode]] = [(key, plan.graph[key])]
    while stack:
        name, node = stack.pop()
        nbytes = plan.sizes.of_block(name, key)
        if nbytes is not None:
            yield nbytes
        if (fused := inside(node)) is not None:
            stack.extend(fused.tasks.items())
