"""Stop this notebook instance where nobody has worked on it: ``stop_when_idle.py INSTANCE REGION MINUTES``.

A timer of the instance runs it (``start.sh``). Work is a kernel that computes, or a kernel or a terminal that
was used in the last minutes; an open page of Jupyter is none. The REST API is Jupyter Server's, which on a
notebook instance listens on port 8443 of the machine itself:
https://jupyter-server.readthedocs.io/en/latest/developers/rest-api.html
"""

from __future__ import annotations

import json
import ssl
import sys
import urllib.request
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

SERVER = "https://localhost:8443"


def is_idle(
    started: str,
    kernels: Iterable[Mapping[str, Any]],
    terminals: Iterable[Mapping[str, Any]],
    now: datetime,
    limit: timedelta,
) -> bool:
    """Return whether nothing was done for as long as the limit.

    Parameters
    ----------
    started
        When Jupyter Server was started, as ISO 8601.
    kernels, terminals
        As the REST API lists them; both have ``last_activity``, and a kernel its ``execution_state``.
    now
        The time.
    limit
        For which nothing must have been done.
    """
    kernels = list(kernels)
    if any(kernel["execution_state"] not in ("idle", "dead") for kernel in kernels):
        return False
    activities = [started, *(each["last_activity"] for each in (*kernels, *terminals))]
    return all(now - datetime.fromisoformat(activity) >= limit for activity in activities)


def ask(path: str) -> Any:
    """Return what the REST API answers."""
    # The server's certificate is its own, and the connection does not leave the machine.
    context = ssl._create_unverified_context()  # noqa: S323
    with urllib.request.urlopen(f"{SERVER}{path}", timeout=10, context=context) as answer:  # noqa: S310
        return json.load(answer)


def main(instance: str, region: str, minutes: str) -> None:
    """Stop the instance if it is idle."""
    limit = timedelta(minutes=int(minutes))
    started = ask("/api/status")["started"]
    if is_idle(started, ask("/api/kernels"), ask("/api/terminals"), datetime.now(UTC), limit):
        import boto3

        boto3.client("sagemaker", region_name=region).stop_notebook_instance(NotebookInstanceName=instance)


if __name__ == "__main__":
    main(*sys.argv[1:])
