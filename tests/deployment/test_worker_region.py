"""The stack of a worker Region by itself: created, updated, deleted, whatever keeps AWS from deleting it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from testing.deployment.emulator import Emulator
from testing.templates import ROOT

pytestmark = [pytest.mark.deployment, pytest.mark.xdist_group("worker_region")]

REGION = "us-west-2"
SYSTEM = "tides"
STACK = "tides-worker"
IMAGES = "tides-worker"


def push(account: Emulator, tag: str) -> None:
    """Put an image into the Region's repository."""
    registry = account.client("ecr", REGION)
    registry.put_image(repositoryName=IMAGES, imageTag=tag, imageManifest=json.dumps({"config": tag}))


def deploy(account: Emulator, **parameters: str) -> str:
    """Deploy the Region's stack by ``sam deploy``; return its messages."""
    given = {
        "SystemName": SYSTEM,
        "ClientRegion": "eu-west-2",
        "Cidr": "10.1.0.0/16",
        "ClientCidr": "10.0.0.0/16",
        "DatasetBuckets": "tides-a,tides-b",
        "MaximumTasks": "3",
        "ImageTag": "first",
        **parameters,
    }
    arguments = ["--stack-name", STACK, "--region", REGION, "--resolve-s3", "--no-confirm-changeset"]
    arguments += ["--capabilities", "CAPABILITY_IAM", "--template-file", "template.yaml"]
    # `sam` takes no empty value: what is empty is left out, and has its default.
    overrides = [f"{name}={value}" for name, value in given.items() if value]
    return account.sam(
        ROOT / "regional_stack",
        "deploy",
        *arguments,
        "--no-fail-on-empty-changeset",
        "--parameter-overrides",
        *overrides,
    ).stdout


def status(account: Emulator) -> str:
    answer = account.client("cloudformation", REGION).describe_stacks(StackName=STACK)
    return str(answer["Stacks"][0]["StackStatus"])


def service(account: Emulator) -> dict[str, Any]:
    ecs = account.client("ecs", REGION)
    services = ecs.describe_services(cluster=SYSTEM, services=[f"{SYSTEM}-workers"])["services"]
    return dict(services[0])


def file_system(account: Emulator) -> str:
    name = f"/dask-regions/{SYSTEM}/file-system/id"
    return str(account.client("ssm", REGION).get_parameter(Name=name)["Parameter"]["Value"])


def scratch_bucket(account: Emulator) -> str:
    name = f"/dask-regions/{SYSTEM}/scratch/bucket"
    return str(account.client("ssm", REGION).get_parameter(Name=name)["Parameter"]["Value"])


def groups(account: Emulator) -> list[dict[str, Any]]:
    scaling = account.client("autoscaling", REGION)
    return list(scaling.describe_auto_scaling_groups()["AutoScalingGroups"])


@pytest.fixture(autouse=True)
def repository(account: Emulator) -> Iterator[None]:
    registry = account.client("ecr", REGION)
    registry.create_repository(repositoryName=IMAGES)
    push(account, "first")
    yield
    registry.delete_repository(repositoryName=IMAGES, force=True)


def test_a_region_is_deleted_though_hosts_are_protected_an_import_runs_and_scratch_is_full(
    account: Emulator,
) -> None:
    messages = deploy(account)
    assert status(account) == "CREATE_COMPLETE", messages
    [group] = groups(account)
    assert group["Instances"][0]["ProtectedFromScaleIn"]
    account.client("fsx", REGION).create_data_repository_task(
        FileSystemId=file_system(account),
        Type="IMPORT_METADATA_FROM_REPOSITORY",
        Report={"Enabled": False},
    )
    bucket, s3 = scratch_bucket(account), account.client("s3", REGION)
    for number in range(3):
        s3.put_object(Bucket=bucket, Key=f"results/{number}", Body=b"0")
    assert account.delete(REGION, STACK) == ""
    assert groups(account) == []
    assert bucket not in {each["Name"] for each in s3.list_buckets()["Buckets"]}


def test_a_region_whose_pool_cannot_start_rolls_back_by_itself_and_leaves_nothing(account: Emulator) -> None:
    messages = deploy(account, ImageTag="absent")
    assert status(account) == "ROLLBACK_COMPLETE", messages
    assert "Circuit Breaker" in account.reasons(REGION, STACK)
    assert groups(account) == []
    assert account.delete(REGION, STACK) == ""


def test_a_region_whose_storage_cannot_be_made_rolls_back(account: Emulator) -> None:
    messages = deploy(account, DatasetBuckets="tides-a,tides-a")
    assert status(account) == "ROLLBACK_COMPLETE", messages
    assert "is the path of another association" in account.reasons(REGION, STACK)
    assert account.delete(REGION, STACK) == ""


def test_an_update_keeps_the_size_of_the_pool_and_its_file_system(account: Emulator) -> None:
    deploy(account)
    before = file_system(account)
    account.client("ecs", REGION).update_service(cluster=SYSTEM, service=f"{SYSTEM}-workers", desiredCount=3)
    push(account, "second")
    for change in (
        {"ImageTag": "second"},
        {"ImageTag": "second", "DatasetBuckets": "tides-a,tides-b,tides-c"},
        {"ImageTag": "second", "DatasetBuckets": "tides-a,,tides-c", "MaximumTasks": "5"},
        {"ImageTag": "second", "DatasetBuckets": ",tides-d,tides-c", "MaximumTasks": "5"},
    ):
        messages = deploy(account, **change)
        assert status(account) == "UPDATE_COMPLETE", messages
        assert service(account)["desiredCount"] == 3
        assert file_system(account) == before
    assert account.delete(REGION, STACK) == ""


def test_a_region_that_reads_all_from_s3_has_no_file_system(account: Emulator) -> None:
    messages = deploy(account, DatasetBuckets="", SourceBucketArns="arn:aws:s3:::era5,arn:aws:s3:::era5/*")
    assert status(account) == "CREATE_COMPLETE", messages
    with pytest.raises(account.client("ssm", REGION).exceptions.ClientError):
        file_system(account)
    assert account.delete(REGION, STACK) == ""
