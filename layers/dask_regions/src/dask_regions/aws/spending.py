"""Whether the month's budget is spent: a parameter in the client Region that stops every pool."""

from __future__ import annotations

from datetime import UTC, datetime

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from pydantic import BaseModel, ConfigDict, ValidationError

from dask_regions.errors import ConfigurationError, UnavailableError
from dask_regions.names import spending_parameter

__all__ = ["Spending", "read_spending", "write_spending"]


class Spending(BaseModel):
    """What the parameter holds.

    Attributes
    ----------
    stopped
        Why no pool may have ECS tasks, in one sentence; empty where they may.
    since
        When that was decided.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    stopped: str = ""
    since: datetime | None = None


def read_spending(system: str, region: str | None = None) -> Spending:
    """Return what the system's parameter holds; a system that has none is not stopped.

    Parameters
    ----------
    system
        Name of the system.
    region
        The client Region; the process's own by default.

    Raises
    ------
    UnavailableError
        Where SSM does not answer.
    ConfigurationError
        Where somebody has written something else into it.
    """
    name = spending_parameter(system)
    try:
        value = boto3.client("ssm", region_name=region).get_parameter(Name=name)["Parameter"]["Value"]
    except ClientError as error:
        if error.response["Error"]["Code"] == "ParameterNotFound":
            return Spending()
        raise UnavailableError(f"parameter {name} cannot be read: {error}; allow ssm:GetParameter") from error
    except BotoCoreError as error:
        raise UnavailableError(f"SSM does not answer: {error}; try again") from error
    try:
        return Spending.model_validate_json(value)
    except ValidationError as error:
        raise ConfigurationError(f"parameter {name} is {value!r:.100}; write {{}} into it") from error


def write_spending(system: str, reason: str, region: str | None = None) -> None:
    """Stop every pool for a reason, or with an empty one let them grow again; takes part in no retry.

    Raises
    ------
    UnavailableError
        Where SSM does not take it.
    """
    spending = Spending(stopped=reason, since=datetime.now(UTC) if reason else None)
    name, value = spending_parameter(system), spending.model_dump_json(exclude_defaults=True)
    try:
        client = boto3.client("ssm", region_name=region)
        client.put_parameter(Name=name, Value=value, Type="String", Overwrite=True)
    except (BotoCoreError, ClientError) as error:
        raise UnavailableError(
            f"parameter {name} cannot be written: {error}; allow ssm:PutParameter"
        ) from error
