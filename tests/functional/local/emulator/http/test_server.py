"""The HTTP server of local mode: what clients send arrives, and what is answered reaches them."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import threading
from collections.abc import Iterator

import pytest

from dask_regions_local.emulator.http.front import HttpApi
from dask_regions_local.emulator.http.server import Request, Response, Server
from testing.waiting import WAIT_SECONDS


async def echo(request: Request) -> Response:
    """Answer with what arrived."""
    if request.target == "/broken":
        raise ValueError("broken")
    if request.target == "/unsendable":
        return Response(200, headers=[("x-name", "☃")])
    text = {"method": request.method, "target": request.target, "client": request.client}
    document = text | {"headers": request.headers, "size": len(request.body)}
    return Response(200, json.dumps(document).encode(), [("x-a", "1"), ("X-A", "2"), ("Content-Length", "7")])


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server(echo) as running:
        yield running


@pytest.fixture
def connection(server: Server) -> Iterator[http.client.HTTPConnection]:
    made = http.client.HTTPConnection(server.address, timeout=WAIT_SECONDS)
    yield made
    made.close()


def connect(server: Server) -> socket.socket:
    host, _, port = server.address.partition(":")
    return socket.create_connection((host, int(port)), timeout=WAIT_SECONDS)


def exchange(server: Server, *parts: bytes) -> bytes:
    """Send what lets the server close the connection; return all that is answered."""
    with connect(server) as client:
        for part in parts:
            client.sendall(part)
        return b"".join(iter(lambda: client.recv(65536), b""))


@pytest.mark.parametrize(
    ("target", "arrives"),
    [("/a%20b/c?x=%2C&x=1", "/a%20b/c?x=%2C&x=1"), ("//host/a", "/host/a"), ("/?", "/")],
)
def test_a_target_arrives_undecoded_and_names_no_host(
    connection: http.client.HTTPConnection, target: str, arrives: str
) -> None:
    connection.request("GET", target)
    assert json.load(connection.getresponse())["target"] == arrives


def test_a_header_may_be_sent_and_answered_twice(connection: http.client.HTTPConnection) -> None:
    connection.putrequest("GET", "/")
    connection.putheader("X-B", "é")
    connection.putheader("X-B", "2")
    connection.endheaders()
    response = connection.getresponse()
    document = json.load(response)
    assert [value for name, value in document["headers"] if name.lower() == "x-b"] == ["é", "2"]
    assert document["client"] == "127.0.0.1"
    assert response.headers.get_all("x-a") == ["1", "2"]
    assert len(response.headers.get_all("content-length", [])) == 1


def test_a_connection_is_kept_whatever_happens_to_a_request(connection: http.client.HTTPConnection) -> None:
    statuses = []
    for method, target in (("GET", "/"), ("POST", "/broken"), ("GET", "/unsendable"), ("DELETE", "/")):
        connection.request(method, target)
        response = connection.getresponse()
        response.read()
        assert not response.will_close
        statuses.append(response.status)
    assert statuses == [200, 500, 500, 200]


def test_head_is_answered_without_a_body(server: Server) -> None:
    answer = exchange(server, b"HEAD / HTTP/1.0\r\n\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"content-length: 0" not in head
    assert body == b""


@pytest.mark.parametrize("chunked", [True, False])
def test_a_large_body_arrives(connection: http.client.HTTPConnection, chunked: bool) -> None:
    body = (b"x" * 100_000 for _ in range(30))
    if chunked:
        connection.request("POST", "/", body, encode_chunked=True, headers={"Transfer-Encoding": "chunked"})
    else:
        connection.request("POST", "/", b"".join(body))
    assert json.load(connection.getresponse())["size"] == 3_000_000


def test_a_large_answer_arrives() -> None:
    with Server(lambda _: Response(200, b"x" * 20_000_000)) as server:
        assert len(exchange(server, b"GET / HTTP/1.0\r\n\r\n").partition(b"\r\n\r\n")[2]) == 20_000_000


def test_a_client_that_asks_first_may_send_its_body(server: Server) -> None:
    with connect(server) as client:
        client.sendall(b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
        assert client.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"abc")
        assert b'"size": 3' in client.recv(65536)


def test_requests_that_arrive_together_are_answered_in_their_order(server: Server) -> None:
    answer = exchange(server, b"GET /1 HTTP/1.1\r\n\r\nGET /2 HTT", b"P/1.1\r\n\r\nGET /3 HTTP/1.0\r\n\r\n")
    assert answer.count(b"HTTP/1.1 200 OK") == 3
    assert answer.index(b'"/1"') < answer.index(b'"/2"') < answer.index(b'"/3"')


@pytest.mark.parametrize("first", [b"GET / HTTP/1.0\r\n\r\n", b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n"])
def test_a_connection_is_closed_where_the_client_wants_it(server: Server, first: bytes) -> None:
    with connect(server) as client:
        client.sendall(first)
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    assert b"connection: close" in answer


def test_what_is_no_request_is_told_so(server: Server) -> None:
    assert exchange(server, b"HELLO\r\n\r\n").startswith(b"HTTP/1.1 400 Bad Request\r\n")


def test_an_upgrade_is_not_made(server: Server) -> None:
    wanted = b"GET / HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    assert exchange(server, wanted).startswith(b"HTTP/1.1 200 OK\r\n")


def test_a_plain_function_may_block_while_others_answer() -> None:
    released = threading.Event()

    def handle(request: Request) -> Response:
        if request.target == "/wait":
            assert released.wait(WAIT_SECONDS)
        return Response(200, request.target.encode())

    with Server(handle) as server, connect(server) as waiting:
        waiting.sendall(b"GET /wait HTTP/1.0\r\n\r\n")
        assert exchange(server, b"GET /other HTTP/1.0\r\n\r\n").endswith(b"/other")
        released.set()
        assert b"".join(iter(lambda: waiting.recv(65536), b"")).endswith(b"/wait")


def test_a_closed_server_gives_its_port_to_another_whatever_is_under_way() -> None:
    started, released = threading.Event(), threading.Event()

    def handle(_: Request) -> Response:
        started.set()
        assert released.wait(WAIT_SECONDS)
        return Response(200)

    first = Server(handle)
    with connect(first) as waiting, connect(first) as idle, connect(first) as partial:
        partial.sendall(b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nhalf")
        waiting.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert started.wait(WAIT_SECONDS)
        first.close()
        assert idle.recv(1) == b""
        # Who cannot be answered any more is not left waiting.
        for client in (partial, waiting):
            assert b"".join(iter(lambda: client.recv(65536), b"")).startswith(b"HTTP/1.1 500")  # noqa: B023
        with Server(echo, port=int(first.address.partition(":")[2])) as second:
            assert second.url == first.url
            assert b"200 OK" in exchange(second, b"GET / HTTP/1.0\r\n\r\n")
        released.set()


def test_a_server_that_is_closed_at_once_has_released_its_port() -> None:
    first = Server(echo)
    first.close()
    with Server(echo, port=int(first.address.partition(":")[2])) as second:
        assert b"200 OK" in exchange(second, b"GET / HTTP/1.0\r\n\r\n")


def test_a_port_in_use_is_an_error(server: Server) -> None:
    with pytest.raises(OSError, match="in use"):
        Server(echo, port=int(server.address.partition(":")[2]))


def test_a_client_that_goes_away_does_no_harm(server: Server) -> None:
    arrived, released = asyncio.Event(), asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def handle(request: Request) -> Response:
        if request.target == "/wait":
            loops.append(asyncio.get_running_loop())
            arrived.set()
            await released.wait()
        elif request.target == "/arrived":
            await arrived.wait()
        return Response(200, request.target.encode())

    with Server(handle) as other:
        with connect(other) as client:
            client.sendall(b"GET /wait HTTP/1.1\r\n\r\n")
            assert exchange(other, b"GET /arrived HTTP/1.0\r\n\r\n").endswith(b"/arrived")
        loops[0].call_soon_threadsafe(released.set)
        assert exchange(other, b"GET /after HTTP/1.0\r\n\r\n").endswith(b"/after")
    assert exchange(server, b"GET / HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 200 OK")


def test_the_api_is_served_with_the_functions_it_names() -> None:
    async def call(region: str, function: str, event: bytes) -> tuple[bool, bytes]:
        body = f"{region} {function} {json.loads(event)['rawPath']}"
        return False, json.dumps({"statusCode": 201, "body": body, "cookies": ["a=b", "c=d"]}).encode()

    api = HttpApi()
    uri = "arn:aws:lambda:eu-west-2:123456789012:function:f"
    api.add({"paths": {"/{id}": {"get": {"x-amazon-apigateway-integration": {"uri": uri}}}}})
    with Server(api.served_by(call)) as server:
        connection = http.client.HTTPConnection(server.address, timeout=WAIT_SECONDS)
        connection.request("GET", "/%C3%A9")
        response = connection.getresponse()
        assert (response.status, response.read().decode()) == (201, "eu-west-2 f /é")
        assert response.headers.get_all("set-cookie") == ["a=b", "c=d"]
        connection.request("GET", "/a/b")
        assert connection.getresponse().status == 404
        connection.close()
