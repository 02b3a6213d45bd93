"""Who is signed in, which Regions the account may use, and the roles that services need in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import boto3
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
    SSOError,
    TokenRetrievalError,
)

from dask_regions.errors import UnavailableError

__all__ = ["SERVICES_WITH_ROLES", "create_service_roles", "disabled_regions", "readable_errors", "who"]

_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired"}
_UNKNOWN = {"InvalidClientTokenId", "UnrecognizedClientException", "AuthFailure", "SignatureDoesNotMatch"}
_DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"}

#: Services whose service-linked role a fresh account lacks, and CloudFormation does not make in time:
#: VPC domains of OpenSearch, ECS services, Auto Scaling groups, file systems, load balancers, and the
#: replication of images.
SERVICES_WITH_ROLES = (
    "opensearchservice.amazonaws.com",
    "ecs.amazonaws.com",
    "autoscaling.amazonaws.com",
    "fsx.amazonaws.com",
    "elasticloadbalancing.amazonaws.com",
    "replication.ecr.amazonaws.com",
)


@contextmanager
def readable_errors(purpose: str) -> Iterator[None]:
    """Turn what AWS's client raises inside into an error that names the cure.

    Parameters
    ----------
    purpose
        What was tried, to follow "AWS refused to", e.g. ``create the stack dask-regions in eu-west-2``.

    Raises
    ------
    UnavailableError
        Where the login is absent, expired or not allowed, or AWS does not answer.
    """
    try:
        yield
    except (
        NoCredentialsError,
        PartialCredentialsError,
        CredentialRetrievalError,
        TokenRetrievalError,
        SSOError,
    ) as error:
        raise UnavailableError(f"nobody is signed in to AWS ({error}); {_sign_in('sign in')}") from error
    except ClientError as error:
        raise UnavailableError(f"AWS refused to {purpose}: {_cure(error)}") from error
    except BotoCoreError as error:
        raise UnavailableError(
            f"AWS did not answer when asked to {purpose} ({error}); check the network, and run this again"
        ) from error


def _sign_in(verb: str) -> str:
    return f"{verb}: `aws sso login`, or `aws configure`, then run this again"


def _cure(error: ClientError) -> str:
    code, message = error.response["Error"].get("Code", ""), error.response["Error"].get("Message", "")
    if code in _EXPIRED:
        return f"the login has expired; {_sign_in('sign in again')}"
    if code in _UNKNOWN:
        return f"it does not know these credentials, or the Region is disabled; {_sign_in('sign in again')}"
    if code in _DENIED:
        return f"these credentials may not ({message}); sign in as somebody who may, then run this again"
    return f"{code}: {message}"


def who(region: str) -> tuple[str, str]:
    """Return the number of the account that is signed in to, and the ARN of who is."""
    with readable_errors("say who is signed in"):
        identity = boto3.client("sts", region_name=region).get_caller_identity()
    return identity["Account"], identity["Arn"]


def disabled_regions(region: str, regions: tuple[str, ...]) -> dict[str, str]:
    """Return which of these Regions the account cannot use, each with the reason.

    Parameters
    ----------
    region
        One that the account can use, to ask there.
    """
    with readable_errors("list the Regions of the account"):
        answer = boto3.client("ec2", region_name=region).describe_regions(AllRegions=True)
    status = {entry["RegionName"]: entry["OptInStatus"] for entry in answer["Regions"]}
    absent = {name: "it does not exist" for name in regions if name not in status}
    return absent | {
        name: "the account has not enabled it" for name in regions if status.get(name, "") == "not-opted-in"
    }


def create_service_roles(region: str) -> list[str]:
    """Create the service-linked roles that the account lacks; return the services that got one."""
    roles = boto3.client("iam", region_name=region)
    created = []
    for service in SERVICES_WITH_ROLES:
        with readable_errors(f"create the service-linked role of {service}"):
            listed = roles.list_roles(PathPrefix=f"/aws-service-role/{service}/")
            if listed["Roles"]:
                continue
            try:
                roles.create_service_linked_role(AWSServiceName=service)
            except roles.exceptions.InvalidInputException:
                continue  # somebody else has made it meanwhile
            created.append(service)
    return created
