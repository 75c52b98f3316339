"""Who may do what, and what a request may be: against a real server over both of its listeners."""

import http.client
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import APIRouter, FastAPI

from reconciler.web.asgi import UnguardedRoute, open_paths
from reconciler.web.principal import Policy
from reconciler.web.routing import GuardedRoute, router_for
from reconciler.web.subjects import About
from tests.parts.waiting import eventually
from tests.parts.web_client import WebDaemon

V1 = "/api/v1"


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebDaemon]:
    with WebDaemon(tmp_path_factory.mktemp("guards")) as running:
        yield running


def operations(daemon: WebDaemon) -> list[tuple[str, str]]:
    """Return (method, path) of every documented route, with its parameters filled in."""
    paths = daemon.local.get("/openapi.json").json()["paths"]
    values = {"{name}": "shop", "{id}": "1", "{secret}": "variable:A", "{token}": "t"}
    values |= {"{key}": "k", "{number}": "1"}
    values |= {"{app}": "shop", "{host}": "web1", "{person}": "ada", "{session}": "s"}
    found = []
    for path, methods in paths.items():
        filled = path
        for parameter, value in values.items():
            filled = filled.replace(parameter, value)
        found += [(method.upper(), filled) for method in methods]
    return found


OPEN = {("GET", f"/api/{what}") for what in ("health", "healthz", "ready", "version")}
ENTRIES = {("POST", f"{V1}/sign-in"), ("POST", f"{V1}/set-up")}
#: Asks for a signature instead; see test_web_webhooks.py.
WEBHOOKS = {("POST", "/webhook/shop"), ("POST", "/webhook/shop/k")}


def test_every_route_but_the_open_ones_needs_a_token(daemon: WebDaemon) -> None:
    """Without a token every documented route and every unknown one answers 401, alike."""
    client = daemon.remote()
    found = operations(daemon)
    assert len(found) > 30
    for method, path in [*found, ("GET", "/nothing"), ("GET", f"{V1}/nothing"), ("POST", "/")]:
        answer = client.request(method, path)
        if (method, path) in OPEN:
            assert answer.status_code == 200, path
        elif (method, path) in ENTRIES:
            assert answer.status_code == 422
        elif (method, path) in WEBHOOKS:
            assert answer.status_code == 404
        else:
            assert answer.status_code == 401, (method, path)
            assert answer.headers["www-authenticate"].startswith("Bearer")


def test_wrong_tokens(daemon: WebDaemon) -> None:
    """Whatever is not a known token is refused alike, and never an error of ours."""
    client = daemon.remote()
    known = daemon.admin_token
    headers: list[list[tuple[bytes, bytes]]] = [
        [(b"authorization", value)]
        for value in (
            b"Bearer",
            b"Bearer x",
            f"Bearer {known}x".encode(),
            f"Bearer {known[:-1]}".encode(),
            f"Basic {known}".encode(),
            known.encode(),
            b"Bearer \xc3\xa4\xc3\xb6\xff" + b"x" * 40,
            b"Bearer " + b"x" * 5000,
        )
    ]
    headers.append([(b"authorization", f"Bearer {known}".encode())] * 2)
    for given in headers:
        assert client.get(f"{V1}/projects", headers=given).status_code == 401, given


@pytest.mark.parametrize(
    ("host", "status"),
    [
        pytest.param("127.0.0.1:{port}", 200, id="address"),
        pytest.param("localhost", 200, id="localhost"),
        pytest.param("LOCALHOST:1", 200, id="upper-case"),
        pytest.param("[::1]:{port}", 200, id="ipv6"),
        pytest.param("evil.example", 421, id="rebound"),
        pytest.param("127.0.0.1.evil.example", 421, id="prefix"),
        pytest.param("10.0.0.1", 421, id="other-address"),
        pytest.param("", 421, id="empty"),
    ],
)
def test_host_header(daemon: WebDaemon, host: str, status: int) -> None:
    """A name that is not ours is a page's that was rebound to our address."""
    for path in ("/api/ready", "/git/x.git/info/refs"):
        connection = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=10)
        connection.putrequest("GET", path, skip_host=True)
        connection.putheader("Host", host.format(port=daemon.port))
        connection.endheaders()
        found = connection.getresponse().status
        connection.close()
        assert found == (401 if status == 200 and path.startswith("/git") else status)


def test_unix_socket_is_private(daemon: WebDaemon) -> None:
    """Only its owner can open the socket, and whoever does is known by the kernel's word."""
    assert daemon.socket.stat().st_mode & 0o777 == 0o600
    assert daemon.socket.parent.stat().st_mode & 0o777 == 0o700
    change = {"auto_deploy_master_enabled": True, "reason": "who am I"}
    items = daemon.local.patch(f"{V1}/settings", json=change).json()["items"]
    assert f"local:{Path('/proc/self').stat().st_uid}" in {item["changed_by"] for item in items}


