"""The environment variables of a process that stands for a Lambda function or an ECS task."""

from __future__ import annotations

from collections.abc import Mapping

from dask_regions_local.emulator.aws import CREDENTIALS
from dask_regions_local.settings import Settings

__all__ = ["child_environment"]


def child_environment(
    region: str, endpoint: str, declared: Mapping[str, str], service: Mapping[str, str]
) -> dict[str, str]:
    """Return the whole environment of a child process; nothing else of this process's reaches it.

    Parameters
    ----------
    region
        Region in which the function or task runs.
    endpoint
        The local AWS endpoint.
    declared
        What the template declares; it beats this machine's own variables.
    service
        What the service that starts it adds on AWS, and local mode's own values; they beat all others.
    """
    return {
        **Settings.from_environment().machine,
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        **declared,
        **CREDENTIALS,
        "AWS_ENDPOINT_URL": endpoint,
        **service,
    }
