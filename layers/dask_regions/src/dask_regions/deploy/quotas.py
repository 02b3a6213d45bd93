"""Quotas that a system needs in each Region: computed from its parameters, compared with the account's."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from dask_regions.aws.deployment.quotas import Quota
from dask_regions.models import Configuration, Region

__all__ = ["Finding", "Need", "compare", "needs"]

#: Lambda keeps at least these executions for functions that reserve none, and refuses a stack that would not.
UNRESERVED_EXECUTIONS = 100
#: Executions that functions of the client Region's template reserve, in all.
RESERVED_EXECUTIONS = 140
#: vCPUs of an instance by the word behind the dot of its type; "4xlarge" is four times "xlarge".
_VCPUS = {"medium": 1, "large": 2, "xlarge": 4}


@dataclass(frozen=True)
class Need:
    """How much of a quota a Region's stack needs.

    Attributes
    ----------
    service
        Code of the service in Service Quotas.
    words
        Code of the quota, or words that are all in its name where its code differs between accounts.
    amount
        In the quota's unit, what others in the account use left aside.
    reason
        What it is for, with the parameter that decides it.
    used_by
        ``networks`` or ``addresses`` where what exists in the Region is added.
    """

    service: str
    words: tuple[str, ...]
    amount: float
    reason: str
    used_by: str = ""


@dataclass(frozen=True)
class Finding:
    """A need beside the account's quota; `quota` is None where Service Quotas does not tell."""

    region: str
    need: Need
    amount: float
    quota: Quota | None

    @property
    def enough(self) -> bool:
        """Whether the quota suffices; what is not applied may."""
        return self.quota is None or self.quota.value >= self.amount

    @property
    def command(self) -> str:
        """The command that asks AWS to raise it; ``""`` where there is no need, or no way."""
        if self.quota is None or self.enough or not self.quota.adjustable:
            return ""
        return (
            f"aws service-quotas request-service-quota-increase --region {self.region} "
            f"--service-code {self.quota.service} --quota-code {self.quota.code} "
            f"--desired-value {self.amount:g}"
        )


def needs(configuration: Configuration, region: Region, values: Mapping[str, str]) -> Iterator[Need]:
    """Yield what a Region's stack needs.

    Parameters
    ----------
    values
        All parameters of the stack, the template's defaults among them.
    """
    yield Need("vpc", ("L-F678F1CE",), 1, "the system's VPC", "networks")
    if values.get("Egress", "nat-gateway") == "nat-gateway":
        yield Need("ec2", ("L-0263D0A3",), 1, "address of the NAT gateway (Egress)", "addresses")
    others = len(configuration.regions) - 1
    if values.get("NetworkKind") == "transit-gateway":
        yield Need("ec2", ("L-A2478D36",), 1, "the Region's Transit Gateway (NetworkKind)")
    else:
        yield Need("vpc", ("L-7E9ECCDB",), others, "a peering with each other Region (NetworkKind)")
    yield from _of_client(values) if region.client else _of_worker(values)


def _of_client(values: Mapping[str, str]) -> Iterator[Need]:
    scheduler = float(values.get("SchedulerCpu", 2048)) / 1024
    pool = float(values.get("ClientPoolMaximumTasks", 0)) * float(values.get("ClientPoolCpu", 4096)) / 1024
    yield Need("fargate", ("L-3032A538",), scheduler, "vCPUs of the scheduler (SchedulerCpu)")
    if pool:
        yield Need("fargate", ("L-36FBB829",), pool, "vCPUs of the client Region's pool, on Fargate Spot")
    if values.get("LambdaConcurrency") == "reserved":
        amount = UNRESERVED_EXECUTIONS + RESERVED_EXECUTIONS
        reason = "concurrent executions, of which functions reserve some (LambdaConcurrency)"
        yield Need("lambda", ("L-B99A9384",), amount, reason)


def _of_worker(values: Mapping[str, str]) -> Iterator[Need]:
    kind = values.get("InstanceType", "m6i.4xlarge")
    tasks = float(values.get("MaximumTasks", 1))
    code = "L-1216C47A" if kind[0] in "acdhimrtz" else "L-DB2E81BA"
    reason = f"vCPUs of {tasks:g} x {kind} (MaximumTasks, InstanceType)"
    yield Need("ec2", (code,), tasks * vcpus(kind), reason)
    if values.get("DatasetBuckets", values.get("DatasetBucket", "")):
        words = ("Lustre", "Persistent", "SSD", "storage")
        amount = float(values.get("StorageCapacity", 1200))
        yield Need("fsx", words, amount, "GiB of the file system (StorageCapacity)")


def vcpus(instance_type: str) -> int:
    """Return the vCPUs of an EC2 instance type, e.g. 16 for ``m6i.4xlarge``."""
    size = instance_type.partition(".")[2]
    multiple = re.fullmatch(r"(\d+)xlarge", size)
    return 4 * int(multiple[1]) if multiple else _VCPUS.get(size, 96)


def compare(
    region: str, wanted: Sequence[Need], applied: Mapping[str, Sequence[Quota]], used: Mapping[str, int]
) -> list[Finding]:
    """Return each need beside its quota.

    Parameters
    ----------
    applied
        Quotas of each service.
    used
        What exists in the Region already, by the word of `Need.used_by`.
    """
    return [
        Finding(
            region,
            need,
            need.amount + used.get(need.used_by, 0),
            next((quota for quota in applied.get(need.service, ()) if _names(quota, need.words)), None),
        )
        for need in wanted
    ]


def _names(quota: Quota, words: Sequence[str]) -> bool:
    return quota.code in words or all(word.lower() in quota.name.lower() for word in words)
