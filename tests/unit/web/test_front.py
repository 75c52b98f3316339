"""For whom a request is: what a proxy says of it counts, and what anybody else says is gone."""

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_network

import httpx2
import pytest
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from reconciler.web.auth import PEER, VOUCHED_FOR
from reconciler.web.front import Front, Rules
from reconciler.web.limits import OwnHosts

PROXY, STRANGER = "10.0.0.1", "203.0.113.9"
RULES = Rules((ip_network("10.0.0.0/24"),), "X-Forwarded-For", "remote-user", proxies_only=False)
STRICT = Rules(RULES.proxies, RULES.proxy_header, RULES.sign_in_header, proxies_only=True)
HOSTS = OwnHosts(("deploy.example.com",), any_address=False)


async def _show(scope: Scope, receive: Receive, send: Send) -> None:
    headers = [[name.decode(), value.decode("latin-1")] for name, value in scope["headers"]]
    seen = {
        "client": scope["client"][0],
        "scheme": scope["scheme"],
        "named": scope.get(VOUCHED_FOR),
        "headers": headers,
    }
    await JSONResponse(seen)(scope, receive, send)


def ask(
    *headers: tuple[str, str],
    peer: str = PROXY,
    rules: Rules = RULES,
    server: str = "10.0.0.2",
    path: str = "/",
    method: str = "GET",
) -> httpx2.Response:
    front = Front(_show, rules=rules, hosts=HOSTS)
    transport = httpx2.ASGITransport(front, client=(peer, 4711))

    async def get() -> httpx2.Response:
        async with httpx2.AsyncClient(transport=transport, base_url=f"http://{server}") as client:
            return await client.request(method, path, headers=list(headers))

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, get()).result()


def seen(*headers: tuple[str, str], peer: str = PROXY) -> dict[str, object]:
    answer = ask(*headers, peer=peer)
    assert answer.status_code == 200, answer.text
    found: dict[str, object] = json.loads(answer.text)
    return found


SAID = (
    ("X-Forwarded-For", f"6.6.6.6, {STRANGER}"),
    ("X-Forwarded-Proto", "https"),
    ("X-Forwarded-Host", "deploy.example.com"),
    ("Remote-User", "ada"),
)


def test_a_proxy_is_believed() -> None:
    """Client, scheme, host and person are those that it names."""
    found = seen(*SAID)
    assert (found["client"], found["scheme"], found["named"]) == (STRANGER, "https", "ada")
    assert ["host", "deploy.example.com"] in found["headers"]  # type: ignore[operator]


@pytest.mark.parametrize("peer", [STRANGER, "127.0.0.1", "::1", "10.0.1.1"])
def test_nobody_else_is(peer: str) -> None:
    """Nothing of what they say is left for what comes behind."""
    found = seen(*SAID, peer=peer)
    assert (found["client"], found["scheme"], found["named"]) == (peer, "http", None)
    names = {name for name, _ in found["headers"]}  # type: ignore[attr-defined]
    assert not names & {"x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "remote-user"}


def test_of_two_people_none_is_taken() -> None:
    """One of them the proxy has only passed on."""
    assert seen(("Remote-User", "ada"), ("remote-user", "root"))["named"] is None
    assert seen(("Remote-User", "  "))["named"] is None


@pytest.mark.parametrize("text", ["", ",", "for=;;;", "[", "1.2.3.4.5", "%", "a" * 9000])
def test_what_is_malformed_is_ignored(text: str) -> None:
    """And never a failure."""
    found = seen(("X-Forwarded-For", text), ("X-Forwarded-Proto", text), ("Forwarded", text))
    assert (found["client"], found["scheme"]) == (PROXY, "http")


def test_a_host_that_is_not_ours_is_none_in_either_header() -> None:
    """Else a name that was rebound to our address would count by way of the proxy."""
    answer = ask(("X-Forwarded-Host", "evil.example"))
    assert (answer.status_code, answer.json()["code"]) == (421, "unknown-host")


def test_where_nothing_is_encrypted_the_proxy_alone_is_answered() -> None:
    """And this very machine, from which nothing travels."""
    refused = ask(peer=STRANGER, rules=STRICT)
    assert (refused.status_code, refused.json()["code"]) == (403, "access-denied")
    assert "trusted_proxies" in refused.json()["remedy"]
    for peer in (PROXY, "::ffff:10.0.0.1", "127.0.0.1", "::1", "10.0.1.7"):
        assert ask(peer=peer, rules=STRICT, server="10.0.1.7").status_code == 200, peer


@pytest.mark.parametrize(
    ("method", "path", "answered"),
    [
        ("GET", "/api/healthz", True),
        ("GET", "/api/ready", True),
        ("GET", "/api/version", True),
        ("POST", "/api/ready", False),
        ("GET", "/api/ready/", False),
        ("GET", "/api/v1/status", False),
        ("GET", "/metrics", False),
    ],
)
def test_whoever_looks_after_the_daemon_may_ask_from_anywhere(
    method: str, path: str, answered: bool
) -> None:
    """Whether it is well, and which version: that holds no secret, and takes none."""
    asked = ask(*SAID, peer=STRANGER, rules=STRICT, path=path, method=method)
    assert asked.status_code == (200 if answered else 403)
    if answered:
        assert (asked.json()["client"], asked.json()["named"]) == (STRANGER, None)


def test_browsers_are_held_to_tls_where_it_is() -> None:
    """Not where it is not: the address would be out of reach for a year."""
    promise = "strict-transport-security"
    assert promise in ask(("X-Forwarded-Proto", "https")).headers
    assert promise not in ask(("X-Forwarded-Proto", "http")).headers
    assert promise not in ask(("X-Forwarded-Proto", "https"), peer=STRANGER).headers


def test_the_socket_is_left_alone() -> None:
    """Who opened it is known from the kernel."""
    scope = {"type": "http", PEER: "local:0", "headers": [(b"x-forwarded-for", b"1.2.3.4")]}
    passed: list[Scope] = []

    async def keep(scope: Scope, _receive: Receive, _send: Send) -> None:
        passed.append(dict(scope))

    front = Front(keep, rules=STRICT, hosts=HOSTS)
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, front(scope, None, None)).result()  # type: ignore[arg-type]
    assert passed == [scope]
