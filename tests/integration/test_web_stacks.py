"""What runs under compose through REST, in front of a real engine."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.parts.docker_engine import DockerEngine
from tests.parts.web_client import WebDaemon, ok, refused

pytestmark = [pytest.mark.needs_docker, pytest.mark.needs_git]
V1 = "/api/v1"
STACKS = f"{V1}/hosts/local/stacks"


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebDaemon]:
    with WebDaemon(tmp_path_factory.mktemp("stacks")) as running:
        yield running


@pytest.fixture(scope="module")
def api(daemon: WebDaemon) -> httpx2.Client:
    return daemon.local


def bring_up(engine: DockerEngine, folder: Path, services: dict[str, Any]) -> str:
    """Bring services of one image up from ``folder``; return the compose project's name."""
    name = engine.unique("stack")
    folder.mkdir()
    every = {
        service: {"image": engine.busybox_image(), "stop_signal": "SIGKILL", **more}
        for service, more in services.items()
    }
    file = folder / "compose.yaml"
    file.write_text(json.dumps({"services": every}))
    engine.docker("compose", "--project-name", name, "--file", file, "up", "--detach")
    return name


def find(api: httpx2.Client, name: str) -> dict[str, Any]:
    """Return what the list says of one: others run here, too."""
    items = ok(api.get(STACKS))["items"]
    found: dict[str, Any] = next(one for one in items if one["name"] == name)
    return found


def test_what_runs_becomes_a_project_and_goes_on(
    api: httpx2.Client, engine: DockerEngine, tmp_path: Path
) -> None:
    """It is listed as it runs, and adopted without a word but its name; no container changes."""
    base = tmp_path / "shop"
    web = {"ports": ["127.0.0.1::8080"], "labels": {"traefik.users": "hunter2"}}
    name = bring_up(engine, base, {"web": web, "cache": {}})
    before = [one["Id"] for one in engine.containers(name)]
    found = find(api, name)
    assert "hunter2" not in str(found)
    image = engine.busybox_image()
    assert found == {
        "name": name,
        "folder": str(base),
        "files": [str(base / "compose.yaml")],
        "services": [
            {"name": "cache", "image": image, "running": True, "published": []},
            {"name": "web", "image": image, "running": True, "published": [8080]},
        ],
        "exposed": {"service": "web", "port": 8080},
        "adoptable": True,
        "obstacle": None,
        "project": None,
    }
    answer = api.post(f"{STACKS}/{name}/adopt")
    assert answer.status_code == 201
    project = ok(answer)
    assert (project["kind"], project["auto_deploy"], project["notes"]) == ("compose", False, [])
    assert (project["expose_service"], project["expose_port"]) == ("web", 8080)
    shown = ok(api.get(f"{V1}/projects/{name}"))
    assert {**project, "notes": None} == shown
    (target,) = ok(api.get(f"{V1}/projects/{name}/targets"))["items"]
    assert (target["host"], target["base"]) == ("local", str(base))
    assert ok(api.get(f"{V1}/repositories/{name}"))["branches"].keys() == {"main"}
    after = find(api, name)
    assert (after["adoptable"], after["project"]) == (False, name)
    assert [one["Id"] for one in engine.containers(name)] == before
    refused(api.post(f"{STACKS}/{name}/adopt"), 409, "already-exists")


def test_what_is_reached_has_to_be_said_where_nothing_tells(
    api: httpx2.Client, engine: DockerEngine, tmp_path: Path
) -> None:
    """What is missing, or is none of it, is named, and nothing is declared by then."""
    name = bring_up(engine, tmp_path / "worker", {"worker": {}})
    assert find(api, name)["exposed"] is None
    path = f"{STACKS}/{name}/adopt"
    for body, field in (
        ({}, "expose_service"),
        ({"expose_service": "worker"}, "expose_port"),
        ({"expose_port": 80}, "expose_service"),
        ({"expose_service": "nobody", "expose_port": 80}, "expose_service"),
        ({"expose_service": "worker", "expose_port": 0}, "expose_port"),
    ):
        assert refused(api.post(path, json=body), 422, "invalid-input")["field"] == field
    refused(api.get(f"{V1}/projects/{name}"), 404, "not-found")
    said = {"expose_service": "worker", "expose_port": 80}
    assert ok(api.post(path, json=said))["expose_service"] == "worker"


def test_what_labels_say_is_no_order_of_ours(api: httpx2.Client, engine: DockerEngine) -> None:
    """Whoever starts a container writes them: they are cut, and nothing is made of odd ones."""
    name = engine.unique("odd")
    labels = {
        "project": name,
        "service": "x" * 5000,
        "oneoff": "False",
        "project.working_dir": "/srv/\x1b[2J" + "y" * 5000,
        "project.config_files": ",".join(["/etc/passwd"] * 500),
    }
    options = [
        word
        for label, value in labels.items()
        for word in ("--label", f"com.docker.compose.{label}={value}")
    ]
    engine.docker("create", *options, engine.busybox_image())
    found = find(api, name)
    assert not found["adoptable"]
    assert found["obstacle"].startswith("its folder '/srv/")
    assert len(json.dumps(found)) < 10_000
    told = refused(api.post(f"{STACKS}/{name}/adopt"), 409, "conflict")
    assert f"{name} can't be adopted: its folder" in told["detail"]
    assert found["services"][0]["running"] is False


def test_what_is_not_there_is_said(api: httpx2.Client) -> None:
    """Neither a host nor a stack comes from asking for it."""
    refused(api.get(f"{V1}/hosts/nowhere/stacks"), 404, "not-found")
    refused(api.post(f"{V1}/hosts/nowhere/stacks/shop/adopt"), 404, "not-found")
    refused(api.post(f"{STACKS}/nobodys/adopt"), 404, "not-found")


def test_a_host_that_nobody_confirmed_is_asked_nothing(api: httpx2.Client) -> None:
    """It could be anyone; the answer says how it is confirmed."""
    ok(api.post(f"{V1}/hosts", json={"name": "new", "address": "127.0.0.1", "user": "u"}))
    asked = (api.get(f"{V1}/hosts/new/stacks"), api.post(f"{V1}/hosts/new/stacks/shop/adopt"))
    for answer in asked:
        told = refused(answer, 409, "host-key-unconfirmed")
        assert "reconciler host trust new" in told["remedy"]
