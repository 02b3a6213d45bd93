"""Start the state machines, and follow an execution to its end."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from dask_regions.errors import NotFoundError, UnavailableError

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

__all__ = [
    "SIGN_IN",
    "SYNC_CATALOG",
    "Execution",
    "Running",
    "SyncReport",
    "follow",
    "running",
    "start",
    "start_scaling",
]

#: Part of the state machine's name, which CloudFormation makes from its logical id.
SYNC_CATALOG = "SyncCatalog"

#: What to do where AWS refuses.
SIGN_IN = (
    "sign in to AWS (`aws configure` or `aws sso login`), or start the local system with `dask-regions local`"
)


class Running(BaseModel):
    """An execution that runs."""

    model_config = ConfigDict(frozen=True)

    arn: str
    started: datetime


class RegionResult(BaseModel):
    """What a sync did in one Region; all but seconds and dollars are counts."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    items: int = 0
    added: int = 0
    changed: int = 0
    removed: int = 0
    skipped: int = 0
    objects_listed: int = 0
    lists: int = 0
    gets: int = 0
    seconds: float = 0
    dollars: float = 0
    examples: tuple[str, ...] = ()


class SyncReport(BaseModel):
    """What a sync did: the output of ``SwapCatalog``, see ``statemachines/README.md``.

    Attributes
    ----------
    items
        Items of the catalog, in all.
    regions
        What was done, by Region.
    failed
        What went wrong, by Region; such a Region keeps its old Items.
    report
        Key in the staging bucket of the whole report.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    items: int
    changed: bool
    seconds: float
    dollars: float
    regions: dict[str, RegionResult]
    failed: dict[str, str]
    report: str


class Execution(BaseModel):
    """One execution of a state machine, as it stands.

    Attributes
    ----------
    arn
        Its name for AWS.
    status
        ``RUNNING``, or how it ended.
    output
        The last state's output, once it has succeeded.
    error, cause
        Why it failed, in the words of the ``Fail`` state.
    """

    model_config = ConfigDict(frozen=True)

    arn: str
    status: Literal["RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED", "PENDING_REDRIVE"]
    output: JsonValue = None
    error: str | None = None
    cause: str | None = None

    def report(self) -> SyncReport | None:
        """Return what a sync did, also where Regions failed; None where it did not come that far.

        Notes
        -----
        It is the output, or the cause of ``SyncIncomplete``.
        """
        written = _parsed(self.cause) if self.error == "SyncIncomplete" else self.output
        try:
            return SyncReport.model_validate(written)
        except ValidationError:
            return None


def start(region: str, regions: Sequence[str] = (), *, state_machine: str | None = None) -> Execution:
    """Start a sync.

    Parameters
    ----------
    region
        The client Region.
    regions
        Regions to sync; all of them by default.
    state_machine
        ARN; by default that of the only state machine whose name has ``SYNC_CATALOG`` in it.

    Raises
    ------
    NotFoundError
        Where the client Region has no such state machine.
    UnavailableError
        Where AWS refuses or does not answer.
    """
    payload = {"regions": list(regions)} if regions else {}
    try:
        client = boto3.client("stepfunctions", region_name=region)
        answer = client.start_execution(
            stateMachineArn=state_machine or _find(client, region),
            name=f"request-{uuid.uuid4()}",
            input=json.dumps(payload),
        )
    except (BotoCoreError, ClientError) as error:
        raise UnavailableError(
            f"the state machine {SYNC_CATALOG} in {region} could not be started ({error}); {SIGN_IN}"
        ) from error
    return Execution(arn=answer["executionArn"], status="RUNNING")


def start_scaling(state_machine: str, pool: str) -> None:
    """Have a pool brought to its size at once, without waiting for an alarm.

    Parameters
    ----------
    state_machine
        ARN of ``scale_pool``.
    pool
        Region of the pool.

    Raises
    ------
    UnavailableError
        Where AWS refuses or does not answer.
    """
    try:
        client = boto3.client("stepfunctions", region_name=state_machine.split(":")[3])
        client.start_execution(
            stateMachineArn=state_machine, name=f"{pool}-{uuid.uuid4()}", input=json.dumps({"region": pool})
        )
    except (BotoCoreError, ClientError) as error:
        raise UnavailableError(f"{state_machine} could not be started for {pool} ({error})") from error


def running(region: str | None, state_machine: str) -> list[Running]:
    """Return the executions of a state machine that run.

    Parameters
    ----------
    region
        Where it is; that of the process by default.
    state_machine
        Its ARN.
    """
    pages = (
        boto3.client("stepfunctions", region_name=region)
        .get_paginator("list_executions")
        .paginate(stateMachineArn=state_machine, statusFilter="RUNNING")
    )
    return [
        Running(arn=execution["executionArn"], started=execution["startDate"])
        for page in pages
        for execution in page["executions"]
    ]


def follow(execution: Execution, region: str, seconds: float = 1.0) -> Iterator[Execution]:
    """Yield an execution as it stands, every so many seconds until it has ended.

    Raises
    ------
    UnavailableError
        Where AWS refuses or does not answer.
    """
    client = boto3.client("stepfunctions", region_name=region)
    while True:
        try:
            answer: Any = client.describe_execution(executionArn=execution.arn)
        except (BotoCoreError, ClientError) as error:
            raise UnavailableError(
                f"{execution.arn} cannot be followed ({error}); look at it in the console"
            ) from error
        yield (current := _execution(answer))
        if current.status != "RUNNING":
            return
        time.sleep(seconds)


def _execution(answer: Any) -> Execution:
    output = answer.get("output")
    return Execution(
        arn=answer["executionArn"],
        status=answer["status"],
        output=json.loads(output) if output else None,
        error=answer.get("error"),
        cause=answer.get("cause"),
    )


def _find(client: SFNClient, region: str) -> str:
    arns = [
        machine["stateMachineArn"]
        for page in client.get_paginator("list_state_machines").paginate()
        for machine in page["stateMachines"]
        if SYNC_CATALOG in machine["name"]
    ]
    if len(arns) == 1:
        return arns[0]
    if arns:
        raise NotFoundError(
            f"{region} has several state machines called {SYNC_CATALOG}; name the one that is meant: "
            f"--state-machine {' or '.join(arns)}"
        )
    raise NotFoundError(
        f"{region} has no state machine called {SYNC_CATALOG}; deploy template.yaml there, or start the "
        "local system with `dask-regions local`"
    )


def _parsed(text: str | None) -> JsonValue:
    try:
        value: JsonValue = json.loads(text or "null")
    except ValueError:
        return None
    return value
