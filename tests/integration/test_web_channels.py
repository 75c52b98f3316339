"""Channels over a real server and from the terminal: declared, tried, changed, and told."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from reconciler.cli.main import main
from tests.parts.http_server import Answer, HttpServer
from tests.parts.web_client import WebDaemon, ok, refused

CHANNELS = "/api/v1/channels"
CANARY = "canary-4711-of-ours"


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebDaemon]:
    with WebDaemon(tmp_path_factory.mktemp("channels")) as running:
        yield running


@pytest.fixture(scope="module")
def receiver() -> Iterator[HttpServer]:
    with HttpServer(lambda _: Answer(204)) as running:
        yield running


def create(daemon: WebDaemon, name: str, url: str, **more: object) -> httpx2.Response:
    return daemon.local.post(CHANNELS, json={"name": name, "url": url, **more})


def test_a_channel_from_its_declaration_to_its_end(daemon: WebDaemon, receiver: HttpServer) -> None:
    """Its address and key are shown once at most, and stand in no answer, log or file after."""
    status = ok(daemon.local.get("/api/v1/status"))["notifications"]
    assert status == {"channels": 0, "failing": []}
    made = create(daemon, "ops", f"{receiver.url}/{CANARY}", remind_after_seconds=3600)
    assert made.status_code == 201, made.text
    key = made.json()["signing_key"]
    assert CANARY not in made.text
    assert made.json()["events"] == ["failure", "needs-person", "recovery", "rollback"]

    trial = ok(daemon.local.post(f"{CHANNELS}/ops/test"))
    assert (trial["sent"], trial["error"]) == (True, None)
    assert json.loads(receiver.requests[-1].body)["title"] == "a test of the channel ops"

    changed = ok(daemon.local.patch(f"{CHANNELS}/ops", json={"events": ["success"]}))
    assert (changed["events"], changed["signing_key"]) == (["success"], None)
    assert changed["remind_after_seconds"] == 3600

    shown = [
        repr(ok(daemon.local.get(path)))
        for path in (CHANNELS, f"{CHANNELS}/ops", f"{CHANNELS}/ops/messages", "/api/v1/audit")
    ]
    shown.append((daemon.folder / "daemon.log").read_text())
    files = [path for path in (daemon.folder / "data").rglob("*") if path.is_file()]
    kept = b"".join(path.read_bytes() for path in files)
    for secret in (CANARY, key):
        assert not any(secret in text for text in shown)
        assert secret.encode() not in kept
    assert daemon.local.delete(f"{CHANNELS}/ops").status_code == 204
    refused(daemon.local.get(f"{CHANNELS}/ops"), 404, "not-found")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        pytest.param({"url": f"json://host/{CANARY}"}, "url", id="anywhere"),
        pytest.param({"url": f"https://u:{CANARY}@h/"}, "url", id="credentials"),
        pytest.param({"url": f"slack://{CANARY}"}, "url", id="not-its-form"),
        pytest.param({"url": f"ntfy://h/{CANARY}", "events": ["failures"]}, "events", id="event"),
        pytest.param(
            {"url": f"ntfy://h/{CANARY}", "remind_after_seconds": 5},
            "remind_after_seconds",
            id="reminder",
        ),
        pytest.param(
            {"url": f"ntfy://h/{CANARY}", "template": "{{ project.x }}"}, "template", id="template"
        ),
        pytest.param({"url": [CANARY]}, "url", id="no-text"),
        pytest.param({"url": f"ntfy://h/{CANARY}", "name": "A"}, "name", id="name"),
    ],
)
def test_what_is_wrong_is_named(daemon: WebDaemon, fields: dict[str, Any], field: str) -> None:
    """And nothing is kept, or shown of the address."""
    answer = create(daemon, **{"name": "wrong", **fields})
    problem = refused(answer, 422, "invalid-input")
    assert field in json.dumps(problem)
    assert CANARY not in answer.text
    assert ok(daemon.local.get(CHANNELS))["items"] == []


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_from_the_terminal(
    daemon: WebDaemon,
    receiver: HttpServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The address comes from a file; a service that refuses is an error of the command."""
    monkeypatch.setenv("RECONCILER_URL", daemon.url)
    monkeypatch.setenv("RECONCILER_TOKEN", daemon.admin_token)
    file = tmp_path / "url"
    file.write_text(f"{receiver.url}/{CANARY}\n")

    def run(*arguments: str) -> tuple[int, str]:
        status = main(["channel", *arguments])
        said = capsys.readouterr()
        assert CANARY not in said.out + said.err
        return status, said.out + said.err

    status, said = run("add", "term", "--url-file", str(file), "--events", "failure,recovery")
    assert status == 0, said
    assert "signed with, shown this once" in said
    assert run("test", "term")[1].startswith("sent to term in ")
    receiver.answer = lambda _: Answer(403)
    status, said = run("test", "term")
    assert status == 1
    assert "127.0.0.1 refused it (403)" in said
    assert "127.0.0.1 refused it (403)" in run("list")[1]
    assert "it was told nothing yet" in run("show", "term")[1]
    assert "60 min" in run("set", "term", "--remind-after", "3600")[1]
    assert run("set", "term")[0] == 2
    assert run("remove", "term", "--yes") == (0, "removed term\n")
