"""Releases over HTTP: of a hosted repository's commit and a real registry's digest."""

import base64
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.parts.child import free_port
from tests.parts.git_repository import Repository
from tests.parts.registry import Registry
from tests.parts.web_client import WebDaemon, ok, refused

RELEASES = "/api/v1/releases"
#: A cursor that names a number over what any column holds.
TOO_FAR = base64.urlsafe_b64encode(b"9999999999").decode().rstrip("=")

pytestmark = [pytest.mark.needs_git, pytest.mark.needs_registry]


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebDaemon]:
    with WebDaemon(tmp_path_factory.mktemp("releases")) as running:
        for name in ("shop", "blog"):
            body = {"name": name, "kind": "compose", "repository": name}
            ok(running.local.post("/api/v1/projects", json={**body, "create_repository": True}))
        yield running


@pytest.fixture(scope="module")
def commit(daemon: WebDaemon) -> str:
    """A commit of shop's repository."""
    repository = Repository(daemon.folder / "data" / "repositories" / "shop.git")
    return repository.commit({"compose.yaml": "services: {}"})


def report(commit: str, image: str, digest: str, **more: object) -> dict[str, Any]:
    build = {"result": "success", "finished_at": "2026-11-20T17:00:00+01:00"}
    return {"project": "shop", "commit": commit, "images": {image: digest}, "build": build, **more}


def test_ci_reports_a_release_and_it_is_found(
    daemon: WebDaemon, commit: str, registry: Registry
) -> None:
    """The first answer is 201, the same again 200; by number, project and commit it is there."""
    image = f"{registry.host}/team/shop:1.4"
    digest = registry.push_manifest("team/shop", "1.4", "one")
    checks = [{"name": "unit tests", "status": "success", "url": "https://ci.example/1"}]
    body = report(commit, image, digest, checks=checks)
    ci = daemon.remote(daemon.make_token("ci", "admin"))
    made = ci.post(RELEASES, json=body)
    assert made.status_code == 201, made.text
    found = made.json()
    assert made.headers["location"] == f"{RELEASES}/{found['id']}"
    assert found == {
        **body,
        "id": found["id"],
        "build": {"result": "success", "finished_at": "2026-11-20T16:00:00Z", "url": None},
        "recorded_at": found["recorded_at"],
        "recorded_by": "token:ci",
    }
    short = {**body, "image": image, "digest": digest}
    del short["images"], short["checks"]
    again = daemon.local.post(RELEASES, json=short)
    assert (again.status_code, again.json()) == (200, found)
    reader = daemon.remote(daemon.make_token("reader", "read"))
    assert ok(reader.get(f"{RELEASES}/{found['id']}")) == found
    for query in ({}, {"project": "shop"}, {"commit": commit}):
        assert ok(reader.get(RELEASES, params=query)) == {"items": [found], "next": None}
    assert ok(reader.get(RELEASES, params={"project": "blog"}))["items"] == []
    refused(reader.post(RELEASES, json=body), 403, "access-denied")


def test_reports_at_once_are_one_release(
    daemon: WebDaemon, commit: str, registry: Registry
) -> None:
    """Of sixteen that come together one is new; pages lead to all that there are."""
    seeds = ("two", "three")
    for seed in seeds:
        digest = registry.push_manifest("team/shop", seed, seed)
        body = report(commit, f"{registry.host}/team/shop", digest)
        with ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(lambda _: daemon.local.post(RELEASES, json=body), range(16)))  # noqa: B023
        assert sorted(one.status_code for one in answers) == [200] * 15 + [201]
        assert len({one.json()["id"] for one in answers}) == 1
    page = ok(daemon.local.get(RELEASES, params={"project": "shop", "limit": 1}))
    older = ok(daemon.local.get(RELEASES, params={"limit": 500, "cursor": page["next"]}))
    ids = [item["id"] for item in page["items"] + older["items"]]
    assert ids == sorted(set(ids), reverse=True)
    assert len(ids) >= len(seeds)


def test_what_is_nowhere_is_refused_and_not_kept(
    daemon: WebDaemon, commit: str, registry: Registry
) -> None:
    """A digest or a commit that is not there, and a registry that does not answer."""
    image, unknown = f"{registry.host}/team/shop:9", f"sha256:{'0' * 64}"
    digest = registry.push_manifest("team/shop", "9", "nine")
    before = ok(daemon.local.get(RELEASES))["items"]
    told = refused(
        daemon.local.post(RELEASES, json=report(commit, image, unknown)), 409, "digest-unknown"
    )
    assert told["field"] == "images"
    assert told["evidence"] == {"image": image, "digest": unknown, "registry": registry.host}
    missing = daemon.local.post(RELEASES, json=report("b" * 40, image, digest))
    refused(missing, 409, "revision-not-found")
    away = report(commit, f"127.0.0.1:{free_port()}/team/shop", digest)
    refused(daemon.local.post(RELEASES, json=away), 502, "source-unreachable")
    other = {**report(commit, image, digest), "project": "gone"}
    refused(daemon.local.post(RELEASES, json=other), 404, "not-found")
    assert ok(daemon.local.get(RELEASES))["items"] == before


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"build": {"result": "failure", "finished_at": "2026-11-20T16:00:00Z"}}, "build.result"),
        ({"build": None}, "build"),
        ({"images": None}, "images"),
        ({"images": {"registry.example/app": 1}}, "images.registry.example/app"),
        ({"checks": [{"name": "x", "status": "failed"}]}, "checks.0.status"),
        ({"deploy": True}, "deploy"),
    ],
)
def test_what_is_wrong_is_named(
    daemon: WebDaemon, commit: str, changes: dict[str, object], field: str
) -> None:
    """By its field, with 422."""
    body = {**report(commit, "registry.example/app", f"sha256:{'1' * 64}"), **changes}
    assert refused(daemon.local.post(RELEASES, json=body), 422, "invalid-input")["field"] == field


@pytest.mark.parametrize(
    "path",
    [
        f"{RELEASES}/{2**31}",
        f"{RELEASES}?cursor={TOO_FAR}",
        f"{RELEASES}?commit=main",
        f"/api/v1/deployments/{2**31}",
        f"/api/v1/deployments?cursor={TOO_FAR}",
        f"/api/v1/deployments/1/log?after={2**31}",
    ],
)
def test_a_number_that_no_column_holds_is_the_client_s_mistake(
    daemon: WebDaemon, path: str
) -> None:
    """PostgreSQL would refuse the comparison itself."""
    assert daemon.local.get(path).status_code == 422
