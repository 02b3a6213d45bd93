"""Builds of images by CodeBuild, from what this machine uploads."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import boto3

from dask_regions.aws.deployment.account import readable_errors
from dask_regions.errors import UnavailableError

__all__ = ["build"]

_POLL_SECONDS = 10.0
#: CodeBuild itself gives a build up earlier (parameter BuildMinutes of its stack).
LIMIT_SECONDS = 9 * 3600


def build(
    region: str,
    project: str,
    bucket: str,
    source: bytes,
    variables: Mapping[str, str],
    say: Callable[[str], None],
) -> None:
    """Upload a zip file, build it, and wait for the end.

    Parameters
    ----------
    source
        The zip file.
    variables
        Environment variables of the build.
    say
        Gets a sentence for each phase.

    Raises
    ------
    UnavailableError
        Where AWS refuses, or the build does not succeed; the message names its log.
    """
    storage: Any = boto3.client("s3", region_name=region)
    client: Any = boto3.client("codebuild", region_name=region)
    key = f"source-{int(time.time())}.zip"
    with readable_errors(f"build images with {project} in {region}"):
        storage.put_object(Bucket=bucket, Key=key, Body=source)
        started = client.start_build(
            projectName=project,
            sourceTypeOverride="S3",
            sourceLocationOverride=f"{bucket}/{key}",
            environmentVariablesOverride=[
                {"name": name, "value": value, "type": "PLAINTEXT"} for name, value in variables.items()
            ],
        )["build"]
        last = _follow(client, started["id"], say)
    if last["buildStatus"] != "SUCCEEDED":
        log = last.get("logs", {}).get("deepLink", "its log in the console")
        raise UnavailableError(
            f"the build {last['id']} in {region} ended with {last['buildStatus']}; see {log}, mend it, and "
            "run this again"
        )


def _follow(client: Any, identifier: str, say: Callable[[str], None]) -> Any:
    phase = ""
    deadline = time.monotonic() + LIMIT_SECONDS
    while time.monotonic() < deadline:
        (current,) = client.batch_get_builds(ids=[identifier])["builds"]
        if current["buildStatus"] != "IN_PROGRESS":
            return current
        if current.get("currentPhase", "") != phase:
            phase = current["currentPhase"]
            say(f"waiting for the build {identifier}, which is at {phase}")
        time.sleep(_POLL_SECONDS)
    return current
