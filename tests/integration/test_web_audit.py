"""The audit log through the daemon: every change is in it, in the name of who made it."""

import json
from collections.abc import Iterator

import pytest

from tests.parts.web_client import WebDaemon, ok


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebDaemon]:
    with WebDaemon(tmp_path_factory.mktemp("audit")) as running:
        yield running


DECLARED = {
    "name": "shop",
    "kind": "compose",
    "url": "https://git.example/shop.git",
    "expose_service": "web",
    "expose_port": 80,
}


UNIT = {"name": "unit", "kind": "unit"}


def entries(daemon: WebDaemon, **query: str) -> list[dict[str, object]]:
    """Return what the audit log has, oldest first."""
    found: list[dict[str, object]] = daemon.local.get("/api/v1/audit", params=query).json()["items"]
    return found[::-1]


def test_changes_are_noted_with_who_and_what(daemon: WebDaemon) -> None:
    """Before and after of each field; no secret in any form."""
    local = daemon.local
    assert local.post("/api/v1/projects", json=DECLARED).status_code == 201
    assert local.patch("/api/v1/projects/shop", json={"expose_port": 81}).status_code == 200
    secret = {"value": "canary-4711-canary"}
    assert local.put("/api/v1/projects/shop/secrets/variable:KEY", json=secret).is_success
    reader = daemon.remote(daemon.make_token("reader", "read"))
    assert reader.delete("/api/v1/projects/shop").status_code == 403
    assert reader.delete("/api/v1/projects/shop").status_code == 403
    assert local.delete("/api/v1/projects/shop").status_code == 204
    found = entries(daemon)
    told = [(one["action"], one["subject"]) for one in found[-5:]]
    assert told == [
        ("project.change", "project shop"),
        ("secret.put", "secret variable:KEY of project shop"),
        ("token.create", "token reader"),
        ("access.denied", "DELETE /api/v1/projects/shop"),
        ("project.remove", "project shop"),
    ]
    change = found[-5]
    assert change["changes"] == {"expose_port": {"before": 80, "after": 81}}
    assert str(change["actor"]).startswith("local:")
    assert change["remote"] == "socket"
    assert change["request"]
    assert found[-2]["actor"] == "token:reader"
    exported = local.get("/api/v1/audit/export").text
    assert "canary" not in exported
    assert [json.loads(line)["number"] for line in exported.splitlines()] == [
        one["number"] for one in found
    ]


@pytest.mark.needs_git
def test_what_is_done_beside_the_database_is_noted(daemon: WebDaemon) -> None:
    """Folders, other machines, pushes that were refused; in the name of who asked, in a stream too.

    What a kill may leave out is noted before it is done.
    """
    ops = daemon.remote(daemon.make_token("ops", "admin"))
    pushing = daemon.make_repository("kept")
    ok(ops.post("/api/v1/projects", json={**UNIT, "repository": "made", "create_repository": True}))
    ok(ops.post("/api/v1/hosts", json={"name": "web2", "address": "192.0.2.1", "user": "deploy"}))
    ok(ops.post("/api/v1/projects/unit/targets", json={"host": "web2", "binary": "x"}))
    assert ops.post("/api/v1/projects/unit/targets/web2/setup").is_success
    pushes = daemon.remote()
    path = "/git/made.git/info/refs?service=git-receive-pack"
    assert pushes.get(path, auth=("git", pushing)).status_code == 403
    assert ops.delete("/api/v1/repositories/made").status_code == 409
    assert ops.delete("/api/v1/repositories/kept").status_code == 204
    told = [(one["actor"], one["action"], one["subject"]) for one in entries(daemon)]
    assert told[-10][1:] == ("repository.create", "repository kept")
    assert told[-8:] == [
        ("token:ops", "repository.create", "repository made"),
        ("token:ops", "project.create", "project unit"),
        ("token:ops", "host.create", "host web2"),
        ("token:ops", "project.change", "project unit"),
        ("token:ops", "target.set-up", "target unit on web2"),
        ("token:push-kept", "access.denied", "GET /git/made.git/info/refs"),
        ("token:ops", "repository.remove", "repository kept"),
        ("token:ops", "token.remove", "token push-kept"),
    ]


def test_it_is_looked_through_and_compared_with_a_note(daemon: WebDaemon) -> None:
    """And shown to nobody who is not an administrator."""
    checked = daemon.local.get("/api/v1/audit/check").json()
    assert checked["intact"]
    again = daemon.local.get("/api/v1/audit/check", params={"noted": checked["head"]}).json()
    assert again["intact"]
    other = daemon.local.get("/api/v1/audit/check", params={"noted": f"1:{'0' * 64}"}).json()
    assert not other["intact"]
    for half in ("x", checked["head"][:-1], checked["head"] + "…"):
        told = daemon.local.get("/api/v1/audit/check", params={"noted": half})
        assert (told.status_code, told.json()["field"]) == (422, "noted")
    reader = daemon.remote(daemon.make_token("looker", "read"))
    assert reader.get("/api/v1/audit").status_code == 403
