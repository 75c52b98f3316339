"""Webhooks over a real server: what forges may send, and what an operator sees of it."""

import json
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest

from reconciler.domain.secret import Secret
from reconciler.domain.webhook import DIALECTS, Provider
from reconciler.domain.webhook_payload import make_push
from reconciler.domain.webhook_signature import sign
from tests.parts.waiting import eventually
from tests.parts.web_client import WebDaemon, ok, refused

HOOKS = "/api/v1/webhooks"
BODY = json.dumps(make_push(Provider.FORGEJO, "team/app", "main")).encode()


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebDaemon]:
    with WebDaemon(tmp_path_factory.mktemp("webhooks")) as running:
        url = "https://git.example/team/app.git"
        body = {"name": "shop", "kind": "compose", "url": url, "auto_deploy": False}
        assert running.local.post("/api/v1/projects", json=body).status_code == 201
        yield running


@pytest.fixture(scope="module")
def forge(daemon: WebDaemon) -> httpx2.Client:
    """Whoever can reach the TCP listener."""
    return daemon.remote()


def declare(daemon: WebDaemon, name: str, provider: str = "forgejo", **more: object) -> str:
    """Declare a webhook; return its secret."""
    made = daemon.local.post(HOOKS, json={"name": name, "provider": provider, **more})
    assert made.status_code == 201, made.text
    return str(made.json()["secret"])


def signed(
    secret: str,
    body: bytes = BODY,
    *,
    provider: Provider = Provider.FORGEJO,
    event: str = "",
    delivery: str = "d-1",
) -> dict[str, str]:
    dialect = DIALECTS[provider]
    return {
        "content-type": "application/json",
        dialect.event_header: event or dialect.pushes[0],
        dialect.delivery_headers[0]: delivery,
        **sign(provider, body, Secret.of(secret), delivery, datetime.now(UTC)),
    }


def deliveries(daemon: WebDaemon, name: str, count: int) -> list[dict[str, Any]]:
    """Return a webhook's deliveries, newest first, once there are ``count``."""

    def found() -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = ok(daemon.local.get(f"{HOOKS}/{name}/deliveries"))["items"]
        return items if len(items) >= count else []

    return eventually(found, what=f"{count} deliveries of {name}")


@pytest.mark.parametrize("provider", list(Provider))
def test_every_provider_is_taken_and_recorded(
    daemon: WebDaemon, forge: httpx2.Client, provider: Provider
) -> None:
    """Without any token; a test by the daemon itself goes the same way."""
    secret = declare(daemon, provider, provider)
    body = json.dumps(make_push(provider, "team/app", "main")).encode()
    answer = forge.post(
        f"/webhook/{provider}", content=body, headers=signed(secret, body, provider=provider)
    )
    assert (answer.status_code, answer.json()) == (202, {"outcome": "accepted"})
    tried = ok(daemon.local.post(f"{HOOKS}/{provider}/test", json={}))
    assert (tried["repository"], tried["branch"], tried["wakes"]) == ("team/app", "main", ["shop"])
    of_test, of_forge = deliveries(daemon, provider, 2)
    assert of_forge["led_to"] == {"shop": "its auto-deploy is off"}
    assert (of_forge["verdict"], of_forge["remote"], of_forge["delivery"]) == (
        *("verified", "127.0.0.1"),
        "d-1",
    )
    assert (of_test["delivery"], of_test["remote"]) == (tried["delivery"], "a test")


def test_pings_are_answered(daemon: WebDaemon, forge: httpx2.Client) -> None:
    """200, so that the forge shows the way as open; other events are ignored, and said to be."""
    secret = declare(daemon, "pinged", "github")
    for event, status, outcome in (("ping", 200, "pong"), ("star", 202, "ignored")):
        body = b'{"zen": "Keep it logically awesome."}'
        headers = signed(secret, body, provider=Provider.GITHUB, event=event)
        answer = forge.post("/webhook/pinged", content=body, headers=headers)
        assert (answer.status_code, answer.json()["outcome"]) == (status, outcome)


