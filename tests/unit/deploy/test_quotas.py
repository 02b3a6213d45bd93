"""A Region's needs follow from its parameters; the command that raises a quota is shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from dask_regions import config
from dask_regions.aws.deployment.quotas import Quota
from dask_regions.deploy.checkout import Checkout
from dask_regions.deploy.quotas import (
    RESERVED_EXECUTIONS,
    UNRESERVED_EXECUTIONS,
    Need,
    compare,
    needs,
    vcpus,
)
from dask_regions.deploy.samconfig.parameters import complete
from dask_regions.models import Region
from testing.templates import template

ROOT = Path(__file__).parents[3]
CONFIGURATION = config.parse(
    """
regions:
  - {name: eu-west-2, client: true, cidr: 10.0.0.0/16}
  - {name: us-west-2, cidr: 10.1.0.0/16, pool: {minimum_tasks: 0, maximum_tasks: 5}}
datasets:
  - {id: a, title: a, description: a, region: us-west-2, bucket: abc, layout: zarr, fsx_path: /fsx/abc}
""",
    ROOT / "datasets.yaml",
)
CLIENT, WORKER = CONFIGURATION.regions


def needs_of(region: Region, **values: str) -> dict[str, Need]:
    parameters = complete(CONFIGURATION, region, Checkout(ROOT)) | values
    return {f"{need.service} {need.words[0]}": need for need in needs(CONFIGURATION, region, parameters)}


@pytest.mark.parametrize(
    ("kind", "count"), [("m6i.4xlarge", 16), ("r7gd.xlarge", 4), ("m7g.large", 2), ("m6i.metal", 96)]
)
def test_the_vcpus_of_an_instance_follow_from_its_size(kind: str, count: int) -> None:
    assert vcpus(kind) == count


def test_a_pool_needs_the_vcpus_of_all_its_hosts() -> None:
    need = needs_of(WORKER, InstanceType="m6i.8xlarge")["ec2 L-1216C47A"]
    assert need.amount == 5 * 32
    assert "MaximumTasks" in need.reason


def test_a_region_that_shows_a_bucket_needs_a_file_system() -> None:
    assert needs_of(WORKER)["fsx Lustre"].amount >= 1200
    assert "fsx Lustre" not in needs_of(WORKER, DatasetBuckets="", DatasetBucket="")


def test_the_client_region_needs_its_scheduler_and_executions_that_functions_reserve() -> None:
    reserving = needs_of(CLIENT, SchedulerCpu="4096", LambdaConcurrency="reserved")
    assert reserving["fargate L-3032A538"].amount == 4
    assert reserving["lambda L-B99A9384"].amount == UNRESERVED_EXECUTIONS + RESERVED_EXECUTIONS
    assert "lambda L-B99A9384" not in needs_of(CLIENT, LambdaConcurrency="shared")


def test_the_reserved_executions_are_those_of_the_template() -> None:
    functions = template("template.yaml")["Resources"].values()
    reserved = [
        function["Properties"]["ReservedConcurrentExecutions"]["Fn::If"][1]
        for function in functions
        if "ReservedConcurrentExecutions" in function.get("Properties", {})
    ]
    assert sum(reserved) == RESERVED_EXECUTIONS


@pytest.mark.parametrize(
    ("kind", "code"), [("peering", "vpc L-7E9ECCDB"), ("transit-gateway", "ec2 L-A2478D36")]
)
def test_the_kind_of_network_decides_which_quota_it_needs(kind: str, code: str) -> None:
    assert code in needs_of(WORKER, NetworkKind=kind)


def quota(value: float, *, adjustable: bool = True) -> Quota:
    return Quota(service="vpc", code="L-F678F1CE", name="VPCs per Region", value=value, adjustable=adjustable)


def test_what_exists_already_counts() -> None:
    need = Need("vpc", ("L-F678F1CE",), 1, "the system's VPC", "networks")
    (finding,) = compare("us-west-2", [need], {"vpc": [quota(5)]}, {"networks": 5})
    assert not finding.enough
    assert finding.command == (
        "aws service-quotas request-service-quota-increase --region us-west-2 --service-code vpc "
        "--quota-code L-F678F1CE --desired-value 6"
    )
    (finding,) = compare("us-west-2", [need], {"vpc": [quota(5)]}, {"networks": 4})
    assert (finding.enough, finding.command) == (True, "")


def test_a_quota_is_found_by_the_words_of_its_name() -> None:
    storage = Quota(
        service="fsx", code="L-1", name="Lustre Persistent_2 SSD storage capacity", value=100, adjustable=True
    )
    need = Need("fsx", ("Lustre", "Persistent", "SSD", "storage"), 1200, "the file system")
    (finding,) = compare("us-west-2", [need], {"fsx": [quota(9), storage]}, {})
    assert finding.quota == storage
    assert not finding.enough


def test_a_quota_that_aws_does_not_tell_is_no_reason_to_warn() -> None:
    (finding,) = compare("us-west-2", [Need("fsx", ("x",), 1, "files")], {}, {})
    assert finding.quota is None
    assert finding.enough
