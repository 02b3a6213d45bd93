"""Meter what a computation moves between Regions, from the workers' own transfer logs."""

from __future__ import annotations

import asyncio
import html
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dask_regions.client.prices import PRICES, PRICES_DATE, dollars
from dask_regions.placement.plugin import Records, records

if TYPE_CHECKING:
    from distributed import Client
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
        Bytes of task results by (sending Region, receiving Region), pairs of the same Region included.
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
    prices: Mapping[tuple[str, str], float] = field(default_factory=lambda: PRICES, repr=False)

    @property
    def crossed(self) -> int:
        """Bytes that left a Region."""
        return sum(nbytes for (source, target), nbytes in self.between.items() if source != target)

    @property
    def dollars(self) -> float:
        """Estimate of what they cost, in US dollars; see :mod:`dask_regions.client.prices`."""
        return dollars(self.between, self.prices)

    def __str__(self) -> str:
        rows = self._rows()
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            f"{source:<{widths[0]}}  {target:<{widths[1]}}  {nbytes:>{widths[2]}}".rstrip()
            for source, target, nbytes in rows
        ]
        return "\n".join([*lines, *self._sentences()])

    def _repr_html_(self) -> str:
        head, *rows = ([html.escape(cell) for cell in row] for row in self._rows())
        body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
        header = "".join(f"<th>{cell}</th>" for cell in head)
        sentences = "".join(f"<p>{html.escape(sentence)}</p>" for sentence in self._sentences())
        return f"<table><tr>{header}</tr>{body}</table>{sentences}"

    def _rows(self) -> list[tuple[str, str, str]]:
        rows = [(*pair, f"{nbytes:,}") for pair, nbytes in sorted(self.between.items())]
        return [("from", "to", "bytes"), *rows]

    def _sentences(self) -> list[str]:
        cost = f"{self.crossed:,} bytes left a Region: about ${self.dollars:.6f} (estimate, {PRICES_DATE})."
        ran = ", ".join(f"{count:,} in {region}" for region, count in sorted(self.tasks.items()))
        return [cost, f"Tasks: {ran or 'none'}.", *self.notes]


@contextmanager
def transfers(
    client: Client | None = None, *, prices: Mapping[tuple[str, str], float] = PRICES
) -> Iterator[Transfers]:
    """Meter the bytes that move between Regions while a block runs.

    Parameters
    ----------
    client
        From :func:`dask_regions.connect`; the default client where absent.
    prices
        US dollars per GB by (sending Region, receiving Region).

    Yields
    ------
    Transfers
        Complete after the block. Counts everybody's computations on the scheduler, not only this client's.

    Raises
    ------
    ConfigurationError
        Where the scheduler was started without placement.

    Notes
    -----
    Counted are results of tasks, in bytes on the wire (``transfer_outgoing_log`` of the workers that
    send). Not counted: graphs and messages of the scheduler, 1-2 kB a task.

    Examples
    --------
    >>> with transfers(client) as moved:  # doctest: +SKIP
    ...     difference = (a.mean() - b.mean()).compute()
    >>> moved.crossed  # doctest: +SKIP
    1234
    """
    if client is None:
        from distributed import default_client

        client = default_client()
    report = Transfers(prices=prices)
    before: Records = client.run_on_scheduler(records)
    marks: dict[str, Any] = client.run(_newest, on_error="ignore")
    try:
        yield report
    finally:
        logs: dict[str, _Log] = client.run(_since, marks, on_error="ignore")
        after: Records = client.run_on_scheduler(records)
        _fill(report, before, after, marks, logs)


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
    found: list[tuple[str | None, int]] = []
    for entry in reversed(log):
        if entry["stop"] == mark:
            return found, True
        found.append((entry["who"], int(entry[size])))
    return found, mark is None and len(log) < (log.maxlen or float("inf"))


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
            # Who sent it is gone, and its own log with it.
            if other is not None and other not in logs:
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
