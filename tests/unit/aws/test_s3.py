"""A bucket of S3: what its answers mean for a sync."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from dask_regions.aws.s3 import S3Bucket
from dask_regions.errors import NotFoundError, UnavailableError


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> S3Bucket:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    return S3Bucket("bucket", "us-west-2")


def listing(
    bucket: S3Bucket, monkeypatch: pytest.MonkeyPatch, *answers: dict[str, Any]
) -> list[dict[str, str]]:
    """Let the bucket answer LIST requests, and return the requests that it will have got."""
    asked: list[dict[str, str]] = []
    pages: Iterator[dict[str, Any]] = iter(answers)

    def answer(**request: str) -> dict[str, Any]:
        asked.append(request)
        return next(pages)

    monkeypatch.setattr(bucket, "_client", SimpleNamespace(list_objects_v2=answer))
    return asked


def entry(key: str) -> dict[str, Any]:
    return {"Key": key, "Size": 1, "ETag": '"e"'}


@pytest.mark.parametrize("method", ["read", "page", "level", "write"])
def test_a_lost_connection_does_not_pass_for_a_damaged_file(
    bucket: S3Bucket, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    def lost(**_: Any) -> None:
        raise ReadTimeoutError(endpoint_url="https://s3")

    client = SimpleNamespace(get_object=lost, list_objects_v2=lost, put_object=lost)
    monkeypatch.setattr(bucket, "_client", client)
    with pytest.raises(UnavailableError, match="s3://bucket/key"):
        list(getattr(bucket, method)("key", *([b""] if method == "write" else [])))


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("NoSuchKey", NotFoundError),
        ("AccessDenied", NotFoundError),
        ("InvalidObjectState", NotFoundError),
        ("InvalidRequest", NotFoundError),
        ("KMS.DisabledException", NotFoundError),
        ("SlowDown", ClientError),
        ("InternalError", ClientError),
    ],
)
def test_an_object_that_nobody_can_read_is_not_a_service_that_fails(
    bucket: S3Bucket, monkeypatch: pytest.MonkeyPatch, code: str, error: type[Exception]
) -> None:
    def refuse(**_: Any) -> None:
        raise ClientError({"Error": {"Code": code}}, "GetObject")

    monkeypatch.setattr(bucket, "_client", SimpleNamespace(get_object=refuse))
    with pytest.raises(error, match=code):
        bucket.read("key")


def test_a_level_of_many_pages_is_listed_to_its_end(
    bucket: S3Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = listing(
        bucket,
        monkeypatch,
        {"CommonPrefixes": [{"Prefix": "a/"}], "IsTruncated": True, "NextContinuationToken": "more"},
        {"Contents": [entry("b")], "IsTruncated": False},
    )
    (first, second) = bucket.level("")
    assert (first, [listed.fingerprint for listed in second[1]]) == ((["a/"], []), ["e-1"])
    assert asked[1]["ContinuationToken"] == "more"


def test_a_page_without_keys_is_not_the_end_of_a_listing(
    bucket: S3Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = listing(
        bucket,
        monkeypatch,
        {"IsTruncated": True, "NextContinuationToken": "behind delete markers"},
        {"Contents": [entry("b")], "IsTruncated": True, "NextContinuationToken": "more"},
    )
    (listed,), more = bucket.page("", "a")
    assert (listed.key, more) == ("b", True)
    assert asked[1]["ContinuationToken"] == "behind delete markers"
    listing(bucket, monkeypatch, {"IsTruncated": False})
    assert bucket.page("", "b") == ([], False)
