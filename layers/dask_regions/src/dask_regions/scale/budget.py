"""Stop every pool when the month's budget is spent."""

from __future__ import annotations

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from dask_regions.aws.configuration import load_configuration
from dask_regions.aws.spending import write_spending
from dask_regions.aws.stepfunctions import start_scaling
from dask_regions.errors import UnavailableError
from dask_regions.names import spending_parameter
from dask_regions.settings import Settings

__all__ = ["stop_pools"]


def stop_pools(message: str, settings: Settings) -> str:
    """Stop every pool, whatever it computes, and tell the operator; safe to repeat.

    Parameters
    ----------
    message
        What the budget says; its first line becomes a part of the reason.
    settings
        Name of the system, state machine and topic.

    Returns
    -------
    str
        What the operator is told, with the command that lifts it.

    Raises
    ------
    UnavailableError
        Where SSM, Step Functions or SNS do not answer.
    """
    first = next((line.strip() for line in message.splitlines() if line.strip()), "no message")
    write_spending(settings.system_name, f"the month's budget is spent ({first})", settings.aws_region)
    for region in load_configuration(settings).pools:
        start_scaling(settings.require("scale_pool_arn"), region)
    name = spending_parameter(settings.system_name)
    text = (
        f"The month's budget of {settings.system_name} is spent: all pools go to 0 ECS tasks, and what they "
        f"compute is lost. To let them grow again: aws ssm put-parameter --overwrite --region "
        f"{settings.aws_region} --name {name} --value '{{}}'. The budget's message: {message}"
    )
    try:
        boto3.client("sns").publish(
            TopicArn=settings.require("alarm_topic_arn"),
            Subject=f"{settings.system_name} stopped",
            Message=text,
        )
    except (BotoCoreError, ClientError) as error:
        raise UnavailableError(f"the operator cannot be told: {error}; allow sns:Publish") from error
    return text
