"""Signed requests to OpenSearch Service (AWS Signature Version 4)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import urlsplit

from dask_regions.errors import ConfigurationError, UnavailableError

if TYPE_CHECKING:
    from botocore.credentials import Credentials

__all__ = ["signer"]

#: Returns the headers that a request is sent with: ``sign(method, url, headers, body)``.
Sign: TypeAlias = Callable[[str, str, Mapping[str, str], bytes], Mapping[str, str]]

_HOST = re.compile(r"\.(?P<region>[a-z]{2}(?:-[a-z]+)+-\d)\.(?P<service>es|aoss)\.amazonaws\.com(?:\.cn)?$")


def signer(url: str) -> Sign | None:
    """Return what signs requests to a URL; None where its host is not one of AWS.

    Credentials are those of the process, looked up at the first request and renewed as they expire.

    Parameters
    ----------
    url
        Of a domain of OpenSearch Service; Region and service are in its name.

    Raises
    ------
    ConfigurationError
        Where requests to AWS would not be encrypted.

    Examples
    --------
    >>> signer("http://127.0.0.1:9200") is None
    True
    """
    parts = urlsplit(url)
    match = _HOST.search(parts.hostname or "")
    if match is None:
        return None
    if parts.scheme != "https":
        raise ConfigurationError(f"CATALOG_URL={parts.hostname} must be reached by https")
    return _Signer(match["region"], match["service"])


class _Signer:
    def __init__(self, region: str, service: str) -> None:
        self._region, self._service = region, service
        self._credentials: Credentials | None = None

    def __call__(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Mapping[str, str]:
        # Imported with the first request: a function whose catalog is elsewhere does without botocore.
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.session import Session

        if self._credentials is None:
            self._credentials = Session().get_credentials()
        if self._credentials is None:
            raise UnavailableError("there are no AWS credentials to sign requests with; set them, or a role")
        # Serverless collections require the digest as a header; the signature covers it anyway.
        digest = {"X-Amz-Content-SHA256": hashlib.sha256(body).hexdigest()}
        request = AWSRequest(method=method, url=url, data=body, headers={**headers, **digest})
        frozen = self._credentials.get_frozen_credentials()
        SigV4Auth(frozen, self._service, self._region).add_auth(request)
        return dict(request.headers.items())
