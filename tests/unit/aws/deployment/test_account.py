"""Who is signed in, and what is said to who is not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError, NoCredentialsError, SSOTokenLoadError
from moto import mock_aws

from dask_regions.aws.deployment.account import (
    SERVICES_WITH_ROLES,
    create_service_roles,
    disabled_regions,
    who,
)
from dask_regions.errors import UnavailableError

REGION = "eu-west-2"


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        yield


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            ClientError({"Error": {"Code": "ExpiredToken", "Message": "old"}}, "GetCallerIdentity"),
            "the login has expired; sign in again: `aws sso login`",
        ),
        (NoCredentialsError(), "nobody is signed in to AWS"),
        (SSOTokenLoadError(error_msg="it is old", profile_name="x"), "sign in: `aws sso login`"),
        (
            ClientError({"Error": {"Code": "AccessDenied", "Message": "not you"}}, "GetCallerIdentity"),
            "these credentials may not (not you); sign in as somebody who may",
        ),
        (
            ClientError({"Error": {"Code": "InvalidClientTokenId", "Message": ""}}, "GetCallerIdentity"),
            "it does not know these credentials",
        ),
    ],
)
def test_a_login_that_does_not_serve_is_told_with_the_cure(
    account: None, monkeypatch: pytest.MonkeyPatch, error: Exception, message: str
) -> None:
    def refuse(*_: Any) -> None:
        raise error

    monkeypatch.setattr(BaseClient, "_make_api_call", refuse)
    with pytest.raises(UnavailableError) as refusal:
        who(REGION)
    assert message in str(refusal.value)


def test_a_region_that_does_not_exist_is_told(account: None) -> None:
    assert disabled_regions(REGION, ("eu-west-2", "eu-west-9")) == {"eu-west-9": "it does not exist"}


def test_roles_are_created_once(account: None) -> None:
    boto3.client("iam", region_name=REGION).create_service_linked_role(AWSServiceName="ecs.amazonaws.com")
    assert create_service_roles(REGION) == [
        service for service in SERVICES_WITH_ROLES if service != "ecs.amazonaws.com"
    ]
    assert create_service_roles(REGION) == []
