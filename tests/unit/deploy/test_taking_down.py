"""What a removal finds, and that it leaves nothing of the system, and all of others."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from dask_regions import config
from dask_regions.aws.deployment import images, leftovers
from dask_regions.deploy import taking_down
from dask_regions.deploy.checkout import Checkout
from dask_regions.deploy.images.replication import with_system
from dask_regions.deploy.plan import System
from dask_regions.deploy.taking_down import look_up, take_down

ROOT = Path(__file__).parents[3]
CLIENT, WEST, LEFT_BEHIND = "eu-west-2", "us-west-2", "ap-southeast-2"
CONFIGURATION = config.parse(
    """
regions:
  - {name: eu-west-2, client: true, cidr: 10.0.0.0/16}
  - {name: us-west-2, cidr: 10.1.0.0/16, pool: {minimum_tasks: 0, maximum_tasks: 2}}
""",
    ROOT / "datasets.yaml",
)
SYSTEM = System(CONFIGURATION, Checkout(ROOT), ROOT / "samconfig.toml", ROOT / "datasets.yaml")
TEMPLATE = json.dumps(
    {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Resources": {"Bucket": {"Type": "AWS::S3::Bucket", "Properties": {}}},
    }
)


@pytest.fixture
def rules(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[dict[str, Any]]]:
    """Each Region's rules of replication; the client Region has ours and another's."""
    theirs = {
        "destinations": [{"region": WEST, "registryId": "1"}],
        "repositoryFilters": [{"filter": "theirs", "filterType": "PREFIX_MATCH"}],
    }
    kept = {CLIENT: with_system([theirs], "dask-regions", "1", [WEST, "us-east-1"])}
    monkeypatch.setattr(images, "destinations", lambda region: kept.get(region, []))
    monkeypatch.setattr(images, "set_destinations", lambda region, made: kept.update({region: made}))
    return kept


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch, rules: Any) -> Iterator[list[tuple[list[str], bool]]]:
    """An account with a system in three Regions; yields which Regions were separated, and whether all."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    regions_of_account = [CLIENT, LEFT_BEHIND, WEST]
    monkeypatch.setattr(leftovers, "enabled_regions", lambda _region: regions_of_account)
    separated: list[tuple[list[str], bool]] = []
    monkeypatch.setattr(
        taking_down,
        "separate",
        lambda _system, regions, _say, whole: separated.append((regions, whole)),
    )
    with mock_aws():
        create(CLIENT, "dask-regions")
        create(CLIENT, "dask-regions-images")
        create(CLIENT, "dask-regions-worker", system="another")
        for region in (WEST, LEFT_BEHIND):
            create(region, "dask-regions-worker")
            create(region, "dask-regions-images")
        yield separated


def create(region: str, name: str, system: str = "dask-regions") -> None:
    """Create a stack whose bucket holds something."""
    client = boto3.client("cloudformation", region_name=region)
    client.create_stack(StackName=name, TemplateBody=TEMPLATE, Tags=[{"Key": "system", "Value": system}])
    (bucket,) = client.list_stack_resources(StackName=name)["StackResourceSummaries"]
    boto3.client("s3", region_name=region).put_object(
        Bucket=bucket["PhysicalResourceId"], Key="report.json", Body=b"{}"
    )


def there() -> set[tuple[str, str]]:
    return {
        (region, stack["StackName"])
        for region in (CLIENT, WEST, LEFT_BEHIND)
        for stack in boto3.client("cloudformation", region_name=region).describe_stacks()["Stacks"]
    }


def ignore(_: str) -> None:
    return


def test_the_whole_goes_with_what_no_file_names_any_more_and_others_stay(
    account: list[tuple[list[str], bool]], rules: dict[str, list[dict[str, Any]]]
) -> None:
    left = take_down(look_up(SYSTEM, []), ignore)
    assert there() == {(CLIENT, "dask-regions-worker")}
    ((regions, whole),) = account
    assert whole
    assert set(regions) == {CLIENT, WEST, LEFT_BEHIND}
    assert [rule["repositoryFilters"][0]["filter"] for rule in rules[CLIENT]] == ["theirs"]
    assert any("KMS" in sentence for sentence in left)


def test_one_region_goes_and_the_others_stay_and_get_images(
    account: list[tuple[list[str], bool]], rules: dict[str, list[dict[str, Any]]]
) -> None:
    take_down(look_up(SYSTEM, [WEST]), ignore)
    assert {region for region, _ in there()} == {CLIENT, LEFT_BEHIND}
    assert account == [([WEST], False)]
    ours = rules[CLIENT][1]
    assert [each["region"] for each in ours["destinations"]] == ["us-east-1"]


def test_where_nothing_is_nothing_is_done_and_nothing_is_left(account: list[tuple[list[str], bool]]) -> None:
    take_down(look_up(SYSTEM, []), ignore)
    removal = look_up(SYSTEM, [])
    assert removal.stacks == ()
    assert take_down(removal, ignore) == []
