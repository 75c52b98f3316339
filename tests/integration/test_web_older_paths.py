"""The paths of an orchestrator's admin API and of a deploy server, without anything that runs."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx2
import pytest

from reconciler.adapters.master_key import KeySources
from reconciler.adapters.system_clock import SystemClock
from reconciler.domain.deployment import Stage, Status, TargetStatus
from reconciler.domain.errors import Recovery
from reconciler.domain.failure import Failure
from reconciler.domain.host import HostName
from reconciler.store.opening import open_store
from reconciler.store.sql_store import SqlStore
from tests.parts.web_client import WebDaemon, ok, refused


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebDaemon]:
    with WebDaemon(tmp_path_factory.mktemp("older")) as running:
        body = {"kind": "compose", "url": "https://git.example/app.git"}
        exposed: dict[str, object] = {"expose_service": "web", "expose_port": 80}
        for name in ("shop", "never"):
            ok(running.local.post("/api/v1/projects", json={"name": name, **body, **exposed}))
        yield running


@pytest.fixture
def store(daemon: WebDaemon) -> Iterator[SqlStore]:
    folder = daemon.folder / "data"
    opened = open_store(
        folder / "state.db", lambda may: KeySources(folder).open(may_create=may), SystemClock()
    )
    yield opened
    opened.close()


def test_a_deployment_seen_through_both(daemon: WebDaemon, store: SqlStore) -> None:
    """Asked for, followed stage by stage, and in the log once it has ended."""
    api = daemon.local
    asked = api.post("/api/v1/apps/shop/deploy", json={"commit": "a" * 40})
    assert asked.status_code == 202
    number = ok(asked)["id"]
    again = api.post("/api/v1/apps/shop/deploy", json={"commit": "a" * 40})
    assert (again.status_code, ok(again)["id"]) == (200, number)
    waiting = ok(api.get("/api/v1/apps/shop/progress"))
    assert (waiting["status"], waiting["stage"], waiting["lines"]) == ("queued", "prepare", [])

    claim = store.claim_next("test", datetime.now(UTC), lease=timedelta(minutes=5))
    assert claim is not None
    began = datetime.now(UTC)
    store.begin_stage(claim, Stage.PREPARE, began)
    lines = [f"line {one}" for one in range(1, 151)]
    store.append_log(claim.deployment.id, Stage.PREPARE, lines, began)
    under_way = ok(api.get("/api/v1/apps/shop/progress"))
    assert under_way["deployment"] == number
    assert datetime.fromisoformat(under_way["since"]) == began
    assert [one["number"] for one in under_way["lines"]] == [*range(51, 151)]
    assert [one["stage"] for one in under_way["ahead"]] == ["gate", "apply", "verify"]
    rest = ok(api.get("/api/v1/apps/shop/progress?after=148"))
    assert [one["text"] for one in rest["lines"]] == ["line 149", "line 150"]

    failure = Failure("target-unreachable", "local is away", Recovery.RETRY)
    later = began + timedelta(seconds=2)
    store.record_target(claim, HostName("local"), TargetStatus.WAITING, began)
    store.record_target(claim, HostName("local"), TargetStatus.FAILED, later, error=failure)
    store.finish(claim, Status.FAILED, later, error=failure)
    entry = {
        "app": "shop",
        "host": "local",
        "deployment": number,
        "status": "failed",
        "trigger": "person",
        "error": "local is away",
        "duration_ms": 2000,
    }
    for path in ("/api/logs", "/api/logs/shop"):
        (found,) = ok(api.get(path))["items"]
        assert datetime.fromisoformat(found.pop("started_at")) == began
        assert found == entry
    headers = {"accept": "text/event-stream", "last-event-id": "149"}
    followed = api.get("/api/v1/apps/shop/progress", headers=headers).text
    assert "line 150" in followed
    assert "line 149" not in followed
    assert "event: end" in followed
    assert ok(api.get("/api/status/shop"))["state"] == "failed"


def test_what_is_not_there(daemon: WebDaemon) -> None:
    """Is not found by its name; what was never deployed has no progress, but a status."""
    api = daemon.local
    for path in (
        *("/api/v1/apps/none/progress", "/api/v1/apps/none/runtime-status"),
        *("/api/targets/none", "/api/status/none", "/api/logs/none"),
    ):
        refused(api.get(path), 404, "not-found")
        assert api.get(path.replace("none", "-x")).json()["field"] == "app"
    refused(api.get("/api/v1/apps/never/progress"), 404, "not-found")
    assert ok(api.get("/api/logs/never")) == {"items": []}
    told = ok(api.get("/api/v1/apps/never/runtime-status"))
    assert (told["differs"], told["hosts"][0]["deployment"]) == (None, None)
    assert refused(api.post("/api/deploy/shop?host=web9"), 422, "invalid-input")["field"] == "hosts"


def test_targets_and_health(daemon: WebDaemon) -> None:
    """The targets are those of the API; health is everybody's, the rest is not."""
    api = daemon.local
    every = ok(api.get("/api/targets"))["items"]
    assert [one["project"] for one in every] == ["never", "shop"]
    assert every == ok(api.get("/api/v1/targets"))["items"]
    assert ok(api.get("/api/targets/shop"))["items"] == [every[1]]
    stranger = daemon.remote()
    assert ok(stranger.get("/api/health"))["status"] == "ok"
    reader = daemon.remote(daemon.make_token("reader", "read"))
    for method, path in (
        *(("GET", "/api/targets"), ("GET", "/api/status/shop"), ("GET", "/api/logs")),
        *(("POST", "/api/deploy/shop"), ("POST", "/api/v1/apps/shop/deploy")),
    ):
        assert stranger.request(method, path).status_code == 401, path
        assert reader.request(method, path).status_code == (200 if method == "GET" else 403), path


def test_a_deployment_asked_for_twice_over(daemon: WebDaemon) -> None:
    """The older paths take a key as well."""
    api = daemon.local
    headers = {"idempotency-key": "once"}
    first: httpx2.Response = api.post("/api/deploy/shop?host=local", headers=headers)
    assert first.status_code == 502, "its source is out of reach here, which is not kept"
    assert (
        "idempotency-replayed"
        not in api.post("/api/deploy/shop?host=local", headers=headers).headers
    )
