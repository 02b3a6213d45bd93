"""The ECS services of a system: the pool of a Region, and the scheduler."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    PartialCredentialsError,
    SSOError,
    TokenRetrievalError,
)

from dask_regions.aws.stepfunctions import SIGN_IN
from dask_regions.errors import NotFoundError, UnavailableError
from dask_regions.models import Pool
from dask_regions.names import cluster_name, scheduler_service, service_name
from dask_regions.scaling import PoolState, SchedulerCounts

if TYPE_CHECKING:
    from mypy_boto3_ecs import ECSClient
    from mypy_boto3_ecs.type_defs import ServiceTypeDef

__all__ = ["PoolService", "SchedulerService"]

#: UpdateTaskProtection takes at most ten tasks.
_BATCH = 10
#: Minutes for which the kept ECS tasks are protected while ECS chooses which to stop. It has to
#: outlast the scale-in, and delays a deployment by no more than this.
_PROTECTED_MINUTES = 15
_ABSENT = frozenset({"ClusterNotFoundException", "ServiceNotFoundException", "ServiceNotActiveException"})
#: Errors that pass, and that the state machine retries after botocore has.
_BUSY = frozenset({"ThrottlingException", "ServerException"})


class _Service:
    """One ECS service of one Region.

    Parameters
    ----------
    region
        The client is made for it, wherever this process runs.
    system
        Name of the system: the cluster is named after it.
    service
        Name of the service.

    Raises
    ------
    UnavailableError
        From every method, where the Region's ECS endpoint does not answer, or has too much to do.
    NotFoundError
        From every method, where the Region has no such cluster or service.
    """

    def __init__(self, region: str, system: str, service: str) -> None:
        self.region = region
        self._cluster, self._service = cluster_name(system), service
        self._client: ECSClient = boto3.client("ecs", region_name=region)

    def set_desired(self, desired: int) -> None:
        """Set the service's desired count, an absolute number: doing it twice changes nothing."""
        with self._reachable():
            self._client.update_service(cluster=self._cluster, service=self._service, desiredCount=desired)

    def _describe(self) -> ServiceTypeDef:
        with self._reachable():
            answer = self._client.describe_services(cluster=self._cluster, services=[self._service])
        services = [service for service in answer["services"] if service.get("status") == "ACTIVE"]
        if not services:
            raise self._absent()
        return services[0]

    def _absent(self) -> NotFoundError:
        return NotFoundError(
            f"{self.region} has no ECS service {self._service} in cluster {self._cluster}; deploy its "
            f"stack: sam deploy --config-env {self.region}"
        )

    @contextmanager
    def _reachable(self) -> Iterator[None]:
        try:
            yield
        except (NoCredentialsError, PartialCredentialsError, SSOError, TokenRetrievalError) as error:
            raise UnavailableError(f"ECS in {self.region} cannot be asked: {error}; {SIGN_IN}") from error
        except BotoCoreError as error:
            raise UnavailableError(
                f"ECS in {self.region} does not answer: {error}; check the Region's name and the network, "
                "and try again"
            ) from error
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code in _ABSENT:
                raise self._absent() from error
            if code in _BUSY:
                raise UnavailableError(
                    f"ECS in {self.region} has too much to do: {error}; try again"
                ) from error
            raise


class SchedulerService(_Service):
    """The scheduler's service in the client Region; the count 0 is a wanted state."""

    def __init__(self, region: str, system: str) -> None:
        super().__init__(region, system, scheduler_service(system))

    def counts(self) -> SchedulerCounts:
        """Return how many schedulers should run and do."""
        service = self._describe()
        return SchedulerCounts(desired=service["desiredCount"], running=max(service["runningCount"], 0))


class PoolService(_Service):
    """A Region's pool."""

    def __init__(self, region: str, system: str) -> None:
        super().__init__(region, system, service_name(system))

    def state(self, pool: Pool) -> PoolState:
        """Return the service's counts beside the bounds they must keep."""
        service = self._describe()
        return PoolState(
            region=self.region,
            desired=service["desiredCount"],
            running=max(service["runningCount"], 0),
            pending=max(service["pendingCount"], 0),
            pool=pool,
        )

    def tasks(self) -> list[str]:
        """Return the ids of the service's ECS tasks, those that are starting included."""
        with self._reachable():
            pages = self._client.get_paginator("list_tasks").paginate(
                cluster=self._cluster, serviceName=self._service, desiredStatus="RUNNING"
            )
            return [arn.rsplit("/", 1)[-1] for page in pages for arn in page["taskArns"]]

    def expose(self, retired: Sequence[str], kept: Sequence[str]) -> None:
        """Make ECS stop the retired ECS tasks, and no other, when the count is lowered.

        ECS chooses what to stop; it leaves protected tasks alone.

        Raises
        ------
        UnavailableError
            Where ECS did not protect a task that still runs.
        """
        self._protect(kept, enabled=True)
        self._protect(retired, enabled=False)

    def _protect(self, tasks: Sequence[str], *, enabled: bool) -> None:
        for start in range(0, len(tasks), _BATCH):
            batch = list(tasks[start : start + _BATCH])
            with self._reachable():
                if enabled:
                    answer = self._client.update_task_protection(
                        cluster=self._cluster,
                        tasks=batch,
                        protectionEnabled=True,
                        expiresInMinutes=_PROTECTED_MINUTES,
                    )
                else:
                    answer = self._client.update_task_protection(
                        cluster=self._cluster, tasks=batch, protectionEnabled=False
                    )
            # A task that has stopped meanwhile needs no protection.
            failures = [each for each in answer["failures"] if each.get("reason") != "MISSING"]
            if failures:
                raise UnavailableError(
                    f"ECS in {self.region} did not change the protection of "
                    f"{', '.join(each.get('arn', '?') for each in failures)} "
                    f"({failures[0].get('reason')}: {failures[0].get('detail', '')}); the count was not "
                    "lowered, and the next round tries again"
                )
