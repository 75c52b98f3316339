"""Following a deployment's log over server-sent events."""

import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from reconciler.adapters.master_key import KeySources
from reconciler.adapters.system_clock import SystemClock
from reconciler.domain.deployment import DeploymentId, Stage, Status
from reconciler.ports import Claim
from reconciler.store.opening import open_store
from reconciler.store.sql_store import SqlStore
from tests.parts.waiting import eventually
from tests.parts.web_client import WebDaemon

V1 = "/api/v1"
Event = tuple[str, str, dict[str, Any]]


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[WebDaemon]:
    with WebDaemon(tmp_path / "events") as running:
        yield running


@pytest.fixture
def store(daemon: WebDaemon) -> Iterator[SqlStore]:
    """The daemon's own database, opened by a second process: this one."""
    folder = daemon.folder / "data"
    opened = open_store(
        folder / "state.db", lambda may: KeySources(folder).open(may_create=may), SystemClock()
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
    """Yield (id, event, data) as they come, without those that say where the deployment stands."""
    every = follow_all(daemon, deployment, after, last_event_id)
    return (event for event in every if event[1] != "deployment")


def follow_all(
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


def test_each_stage_is_told(daemon: WebDaemon, store: SqlStore, claim: Claim) -> None:
    """At first and at each change the deployment comes along, with its usual durations."""
    for stage in (Stage.PREPARE, Stage.GATE):
        store.begin_stage(claim, stage, datetime(2026, 1, 1, tzinfo=UTC))
        store.end_stage(claim, stage, "ok", datetime(2026, 1, 1, 0, 0, 3, tzinfo=UTC))
    store.finish(claim, Status.DEPLOYED, datetime.now(UTC))
    daemon.local.post(f"{V1}/projects/shop/deployments", json={"commit": "b" * 40})
    second = store.claim_next("test", datetime.now(UTC), lease=timedelta(minutes=5))
    assert second is not None
    events = follow_all(daemon, second.deployment.id)
    _, kind, first = next(events)
    assert (kind, first["stages"]) == ("deployment", [])
    assert first["ahead"][:2] == [
        {"stage": "prepare", "usual_seconds": 3.0},
        {"stage": "gate", "usual_seconds": 3.0},
    ]
    store.begin_stage(second, Stage.PREPARE, datetime.now(UTC))
    _, kind, begun = next(events)
    (stage,) = begun["stages"]
    assert (kind, stage["stage"], stage["usual_seconds"]) == ("deployment", "prepare", 3.0)
    assert [one["stage"] for one in begun["ahead"]] == ["gate", "apply", "verify"]
    write(store, second, "older than the next stage")
    store.begin_stage(second, Stage.GATE, datetime.now(UTC))
    assert [kind for _, kind, _ in islice(events, 2)] == ["line", "deployment"]
    store.finish(second, Status.FAILED, datetime.now(UTC))
    _, kind, last = next(events)
    assert (kind, last["status"], last["ahead"]) == ("deployment", "failed", [])
    assert [kind for _, kind, _ in events] == ["end"]


def test_one_under_way_is_taken_back(daemon: WebDaemon, store: SqlStore, claim: Claim) -> None:
    """202 until its worker let go, 200 from then on; too late, or never there, is told apart."""
    path = f"{V1}/deployments/{claim.deployment.id}/withdraw"
    store.begin_stage(claim, Stage.APPLY, datetime.now(UTC))
    late = daemon.local.post(path)
    assert (late.status_code, late.json()["code"]) == (409, "conflict")
    assert "reconciler rollback shop" in late.json()["remedy"]
    store.begin_stage(claim, Stage.GATE, datetime.now(UTC))
    assert daemon.local.post(path).status_code == 202
    found = store.get_deployment(claim.deployment.id)
    assert found.withdrawal is not None
    store.finish(claim, Status.WITHDRAWN, datetime.now(UTC), error=found.withdrawal)
    again = daemon.local.post(path)
    assert (again.status_code, again.json()["status"]) == (200, "withdrawn")
    assert "took it back" in again.json()["error"]["message"]
    assert daemon.local.post(f"{V1}/deployments/99/withdraw").status_code == 404


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
