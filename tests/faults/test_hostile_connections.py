"""T42: slow heads, endless bodies, header floods and thousands of connections cost others little.

The figures: how long other requests take meanwhile (p95), and how much more memory is held.
"""

import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress

import httpx2
import pytest

from tests.parts.web_client import WebDaemon, ok

#: What a person takes for at once. A machine that is slow by itself gets what it takes calmly.
P95_SECONDS = 0.5
MEMORY_BYTES = 64 << 20

JSON = b"Content-Type: application/json\r\n"


@pytest.fixture(scope="module", autouse=True)
def forge(daemon: WebDaemon) -> None:
    """A webhook whose name is known."""
    hook = {"name": "forge", "provider": "forgejo"}
    assert daemon.local.post("/api/v1/webhooks", json=hook).status_code == 201


def connect(daemon: WebDaemon) -> socket.socket:
    return socket.create_connection(("127.0.0.1", daemon.port), timeout=20)


def resident_bytes(daemon: WebDaemon) -> int:
    with open(f"/proc/{daemon.child.pid}/status") as status:  # noqa: PTH123
        return next(int(line.split()[1]) << 10 for line in status if line.startswith("VmRSS"))


def p95_seconds(client: httpx2.Client, count: int) -> float:
    """Return what 95 of 100 requests take at most; each has to be answered well."""
    took = []
    for _ in range(count):
        began = time.monotonic()
        ok(client.get("/api/v1/projects"))
        took.append(time.monotonic() - began)
    return sorted(took)[int(count * 0.95)]


@contextmanager
def repeated(attack: Callable[[], object]) -> Iterator[None]:
    """Go on with ``attack`` in the background while the block runs."""
    over = threading.Event()

    def go_on() -> None:
        while not over.wait(0.01):  # the measuring side shares this process
            with suppress(OSError):
                attack()

    worker = threading.Thread(target=go_on, daemon=True)
    worker.start()
    try:
        yield
    finally:
        over.set()
        worker.join(30)


def others_hardly_notice(daemon: WebDaemon, attack: AbstractContextManager[None]) -> None:
    """While ``attack`` goes on, others wait no longer, and no more memory is held."""
    requests = 25
    person = daemon.remote(daemon.admin_token, connection="close")
    calm, before = p95_seconds(person, requests), resident_bytes(daemon)
    with attack:
        for client in (person, daemon.local):
            assert p95_seconds(client, requests) < max(P95_SECONDS, 20 * calm)
        assert resident_bytes(daemon) - before < MEMORY_BYTES


@contextmanager
def held(
    daemon: WebDaemon, slowly: Callable[[WebDaemon], socket.socket], count: int
) -> Iterator[None]:
    """Keep ``count`` connections open, as far as they are not ended."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 8192)), hard))
    with ExitStack() as opened:
        for _ in range(count):
            with suppress(OSError):
                opened.enter_context(slowly(daemon))
        yield


def begun(daemon: WebDaemon, start: bytes) -> socket.socket:
    connection = connect(daemon)
    try:
        connection.sendall(start)
    except OSError:
        connection.close()
        raise
    return connection


def slow_head(daemon: WebDaemon) -> socket.socket:
    return begun(daemon, b"GET /api/version HTTP/1.1\r\nHost: localhost\r\nA: ")


def slow_body(daemon: WebDaemon) -> socket.socket:
    head = b"POST /webhook/forge HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999\r\n"
    return begun(daemon, head + JSON + b"\r\n{")


@pytest.mark.timeout(240)
@pytest.mark.parametrize("slowly", [slow_head, slow_body])
@pytest.mark.parametrize(
    "count", [pytest.param(600, id="short"), pytest.param(5000, marks=pytest.mark.slow)]
)
def test_t42_many_connections_that_ask_nothing(
    daemon: WebDaemon, slowly: Callable[[WebDaemon], socket.socket], count: int
) -> None:
    """More than there are places for: the oldest of them make room for who asks something."""
    others_hardly_notice(daemon, held(daemon, slowly, count))


def endless_chunks(daemon: WebDaemon, megabytes: int, path: bytes) -> int:
    """Send a body in chunks until it is refused; return how many bytes went."""
    chunk, sent = b"10000\r\n" + b"x" * 65536 + b"\r\n", 0
    with connect(daemon) as connection, suppress(OSError):
        connection.sendall(
            b"POST %b HTTP/1.1\r\nHost: localhost\r\n%bTransfer-Encoding: chunked\r\n\r\n"
            % (path, JSON)
        )
        while sent < megabytes << 20:
            connection.sendall(chunk)
            sent += len(chunk)
    return sent


@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    "megabytes", [pytest.param(64, id="short"), pytest.param(1024, marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("path", [b"/webhook/forge", b"/api/v1/projects"])
def test_t42_a_body_that_never_ends(daemon: WebDaemon, megabytes: int, path: bytes) -> None:
    """It is ended at its limit, not collected; a gigabyte is not even read."""
    assert endless_chunks(daemon, megabytes, path) < 48 << 20
    others_hardly_notice(daemon, repeated(lambda: endless_chunks(daemon, 4, path)))


def header_flood(daemon: WebDaemon) -> None:
    with connect(daemon) as connection:
        connection.sendall(b"GET /api/version HTTP/1.1\r\nHost: localhost\r\n")
        for _ in range(64):
            connection.sendall(b"A: b\r\n" * 5000)


def test_t42_a_flood_of_headers(daemon: WebDaemon) -> None:
    """A head has its limit, and thousands of small headers are no way around it."""
    others_hardly_notice(daemon, repeated(lambda: header_flood(daemon)))
