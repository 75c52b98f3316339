"""Targets through REST."""

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from tests.parts.web_client import WebDaemon, ok, refused

V1 = "/api/v1"
UNIT = {
    "host": "web1",
    "build": "make release",
    "binary": "bin/api",
    "user": "api",
    "port": 8080,
    "health_path": "/healthz",
    "environment": {"LEVEL": "info"},
    "files": ["static"],
    "confirm_within_seconds": 60,
    "branch": "main",
}


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebDaemon]:
    with WebDaemon(tmp_path_factory.mktemp("targets")) as running:
        for name in ("web1", "web2"):
            ok(running.local.post(f"{V1}/hosts", json={"name": name, "alias": name}))
        yield running


@pytest.fixture(scope="module")
def api(daemon: WebDaemon) -> httpx2.Client:
    return daemon.local


def declare(api: httpx2.Client, name: str, kind: str, **more: object) -> dict[str, Any]:
    source = {"image": "registry.example/app:1"} if kind == "image" else {}
    if kind in {"unit", "compose"}:
        source = {"url": "https://git.example/team/app.git"}
    return ok(api.post(f"{V1}/projects", json={"name": name, "kind": kind, **source, **more}))


def targets_of(api: httpx2.Client, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ok(api.get(f"{V1}/projects/{name}/targets"))["items"]
    return found


def test_a_unit_from_beginning_to_end(api: httpx2.Client) -> None:
    """Declared with its defaults, changed field by field, shown, and taken away."""
    made = declare(api, "api", "unit", auto_deploy=True)
    assert (made["kind"], made["hosts"], made["compose_path"]) == ("unit", [], None)
    assert "reconciler target add api HOST" in made["notes"][0]
    held = refused(api.post(f"{V1}/projects/api/deployments"), 502, "source-unreachable")
    assert held["detail"]
    added = ok(api.post(f"{V1}/projects/api/targets", json=UNIT))
    assert added["notes"] == []
    target = added["target"]
    assert target["unit"] == "api.service"
    assert (target["strategy"], target["folder"]) == ("systemd", "/opt/apps/api")
    assert target["build"] == ["make", "release"]
    assert (target["health"]["kind"], target["health"]["port"]) == ("http", 8080)
    assert target["health"]["path"] == "/healthz"
    assert target["confirm_within_seconds"] == 60
    project = ok(api.get(f"{V1}/projects/api"))
    assert (project["generation"], project["hosts"]) == (2, ["web1"])
    path = f"{V1}/projects/api/targets/web1"
    changed = ok(api.patch(path, json={"port": 9090, "user": None, "build": ["make"]}))["target"]
    assert (changed["port"], changed["health"]["port"], changed["user"]) == (9090, 9090, None)
    assert changed["build"] == ["make"]
    assert ok(api.patch(path, json={"health_path": "/ready"}))["target"]["health"]["port"] == 9090
    own = {"kind": "tcp", "port": 5000}
    assert ok(api.patch(path, json={"health": own}))["target"]["health"]["port"] == 5000
    assert ok(api.patch(path, json={"port": 7070}))["target"]["health"]["port"] == 5000
    assert ok(api.patch(path, json={"health": None}))["target"]["health"] is None
    assert ok(api.get(path)) == targets_of(api, "api")[0]
    assert ok(api.get(f"{V1}/projects/api"))["generation"] == 7
    ok(api.patch(f"{V1}/projects/api", json={"one_by_one": True, "branch": "live"}))
    project = ok(api.get(f"{V1}/projects/api"))
    assert (project["one_by_one"], project["hosts"]) == (True, ["web1"])
    assert api.delete(f"{V1}/hosts/web1").status_code == 409
    assert api.delete(path).status_code == 204
    assert targets_of(api, "api") == []
    told = refused(api.delete(path), 404, "not-found")
    assert "none" in told["detail"]


def test_several_hosts_and_what_runs_in_containers(api: httpx2.Client) -> None:
    """The daemon's machine is implied until one is declared; each host has one target."""
    declare(api, "several", "compose")
    (implied,) = targets_of(api, "several")
    assert (implied["host"], implied["strategy"], implied["declared"]) == (
        "local",
        "compose",
        False,
    )
    path = f"{V1}/projects/several/targets"
    ok(api.post(path, json={"host": "localhost", "compose_files": ["live.yaml"]}))
    ok(api.post(path, json={"host": "web1"}))
    assert [one["host"] for one in targets_of(api, "several")] == ["local", "web1"]
    assert all(one["declared"] for one in targets_of(api, "several"))
    refused(api.post(path, json={"host": "web1"}), 409, "already-exists")
    every = ok(api.get(f"{V1}/targets"))["items"]
    assert {(one["project"], one["host"]) for one in every} >= {
        ("several", "local"), ("several", "web1"),
    }  # fmt: skip


def test_a_host_that_nobody_declared_is_refused_with_what_helps(api: httpx2.Client) -> None:
    """A typing mistake is no new machine."""
    declare(api, "typo", "compose")
    told = refused(
        api.post(f"{V1}/projects/typo/targets", json={"host": "wbe1"}), 422, "invalid-input"
    )
    assert told["field"] == "host"
    assert "reconciler host add wbe1" in told["remedy"]
    moved = api.post(f"{V1}/projects/typo/move", json={"to": "wbe1"})
    assert refused(moved, 422, "invalid-input")["field"] == "to"


@pytest.mark.parametrize(
    ("kind", "body", "fields"),
    [
        pytest.param("unit", {}, {"binary"}, id="binary"),
        pytest.param("unit", {"binary": "../x"}, {"binary"}, id="outside"),
        pytest.param(
            "unit",
            {"binary": "x", "folder": "relative", "user": "-x", "port": 0},
            {"folder", "user", "port"},
            id="several",
        ),
        pytest.param("unit", {"binary": "x", "strategy": "compose"}, {"strategy"}, id="strategy"),
        pytest.param(
            "unit", {"binary": "x", "health": {"kind": "http"}}, {"health.port"}, id="health"
        ),
        pytest.param("compose", {"binary": "x"}, {"binary"}, id="not-compose"),
        pytest.param("compose", {"branch": "other"}, {"branch"}, id="branch"),
        pytest.param("image", {"compose_files": ["x"]}, {"compose_files"}, id="image"),
    ],
)
def test_every_wrong_field_is_named(
    api: httpx2.Client, request: pytest.FixtureRequest, kind: str, body: object, fields: set[str]
) -> None:
    """What does not belong, and what is missing."""
    name = f"wrong-{request.node.callspec.id}"
    declare(api, name, kind)
    assert isinstance(body, dict)
    answer = api.post(f"{V1}/projects/{name}/targets", json={"host": "web2", **body})
    assert answer.status_code == 422, answer.text
    told = answer.json()
    named = {one["field"] for one in told["problems"]} if len(fields) > 1 else {told["field"]}
    assert named == fields


def test_kinds_without_anything_to_deploy_have_no_targets(api: httpx2.Client) -> None:
    """There is nothing to bring anywhere."""
    declare(api, "way", "tunnel")
    refused(api.post(f"{V1}/projects/way/targets", json={"host": "web1"}), 409, "nothing-to-deploy")
    assert targets_of(api, "way") == []


def test_a_project_that_was_never_deployed_moves_freely(api: httpx2.Client) -> None:
    """There are no volumes yet; what is said of the host goes along."""
    declare(api, "free", "compose")
    path = f"{V1}/projects/free"
    ok(api.post(f"{path}/targets", json={"host": "web1", "compose_files": ["live.yaml"]}))
    moved = ok(api.post(f"{path}/move", json={"to": "web2"}))
    assert moved["hosts"] == ["web2"]
    (target,) = targets_of(api, "free")
    assert (target["host"], target["compose_files"]) == ("web2", ["live.yaml"])
    assert ok(api.post(f"{path}/move", json={"to": "local"}))["hosts"] == ["local"]
    assert targets_of(api, "free")[0]["folder"] is None
    refused(api.post(f"{path}/move", json={"to": "local"}), 422, "invalid-input")
    ok(api.post(f"{path}/targets", json={"host": "web1"}))
    which = refused(api.post(f"{path}/move", json={"to": "web2"}), 422, "invalid-input")
    assert (which["field"], "local, web1" in which["detail"]) == ("leaving", True)
    both = {"to": "local", "leaving": "web1"}
    assert ok(api.post(f"{path}/move", json=both))["hosts"] == ["local"]


def test_deploying_to_a_host_that_is_no_target_is_refused(api: httpx2.Client) -> None:
    """Before anything is asked of anybody."""
    declare(api, "named", "compose", expose_service="web", expose_port=80)
    answer = api.post(f"{V1}/projects/named/deployments", json={"hosts": ["web1"]})
    told = refused(answer, 422, "invalid-input")
    assert told["field"] == "hosts"
    assert "it has local" in told["detail"]
    answer = api.post(f"{V1}/projects/named/deployments", json={"hosts": ["-x"]})
    assert refused(answer, 422, "invalid-reference")["field"] == "hosts.0"


def test_status_says_why_a_host_does_not_tell(api: httpx2.Client) -> None:
    """An unconfirmed host is not asked; the others are not kept waiting."""
    declare(api, "asked", "unit")
    ok(api.post(f"{V1}/projects/asked/targets", json={"host": "web2", "binary": "x"}))
    one = ok(api.get(f"{V1}/projects/asked/targets/web2/status"))
    assert (one["now"], one["differs"], one["deployment"]) == (None, None, None)
    assert one["error"]["code"] == "host-key-unconfirmed"
    listed = ok(api.get(f"{V1}/targets/status", params={"project": "asked"}))["items"]
    assert listed == [one]
    refused(api.get(f"{V1}/projects/asked/targets/web1/status"), 404, "not-found")
    refused(api.get(f"{V1}/targets/status", params={"project": "nobody"}), 404, "not-found")


def test_setting_up_is_streamed_to_its_end(api: httpx2.Client) -> None:
    """What went wrong is the last event; a target that is not there is refused before the first."""
    declare(api, "fresh", "unit")
    ok(api.post(f"{V1}/projects/fresh/targets", json={"host": "web2", "binary": "x"}))
    answer = api.post(f"{V1}/projects/fresh/targets/web2/setup")
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert '"code": "host-key-unconfirmed"' in answer.text.rpartition("event: end")[2]
    refused(api.post(f"{V1}/projects/fresh/targets/web1/setup"), 404, "not-found")


def test_a_target_in_a_cluster_from_beginning_to_end(api: httpx2.Client) -> None:
    """Declared, shown as it was declared, changed, refused by the field that is wrong."""
    ok(api.post(f"{V1}/clusters", json={"name": "prod", "in_cluster": True}))
    declare(api, "img", "image")
    path, image = f"{V1}/projects/img/targets", "registry.example/app:1"
    workload = {"name": "web", "containers": {"app": image}}
    asked = {
        "host": "prod",
        "strategy": "kubernetes",
        "namespace": "shop",
        "workloads": [workload],
        "port": 8080,
        "health_path": "/healthz",
    }
    target = ok(api.post(path, json=asked))["target"]
    assert target["workloads"] == [{"kind": "deployment", **workload}]
    assert (target["namespace"], target["folder"], target["unit"]) == ("shop", None, None)
    assert target["health"]["port"] == 8080
    changed = ok(api.patch(f"{path}/prod", json={"namespace": "other"}))["target"]
    assert (changed["namespace"], changed["workloads"]) == ("other", target["workloads"])
    wrong = {"workloads": [{"name": "web", "containers": {"app": "registry.example/x:1"}}]}
    problem = refused(api.patch(f"{path}/prod", json=wrong), 422, "invalid-input")
    assert "workloads.0.containers.app" in str(problem)
    assert ok(api.get(f"{path}/prod")) == changed
