"""Connections of strangers: what each may cost before it has shown a credential."""

import http.client
import socket
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.parts.waiting import eventually
from tests.parts.web_client import WebDaemon


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebDaemon]:
    with WebDaemon(tmp_path_factory.mktemp("connections")) as running:
        yield running


def connect(daemon: WebDaemon) -> socket.socket:
    return socket.create_connection(("127.0.0.1", daemon.port), timeout=20)


def is_closed(connection: socket.socket) -> bool:
    """Tell whether the other end has closed it."""
    connection.setblocking(False)
    try:
        return connection.recv(65536) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


def resident_bytes(daemon: WebDaemon) -> int:
    with open(f"/proc/{daemon.child.pid}/status") as status:  # noqa: PTH123
        return next(int(line.split()[1]) << 10 for line in status if line.startswith("VmRSS"))


@pytest.mark.parametrize(
    "start",
    [
        pytest.param(b"GET / HTTP/1.1\r\nHost: localhost\r\n", id="many-headers"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ", id="one-endless-header"),
        pytest.param(b"GET /", id="endless-path"),
        pytest.param(
            b"POST /x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
            id="many-trailers",
        ),
    ],
)
def test_an_endless_head_is_ended(daemon: WebDaemon, start: bytes) -> None:
    """A head of any shape is refused at 64 KiB, not collected until memory is gone."""
    before = resident_bytes(daemon)
    part = b"A: b\r\n" * 5000 if start.endswith(b"\r\n") else b"a" * 30_000
    sent = 0
    with connect(daemon) as connection:
        with suppress(ConnectionError):
            connection.sendall(start)
            while sent < 64 << 20:
                connection.sendall(part)
                sent += len(part)
        assert sent < 32 << 20
    assert resident_bytes(daemon) - before < 16 << 20
    assert daemon.remote().get("/api/version").status_code == 200


def test_the_head_of_a_smuggled_request_is_refused(daemon: WebDaemon) -> None:
    """Two ways to say where a body ends have two readings; none is taken."""
    with connect(daemon) as connection:
        connection.sendall(
            b"POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /api/version HTTP/1.1\r\n\r\n"
        )
        assert connection.recv(65536).startswith(b"HTTP/1.1 400")
        eventually(lambda: is_closed(connection))


@pytest.mark.slow
def test_who_says_nothing_or_dribbles_makes_room(daemon: WebDaemon) -> None:
    """Silent and dripping connections end by themselves, so that they can't take every place."""
    silent = [connect(daemon) for _ in range(520)]
    dripping = silent[0]
    try:
        deadline = time.monotonic() + 60
        unread = silent[1]
        unread.sendall(b"POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999999\r\n\r\n")
        dripping.sendall(b"GET / HTTP/1.1\r\n")
        with suppress(OSError):
            while time.monotonic() < deadline and not is_closed(dripping):
                dripping.send(b"A: b\r\n")
                unread.send(b"x")
                time.sleep(0.5)  # the drip itself
        assert time.monotonic() < deadline
        eventually(lambda: all(is_closed(one) for one in silent[1:]), within=30)
        assert daemon.remote().get("/api/version").status_code == 200
    finally:
        for connection in silent:
            connection.close()


def test_requests_on_one_connection_stay_apart(daemon: WebDaemon) -> None:
    """Bounds are of each head, not of the connection: many requests on one are answered."""
    client = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=20)
    for _ in range(30):
        client.request("GET", "/api/version", headers={"A": "x" * 8000})
        answer = client.getresponse()
        assert answer.read()
        assert answer.status == 200
    client.close()
