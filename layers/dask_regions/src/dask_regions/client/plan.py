"""Tell what a computation would move between Regions, before it runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dask.base import compute
from dask.utils import key_split
from distributed.protocol.serialize import serialize, to_serialize

from dask_regions.client.connect import current_client
from dask_regions.client.picture import picture
from dask_regions.client.prices import (
    PRICES,
    PRICES_NOTE,
    Prices,
    dollars,
    prices_in_use,
    told_assumptions,
)
from dask_regions.client.text import html_paragraphs, html_table, money, size, table
from dask_regions.errors import RequestError
from dask_regions.placement.hooks.scheduler.forecast import Crossing, Forecast, forecast

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["ESTIMATE_ERROR", "FINALIZE", "Plan", "plan", "plan_expression"]

#: Largest ratio, either way, of expected to metered bytes on the workloads of ``docs/benchmarks.md``; None
#: where that was not measured. It is arrays that shrink on the wire that are expected to be larger.
ESTIMATE_ERROR: float | None = 1.5

#: Dask's word for the tasks that put a result together, alone or fused with others: the
#: name of `dask._expr.HLGFinalizeCompute`.
FINALIZE = "finalize-hlgfinalizecompute"

_Rows = list[tuple[str, ...]]


@dataclass(frozen=True)
class Plan:
    """An estimate of what a computation does in each Region, and of what crosses.

    Attributes
    ----------
    forecast
        What the scheduler expects.
    prices
        US dollars per GB by (sending Region, receiving Region).

    Examples
    --------
    >>> print(plan(a.mean() - b.mean()))  # doctest: +SKIP
    """

    forecast: Forecast
    prices: Prices = field(default_factory=lambda: PRICES, repr=False)

    @property
    def between(self) -> dict[tuple[str, str], int]:
        """Bytes expected to move by (sending Region, receiving Region), results to the client included."""
        return dict(self.forecast.between)

    @property
    def tasks(self) -> dict[str, int]:
        """Dask tasks by Region; ``""`` for those that any Region may run."""
        return dict(self.forecast.tasks)

    @property
    def read(self) -> dict[str, int]:
        """Bytes read by Region."""
        return dict(self.forecast.read)

    @property
    def largest(self) -> tuple[Crossing, ...]:
        """What crosses, largest first; at most ten."""
        return self.forecast.largest

    @property
    def empty(self) -> tuple[str, ...]:
        """Regions in which tasks would wait, because their pools have no workers."""
        return self.forecast.empty

    @property
    def crossed(self) -> int:
        """Bytes expected to leave a Region."""
        return sum(nbytes for (source, target), nbytes in self.between.items() if source != target)

    @property
    def dollars(self) -> float:
        """Estimate of what they cost, in US dollars; see :mod:`dask_regions.client.prices`."""
        return dollars(self.between, self.prices)

    def advice(self) -> list[str]:
        """Return sentences that say where to reduce first; none where nothing crosses."""
        if not self.largest or not self.crossed:
            return []
        first = self.largest[0]
        share = min(first.nbytes / self.crossed, 1)
        returned = first.target == self.forecast.client_region
        until = "before it is returned to you" if returned else f"before {first.target} needs it"
        return [
            f"Reduce first: {_name(first)}, {size(first.nbytes)} from {first.source} to {first.target} "
            f"({share:.0%} of what crosses). Select, average or coarsen it in {first.source} {until}."
        ]

    def __str__(self) -> str:
        blocks = [[_estimate()], table(self._regions())]
        if self.crossed:
            blocks += [table(self._pairs()), table(self._crossings())]
        return "\n\n".join("\n".join(block) for block in [*blocks, self._sentences()])

    def _repr_html_(self) -> str:
        drawn = picture(
            self.between,
            beneath={region: f"reads {size(self.read.get(region, 0))}" for region in self._named_regions()},
            label=lambda pair, nbytes: f"{size(nbytes)}\n{money(dollars({pair: nbytes}, self.prices))}",
            title="Estimate of what will cross between Regions",
            estimate=True,
        )
        crossings = html_table(self._pairs()) + html_table(self._crossings()) if self.crossed else ""
        return "".join(
            [
                html_paragraphs([_estimate()]),
                drawn,
                html_table(self._regions()),
                crossings,
                html_paragraphs(self._sentences()),
            ]
        )

    def _named_regions(self) -> list[str]:
        return sorted({region for region in (*self.tasks, *self.read) if region})

    def _regions(self) -> _Rows:
        rows: _Rows = [("Region", "tasks", "reads")]
        for region in self._named_regions():
            rows.append((region, f"{self.tasks.get(region, 0):,}", size(self.read.get(region, 0))))
        if free := self.tasks.get("", 0):
            rows.append(("any", f"{free:,}", ""))
        return rows

    def _pairs(self) -> _Rows:
        crossing = [(pair, n) for pair, n in sorted(self.between.items()) if pair[0] != pair[1] and n]
        rows = [(*pair, size(n), money(dollars({pair: n}, self.prices))) for pair, n in crossing]
        return [("from", "to", "bytes", "cost"), *rows]

    def _crossings(self) -> _Rows:
        rows = [
            (_name(crossing), crossing.source, crossing.target, f"{crossing.tasks:,}", size(crossing.nbytes))
            for crossing in self.largest
        ]
        return [("largest crossings", "from", "to", "tasks", "bytes"), *rows]

    def _sentences(self) -> list[str]:
        return [
            f"{size(self.crossed)} would leave a Region; cost: {money(self.dollars)} ({PRICES_NOTE}).",
            *self.advice(),
            *(
                f"Pool {region} has no workers; its tasks would wait. "
                f"Scale it with: dask-regions scale {region} 1"
                for region in self.empty
            ),
            *told_assumptions(self.between, self.prices),
        ]


def plan(*collections: Any, client: Client | None = None, prices: Prices | None = None) -> Plan:
    """Estimate what ``compute`` of collections would read, run and move, per Region; nothing runs.

    Parameters
    ----------
    collections
        Anything lazy of xarray or Dask, also inside lists, tuples and dicts: what one would give to
        :func:`dask.compute`.
    client
        From :func:`dask_regions.connect`; the default client where absent.
    prices
        US dollars per GB by (sending Region, receiving Region or ``"*"``); by default the table in Dask's
        configuration (:data:`~dask_regions.client.prices.PRICES_KEY`), else that of
        :data:`~dask_regions.client.prices.PRICES`.

    Returns
    -------
    Plan
        An estimate, in text or, in a notebook, as a picture; ``ESTIMATE_ERROR`` is its measured error.

    Raises
    ------
    RequestError
        Where nothing is lazy, or ``prices`` is no table of prices.
    ConfigurationError
        Where the scheduler was started without placement, or the configured prices are wrong.
    UnavailableError
        Where there is no client.

    Examples
    --------
    >>> plan(a.mean("time") - b.mean("time"))  # doctest: +SKIP
    """
    table_of_prices = prices_in_use(prices)
    connected = current_client(client)
    plans: list[Plan] = []

    def look(expression: Any, keys: Sequence[object], **_: object) -> Sequence[None]:
        plans.append(plan_expression(expression, connected, table_of_prices))
        return [None] * len(keys)

    # A callable is Dask's own way to plug a scheduler in: it gets the expression that a client's
    # `get` would get (`dask.base.get_scheduler`, contract-tested).
    compute(*collections, scheduler=look)
    if not plans:
        raise RequestError("collections", "nothing is lazy here; give what you would call compute() on")
    return plans[0]


def plan_expression(expression: Any, client: Client, prices: Prices) -> Plan:
    """Ask the scheduler what it expects of an optimised expression."""
    # Serialised as a client does for `update_graph`, so that the scheduler can unpack it off its event loop.
    header, frames = serialize(to_serialize(expression), on_error="raise")
    packed = (header, [bytes(frame) for frame in frames])
    return Plan(client.run_on_scheduler(forecast, packed), prices)


def _estimate() -> str:
    if ESTIMATE_ERROR is None:
        return "Estimate, nothing has run; its error has not been measured yet."
    return (
        "Estimate, nothing has run. What crossed in the benchmark was within a factor of "
        f"{ESTIMATE_ERROR:g} of it."
    )


def _name(crossing: Crossing) -> str:
    """Return an operation's name without what tells its tasks apart."""
    name = str(key_split(crossing.name))
    return name.removesuffix(f"-{FINALIZE}") if name != FINALIZE else "the result"
