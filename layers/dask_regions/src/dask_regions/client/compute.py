"""Compute, unless too much would cross."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dask.base
from dask.utils import parse_bytes

from dask_regions.client.connect import current_client
from dask_regions.client.plan import Plan, plan_expression
from dask_regions.client.prices import Prices, prices_in_use
from dask_regions.client.text import money, size
from dask_regions.errors import BudgetError, RequestError

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["compute"]


def compute(
    *collections: Any,
    budget: str | int | None = None,
    client: Client | None = None,
    prices: Prices | None = None,
    **options: Any,
) -> tuple[Any, ...]:
    """Compute collections as :func:`dask.compute` does, if what is expected to cross fits a budget.

    The very graph that is planned is computed, so that the estimate is of what runs.

    Parameters
    ----------
    collections
        Anything lazy of xarray or Dask, also inside lists, tuples and dicts.
    budget
        What may leave a Region, results to the client included: bytes (``"5 GB"``, ``5_000_000_000``) or
        US dollars (``"$0.10"``). Without one, everything is computed.
    client
        From :func:`dask_regions.connect`; the default client where absent.
    prices
        As for :func:`dask_regions.plan`; for a budget in dollars, and for what an error says.
    **options
        For :func:`dask.compute` and ``distributed.Client.get``, e.g. ``optimize_graph``, ``priority``.

    Returns
    -------
    tuple
        One result for every collection, in the structure that was given.

    Raises
    ------
    BudgetError
        Where more is expected to cross; nothing has run then. It names what to reduce first, and has the
        plan as its attribute ``plan``.
    RequestError
        Where the budget or the prices cannot be read.
    ConfigurationError
        Where the scheduler was started without placement, or the configured prices are wrong.
    UnavailableError
        Where there is no client.

    Examples
    --------
    >>> mean, spread = compute(a.mean("time"), a.std("time"), budget="5 GB")  # doctest: +SKIP
    """
    limit = None if budget is None else _Limit.of(budget)
    table_of_prices = prices_in_use(prices)
    connected = current_client(client)

    def get(expression: Any, keys: Sequence[object], **more: Any) -> Any:
        if limit is not None:
            limit.check(plan_expression(expression, connected, table_of_prices))
        return connected.get(expression, keys, **more)

    computed: tuple[Any, ...] = dask.base.compute(*collections, scheduler=get, **options)
    return computed


@dataclass(frozen=True)
class _Limit:
    """A budget in bytes, or in US dollars."""

    amount: float
    in_dollars: bool

    @classmethod
    def of(cls, budget: object) -> _Limit:
        """Read a budget.

        Raises
        ------
        RequestError
            Where it is none.
        """
        amount, in_dollars = math.nan, False
        if isinstance(budget, int) and not isinstance(budget, bool):
            amount = budget
        elif isinstance(budget, str) and any(map(str.isdigit, budget)):
            text = budget.strip()
            in_dollars = text.startswith("$")
            try:
                amount = float(text[1:]) if in_dollars else parse_bytes(text)
            except (ValueError, OverflowError):
                amount = math.nan
        if not 0 <= amount < math.inf:
            raise RequestError(
                "budget",
                f"{budget!r} is no amount of bytes or dollars; write '5 GB', 5_000_000_000 or '$0.10'",
            )
        return cls(amount, in_dollars)

    def check(self, plan: Plan) -> None:
        """Refuse a plan that exceeds the limit.

        Raises
        ------
        BudgetError
            Where it does.
        """
        expected = plan.dollars if self.in_dollars else plan.crossed
        if expected <= self.amount:
            return
        limit = money(self.amount) if self.in_dollars else size(self.amount)
        raise BudgetError(
            " ".join(
                [
                    f"about {size(plan.crossed)} ({money(plan.dollars)}) would leave a Region, and the "
                    f"budget is {limit}; nothing was computed.",
                    *plan.advice(),
                    "Or raise the budget; dask_regions.plan shows all that crosses.",
                ]
            ),
            plan,
        )
