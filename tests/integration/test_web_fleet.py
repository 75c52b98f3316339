"""Fleet files through REST."""

from collections.abc import Iterator

import httpx2
import pytest

from tests.parts.web_client import WebDaemon, ok, refused

FLEET = "/api/v1/fleet"
SHOP = '[projects.shop]\nkind = "image"\nimage = "registry.example/shop:1"\n'


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebDaemon]:
    with WebDaemon(tmp_path_factory.mktemp("fleet")) as running:
        yield running


@pytest.fixture(scope="module")
def api(daemon: WebDaemon) -> httpx2.Client:
    return daemon.local


def test_plan_apply_export(api: httpx2.Client) -> None:
    """C1: a plan changes nothing, nor does applying again; an export says the same."""
    body = {"text": SHOP, "format": "toml"}
    planned = ok(api.post(f"{FLEET}/plan", json=body))
    (change,) = planned["changes"]
    assert (change["kind"], change["name"], change["action"]) == ("project", "shop", "add")
    assert {"field": "kind", "before": None, "after": "image"} in change["fields"]
    assert api.get("/api/v1/projects/shop").status_code == 404
    applied = ok(api.post(f"{FLEET}/apply", json=body))
    assert (applied["changes"], applied["left"]) == (planned["changes"], [])
    again = ok(api.post(f"{FLEET}/apply", json=body))
    assert (again["changes"], again["unchanged"]) == ([], 1)
    for form in ("toml", "yaml", "json"):
        exported = ok(api.get(FLEET, params={"format": form}))
        assert exported["format"] == form
        assert ok(api.post(f"{FLEET}/plan?prune=true", json=exported))["changes"] == []
    nothing = {"text": '{"projects": {}}', "format": "json"}
    (removed,) = ok(api.post(f"{FLEET}/apply?prune=true", json=nothing))["changes"]
    assert (removed["name"], removed["action"], removed["fields"]) == ("shop", "remove", [])


def test_all_that_is_wrong_is_named_and_no_secret_shown(api: httpx2.Client) -> None:
    """422 with each key; what is no such form, too large or another type is refused too."""
    text = '[projects.shop]\nkind = "image"\nimage = 3\nports = "80"\ntoken = "hunter2"\n'
    answer = api.post(f"{FLEET}/apply", json={"text": text, "format": "toml"})
    problem = refused(answer, 422, "invalid-input")
    assert [one["field"] for one in problem["problems"]] == [
        *("projects.shop.token", "projects.shop.image", "projects.shop.ports")
    ]
    assert "hunter2" not in answer.text
    for body in ({"text": SHOP, "format": "ini"}, {"text": SHOP}, {"text": 3, "format": "toml"}):
        refused(api.post(f"{FLEET}/plan", json=body), 422, "invalid-input")
    half = b'{"text": "\\ud800", "format": "toml"}'
    headers = {"content-type": "application/json"}
    refused(api.post(f"{FLEET}/plan", content=half, headers=headers), 422, "invalid-input")
    large = api.post(f"{FLEET}/plan", json={"text": "#" * (1 << 20), "format": "toml"})
    refused(large, 413, "too-large")


def test_readers_may_export_and_no_more(daemon: WebDaemon) -> None:
    """A file that is planned may tell whether something is there; that is the operator's."""
    reader = daemon.remote(daemon.make_token("reader", "read"))
    ok(reader.get(FLEET))
    body = {"text": SHOP, "format": "toml"}
    for what in ("plan", "apply"):
        refused(reader.post(f"{FLEET}/{what}", json=body), 403, "access-denied")
    refused(daemon.remote().get(FLEET), 401, "access-denied")


def test_status_tells_that_no_file_is_followed(api: httpx2.Client) -> None:
    """Nothing is said where nothing was asked for."""
    assert ok(api.get("/api/v1/status"))["fleet"] is None
    assert ok(api.get("/api/healthz"))["warnings"] == []
