"""Start the state machine ``join_regions``, and follow it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

import boto3

from dask_regions.aws.deployment.account import readable_errors
from dask_regions.aws.stepfunctions import Execution, follow

__all__ = ["run"]

_POLL_SECONDS = 2.0


def run(region: str, state_machine: str, payload: Mapping[str, Any]) -> Iterator[Execution]:
    """Start an execution and yield it as it stands until it has ended.

    Raises
    ------
    UnavailableError
        Where AWS refuses or does not answer.
    """
    client = boto3.client("stepfunctions", region_name=region)
    with readable_errors(f"start {state_machine}"):
        answer = client.start_execution(
            stateMachineArn=state_machine, name=f"request-{uuid.uuid4()}", input=json.dumps(payload)
        )
    yield from follow(Execution(arn=answer["executionArn"], status="RUNNING"), region, _POLL_SECONDS)
