"""Meter what a computation moves between Regions, from the workers' own transfer logs."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

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
from dask_regions.placement.hooks.scheduler.plugin import Records, records

if TYPE_CHECKING:
    from distributed import Client
    from distributed.scheduler import Scheduler
    from distributed.worker import Worker

__all__ = ["Transfers", "transfers"]

# How often, 10 ms apart, a worker is asked whether its last transfers were confirmed.
_CONFIRMATIONS = 300
# When the newest transfer ended that a worker knows of, by what clock is no matter.
_Mark = float | None


@dataclass
class Transfers:
    """What moved while a ``with transfers(client)`` block ran; filled when the block ends.

    Attributes
    ----------
    between
        Bytes of task results as they were sent, perhaps compressed, by (sending Region, receiving Region),
        pairs of the same Region included.
        Results that a client gathers count as received in the client Region.
    tasks
        Tasks that finished, by Region.
    reads
        Tasks that read data and finished, by (Region of the data, Region they ran in).
    notes
        What the numbers miss, in sentences; empty where nothing is known to be missing.
    """

    between: dict[tuple[str, str], int] = field(default_factory=dict)
    tasks: dict[str, int] = field(default_factory=dict)
    reads: dict[tuple[str, str], int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    prices: Prices = field(default_factory=lambda: PRICES, repr=False)

    @property
    def crossed(self) -> int:
        """Bytes that left a Region."""
        return sum(nbytes for (source, target), nbytes in self.between.items() if source != target)

    @property
    def dollars(self) -> float:
        """Estimate of what they cost, in US dollars; see :mod:`dask_regions.client.prices`."""
        return dollars(self.between, self.prices)

    def __str__(self) -> str:
        return "\n".join([*table(self._rows()), *self._sentences()])

    def _repr_html_(self) -> str:
        drawn = picture(
            self.between,
            beneath={region: f"{count:,} tasks" for region, count in self.tasks.items()},
            label=lambda pair, nbytes: f"{size(nbytes)}\n{money(dollars({pair: nbytes}, self.prices))}",
            title="What crossed between Regions",
        )
        return drawn + html_table(self._rows()) + html_paragraphs(self._sentences())

    def _rows(self) -> list[tuple[str, ...]]:
        rows = [
            (*pair, size(nbytes), money(dollars({pair: nbytes}, self.prices)))
            for pair, nbytes in sorted(self.between.items())
        ]
        return [("from", "to", "bytes", "cost"), *rows]

    def _sentences(self) -> list[str]:
        cost = f"{size(self.crossed)} left a Region; cost: {money(self.dollars)} ({PRICES_NOTE})."
        ran = ", ".join(f"{count:,} in {region}" for region, count in sorted(self.tasks.items()))
        assumptions = told_assumptions(self.between, self.prices)
        return [cost, f"Tasks: {ran or 'none'}.", *assumptions, *self.notes]


@contextmanager
def transfers(client: Client | None = None, *, prices: Prices | None = None) -> Iterator[Transfers]:
    """Meter the bytes that move between Regions while a block runs.

    Parameters
    ----------
    client
        From :func:`dask_regions.connect`; the default client where absent.
    prices
        US dollars per GB by (sending Region, receiving Region or ``"*"``); by default the table in Dask's
        configuration (:data:`~dask_regions.client.prices.PRICES_KEY`), else that of
        :data:`~dask_regions.client.prices.PRICES`.

    Yields
    ------
    Transfers
        Complete after the block. Counts everybody's computations on the scheduler, not only this client's.

    Raises
    ------
    ConfigurationError
        Where the scheduler was started without placement, or the configured prices are wrong.
    RequestError
        Where ``prices`` is no table of prices, or the client is asynchronous.
    UnavailableError
        Where there is no client.

    Notes
    -----
    Counted are results of tasks and shards of P2P shuffles, in bytes on the wire (shards of more than
    64 kB in bytes of their arrays), from the ``transfer_outgoing_log`` of the workers that send, and
    data that a client scatters. Not counted: graphs with the values that are embedded in them, messages
    of the scheduler (about half a kB a task between Regions), and calls of actors. Data that a client
    inside a task gathers counts as received in the client Region; ``notes`` says so.

    Examples
    --------
    >>> with transfers(client) as moved:  # doctest: +SKIP
    ...     difference = (a.mean() - b.mean()).compute()
    >>> moved.crossed  # doctest: +SKIP
    1234
    """
    client = current_client(client)
    report = Transfers(prices=prices_in_use(prices))
    before: Records = client.run_on_scheduler(records)
    marks: dict[str, Any] = client.run(_newest, on_error="ignore")
    try:
        yield report
    finally:
        logs: dict[str, _Log] = client.run(_since, marks, on_error="ignore")
        after: Records = client.run_on_scheduler(records)
        _fill(report, before, after, marks, logs)
        if client.run_on_scheduler(_clients_inside):
            report.notes.append(
                "A task used a client of its own; what it gathered or scattered counts as the client "
                f"Region's ({after.client_region})."
            )


def _clients_inside(dask_scheduler: Scheduler) -> bool:
    """Return whether tasks have clients of their own (get_client, worker_client)."""
    return any("-worker-" in client for client in dask_scheduler.clients)


@dataclass(frozen=True)
class _Log:
    """A worker's transfers since a mark, each as (address of the other side or None, bytes)."""

    sent: list[tuple[str | None, int]]
    received: list[tuple[str | None, int]]
    complete: bool


