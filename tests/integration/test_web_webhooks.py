"""Webhooks over a real server: what forges may send, and what an operator sees of it."""

import json
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest

from reconciler.domain.references import ImageReference
from reconciler.domain.registry_event import make_image_push
from reconciler.domain.secret import Secret
from reconciler.domain.webhook import DIALECTS, FORGES, REGISTRY_HOSTS, Provider
from reconciler.domain.webhook_payload import make_push
from reconciler.domain.webhook_signature import sign
from tests.parts.forge import TOKEN, Forge
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


@pytest.mark.parametrize("provider", FORGES)
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


def test_who_leaves_in_the_middle_is_no_bug(daemon: WebDaemon, forge: httpx2.Client) -> None:
    """A stranger's connection that breaks off fills no log with tracebacks."""
    secret = declare(daemon, "left")
    with socket.create_connection(("127.0.0.1", daemon.port), timeout=10) as connection:
        connection.sendall(
            b"POST /webhook/left HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n"
            b"Content-Type: application/json\r\n\r\n{"
        )
    assert forge.post("/webhook/left", content=BODY, headers=signed(secret)).status_code == 202
    assert "/webhook/left" not in (daemon.folder / "daemon.log").read_text()


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
        ({"registry": "registry.example"}, "registry"),
        ({"provider": "distribution"}, "registry"),
        ({"provider": "harbor", "registry": "https://hub.example"}, "registry"),
        ({"provider": "quay", "registry": "Quay.example"}, "registry"),
        ({"provider": "docker-hub", "secret": "not/for/a/path/at.all"}, "secret"),
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


def test_a_webhook_may_wake_the_apps_that_a_push_names(daemon: WebDaemon) -> None:
    """Of many, so that one project alone and that exclude each other."""
    declare(daemon, "mono", "gitea", matching="apps")
    assert ok(daemon.local.get(f"{HOOKS}/mono"))["matching"] == "apps"
    for change in ({"matching": "folders"}, {"matching": "apps", "project": "shop"}):
        answer = daemon.local.post(HOOKS, json={"name": "x", "provider": "gitea", **change})
        assert refused(answer, 422, "invalid-input")["field"] == "matching"


def test_a_webhook_is_registered_at_its_forge(daemon: WebDaemon) -> None:
    """By an administrator; the forge's test comes as a delivery, and refusals say what helps."""
    path = "/api/v1/projects/shop/webhook"
    with Forge(Provider.GITEA) as forge:
        asked = {"provider": "gitea", "forge_url": forge.url, "url": daemon.url, "token": TOKEN}
        reader = daemon.remote(daemon.make_token("registering", "read"))
        refused(reader.post(path, json=asked), 403, "access-denied")
        made = ok(daemon.local.post(path, json=asked))
        assert (made["declared"], made["created"], made["tested"]) == (True, True, "sent")
        (came,) = deliveries(daemon, "shop", 1)
        assert came["verdict"] == "verified"
        assert came["number"] > made["after"]
        (there,) = forge.hooks.values()
        shown = ok(daemon.local.get(f"{HOOKS}/shop"))
        assert shown["registration"]["hook"] == str(there.id)
        assert shown["announced"] is None
        for change, status, code in (
            ({"token": "not-this-one"}, 409, "forge-denied"),
            ({"token": "two words"}, 422, "invalid-input"),
            ({"url": "http://0.0.0.0"}, 422, "invalid-input"),
            ({"provider": None}, 422, "invalid-input"),
        ):
            answer = daemon.local.post(path, json={**asked, **change})
            problem = refused(answer, status, code)
            assert code != "forge-denied" or "write:repository" in problem["remedy"]
            assert "two words" not in answer.text
            assert "not-this-one" not in answer.text
        token = {"token": TOKEN}
        assert ok(daemon.local.post(f"{HOOKS}/shop/deregister", json=token))["registration"] is None
        assert forge.hooks == {}
    away = daemon.local.post(path, json=asked)
    refused(away, 502, "forge-unreachable")
    assert TOKEN not in (daemon.folder / "daemon.log").read_text() + away.text


