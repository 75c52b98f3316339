"""Hosts through REST, against a real sshd."""

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest

from tests.parts.sshd import Sshd
from tests.parts.waiting import eventually
from tests.parts.web_client import WebDaemon, ok, refused

pytestmark = pytest.mark.needs_sshd
HOSTS = "/api/v1/hosts"


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebDaemon]:
    with WebDaemon(tmp_path_factory.mktemp("hosts")) as running:
        yield running


@pytest.fixture(scope="module")
def api(daemon: WebDaemon) -> httpx2.Client:
    return daemon.local


def declare(api: httpx2.Client, name: str, sshd: Sshd) -> None:
    body = {"name": name, "address": "127.0.0.1", "user": sshd.user, "port": sshd.port}
    ok(api.post(HOSTS, json=body))
    key = sshd.key_path.read_text()
    stored = ok(api.put(f"{HOSTS}/{name}/key", json={"value": key}))
    assert len(stored["key"]["fingerprint"]) == 8
    assert "PRIVATE" not in str(stored)


def test_readers_who_ask_a_silent_host_keep_nobody_waiting(
    daemon: WebDaemon, api: httpx2.Client
) -> None:
    """Each question takes a thread for as long as the host is silent."""
    reader = daemon.remote(daemon.make_token("reader", "read"))
    with socket.create_server(("127.0.0.1", 0)) as silent, ThreadPoolExecutor(20) as threads:
        port = silent.getsockname()[1]
        ok(
            api.post(
                HOSTS, json={"name": "mute", "address": "127.0.0.1", "user": "u", "port": port}
            )
        )
        asked = [threads.submit(reader.get, f"{HOSTS}/mute/offered-keys") for _ in range(20)]
        eventually(lambda: sum(one.done() for one in asked) == 16)
        silent.close()
    assert sorted(one.result().status_code for one in asked) == [409] * 16 + [503] * 4
    assert api.delete(f"{HOSTS}/mute").status_code == 204


def test_a_host_is_used_once_a_person_confirmed_its_key(api: httpx2.Client, sshd: Sshd) -> None:
    """Declared, refused before that, confirmed by the fingerprint it shows, checked, removed."""
    declare(api, "web1", sshd)
    before = ok(api.post(f"{HOSTS}/web1/check"))
    assert (before["confirmed"], before["health"]["reachable"]) == (False, False)
    assert before["health"]["error"]["code"] == "host-key-unconfirmed"
    assert "reconciler host trust" in before["health"]["error"]["remedy"]
    (offered,) = ok(api.get(f"{HOSTS}/web1/offered-keys"))["items"]
    assert (offered["key"], offered["trusted"]) == (sshd.host_key, False)
    assert offered["fingerprint"] == sshd.host_fingerprint
    trusted = ok(api.post(f"{HOSTS}/web1/trust", json={"fingerprint": offered["fingerprint"]}))
    assert (trusted["fingerprint"], trusted["before"]) == (offered["fingerprint"], [])
    checked = ok(api.post(f"{HOSTS}/web1/check"))
    assert checked["health"]["error"] is None
    assert (checked["health"]["reachable"], checked["facts"]["user"]) == (True, sshd.user)
    assert checked["host_keys"] == [offered["fingerprint"]]
    shown = ok(api.get(f"{HOSTS}/web1"))
    assert shown == checked
    assert ok(api.get(HOSTS))["items"] == [shown]
    assert ok(api.get("/api/v1/status"))["hosts"] == [shown]
    assert api.delete(f"{HOSTS}/web1").status_code == 204
    refused(api.get(f"{HOSTS}/web1"), 404, "not-found")


def test_a_changed_key_is_taken_over_by_its_fingerprint_alone(api: httpx2.Client) -> None:
    """The check names both; only the key that the host shows can be trusted, by a person."""
    with Sshd() as sshd:
        declare(api, "moved", sshd)
        (first,) = ok(api.get(f"{HOSTS}/moved/offered-keys"))["items"]
        ok(api.post(f"{HOSTS}/moved/trust", json={"fingerprint": first["fingerprint"]}))
        assert ok(api.post(f"{HOSTS}/moved/check"))["health"]["reachable"]
        sshd.change_host_key()
        (second,) = ok(api.get(f"{HOSTS}/moved/offered-keys"))["items"]
        assert second["fingerprint"] != first["fingerprint"]
        api.put(f"{HOSTS}/moved/key", json={"value": sshd.key_path.read_text()})
        error = ok(api.post(f"{HOSTS}/moved/check"))["health"]["error"]
        assert error["code"] == "host-key-changed"
        assert first["fingerprint"] in error["message"]
        assert second["fingerprint"] in error["message"]
        wrong = api.post(f"{HOSTS}/moved/trust", json={"fingerprint": first["fingerprint"]})
        told = refused(wrong, 409, "host-key-not-offered")
        assert second["fingerprint"] in told["detail"]
        after = ok(api.post(f"{HOSTS}/moved/trust", json={"fingerprint": second["fingerprint"]}))
        assert after["before"] == [first["fingerprint"]]
        assert ok(api.post(f"{HOSTS}/moved/check"))["health"]["reachable"]


