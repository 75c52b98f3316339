"""Receipts through the daemon: listed, shown whole, checked, written out."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from reconciler.adapters.master_key import KeySources
from reconciler.adapters.signing import parse_public_key
from reconciler.adapters.system_clock import SystemClock
from reconciler.domain.deployment import Status, TargetStatus
from reconciler.domain.host import LOCAL
from reconciler.store.opening import open_store
from tests.parts.web_client import WebDaemon, ok, refused

EVIDENCE = {"verify": {"problem": "", "running": [{"service": "web", "state": "running"}]}}


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebDaemon]:
    """One deployment of two projects each has ended; one goes on."""
    with WebDaemon(tmp_path_factory.mktemp("receipts")) as running:
        folder = running.folder / "data"
        store = open_store(
            folder / "state.db", lambda may: KeySources(folder).open(may_create=may), SystemClock()
        )
        for name, status in (("shop", Status.DEPLOYED), ("web", Status.FAILED), ("later", None)):
            url = f"https://git.example/{name}.git"
            declared = {"name": name, "kind": "compose", "url": url, "expose_service": "web"}
            ok(running.local.post("/api/v1/projects", json={**declared, "expose_port": 80}))
            path = f"/api/v1/projects/{name}/deployments"
            ok(running.local.post(path, json={"commit": "a" * 40}))
            if status:
                claim = store.claim_next("test", datetime.now(UTC), lease=timedelta(minutes=5))
                assert claim is not None
                now = datetime.now(UTC)
                store.record_target(claim, LOCAL, TargetStatus.VERIFIED, now, evidence=EVIDENCE)
                store.finish(claim, status, now)
        store.close()
        yield running


def test_one_is_found_and_can_be_checked_by_anybody(daemon: WebDaemon) -> None:
    """Newest first; the document has the very text that was signed, and what it says."""
    api = daemon.local
    listed = ok(api.get("/api/v1/receipts"))["items"]
    assert [(one["project"], one["status"]) for one in listed] == [
        ("web", "failed"),
        ("shop", "deployed"),
    ]
    query = {"project": "shop", "status": ["deployed", "failed"]}
    (found,) = ok(api.get("/api/v1/receipts", params=query))["items"]
    first = ok(api.get("/api/v1/receipts?limit=1"))
    rest = ok(api.get("/api/v1/receipts", params={"cursor": first["next"]}))
    assert [*first["items"], *rest["items"]] == listed
    document = ok(api.get(f"/api/v1/deployments/{found['deployment']}/receipt"))
    assert {name: document[name] for name in found} == found
    assert json.loads(document["text"]) == document["receipt"]
    key = parse_public_key(ok(api.get("/api/v1/receipts/key"))["pem"].encode())
    assert key.verifies(document["text"], document["signature"])
    assert document["receipt"]["targets"][0]["evidence"] == EVIDENCE
    assert document["receipt"]["triggers"][0]["actor"].startswith("local:")


def test_what_goes_on_has_none_yet(daemon: WebDaemon) -> None:
    """It is said when there will be one."""
    (waits,) = ok(daemon.local.get("/api/v1/projects/later/deployments"))["items"]
    told = refused(daemon.local.get(f"/api/v1/deployments/{waits['id']}/receipt"), 404, "not-found")
    assert "one is written when it ends" in told["detail"]


def test_all_are_checked_and_written_out(daemon: WebDaemon) -> None:
    """Oldest first, a document a line."""
    checked = ok(daemon.local.get("/api/v1/receipts/check"))
    assert checked == {"intact": True, "receipts": 2, "problem": None}
    lines = daemon.local.get("/api/v1/receipts/export").text.splitlines()
    exported = [json.loads(line) for line in lines]
    assert [one["number"] for one in exported] == [1, 2]
    path = f"/api/v1/deployments/{exported[0]['deployment']}/receipt"
    assert exported[0] == ok(daemon.local.get(path))


def test_evidence_is_shown_with_one_deployment_alone(daemon: WebDaemon) -> None:
    """It would make lists and events many times as large."""
    (listed,) = ok(daemon.local.get("/api/v1/projects/shop/deployments"))["items"]
    assert listed["targets"][0]["evidence"] is None
    shown = ok(daemon.local.get(f"/api/v1/deployments/{listed['id']}"))
    assert shown["targets"][0]["evidence"] == EVIDENCE
