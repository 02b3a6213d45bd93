"""The history of decisions: each can be made again from its record, and is one line of the log."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime

from aws_lambda_powertools import Logger

from dask_regions.models import Pool
from dask_regions.scale.history import DecisionRecord, HistoryInLog
from dask_regions.scaling import Damping, PoolDemand, PoolState, decide

DEMAND = PoolDemand(
    region="us-west-2", ecs_tasks=1, threads_per_ecs_task=10, seconds=2700.0, runnable=500, unassigned=400
)
STATE = PoolState(region="us-west-2", desired=1, pool=Pool(minimum_tasks=1, maximum_tasks=8))
DAMPING = Damping(target_seconds=45.0)
RECORD = DecisionRecord(
    time=datetime(2026, 11, 24, 12, tzinfo=UTC),
    decision=decide(DEMAND, STATE, DAMPING, round_=3),
    demand=DEMAND,
    state=STATE,
    damping=DAMPING,
)


def test_a_record_survives_json_and_its_decision_can_be_made_again() -> None:
    restored = DecisionRecord.model_validate_json(RECORD.model_dump_json())
    assert restored == RECORD
    assert restored.decision == decide(restored.demand, restored.state, restored.damping, round_=3)


def test_a_record_is_one_line_of_json_in_the_log_and_its_message_is_the_reason() -> None:
    log = io.StringIO()
    history = HistoryInLog(Logger(service="history", stream=log))
    history.add(RECORD)
    (line,) = log.getvalue().splitlines()
    written = json.loads(line)
    assert written["message"] == RECORD.decision.reason
    fields = {name: written[name] for name in DecisionRecord.model_fields}
    assert DecisionRecord.model_validate(fields) == RECORD
