"""The HTTP client and its signature, against a small server that says what it received."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from dask_regions.aws import opensearch
from dask_regions.catalog.asking.query import SearchQuery
from dask_regions.catalog.engines import open_catalog
from dask_regions.catalog.opensearch.client import Client, OpenSearchError
from dask_regions.errors import ConfigurationError, UnavailableError

KEY, SECRET, TOKEN = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "session-token"


class Recorded(ThreadingHTTPServer):
    """Answers what it is told, and keeps what it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: list[tuple[int, bytes]] = []
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        #: Cleared while it keeps callers waiting.
        self.free = threading.Event()
        self.free.set()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keep quiet about callers that did not wait."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Recorded
    protocol_version: ClassVar[str] = "HTTP/1.1"  # type: ignore[misc]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.requests.append((self.command, self.path, headers, body))
        self.server.free.wait()
        status, answer = self.server.answers.pop(0) if self.server.answers else (200, b"{}")
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_POST  # noqa: N815 - named by http.server

    def log_message(self, *arguments: Any) -> None:
        """Keep quiet."""


@contextmanager
def serving() -> Iterator[Recorded]:
    with Recorded() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def server() -> Iterator[Recorded]:
    with serving() as server:
        yield server


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_SESSION_TOKEN", TOKEN)


def signed_again(
    method: str, url: str, headers: dict[str, str], body: bytes, service: str
) -> tuple[str, str]:
    """Return the signature that was sent, and the one botocore makes of what was received."""
    authorization = headers["authorization"]
    scope = authorization.partition("Credential=")[2].partition(",")[0].split("/")
    names = authorization.partition("SignedHeaders=")[2].partition(",")[0].split(";")
    request = AWSRequest(
        method=method, url=url, data=body, headers={n: headers[n] for n in names if n != "host"}
    )
    request.context["timestamp"] = headers["x-amz-date"]
    auth = SigV4Auth(Credentials(KEY, SECRET, TOKEN), service, scope[2])
    string = auth.string_to_sign(request, auth.canonical_request(request))
    return authorization.partition("Signature=")[2], auth.signature(string, request)


@pytest.mark.parametrize(
    ("host", "region", "service"),
    [
        ("search-catalog-abc123.eu-west-2.es.amazonaws.com", "eu-west-2", "es"),
        ("vpc-catalog-abc123.us-gov-west-1.es.amazonaws.com", "us-gov-west-1", "es"),
        ("abc123.eu-west-2.aoss.amazonaws.com", "eu-west-2", "aoss"),
    ],
)
def test_what_arrives_is_signed_for_its_region_and_service(
    server: Recorded, credentials: None, host: str, region: str, service: str
) -> None:
    sign = opensearch.signer(f"https://{host}")
    assert sign is not None

    def as_if_there(method: str, url: str, headers: Any, body: bytes) -> Any:
        return sign(method, url.replace(server.url, f"https://{host}"), headers, body)

    body = {"query": {"term": {"a": "é"}}}
    client = Client(server.url, as_if_there)
    client.request("POST", ["a,b", "_search"], body, allow_partial_search_results="false", x="a b/é")
    ((method, path, headers, received),) = server.requests
    assert json.loads(received) == body
    assert headers["authorization"].startswith(f"AWS4-HMAC-SHA256 Credential={KEY}/")
    assert f"/{region}/{service}/aws4_request" in headers["authorization"]
    assert headers["x-amz-security-token"] == TOKEN
    sent, made = signed_again(method, f"https://{host}{path}", headers, received, service)
    assert sent == made
    sent, made = signed_again(method, f"https://{host}{path}&y=1", headers, received, service)
    assert sent != made
    assert SECRET not in repr(server.requests)


def test_only_hosts_of_aws_get_a_signature() -> None:
    for url in (
        "http://127.0.0.1:9200",
        "https://search.example.com",
        "https://es.amazonaws.com.example.org",
    ):
        assert opensearch.signer(url) is None
    with pytest.raises(ConfigurationError, match="https"):
        opensearch.signer("http://search-catalog-abc123.eu-west-2.es.amazonaws.com")


def test_a_busy_cluster_is_asked_again(server: Recorded) -> None:
    server.answers = [(429, b"{}"), (503, b""), (200, b'{"took": 1}')]
    assert Client(server.url).request("POST", ["_search"], {}) == {"took": 1}
    assert len(server.requests) == 3


def test_a_cluster_that_stays_busy_is_unavailable(server: Recorded) -> None:
    server.answers = [(503, b"busy")] * 4
    with pytest.raises(UnavailableError, match="too busy"):
        Client(server.url).request("POST", ["_search"], {})
    assert len(server.requests) == 4


def test_a_refusal_of_access_is_told_without_credentials(server: Recorded) -> None:
    server.answers = [(403, b'{"Message": "no"}')]
    url = server.url.replace("http://", "http://reader:p%40ss@")
    with pytest.raises(UnavailableError, match="access policy") as caught:
        Client(url).request("POST", ["_search"], {})
    assert server.requests[0][2]["authorization"] == "Basic cmVhZGVyOnBAc3M="
    assert "p%40ss" not in str(caught.value)


def test_a_server_that_is_not_there_is_unavailable() -> None:
    with serving() as gone:
        url = gone.url.replace("http://", "http://reader:secret@")
    with pytest.raises(UnavailableError, match="does not answer") as caught:
        open_catalog(url).search(SearchQuery())
    assert "secret" not in str(caught.value)


def test_a_server_that_does_not_answer_in_time_is_unavailable_and_not_asked_again(server: Recorded) -> None:
    server.free.clear()
    try:
        with pytest.raises(UnavailableError, match="does not answer"):
            Client(server.url, seconds=0.5).request("GET", ["_search"])
    finally:
        server.free.set()
    assert len(server.requests) < 2


def test_what_opensearch_refuses_is_our_mistake(server: Recorded) -> None:
    server.answers = [(400, b'{"error": {"type": "parsing_exception", "reason": "no"}, "status": 400}')]
    with pytest.raises(OpenSearchError, match="parsing_exception") as caught:
        Client(server.url).request("POST", ["_search"], {})
    assert (caught.value.status, caught.value.kind) == (400, "parsing_exception")


@pytest.mark.parametrize("url", ["https://", "http:///x", "https://host/Upper", "https://host/a/b"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="CATALOG_URL"):
        open_catalog(url)


def test_an_engine_that_there_is_not_is_refused_without_its_password() -> None:
    with pytest.raises(ConfigurationError, match="sqlite:////mnt") as caught:
        open_catalog("postgres://user:secret@host")
    assert "secret" not in str(caught.value)
