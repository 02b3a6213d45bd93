"""The scheduler's own HTTP routes, for functions that must not import dask."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from typing import Any

import boto3
import urllib3
from botocore.exceptions import BotoCoreError, ClientError
from pydantic import ValidationError

from dask_regions.errors import ConfigurationError, UnavailableError
from dask_regions.names import POOLS_ROUTE, SCHEDULER_ACTIVITY_ROUTE
from dask_regions.scaling import PoolDemand, SchedulerActivity
from dask_regions.settings import Settings

__all__ = ["SchedulerClient", "secret_token"]

_CONNECT_SECONDS = 5.0
_READ_SECONDS = 20.0
#: The route gives up by itself after 120 s (:mod:`dask_regions.placement.pools.retire`).
_RETIRE_SECONDS = 135.0


@cache
def secret_token(secret: str) -> str:
    """Return the scheduler's bearer token from Secrets Manager, once per process.

    White space around it is dropped, as the scheduler does: many tools end a file with a new line.

    Raises
    ------
    UnavailableError
        Where the secret cannot be read.
    """
    try:
        return boto3.client("secretsmanager").get_secret_value(SecretId=secret)["SecretString"].strip()
    except (BotoCoreError, ClientError) as error:
        raise UnavailableError(
            f"the scheduler's token cannot be read from secret {secret}: {error}; check that it exists and "
            "that this function may call secretsmanager:GetSecretValue on it"
        ) from error


class SchedulerClient:
    """Client of the routes in :mod:`dask_regions.placement.pools.routes`.

    Parameters
    ----------
    url
        The scheduler's web server, e.g. ``http://scheduler.internal:8787``.
    token
        Called for the bearer token before every request.
    renew
        Called when the scheduler refuses the token, before the one repetition: it may have changed.
    """

    def __init__(self, url: str, token: Callable[[], str], renew: Callable[[], None] = lambda: None) -> None:
        self._url, self._token, self._renew = url.rstrip("/"), token, renew
        self._http = urllib3.PoolManager(retries=False)

    @classmethod
    def from_settings(cls, settings: Settings) -> SchedulerClient:
        """Return the client that SCHEDULER_URL and SCHEDULER_SECRET describe."""
        secret = settings.require("scheduler_secret")
        return cls(settings.require("scheduler_url"), lambda: secret_token(secret), secret_token.cache_clear)

    def demand(self, region: str) -> PoolDemand:
        """Return the demand of one pool.

        Raises
        ------
        UnavailableError
            Where the scheduler does not answer.
        ConfigurationError
            Where it refuses the token, does not know the pool, or is of another version.
        """
        pools = self._request("GET", POOLS_ROUTE, _READ_SECONDS)
        if region not in pools:
            raise ConfigurationError(
                f"the scheduler knows no pool {region}, only {', '.join(sorted(pools)) or 'none'}; deploy "
                "the scheduler's image with the datasets.yaml that the functions have"
            )
        try:
            return PoolDemand.model_validate(pools[region])
        except ValidationError as error:
            raise ConfigurationError(
                f"the scheduler at {self._url} describes pools in another way than this function "
                f"reads: {error}; deploy both from one commit"
            ) from error

    def activity(self) -> SchedulerActivity:
        """Return whether anybody uses the scheduler; raises as :meth:`demand` does."""
        try:
            return SchedulerActivity.model_validate(
                self._request("GET", SCHEDULER_ACTIVITY_ROUTE, _READ_SECONDS)
            )
        except ValidationError as error:
            raise ConfigurationError(
                f"the scheduler at {self._url} describes its activity in another way than this function "
                f"reads: {error}; deploy both from one commit"
            ) from error

    def retire(self, region: str, ecs_tasks: int) -> list[str]:
        """Empty ECS tasks of a pool, and return the ids of those that may be stopped now.

        There may be fewer than asked for: results that no other worker of the pool can take stay.
        """
        answer = self._request(
            "POST", f"{POOLS_ROUTE}/{region}/retire", _RETIRE_SECONDS, json.dumps({"tasks": ecs_tasks})
        )
        return [str(task) for task in answer["tasks"]]

    def _request(self, method: str, path: str, seconds: float, body: str | None = None) -> dict[str, Any]:
        answer = self._send(method, path, seconds, body)
        if answer.status == 401:
            self._renew()
            answer = self._send(method, path, seconds, body)
        if answer.status == 401:
            raise ConfigurationError(
                f"the scheduler at {self._url} refuses the token; give its container and this function the "
                "same secret, and restart the scheduler if the secret has changed"
            )
        if answer.status != 200:
            raise UnavailableError(
                f"the scheduler at {self._url} answered {answer.status} to {method} {path}: "
                f"{answer.data.decode(errors='replace')[:500]}"
            )
        try:
            content: dict[str, Any] = answer.json()
        except ValueError as error:
            raise UnavailableError(
                f"{self._url}{path} did not answer JSON ({error}); let SCHEDULER_URL name the "
                "scheduler's web server"
            ) from error
        return content

    def _send(self, method: str, path: str, seconds: float, body: str | None) -> urllib3.BaseHTTPResponse:
        token = self._token()
        if not (token.isascii() and token.isprintable()):
            # Refused here, because the HTTP library's own error would show the token.
            raise ConfigurationError(
                "the scheduler's token has characters that a header cannot carry; store one of printable "
                "ASCII characters in its secret, and restart the scheduler"
            )
        try:
            return self._http.request(
                method,
                self._url + path,
                body=body,
                headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
                timeout=urllib3.Timeout(connect=_CONNECT_SECONDS, read=seconds),
            )
        except urllib3.exceptions.HTTPError as error:
            raise UnavailableError(
                f"the scheduler at {self._url} does not answer: {error}; check that its ECS service runs"
            ) from error