def test_every_answer_carries_the_guards(daemon: WebDaemon) -> None:
    """Answers of every kind forbid sniffing, framing, caching and scripts."""
    client = daemon.remote()
    for path in ("/", "/api/ready", f"{V1}/projects", "/git/x.git/info/refs"):
        headers = client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["cache-control"] == "no-store"
        assert len(headers["x-request-id"]) == 16
        assert "access-control-allow-origin" not in headers
        assert "server" not in headers


class TestBodies:
    def test_two_mebibytes(self, daemon: WebDaemon) -> None:
        """A body over 1 MiB is refused by its announced length, before it is read."""
        body = b'{"name": "' + b"x" * (2 << 20) + b'"}'
        headers = {"content-type": "application/json"}
        answer = daemon.local.post(f"{V1}/repositories", content=body, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (413, "too-large")

    def test_endless_body(self, daemon: WebDaemon) -> None:
        """A chunked gibibyte is refused once the first mebibyte is over."""
        sent = 0
        with socket.create_connection(("127.0.0.1", daemon.port), timeout=10) as connection:
            connection.sendall(
                f"POST {V1}/repositories HTTP/1.1\r\nHost: localhost\r\n"
                f"Authorization: Bearer {daemon.admin_token}\r\nTransfer-Encoding: chunked\r\n"
                "Content-Type: application/json\r\n\r\n".encode()
            )
            chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
            try:
                while sent < 1 << 30:
                    connection.sendall(chunk)
                    sent += 65536
            except OSError:
                pass
        assert sent < 64 << 20
        assert daemon.local.get("/api/ready").status_code == 200

    def test_without_a_token_no_body_is_read(self, daemon: WebDaemon) -> None:
        """Who shows no token is answered before any of the body is there."""
        with socket.create_connection(("127.0.0.1", daemon.port), timeout=10) as connection:
            connection.sendall(
                f"POST {V1}/repositories HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n"
                "Content-Type: application/json\r\n\r\n".encode()
            )
            assert connection.recv(100).startswith(b"HTTP/1.1 401")

    @pytest.mark.parametrize(
        ("body", "content_type", "status"),
        [
            pytest.param(b"{", "application/json", 422, id="cut"),
            pytest.param(b"[" * 100_000, "application/json", 422, id="deep"),
            pytest.param(b"null", "application/json", 422, id="null"),
            pytest.param(b"[]", "application/json", 422, id="list"),
            pytest.param(b"\xff\xfe", "application/json", 422, id="not-utf-8"),
            pytest.param(b'{"name": ' + b"9" * 5000 + b"}", "application/json", 422, id="number"),
            pytest.param(b'{"name": NaN}', "application/json", 422, id="nan"),
            pytest.param(b"", "application/json", 422, id="empty"),
            pytest.param(b'{"name": "x"}', "text/plain", 415, id="text"),
            pytest.param(b"name=x", "application/x-www-form-urlencoded", 415, id="form"),
            pytest.param(b'{"name": "x"}', None, 415, id="no-type"),
        ],
    )
    def test_what_is_no_json(
        self, daemon: WebDaemon, body: bytes, content_type: str | None, status: int
    ) -> None:
        """What is not a JSON object is refused with what it should be."""
        headers = {"content-type": content_type} if content_type else {}
        answer = daemon.local.post(f"{V1}/repositories", content=body, headers=headers)
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        if body == b"{":
            assert (answer.json()["field"], answer.json()["detail"]) == (
                "body",
                "body: is not JSON",
            )


def routers() -> Iterator[tuple[APIRouter, str]]:
    """Yield routers for routes that nobody may build, each with such a path."""
    yield APIRouter(), "/forgotten"  # says nothing at all
    yield router_for(Policy.READ, "tests", About.PROJECT), "/channels/{name}"
    yield router_for(Policy.READ, "tests", About.PROJECT), "/projects"
    yield router_for(Policy.READ, "tests", About.DEPLOYMENT), "/receipts/{id}"
    yield router_for(Policy.READ, "tests", About.NOTHING), "/anything"
    yield router_for(Policy.OPEN, "tests", About.DAEMON), "/anything"


def test_a_route_without_policy_is_not_built() -> None:
    """A route that does not say who may, or on what, keeps the whole application from starting."""
    for router, path in routers():
        router.add_api_route(path, lambda: None, methods=["GET"])
        app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
        app.include_router(router, prefix="/api/v1")
        with pytest.raises(UnguardedRoute, match=re.escape(path)):
            open_paths(app.router.routes)
    with pytest.raises(AttributeError):  # a policy alone is not enough
        APIRouter(route_class=GuardedRoute).get("/x")(lambda: None)


def test_answers_quickly_under_many_idle_connections(daemon: WebDaemon) -> None:
    """Connections that say nothing cost nobody else anything."""
    idle = [socket.create_connection(("127.0.0.1", daemon.port), timeout=5) for _ in range(200)]
    try:
        started = time.monotonic()
        assert daemon.local.get("/api/ready").status_code == 200
        assert time.monotonic() - started < 5
    finally:
        for connection in idle:
            connection.close()
    eventually(lambda: daemon.remote().get("/api/ready").status_code == 200)