def test_what_is_not_verified_is_answered_alike(daemon: WebDaemon, forge: httpx2.Client) -> None:
    """Whatever is wrong with it, so that who guesses learns nothing; the operator reads why."""
    secret, other = declare(daemon, "guessed"), declare(daemon, "neighbour")
    good = signed(secret)
    wrong: list[tuple[bytes, list[tuple[str, str]]]] = [
        (BODY, list(signed(other).items())),
        (BODY + b" ", list(good.items())),
        (b"{not json", list(good.items())),
        (b"", list(good.items())),
        (BODY, [one for one in good.items() if one[0] != "x-forgejo-signature"]),
        (BODY, [*good.items(), ("x-forgejo-signature", good["x-forgejo-signature"])]),
        (BODY, list({**good, "x-forgejo-signature": ""}.items())),
        (BODY, list({**good, "x-forgejo-signature": "sha1=" + "0" * 40}.items())),
        (BODY, list(signed(secret, provider=Provider.GITEA).items())),
        (BODY, list(signed(secret, provider=Provider.GITLAB).items())),
    ]
    answers = [forge.post("/webhook/guessed", content=body, headers=h) for body, h in wrong]
    for one in answers:
        refused(one, 401, "unverified")
    assert len({one.text for one in answers}) == 1
    items = deliveries(daemon, "guessed", len(wrong))
    assert {one["verdict"] for one in items} == {
        "signature-wrong",
        "signature-missing",
        "signature-malformed",
    }
    assert not any(one["verified"] or one["led_to"] for one in items)


def test_bytes_that_are_no_text_are_refused_too(daemon: WebDaemon, forge: httpx2.Client) -> None:
    """A signature or token outside of ASCII is compared like any other, and never an error."""
    declare(daemon, "bytes", "gitlab")
    headers = [(b"content-type", b"application/json"), (b"x-gitlab-token", b"\xc3\xa4\xff")]
    refused(forge.post("/webhook/bytes", content=BODY, headers=headers), 401, "unverified")


@pytest.mark.parametrize(
    "name", ["nobody", "UPPER", "%2e%2e", "a%00b", "x" * 300, "push%0a", "%ff"]
)
def test_there_is_no_way_in_that_nobody_declared(forge: httpx2.Client, name: str) -> None:
    """404, alike for every name, also for the paths that forges are known to use."""
    answer = forge.post(f"/webhook/{name}", content=BODY, headers=signed("a" * 16))
    found = refused(answer, 404, "not-found")
    assert found["detail"] == "there is no such webhook"
    for known in ("push", "forgejo"):
        assert forge.get(f"/webhook/{known}").status_code == 405


def test_forms_are_refused_with_what_helps(daemon: WebDaemon, forge: httpx2.Client) -> None:
    """A forge that sends forms needs another setting, and both sides say so."""
    secret = declare(daemon, "form")
    form = b"payload=%7B%7D"
    headers = {**signed(secret, form), "content-type": "application/x-www-form-urlencoded"}
    answer = forge.post("/webhook/form", content=form, headers=headers)
    assert "application/json" in refused(answer, 415, "unsupported-media-type")["remedy"]
    assert deliveries(daemon, "form", 1)[0]["verdict"] == "not-json"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        pytest.param(b"{", "body", id="cut"),
        pytest.param(b"[" * 100_000, "body", id="deep"),
        pytest.param(b"null", "body", id="null"),
        pytest.param(b'{"ref": null, "repository": null}', "repository.full_name", id="nulls"),
    ],
)
def test_garbage_from_a_friend(
    daemon: WebDaemon, forge: httpx2.Client, body: bytes, field: str
) -> None:
    """Verified, so that it is told what is wrong."""
    if "garbage" not in {one["name"] for one in ok(daemon.local.get(HOOKS))["items"]}:
        declare(daemon, "garbage", secret="x" * 20)
    answer = forge.post("/webhook/garbage", content=body, headers=signed("x" * 20, body))
    assert refused(answer, 422, "invalid-input")["field"] == field


def test_a_body_has_a_limit(daemon: WebDaemon, forge: httpx2.Client) -> None:
    """Whether it says its length or not."""
    secret = declare(daemon, "large")
    large = b'{"a": "' + b"x" * (1 << 20) + b'"}'
    headers = signed(secret, large)
    refused(forge.post("/webhook/large", content=large, headers=headers), 413, "too-large")
    chunks = (large[start : start + 65536] for start in range(0, len(large), 65536))
    refused(forge.post("/webhook/large", content=chunks, headers=headers), 413, "too-large")