def test_another_address_has_to_be_confirmed_anew(api: httpx2.Client, sshd: Sshd) -> None:
    """What was pinned says nothing of another machine; the user's name does not matter."""
    declare(api, "wanders", sshd)
    (offered,) = ok(api.get(f"{HOSTS}/wanders/offered-keys"))["items"]
    ok(api.post(f"{HOSTS}/wanders/trust", json={"fingerprint": offered["fingerprint"]}))
    assert ok(api.patch(f"{HOSTS}/wanders", json={"user": "other"}))["confirmed"]
    moved = ok(api.patch(f"{HOSTS}/wanders", json={"address": "localhost.example"}))
    assert (moved["confirmed"], moved["host_keys"]) == (False, [])
    assert moved["key"] is not None
    alias = ok(api.patch(f"{HOSTS}/wanders", json={"alias": "web"}))
    assert (alias["alias"], alias["address"], alias["user"], alias["port"]) == (
        "web", None, None, None,
    )  # fmt: skip
    key = {"value": sshd.key_path.read_text()}
    refused(api.put(f"{HOSTS}/wanders/key", json=key), 422, "invalid-input")


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        pytest.param({"name": "local", "alias": "x"}, {"name"}, id="local"),
        pytest.param({"name": "localhost", "alias": "x"}, {"name"}, id="localhost"),
        pytest.param({"name": "-oProxyCommand=x", "alias": "x"}, {"name"}, id="option"),
        pytest.param({"name": "w", "alias": "-oProxyCommand=x"}, {"alias"}, id="alias-option"),
        pytest.param({"name": "w", "alias": "*"}, {"alias"}, id="pattern"),
        pytest.param({"name": "w"}, {"address", "user"}, id="nothing"),
        pytest.param(
            {"name": "w", "address": "-x", "user": "-l", "port": 0},
            {"address", "user", "port"},
            id="all",
        ),
        pytest.param(
            {"name": "w", "alias": "a", "address": "b", "port": 22}, {"address", "port"}, id="both"
        ),
    ],
)
def test_every_wrong_field_is_named(
    api: httpx2.Client, body: dict[str, object], fields: set[str]
) -> None:
    """A host that can't be one is refused, and nothing is declared."""
    answer = api.post(HOSTS, json=body)
    assert answer.status_code == 422, answer.text
    told = answer.json()
    named = {one["field"] for one in told["problems"]} if len(fields) > 1 else {told["field"]}
    assert named == fields
    assert "w" not in {one["name"] for one in ok(api.get(HOSTS))["items"]}


def test_a_host_that_does_not_answer(api: httpx2.Client) -> None:
    """It is declared all the same; asking for its keys, and a check, say why that can't be."""
    body = {"name": "away", "address": "127.0.0.1", "user": "root", "port": 1}
    ok(api.post(HOSTS, json=body))
    refused(api.get(f"{HOSTS}/away/offered-keys"), 503, "target-unreachable")
    trust = {"fingerprint": f"SHA256:{'a' * 43}"}
    refused(api.post(f"{HOSTS}/away/trust", json=trust), 503, "target-unreachable")
    refused(api.post(f"{HOSTS}/away/trust", json={"fingerprint": "x"}), 422, "invalid-reference")
    refused(api.post(HOSTS, json=body), 409, "already-exists")


def test_a_key_is_no_secret_for_long_where_it_is_none(api: httpx2.Client) -> None:
    """What is no private key is refused, and never quoted."""
    ok(api.post(HOSTS, json={"name": "keyed", "address": "10.0.0.9", "user": "me"}))
    answer = api.put(f"{HOSTS}/keyed/key", json={"value": "hunter2 is no key"})
    refused(answer, 422, "invalid-input")
    assert "hunter2" not in answer.text


def test_who_may_only_read_changes_nothing(daemon: WebDaemon) -> None:
    """Declaring and trusting need the operator."""
    reader = daemon.remote(daemon.make_token("hosts-reader", "read"))
    assert reader.get(HOSTS).status_code == 200
    assert reader.post(HOSTS, json={"name": "x", "alias": "x"}).status_code == 403
    assert reader.post(f"{HOSTS}/x/trust", json={"fingerprint": "x"}).status_code == 403
