"""The history of scaling decisions: what was decided on which numbers, and when.

An execution of ``scale_pool`` forgets its earlier rounds, and its output is the last one. The history
has every round.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from pydantic import AwareDatetime, BaseModel, ConfigDict

from dask_regions.scaling import Damping, Decision, PoolDemand, PoolState

if TYPE_CHECKING:
    from aws_lambda_powertools import Logger

__all__ = ["DecisionRecord", "History", "HistoryInLog", "HistoryInMemory"]


class DecisionRecord(BaseModel):
    """A decision with all that it was made on: to make it again gives the same decision.

    It is not what was done. Another execution may have been faster, and workers may have kept results
    that no other could take; what was done is the output of ``SetPool``.

    Attributes
    ----------
    time
        When it was made, in UTC.
    decision
        The decision with its reason.
    demand, state, damping
        The arguments of :func:`dask_regions.scaling.decide`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    time: AwareDatetime
    decision: Decision
    demand: PoolDemand
    state: PoolState
    damping: Damping


class History(Protocol):
    """Takes decisions in the order in which they were made, of any pool.

    Executions of several pools run at once, each in a process of its own, so that the order holds
    within a pool only. A step that is retried adds its decision again.
    """

    def add(self, record: DecisionRecord) -> None:
        """Keep a decision; it must be kept, or on its way, when this returns."""


class HistoryInMemory:
    """A history that ends with its process, for tests and simulations.

    Attributes
    ----------
    records
        The decisions, oldest first.
    """

    def __init__(self) -> None:
        self.records: list[DecisionRecord] = []

    def add(self, record: DecisionRecord) -> None:
        self.records.append(record)


class HistoryInLog:
    """A history in a function's log: one line of JSON for each decision, whose message is the reason.

    CloudWatch Logs Insights finds them, e.g. ``filter decision.region = "us-west-2" | sort time``.

    Parameters
    ----------
    logger
        Writes each record's fields as members of the line.
    """

    def __init__(self, logger: Logger) -> None:
        self._logger = logger

    def add(self, record: DecisionRecord) -> None:
        self._logger.info(record.decision.reason, extra=record.model_dump(mode="json"))
