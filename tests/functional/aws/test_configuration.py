"""The configuration of a deployed system, published to and read from moto's S3 and Parameter Store."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from dask_regions.aws import configuration
from dask_regions.aws.configuration import forget_configurations, load_configuration, publish
from dask_regions.errors import ConfigurationError, NotFoundError, UnavailableError
from dask_regions.names import configuration_parameter
from dask_regions.settings import Settings

CLIENT = "eu-west-2"
SETTINGS = Settings(system_name="climate", client_region=CLIENT)
REGIONS = """
system: {name: climate}
regions:
  - {name: eu-west-2, client: true, cidr: 10.0.0.0/16}
  - {name: us-west-2, cidr: 10.1.0.0/16, pool: {maximum_tasks: 2}}
"""
DATASET = """
datasets:
  - id: a1b
    title: A1B
    description: A1B
    region: us-west-2
    bucket: data
    layout: zarr
    fsx_path: /fsx/data
"""


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the time in seconds, in a list, for the test to change."""
    now = [0.0]
    monkeypatch.setattr(configuration, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Make what the client stack makes: a versioned bucket, and the pointer."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    forget_configurations()
    with mock_aws():
        s3 = boto3.client("s3", CLIENT)
        s3.create_bucket(
            Bucket="configuration", CreateBucketConfiguration={"LocationConstraint": "eu-west-2"}
        )
        s3.put_bucket_versioning(Bucket="configuration", VersioningConfiguration={"Status": "Enabled"})
        point_at("")
        yield "configuration"
    forget_configurations()


def point_at(version: str) -> None:
    value = json.dumps({"bucket": "configuration", "key": "datasets.yaml", "version_id": version})
    boto3.client("ssm", CLIENT).put_parameter(
        Name=configuration_parameter("climate"), Value=value, Type="String", Overwrite=True
    )


def pointer() -> dict[str, str]:
    answer = boto3.client("ssm", CLIENT).get_parameter(Name=configuration_parameter("climate"))
    value: dict[str, str] = json.loads(answer["Parameter"]["Value"])
    return value


def versions() -> list[Any]:
    return boto3.client("s3", CLIENT).list_object_versions(Bucket="configuration").get("Versions", [])


def write(path: Path, text: str) -> Path:
    file = path / "datasets.yaml"
    file.write_text(text)
    return file


def ids(seconds: float = 60.0) -> list[str]:
    return [dataset.id for dataset in load_configuration(SETTINGS, seconds).datasets]


def test_before_the_first_publication_there_are_no_datasets(bucket: str) -> None:
    unpublished = load_configuration(SETTINGS)
    assert unpublished.client_region.name == CLIENT
    assert unpublished.system.name == "climate"
    assert not unpublished.datasets
    assert not unpublished.pools


def test_what_is_published_is_read_within_a_minute(bucket: str, clock: list[float], tmp_path: Path) -> None:
    assert ids() == []
    version = publish("climate", CLIENT, write(tmp_path, REGIONS + DATASET))
    assert pointer() == {"bucket": bucket, "key": "datasets.yaml", "version_id": version}
    clock[0] = 59.0
    assert ids() == []
    clock[0] = 60.0
    assert ids() == ["a1b"]


def test_what_is_published_already_is_not_published_again(bucket: str, tmp_path: Path) -> None:
    file = write(tmp_path, REGIONS + DATASET)
    assert publish("climate", CLIENT, file) == publish("climate", CLIENT, file)
    assert len(versions()) == 1


def test_of_two_that_publish_at_once_the_last_pointer_wins_with_its_whole_file(
    bucket: str, clock: list[float], tmp_path: Path
) -> None:
    first = publish("climate", CLIENT, write(tmp_path, REGIONS + DATASET))
    publish("climate", CLIENT, write(tmp_path, REGIONS))
    point_at(first)  # the first publisher was slower between its two requests
    assert ids() == ["a1b"]


def test_an_update_that_sets_the_pointer_back_loses_nothing(bucket: str, tmp_path: Path) -> None:
    publish("climate", CLIENT, write(tmp_path, REGIONS + DATASET))
    point_at("")
    assert ids() == ["a1b"]


def test_a_mistake_is_refused_and_changes_nothing(bucket: str, tmp_path: Path) -> None:
    publish("climate", CLIENT, write(tmp_path, REGIONS + DATASET))
    before = pointer()
    with pytest.raises(ConfigurationError, match=r"datasets\.yaml:\d+: dataset 'a1b' is in Region"):
        publish("climate", CLIENT, write(tmp_path, REGIONS + DATASET.replace("us-west-2", "us-east-1")))
    assert pointer() == before
    assert len(versions()) == 1


@pytest.mark.parametrize(
    ("system", "region", "message"),
    [
        ("other", CLIENT, "describes system 'climate', not 'other'"),
        ("climate", "us-west-2", "has its client Region in eu-west-2, not in us-west-2"),
    ],
)
def test_a_file_of_another_system_is_refused(
    bucket: str, tmp_path: Path, system: str, region: str, message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        publish(system, region, write(tmp_path, REGIONS))
    assert versions() == []


def test_publishing_needs_the_client_stack(bucket: str, tmp_path: Path) -> None:
    file = write(tmp_path, REGIONS.replace("climate", "other"))
    with pytest.raises(NotFoundError, match="deploy the client stack there first"):
        publish("other", CLIENT, file)


def test_the_last_good_configuration_stays_where_reading_fails(
    bucket: str, clock: list[float], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    publish("climate", CLIENT, write(tmp_path, REGIONS + DATASET))
    assert ids() == ["a1b"]
    boto3.client("ssm", CLIENT).delete_parameter(Name=configuration_parameter("climate"))
    clock[0] = 300.0
    with caplog.at_level(logging.WARNING):
        assert ids() == ["a1b"]
    (record,) = caplog.records
    assert "read 300 s ago stays in force" in record.message


def test_a_wrong_version_in_the_bucket_does_not_replace_a_good_one(
    bucket: str, clock: list[float], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    publish("climate", CLIENT, write(tmp_path, REGIONS + DATASET))
    assert ids() == ["a1b"]
    by_hand = boto3.client("s3", CLIENT).put_object(Bucket=bucket, Key="datasets.yaml", Body=b"regions: 1")
    point_at(by_hand["VersionId"])
    clock[0] = 61.0
    assert ids() == ["a1b"]
    assert "datasets.yaml:1: regions must be a list" in caplog.text


def test_nothing_that_can_be_read_is_an_error_that_says_what_to_do(bucket: str) -> None:
    boto3.client("ssm", CLIENT).delete_parameter(Name=configuration_parameter("climate"))
    with pytest.raises(UnavailableError, match="deploy the client stack there first"):
        load_configuration(SETTINGS)


def test_a_file_goes_before_what_is_published_and_is_read_again_once_it_changes(tmp_path: Path) -> None:
    settings = Settings(system_name="climate", client_region=CLIENT, datasets_file=write(tmp_path, REGIONS))
    first = load_configuration(settings)
    assert first is load_configuration(settings)
    write(tmp_path, REGIONS + DATASET)
    assert [dataset.id for dataset in load_configuration(settings).datasets] == ["a1b"]


def test_a_process_without_either_says_which_variables_to_set() -> None:
    with pytest.raises(ConfigurationError, match="CLIENT_REGION is not set, nor DATASETS_FILE"):
        load_configuration(Settings())