def test_without_a_webhook_no_body_is_read(daemon: WebDaemon) -> None:
    """Who knocks at a door that is not there is answered before any of the body has come."""
    with socket.create_connection(("127.0.0.1", daemon.port), timeout=10) as connection:
        connection.sendall(
            b"POST /webhook/nobody HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n"
            b"Content-Type: application/json\r\n\r\n"
        )
        assert connection.recv(100).startswith(b"HTTP/1.1 404")


def test_a_rotation_takes_both_until_it_is_finished(
    daemon: WebDaemon, forge: httpx2.Client
) -> None:
    """And the secrets are shown once, and nowhere again."""
    first = declare(daemon, "rotated")
    second = str(ok(daemon.local.post(f"{HOOKS}/rotated/rotate", json={}))["secret"])
    status = {
        secret: forge.post("/webhook/rotated", content=BODY, headers=signed(secret)).status_code
        for secret in (first, second)
    }
    assert status == {first: 202, second: 202}
    shown = ok(daemon.local.get(f"{HOOKS}/rotated"))
    assert shown["previous_fingerprint"]
    ended = ok(daemon.local.delete(f"{HOOKS}/rotated/previous-secret"))
    assert ended["previous_fingerprint"] is None
    refused(forge.post("/webhook/rotated", content=BODY, headers=signed(first)), 401, "unverified")
    body = {"keep_previous": False}
    third = str(ok(daemon.local.post(f"{HOOKS}/rotated/rotate", json=body))["secret"])
    assert forge.post("/webhook/rotated", content=BODY, headers=signed(third)).status_code == 202
    refused(forge.post("/webhook/rotated", content=BODY, headers=signed(second)), 401, "unverified")
    verdicts = {one["verdict"] for one in deliveries(daemon, "rotated", 5)}
    assert verdicts == {"verified", "verified-by-previous-secret", "signature-wrong"}
    told = daemon.local.get(HOOKS).text + daemon.local.get(f"{HOOKS}/rotated/deliveries").text
    log = (daemon.folder / "daemon.log").read_text()
    for secret in (first, second, third):
        assert secret not in told + log


def test_what_may_not_be_declared(daemon: WebDaemon) -> None:
    """Each is told with its field, and no secret is shown again."""
    good = {"name": "odd", "provider": "gitea"}
    for change, field in (
        ({"name": "A/b"}, "name"),
        ({"provider": "svn"}, "provider"),
        ({"secret": "short"}, "secret"),
        ({"secret": ""}, "secret"),
        ({"secret": "with a space in it"}, "secret"),
        ({"provider": "gitlab-signed", "secret": "whsec_no-base64-at-all"}, "secret"),
        ({"project": "UPPER"}, "project"),
    ):
        answer = daemon.local.post(HOOKS, json={**good, **change})
        assert answer.status_code == 422, (change, answer.text)
        assert answer.json()["field"] == field
        assert not change.get("secret") or str(change["secret"]) not in answer.text
    missing = daemon.local.post(HOOKS, json={**good, "project": "nobody"})
    refused(missing, 404, "not-found")
    declare(daemon, "taken")
    again = daemon.local.post(HOOKS, json={"name": "taken", "provider": "gitea"})
    assert "rotate taken" in refused(again, 409, "already-exists")["remedy"]


def test_a_removed_webhook_is_gone_at_once(daemon: WebDaemon, forge: httpx2.Client) -> None:
    """What the forge still sends finds no door."""
    secret = declare(daemon, "gone")
    assert daemon.local.delete(f"{HOOKS}/gone").status_code == 204
    refused(forge.post("/webhook/gone", content=BODY, headers=signed(secret)), 404, "not-found")
    refused(daemon.local.get(f"{HOOKS}/gone/deliveries"), 404, "not-found")
    refused(daemon.local.delete(f"{HOOKS}/gone"), 404, "not-found")
    refused(daemon.local.post(f"{HOOKS}/gone/test", json={}), 404, "not-found")
