"""What crossed between Regions while a graph ran, and the least that had to.

Words: a task is *bound* to Region R where all the data that it depends on are in R; it is *mixed* where they
are in several Regions, and *free* where it depends on no Region's data.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import optimize, sparse  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from distributed import Client
    from distributed.worker import Worker

__all__ = ["Graph", "Observer", "Task"]


@dataclass
class Task:
    """A task that ran.

    Attributes
    ----------
    inputs
        Keys, with ``transfer-`` tasks replaced by what they transfer.
    data
        Regions whose data it depends on. An input of an earlier graph counts as data of the Region that
        holds it.
    handle
        Whether it only holds a value, e.g. a lazy array.
    region, nbytes
        Where it ran, and the size of its result.
    wanted
        Whether a client asked for it.
    restricted
        Whether it was restricted to a resource, such as a Region.
    worker
        Address of the worker that ran it.
    """

    inputs: list[Any]
    data: frozenset[str]
    handle: bool
    region: str
    nbytes: int
    wanted: bool
    restricted: bool
    worker: str


@dataclass(repr=False)
class Graph:
    """Tasks of one computation, and of earlier ones where they are inputs.

    Attributes
    ----------
    tasks, earlier
        By key, without ``transfer-`` tasks.
    received
        How often each result entered a Region from another one, by (key, Region).
    gathered
        Whether a client fetched what it wanted.
    client_region
        Where it fetched it to.
    regions
        That have workers.
    """

    tasks: dict[Any, Task]
    earlier: dict[Any, Task]
    received: Counter[tuple[Any, str]]
    gathered: bool
    client_region: str
    regions: tuple[str, ...]

    @property
    def crossed(self) -> int:
        """Bytes of results that left a Region, according to the workers that received them."""
        everything = self.earlier | self.tasks
        between = sum(everything[key].nbytes * count for (key, _), count in self.received.items())
        return between + self._delivered

    @property
    def _delivered(self) -> int:
        away = (task for task in self.tasks.values() if task.wanted and task.region != self.client_region)
        return sum(task.nbytes for task in away) if self.gathered else 0

    @cached_property
    def minimum(self) -> int:
        """The least bytes that any placement of the mixed and free tasks makes cross.

        Every result crosses at most once into each Region. Exact (an integer programme), given the sizes
        that the results had; where it is too large to solve in two seconds, a lower bound.
        """
        return _Programme(self).solve()

    @property
    def ran_in(self) -> set[str]:
        """Regions in which any task ran."""
        return {task.region for task in self.tasks.values()}

    def misplaced(self) -> list[str]:
        """Return bound tasks that ran elsewhere, one sentence each."""
        return [
            f"{_name(key)} depends on {next(iter(task.data))} alone and ran in {task.region}"
            for key, task in self.tasks.items()
            if len(task.data) == 1 and not task.handle and task.region not in task.data
        ]

    def repeated(self) -> list[str]:
        """Return results, handles excepted, that entered a Region more than once, one sentence each."""
        everything = self.earlier | self.tasks
        return [
            f"{_name(key)} entered {region} {count} times"
            for (key, region), count in self.received.items()
            if count > 1 and not everything[key].handle
        ]

    def __str__(self) -> str:
        everything = self.earlier | self.tasks
        lines = [f"{self.crossed:,} bytes crossed, {self.minimum:,} had to:"]
        rows = sorted(self.received, key=lambda row: -everything[row[0]].nbytes)
        for key, region in rows[:20]:
            task = everything[key]
            consumers = [_name(other) for other, user in self.tasks.items() if key in user.inputs]
            lines.append(
                f"  {_name(key)} ({task.nbytes:,} bytes of {'+'.join(sorted(task.data))}) "
                f"{task.region} -> {region} for {', '.join(consumers[:3])}"
            )
        for key, task in self.tasks.items():
            if self.gathered and task.wanted and task.region != self.client_region:
                lines.append(f"  {_name(key)} ({task.nbytes:,} bytes) {task.region} -> the client")
        return "\n".join(lines)


class Observer:
    """Take what the scheduler of a cluster, started with ``task_recorder.py``, and its workers wrote down."""

    def __init__(self, client: Client, client_region: str) -> None:
        self._client = client
        self._client_region = client_region
        self.known: dict[Any, Task] = {}
        self.take(gathered=False)
        self.known.clear()

    def take(self, *, gathered: bool) -> Graph:
        """Return the graph that ran since the last call."""

        def records(dask_scheduler: Any) -> tuple[dict[Any, dict[str, Any]], dict[str, str]]:
            watch = dask_scheduler.plugins["watch"]
            tasks, watch.tasks = watch.tasks, {}
            workers = dask_scheduler.workers.values()
            pools = {ws.address: next(iter(ws.resources), "").removeprefix("region-") for ws in workers}
            return tasks, pools

        def received(dask_worker: Worker) -> list[tuple[str | None, list[Any]]]:
            seen = getattr(dask_worker, "_watch_seen", 0)
            log = list(dask_worker.transfer_incoming_log)[seen:]
            dask_worker._watch_seen = seen + len(log)  # type: ignore[attr-defined]
            return [(entry["who"], list(entry["keys"])) for entry in log]

        rows, pools = self._client.run_on_scheduler(records)
        logs = self._client.run(received)
        moves = _Transfers(rows)
        tasks: dict[Any, Task] = {}
        for key in _sorted(rows):
            if "nbytes" in rows[key] and key not in moves:
                tasks[key] = self._task(rows[key], moves, tasks)
        entered: Counter[tuple[Any, str]] = Counter()
        for worker, log in logs.items():
            for sender, keys in log:
                # No sender: a client scattered it.
                if sender is not None and pools.get(sender) != pools[worker]:
                    entered.update((moves.origin(key), pools[worker]) for key in keys)
        earlier, regions = dict(self.known), tuple(sorted(set(pools.values()) - {""}))
        entered = Counter({row: count for row, count in entered.items() if row[0] in earlier | tasks})
        self.known |= tasks
        return Graph(tasks, earlier, entered, gathered, self._client_region, regions)

    def _task(self, row: Mapping[str, Any], moves: _Transfers, tasks: Mapping[Any, Task]) -> Task:
        inputs = list(dict.fromkeys(map(moves.origin, row["inputs"])))
        data = set(row["marks"])
        for key in inputs:
            if key in tasks:
                data |= tasks[key].data
            elif key in self.known and self.known[key].data:
                data.add(self.known[key].region)
        return Task(
            inputs,
            frozenset(data),
            row["data"],
            row["region"],
            row["nbytes"],
            row["wanted"],
            row["restricted"],
            row["worker"],
        )


class _Transfers:
    """Tasks that placement inserted to move a result once, and what they move."""

    def __init__(self, rows: Mapping[Any, Mapping[str, Any]]) -> None:
        self._moved = {key: row["inputs"][0] for key, row in rows.items() if _is_transfer(key, row)}

    def __contains__(self, key: object) -> bool:
        return key in self._moved

    def origin(self, key: Any) -> Any:
        while key in self._moved:
            key = self._moved[key]
        return key


def _is_transfer(key: Any, row: Mapping[str, Any]) -> bool:
    name = key[0] if isinstance(key, tuple) else key
    return str(name).startswith("transfer-") and len(row["inputs"]) == 1


def _sorted(rows: Mapping[Any, Mapping[str, Any]]) -> Iterable[Any]:
    graph = {
        key: [dependency for dependency in row["inputs"] if dependency in rows] for key, row in rows.items()
    }
    return TopologicalSorter(graph).static_order()


def _name(key: Any) -> str:
    name, *index = key if isinstance(key, tuple) else (key,)
    return f"{str(name)[:60]}{tuple(index) or ''}"


class _Programme:
    """Which placement makes the fewest bytes cross, as an integer programme.

    One variable says that a task runs in a Region, another that its result enters one; the second is at
    least as large as a consumer's first variable less the task's own.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._regions = sorted({*graph.regions, graph.client_region})
        self._costs: list[float] = []
        self._bounds: list[tuple[float, float]] = []
        self._rows: list[tuple[dict[int, float], float, float]] = []
        self._runs: dict[tuple[Any, str], int] = {}
        self._enters: dict[tuple[Any, str], int] = {}

    def solve(self) -> int:
        graph = self._graph
        everything = graph.earlier | graph.tasks
        for key, task in graph.tasks.items():
            self._place(key, next(iter(task.data)) if len(task.data) == 1 else None)
        for key, task in graph.tasks.items():
            for needed in task.inputs:
                if needed not in everything:
                    continue
                if (needed, self._regions[0]) not in self._runs:
                    self._place(needed, everything[needed].region)
                for region in self._regions:
                    self._enter(needed, everything[needed].nbytes, region, self._runs[key, region])
            if task.wanted and graph.gathered:
                self._enter(key, task.nbytes, graph.client_region, None)
        return self._minimise() if self._costs else 0

    def _variable(self, cost: float, low: float, high: float) -> int:
        self._costs.append(cost)
        self._bounds.append((low, high))
        return len(self._costs) - 1

    def _place(self, key: Any, home: str | None) -> None:
        for region in self._regions:
            may = region in self._graph.regions if home is None else region == home
            self._runs[key, region] = self._variable(0, float(region == home), float(may))
        self._rows.append(({self._runs[key, region]: 1.0 for region in self._regions}, 1, 1))

    def _enter(self, key: Any, nbytes: int, region: str, consumer: int | None) -> None:
        if (key, region) not in self._enters:
            self._enters[key, region] = self._variable(nbytes, 0, 1)
        row = {self._enters[key, region]: 1.0, self._runs[key, region]: 1.0}
        if consumer is None:
            self._rows.append((row, 1, np.inf))
        else:
            self._rows.append((row | {consumer: -1.0}, 0, np.inf))

    def _minimise(self) -> int:
        matrix = sparse.lil_array((len(self._rows), len(self._costs)))
        for number, (row, _, _) in enumerate(self._rows):
            for column, value in row.items():
                matrix[number, column] = value
        low, high = (np.array([row[side] for row in self._rows]) for side in (1, 2))
        lower, upper = (np.array(side) for side in zip(*self._bounds, strict=True))
        runs = np.zeros(len(self._costs))
        runs[list(self._runs.values())] = 1
        solved = optimize.milp(
            np.array(self._costs),
            integrality=runs,
            bounds=optimize.Bounds(lower, upper),
            constraints=optimize.LinearConstraint(matrix.tocsr(), low, high),
            options={"time_limit": 2.0},
        )
        return round(solved.fun if solved.success else (solved.mip_dual_bound or 0))
