"""A bucket that is elsewhere, or may not be read, is named with the cure before anything is deployed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from dask_regions.config import load
from dask_regions.deploy.checking.buckets import check_buckets
from dask_regions.errors import ConfigurationError

ROOT = Path(__file__).parents[4]
BUCKET = "demo-a1b-us-west-2"


class FakeS3:
    """S3 with every bucket open where it is said to be, but for one."""

    def __init__(self, region: str, said: dict[str, Any]) -> None:
        self._region, self._said = region, said

    def head_bucket(self, Bucket: str) -> dict[str, Any]:  # noqa: N803
        said = self._said if Bucket == BUCKET else {}
        headers = {"x-amz-bucket-region": said.get("region", self._region)}
        return self._answer(said.get("head"), {"ResponseMetadata": {"HTTPHeaders": headers}})

    def list_objects_v2(self, Bucket: str, RequestPayer: str = "", **_: Any) -> dict[str, Any]:  # noqa: N803
        said = self._said if Bucket == BUCKET else {}
        refused = said.get("list") if not (RequestPayer and said.get("payable")) else None
        return self._answer(refused, {"KeyCount": said.get("keys", 1)})

    def _answer(self, code: str | None, answer: dict[str, Any]) -> dict[str, Any]:
        if code is None:
            return answer
        response: Any = {"Error": {"Code": code}, **answer}
        raise ClientError(response, "operation")


def check(monkeypatch: pytest.MonkeyPatch, **said: Any) -> None:
    monkeypatch.setattr(boto3, "client", lambda _, region_name, **__: FakeS3(region_name, said))
    check_buckets(load(ROOT / "local" / "datasets.yaml"))


def test_buckets_that_are_as_declared_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    check(monkeypatch)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"region": "eu-central-1"}, "is in eu-central-1, not in us-west-2; correct the dataset's Region"),
        ({"head": "301", "region": "eu-central-1"}, "is in eu-central-1, not in us-west-2"),
        ({"head": "404"}, "does not exist; correct its name"),
        (
            {"head": "403", "list": "AccessDenied"},
            "may not be listed by this account .AccessDenied.; have its owner",
        ),
        (
            {"head": "403", "list": "AccessDenied", "payable": True},
            "write 'access: s3' and 'requester_pays: true'",
        ),
        ({"keys": 0}, "s3://demo-a1b-us-west-2/CMIP6/ holds nothing; correct the prefix"),
    ],
)
def test_a_bucket_that_is_not_is_named_with_the_cure(
    monkeypatch: pytest.MonkeyPatch, said: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigurationError, match=words) as refusal:
        check(monkeypatch, **said)
    assert len(refusal.value.problems) == 1
    assert "'a1b-north-america' in us-west-2" in str(refusal.value)