def test_a_removed_webhook_is_gone_at_once(daemon: WebDaemon, forge: httpx2.Client) -> None:
    """What the forge still sends finds no door."""
    secret = declare(daemon, "gone")
    assert daemon.local.delete(f"{HOOKS}/gone").status_code == 204
    refused(forge.post("/webhook/gone", content=BODY, headers=signed(secret)), 404, "not-found")
    refused(daemon.local.get(f"{HOOKS}/gone/deliveries"), 404, "not-found")
    refused(daemon.local.delete(f"{HOOKS}/gone"), 404, "not-found")
    refused(daemon.local.post(f"{HOOKS}/gone/test", json={}), 404, "not-found")


# ── Registries ────────────────────────────────────────────────────────────────────────────────────

HOST = "registry.example:5000"
EVENTS = "application/vnd.docker.distribution.events.v1+json"


def pushed(provider: Provider, name: str = "team/app:1.2") -> bytes:
    host = REGISTRY_HOSTS[provider] or HOST
    return json.dumps(make_image_push(provider, ImageReference.parse(f"{host}/{name}"))).encode()


def registry_request(
    provider: Provider, name: str, secret: str, body: bytes
) -> tuple[str, dict[str, str]]:
    """Return where the registry sends to, and its headers."""
    headers = {"content-type": EVENTS if provider is Provider.DISTRIBUTION else "application/json"}
    if provider.has_key_in_path:
        return f"/webhook/{name}/{secret}", headers
    if event := DIALECTS[provider].event_header:
        headers[event] = "registry_package"
    signed_with = sign(provider, body, Secret.of(secret), "", datetime.now(UTC))
    return f"/webhook/{name}", headers | signed_with


@pytest.mark.parametrize("provider", list(REGISTRY_HOSTS))
def test_every_registry_is_taken_by_its_own_way_alone(
    daemon: WebDaemon, forge: httpx2.Client, provider: Provider
) -> None:
    """With the secret of this webhook, where this provider sends it; shown nowhere again."""
    declared = {"registry": HOST} if REGISTRY_HOSTS[provider] is None else {}
    secret = declare(daemon, f"r-{provider}", provider, **declared)
    other = declare(daemon, f"other-{provider}", provider, **declared)
    shown = ok(daemon.local.get(f"{HOOKS}/r-{provider}"))
    assert shown["registry"] == (REGISTRY_HOSTS[provider] or HOST)
    assert shown["url_path"].endswith("/KEY") is provider.has_key_in_path
    body = pushed(provider)
    path, headers = registry_request(provider, f"r-{provider}", secret, body)
    answer = forge.post(path, content=body, headers=headers)
    assert (answer.status_code, answer.json()) == (202, {"outcome": "accepted"})

    refusals = [
        registry_request(provider, f"r-{provider}", other, body),
        registry_request(provider, f"r-{provider}", secret[:-1], body),
        registry_request(provider, f"r-{provider}", "%C3%A4" * 8, body),
        (f"/webhook/r-{provider}", {"content-type": headers["content-type"]}),
    ]
    if not provider.has_key_in_path:  # the right key, at the wrong place
        refusals += [(f"/webhook/r-{provider}/{secret}", one) for one in (headers, {**headers})]
        twice = [*headers.items(), *((n, v) for n, v in headers.items() if n != "content-type")]
        refused(forge.post(path, content=body, headers=twice), 401, "unverified")
    else:
        bearer = {**headers, "authorization": f"Bearer {secret}", "x-gitlab-token": secret}
        refusals.append((f"/webhook/r-{provider}", bearer))
    for to, given in refusals:
        refused(forge.post(to, content=body, headers=given), 401, "unverified")

    items = deliveries(daemon, f"r-{provider}", len(refusals) + 1)
    (taken,) = [one for one in items if one["verified"]]
    image = f"{REGISTRY_HOSTS[provider] or HOST}/team/app:1.2"
    assert (taken["announces"], taken["note"]) == (image, f"no project follows {image}")
    told = daemon.local.get(f"{HOOKS}/r-{provider}/deliveries").text + daemon.local.get(HOOKS).text
    log = (daemon.folder / "daemon.log").read_text()
    assert secret not in told + log


