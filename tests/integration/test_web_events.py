"""Following a deployment's log over server-sent events."""

import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reconciler.adapters.system_clock import SystemClock
from reconciler.adapters.vault import open_vault
from reconciler.domain.deployment import DeploymentId, Stage, Status
from reconciler.ports import Claim
from reconciler.store.opening import open_store
from reconciler.store.sql_store import SqlStore
from tests.parts.waiting import eventually
from tests.parts.web_client import WebDaemon

V1 = "/api/v1"
Event = tuple[str, str, dict[str, object]]


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[WebDaemon]:
    with WebDaemon(tmp_path / "events") as running:
        yield running


@pytest.fixture
def store(daemon: WebDaemon) -> Iterator[SqlStore]:
    """The daemon's own database, opened by a second process: this one."""
    folder = daemon.folder / "data"
    opened = open_store(
        folder / "state.db", lambda may: open_vault(folder, may_create=may), SystemClock()
    )
    yield opened
    opened.close()


@pytest.fixture
def claim(daemon: WebDaemon, store: SqlStore) -> Claim:
    """A deployment under way."""
    body = {
        "name": "shop",
        "kind": "compose",
        "url": "https://git.example/app.git",
        "expose_service": "web",
        "expose_port": 80,
    }
    daemon.local.post(f"{V1}/projects", json=body)
    asked = {"commit": "a" * 40}
    assert daemon.local.post(f"{V1}/projects/shop/deployments", json=asked).status_code == 202
    claimed = store.claim_next("test", datetime.now(UTC), lease=timedelta(minutes=5))
    assert claimed is not None
    return claimed


def write(store: SqlStore, claim: Claim, *lines: str) -> None:
    store.append_log(claim.deployment.id, Stage.PREPARE, lines, datetime.now(UTC))


def follow(
    daemon: WebDaemon, deployment: DeploymentId, after: int = 0, last_event_id: str = ""
) -> Iterator[Event]:
    """Yield (id, event, data) as they come."""
    path = f"{V1}/deployments/{deployment}/log?after={after}"
    wanted = {"accept": "text/event-stream", "last-event-id": last_event_id}
    with daemon.local.stream("GET", path, headers=wanted, timeout=20) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        found: dict[str, str] = {}
        for line in answer.iter_lines():
            if line:
                key, _, value = line.partition(": ")
                found[key] = value
            elif "event" in found:
                yield found.get("id", ""), found["event"], json.loads(found["data"])
                found = {}


def test_lines_come_as_they_are_written(daemon: WebDaemon, store: SqlStore, claim: Claim) -> None:
    """What is there comes at once, what is written later as it is written, then the end."""
    write(store, claim, "one", "two")
    events = follow(daemon, claim.deployment.id)
    assert [next(events)[2]["text"] for _ in range(2)] == ["one", "two"]
    write(store, claim, "three")
    number, kind, data = next(events)
    assert (number, kind, data["text"], data["stage"]) == ("3", "line", "three", "prepare")
    write(store, claim, "four")
    store.finish(claim, Status.FAILED, datetime.now(UTC))
    assert next(events)[2]["text"] == "four"
    assert next(events)[1:] == ("end", {"status": "failed"})
    assert list(events) == []


def test_a_broken_stream_goes_on(daemon: WebDaemon, store: SqlStore, claim: Claim) -> None:
    """With the last id, or `after`, only what follows is sent; nothing twice, nothing missing."""
    write(store, claim, *(f"line {number}" for number in range(1, 2501)))
    store.finish(claim, Status.FAILED, datetime.now(UTC))
    resumed = list(follow(daemon, claim.deployment.id, last_event_id="1200"))
    assert [int(number) for number, kind, _ in resumed if kind == "line"] == [*range(1201, 2501)]
    assert resumed[-1][1] == "end"
    assert len(list(follow(daemon, claim.deployment.id, after=2499))) == 2
    bad = {"accept": "text/event-stream", "last-event-id": "x"}
    answer = daemon.local.get(f"{V1}/deployments/{claim.deployment.id}/log", headers=bad)
    assert (answer.status_code, answer.json()["field"]) == (422, "last-event-id")


def test_the_same_log_as_json_and_as_text(daemon: WebDaemon, store: SqlStore, claim: Claim) -> None:
    """JSON comes in pages and says when it is finished; text is all of it."""
    write(store, claim, *(f"line {number}" for number in range(1, 1502)))
    path = f"{V1}/deployments/{claim.deployment.id}/log"
    first = daemon.local.get(path).json()
    assert (len(first["items"]), first["finished"]) == (1000, False)
    rest = daemon.local.get(f"{path}?after=1000").json()
    assert (len(rest["items"]), rest["finished"]) == (501, False)
    store.finish(claim, Status.FAILED, datetime.now(UTC))
    assert daemon.local.get(path).json()["finished"] is False
    assert daemon.local.get(f"{path}?after=1000").json()["finished"] is True
    assert daemon.local.get(f"{path}?after=1501").json() == {"items": [], "finished": True}
    text = daemon.local.get(path, headers={"accept": "text/plain"}).text
    assert text.splitlines() == [f"line {number}" for number in range(1, 1502)]


def test_many_followers_leave_the_api_free(
    daemon: WebDaemon, store: SqlStore, claim: Claim
) -> None:
    """Sixty-four follow at once and the API still answers; the next one is asked to come later."""
    write(store, claim, "one")
    path = f"{V1}/deployments/{claim.deployment.id}/log"
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n"
    with ExitStack() as followers:
        for _ in range(64):
            follower = followers.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            follower.settimeout(20)
            follower.connect(str(daemon.socket))
            follower.sendall(request.encode())
            assert follower.recv(4096).startswith(b"HTTP/1.1 200")
        started = time.monotonic()
        assert daemon.local.get(f"{V1}/projects").status_code == 200
        assert time.monotonic() - started < 5
        refused = daemon.local.get(path, headers={"accept": "text/event-stream"})
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    store.finish(claim, Status.FAILED, datetime.now(UTC))

    def has_a_place() -> bool:
        headers = {"accept": "text/event-stream"}
        return daemon.local.get(path, headers=headers).status_code == 200

    eventually(has_a_place, what="a place is free again")


def test_shutting_down_ends_the_streams(daemon: WebDaemon, store: SqlStore, claim: Claim) -> None:
    """A daemon that is told to stop does not wait for those who follow."""
    write(store, claim, "one")
    events = follow(daemon, claim.deployment.id)
    next(events)
    started = time.monotonic()
    os.kill(daemon.child.pid, signal.SIGTERM)
    assert list(events) == []
    assert time.monotonic() - started < 5
