"""The HTTP client: pooled connections, time limits, retries, and the signature of AWS where one is due.

It speaks JSON over urllib3 and no more: opensearch-py would bring requests and gRPC into the import of
every search, three times what all the rest of the function costs.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Self, TypeAlias
from urllib.parse import quote, unquote, urlencode, urlsplit

import orjson
import urllib3

from dask_regions.errors import ConfigurationError, UnavailableError

__all__ = ["Answer", "Client", "OpenSearchError", "Sign", "encode"]

#: Returns the headers that authenticate a request: ``sign(method, url, headers, body)``.
Sign: TypeAlias = Callable[[str, str, Mapping[str, str], bytes], Mapping[str, str]]
Answer: TypeAlias = Any

_CONNECT_SECONDS = 3.0
_TRIES_AGAIN = 3
# The cluster is busy, or a node behind its load balancer is away.
_BUSY = frozenset({429, 502, 503, 504})


class OpenSearchError(Exception):
    """OpenSearch refuses a request that we should not have made.

    Attributes
    ----------
    status, kind
        HTTP status, and OpenSearch's name of the error, e.g. ``index_not_found_exception``.
    """

    def __init__(self, status: int, error: Any) -> None:
        kind = error.get("type", "") if isinstance(error, dict) else ""
        super().__init__(f"OpenSearch answers {status}: {json.dumps(error)[:2000]}")
        self.status, self.kind = status, kind


class _Retry(urllib3.Retry):
    """Asks again, but not what was not answered in time.

    OpenSearch goes on with it and would do it twice; and a function that waits twice is stopped by Lambda
    before it can say what is wrong.
    """

    def increment(self, *arguments: Any, **named: Any) -> Self:
        error = named.get("error")
        if isinstance(error, urllib3.exceptions.ReadTimeoutError):
            raise error
        return super().increment(*arguments, **named)


class Client:
    """Requests to one OpenSearch endpoint; used from several threads at once.

    Parameters
    ----------
    url
        Scheme, host and port; ``user:password@`` before the host is sent as HTTP basic authentication.
    sign
        Called for each request.
    seconds
        To wait for an answer.
    """

    def __init__(self, url: str, sign: Sign | None = None, seconds: float = 20.0) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigurationError("CATALOG_URL has no host; write it like https://search.example.com:443")
        self._base = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        self._headers = {}
        if parts.username is not None:
            secret = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            self._headers = urllib3.make_headers(basic_auth=secret)
        self._sign = sign
        self._pool = urllib3.connection_from_url(
            self._base,
            maxsize=16,
            timeout=urllib3.Timeout(connect=_CONNECT_SECONDS, read=seconds),
            # Requests may be repeated: documents have ids of ours, and changes name their version.
            retries=_Retry(
                _TRIES_AGAIN,
                redirect=0,
                status_forcelist=_BUSY,
                allowed_methods=None,
                backoff_factor=0.2,
                raise_on_status=False,
                respect_retry_after_header=False,
            ),
        )

    def request(
        self,
        method: str,
        path: Sequence[str],
        body: Any = None,
        *,
        accept: Collection[int] = (),
        **parameters: str,
    ) -> Answer:
        """Return the JSON that OpenSearch answers.

        Parameters
        ----------
        path
            Its parts, e.g. ``["items", "_search"]``; they are escaped.
        body
            An object, a list of objects, which are sent one a line, or what :func:`encode` made of one.
        accept
            Statuses besides 2xx that are answers too.

        Raises
        ------
        UnavailableError
            Where OpenSearch does not answer, is too busy, or does not let us in.
        OpenSearchError
            Where it refuses the request.
        """
        target = "/" + "/".join(quote(part, safe=",*") for part in path)
        if parameters:
            target += "?" + urlencode(parameters)
        status, content = self._exchange(method, target, _encoded(body))
        if status in _BUSY:
            raise UnavailableError(f"OpenSearch is too busy (it answers {status}); try again in a minute")
        if status in (401, 403) and status not in accept:
            raise UnavailableError(
                f"OpenSearch does not let us in (it answers {status}); check the access policy of the domain"
            )
        answer = orjson.loads(content) if content else {}
        if status >= 300 and status not in accept:
            raise OpenSearchError(status, answer.get("error", answer))
        return answer

    def search(self, index: str, body: Mapping[str, Any]) -> Answer:
        """Return the answer to one search; raises rather than leave out what a shard did not answer."""
        return self.request("POST", [index, "_search"], body, allow_partial_search_results="false")

    def _exchange(self, method: str, target: str, body: bytes) -> tuple[int, bytes]:
        headers = {**self._headers, "Content-Type": "application/json"}
        if self._sign is not None:
            headers |= self._sign(method, self._base + target, headers, body)
        try:
            response = self._pool.request(method, target, body=body, headers=headers)
        except urllib3.exceptions.HTTPError as error:
            # The message of the cause names host and path, never a header.
            raise UnavailableError(
                f"OpenSearch at {self._base} does not answer ({error}); try again"
            ) from error
        return response.status, response.data


def _encoded(body: Any) -> bytes:
    if body is None or isinstance(body, bytes):
        return body or b""
    return encode(*body) if isinstance(body, list) else encode(body).rstrip(b"\n")


def encode(*values: Any) -> bytes:
    """Return values as lines of JSON."""
    return b"".join(_dumps(value) + b"\n" for value in values)


def _dumps(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
