"""Start the ``sync_catalog`` state machine, and follow an execution to its end."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from pydantic import BaseModel, ConfigDict, JsonValue

from dask_regions.errors import NotFoundError, UnavailableError

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

__all__ = ["SIGN_IN", "SYNC_CATALOG", "Execution", "RegionResult", "follow", "start"]

#: Part of the state machine's name, which CloudFormation makes from its logical id.
SYNC_CATALOG = "SyncCatalog"

#: What to do where AWS refuses.
SIGN_IN = (
    "sign in to AWS (`aws configure` or `aws sso login`), or start the local system with `dask-regions local`"
)


class RegionResult(BaseModel):
    """What a sync did in one Region: Items written, or why it failed."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    region: str
    written: int | None = None
    error: JsonValue = None


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

    def results(self) -> tuple[RegionResult, ...]:
        """Return what a sync did in every Region, as far as the execution tells.

        Notes
        -----
        ``swapped`` and ``failed`` in the output, or ``failed`` as the cause of ``SyncIncomplete``: see
        ``statemachines/README.md``.
        """
        output = self.output if isinstance(self.output, dict) else {}
        failed = _parsed(self.cause) if self.error == "SyncIncomplete" else output.get("failed")
        swapped = output.get("swapped")
        return (
            *(
                RegionResult.model_validate({"region": region, "written": written})
                for region, written in _items(swapped)
            ),
            *(
                RegionResult.model_validate({"region": region, "error": error})
                for region, error in _items(failed)
            ),
        )


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
    found = [
        machine["stateMachineArn"]
        for page in client.get_paginator("list_state_machines").paginate()
        for machine in page["stateMachines"]
        if SYNC_CATALOG in machine["name"]
    ]
    if len(found) == 1:
        return found[0]
    if found:
        raise NotFoundError(
            f"{region} has several state machines called {SYNC_CATALOG}; name the one that is meant: "
            f"--state-machine {' or '.join(found)}"
        )
    raise NotFoundError(
        f"{region} has no state machine called {SYNC_CATALOG}; deploy template.yaml there, or start the "
        "local system with `dask-regions local`"
    )


def _parsed(text: str | None) -> JsonValue:
    try:
        found: JsonValue = json.loads(text or "null")
    except ValueError:
        return None
    return found


def _items(found: JsonValue) -> Iterable[tuple[str, JsonValue]]:
    return found.items() if isinstance(found, dict) else ()