def _newest(dask_worker: Worker) -> tuple[_Mark, _Mark]:
    logs = (dask_worker.transfer_outgoing_log, dask_worker.transfer_incoming_log)
    sent, received = (log[-1]["stop"] if log else None for log in logs)
    return sent, received


async def _since(marks: Mapping[str, tuple[_Mark, _Mark]], dask_worker: Worker) -> _Log:
    # A transfer enters the log when its receipt is confirmed, which is after the client has its result.
    for _ in range(_CONFIRMATIONS):
        if not dask_worker.transfer_outgoing_count:
            break
        await asyncio.sleep(0.01)
    sent_mark, received_mark = marks.get(dask_worker.address, (None, None))
    sent, complete = _entries(dask_worker.transfer_outgoing_log, sent_mark, "compressed")
    received, _ = _entries(dask_worker.transfer_incoming_log, received_mark, "total")
    return _Log(sent, received, complete)


def _entries(log: Any, mark: _Mark, size: str) -> tuple[list[tuple[str | None, int]], bool]:
    messages: list[tuple[str | None, int]] = []
    for entry in reversed(log):
        if entry["stop"] == mark:
            return messages, True
        messages.append((entry["who"], int(entry[size])))
    return messages, mark is None and len(log) < (log.maxlen or float("inf"))


def _fill(
    report: Transfers,
    before: Records,
    after: Records,
    marks: Mapping[str, object],
    logs: Mapping[str, _Log],
) -> None:
    regions, client_region = after.workers, after.client_region
    between: Counter[tuple[str, str]] = Counter()
    for address, log in logs.items():
        here = regions.get(address, client_region)
        for other, nbytes in log.sent:
            between[here, client_region if other is None else regions.get(other, client_region)] += nbytes
        for other, nbytes in log.received:
            if other is None:  # scattered by a client
                between[client_region, here] += nbytes
            elif other not in logs:  # who sent it is gone, and its own log with it
                between[regions.get(other, client_region), here] += nbytes
    report.between = dict(between)
    report.tasks = dict(Counter(after.tasks) - Counter(before.tasks))
    report.reads = dict(Counter(after.reads) - Counter(before.reads))
    joined = set(after.workers) - set(before.workers)
    gone = sorted((set(marks) | joined) - set(logs))
    if gone:
        report.notes.append(
            f"{len(gone)} workers left meanwhile; what clients and other lost workers got from them "
            "is missing."
        )
    if not all(log.complete for log in logs.values()):
        report.notes.append("A worker's log was too short; its oldest transfers are missing.")