def test_a_registry_s_media_type_is_taken_of_it_alone(
    daemon: WebDaemon, forge: httpx2.Client
) -> None:
    """And a registry's payload may have no other than JSON's."""
    forgejo = declare(daemon, "media")
    headers = {**signed(forgejo), "content-type": EVENTS}
    refused(
        forge.post("/webhook/media", content=BODY, headers=headers), 415, "unsupported-media-type"
    )
    secret = declare(daemon, "media-d", "distribution", registry=HOST)
    for kind, status in ((EVENTS, 202), (EVENTS.replace("v1", "v2"), 202), ("text/plain", 415)):
        given = {"authorization": f"Bearer {secret}", "content-type": kind}
        answer = forge.post(
            "/webhook/media-d", content=pushed(Provider.DISTRIBUTION), headers=given
        )
        assert answer.status_code == status


def test_a_test_push_needs_somebody_who_watches(daemon: WebDaemon) -> None:
    """Else it could show nothing."""
    declare(daemon, "tried", "harbor", registry=HOST)
    answer = daemon.local.post(f"{HOOKS}/tried/test", json={})
    assert HOST in refused(answer, 409, "conflict")["detail"]


def test_a_delivery_is_looked_into_again(daemon: WebDaemon, forge: httpx2.Client) -> None:
    """By number, in the name of who asked; one that was refused is not."""
    secret = declare(daemon, "again")
    forge.post("/webhook/again", content=BODY, headers=signed(secret))
    (first,) = deliveries(daemon, "again", 1)
    path = f"{HOOKS}/again/deliveries"
    answer = daemon.local.post(f"{path}/{first['number']}/redeliver")
    assert answer.status_code == 202
    made = answer.json()
    assert made == ok(daemon.local.get(f"{path}/{made['number']}"))
    assert (made["repeats"], made["announces"]) == (first["number"], "main of team/app")
    assert made["note"].startswith("asked for by ")
    assert made["led_to"] == {"shop": "its auto-deploy is off"}
    (noted,) = ok(daemon.local.get("/api/v1/audit", params={"action": "webhook.redeliver"}))[
        "items"
    ]
    assert noted["changes"] == {"delivery": {"before": None, "after": first["number"]}}

    forge.post("/webhook/again", content=BODY, headers=signed("another-secret-altogether"))
    forged = deliveries(daemon, "again", 3)[0]
    refused(daemon.local.post(f"{path}/{forged['number']}/redeliver"), 409, "conflict")
    for missing in (f"{path}/999999", f"{HOOKS}/nobody/deliveries/1"):
        refused(daemon.local.get(missing), 404, "not-found")
        refused(daemon.local.post(f"{missing}/redeliver"), 404, "not-found")
    refused(daemon.local.get(f"{path}/0"), 422, "invalid-input")
    assert forge.post(f"{path}/{first['number']}/redeliver").status_code == 401

    def listed(**query: str | int) -> dict[str, Any]:
        found: dict[str, Any] = ok(daemon.local.get("/api/v1/deliveries", params=query))
        return found

    page = listed(webhook="again", limit=2)
    assert [one["number"] for one in page["items"]] == [forged["number"], made["number"]]
    rest = listed(webhook="again", limit=2, cursor=page["next"])
    assert ([one["number"] for one in rest["items"]], rest["next"]) == ([first["number"]], None)
    both = listed(webhook="again", project="shop", outcome="followed")["items"]
    assert [one["number"] for one in both] == [made["number"], first["number"]]
    assert listed(outcome="refused", limit=1)["items"][0]["webhook"] == "again"
    for wrong in ({"cursor": "x"}, {"outcome": "x"}, {"project": "UPPER"}, {"webhook": "A"}):
        assert daemon.local.get("/api/v1/deliveries", params=wrong).status_code == 422
    for nobody in ({"project": "nobody"}, {"webhook": "nobody"}):
        refused(daemon.local.get("/api/v1/deliveries", params=nobody), 404, "not-found")
