"""``/metrics`` through the daemon: who may, what is in it, and that all that speaks of it fits."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from ruamel.yaml import YAML

from tests.parts.web_client import WebDaemon, ok, refused

ROOT = Path(__file__).parents[2]
_NAME = re.compile(r"\b(?:reconciler|process)_[a-z_]+")
#: What a histogram's name ends with in an expression.
_PART = re.compile(r"_(bucket|sum|count)$")


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebDaemon]:
    with WebDaemon(tmp_path_factory.mktemp("metrics")) as running:
        declared = {
            "name": "shop",
            "kind": "compose",
            "url": "https://git.example/shop.git",
            "expose_service": "web",
            "expose_port": 80,
        }
        ok(running.local.post("/api/v1/projects", json=declared))
        yield running


@pytest.fixture(scope="module")
def exported(daemon: WebDaemon) -> frozenset[str]:
    """The names of all families, as expressions have them."""
    lines = daemon.local.get("/metrics").text.splitlines()
    return frozenset(line.split()[2] for line in lines if line.startswith("# TYPE"))


def test_it_takes_the_scope_read_and_no_more(daemon: WebDaemon) -> None:
    """Nobody reads figures without a token, and one that pushes is not one that reads."""
    assert daemon.remote().get("/metrics").status_code == 401
    reader = daemon.remote(daemon.make_token("prometheus", "read"))
    answer = reader.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    pusher = daemon.remote(daemon.make_repository("box"))
    refused(pusher.get("/metrics"), 403, "access-denied")


def test_it_has_the_project_and_the_requests(daemon: WebDaemon) -> None:
    """Paths are told by their templates, whatever callers write into them."""
    for path in ("/api/v1/projects/shop?token=canary-1", "/canary-2", "/webhook/canary-3/canary-4"):
        daemon.local.get(path)
    text = daemon.local.get("/metrics").text
    assert "canary" not in text
    found = {one.name: one for one in text_string_to_metric_families(text)}
    standing = {"project": "shop", "standing": "never-deployed"}
    samples = found["reconciler_project_standing_info"].samples
    assert [standing.items() <= one.labels.items() for one in samples] == [True]
    routes = {one.labels["route"] for one in found["reconciler_http_requests"].samples}
    assert {"/api/v1/projects/{name}", "/webhook/{name}", "other"} <= routes
    assert found["reconciler_scrape_problem"].samples[0].value == 0


def test_every_figure_is_documented_and_every_documented_one_exists(
    exported: frozenset[str],
) -> None:
    """The page is the reference."""
    page = (ROOT / "docs" / "metrics.md").read_text()
    documented = set(re.findall(r"^\| `(reconciler_[a-z_]+)` \|", page, re.MULTILINE))
    assert documented == {name for name in exported if name.startswith("reconciler_")}


@pytest.mark.parametrize("file", ["grafana-dashboard.json", "prometheus-alerts.yaml"])
def test_what_is_drawn_and_watched_exists(file: str, exported: frozenset[str]) -> None:
    """A panel of a figure that was renamed stays empty, and an alert silent, for ever."""
    used = {_PART.sub("", name) for one in expressions(file) for name in _NAME.findall(one)}
    assert len(used) > 8
    assert used <= exported


def test_the_dashboard_is_one_that_grafana_takes() -> None:
    """Ids are unique, panels don't lie on one another, and all ask the chosen data source."""
    board = json.loads((ROOT / "packaging" / "grafana-dashboard.json").read_text())
    panels = board["panels"]
    assert len({one["id"] for one in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for at in (one["gridPos"] for one in panels):
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert at["x"] + at["w"] <= 24
        assert not taken & cells
        taken |= cells
    sources = {one["datasource"]["uid"] for one in panels if one["type"] != "row"}
    assert sources == {"${datasource}"}


def test_a_deployment_has_the_id_of_the_request_that_asked_first(daemon: WebDaemon) -> None:
    """A caller finds what it asked for in the log by the header of its answer."""
    wanted = {"commit": "a" * 40}
    path = "/api/v1/projects/shop/deployments"
    first = daemon.local.post(path, json=wanted, headers={"x-request-id": "forged"})
    again = daemon.local.post(path, json=wanted)
    ids = [one.headers["x-request-id"] for one in (first, again)]
    assert "forged" not in ids
    assert len(set(ids)) == 2
    assert ok(first)["correlation"] == ids[0]
    assert ok(again)["correlation"] == ids[0], "it was coalesced into the first"
    triggers = ok(daemon.local.get("/api/v1/projects/shop/triggers"))["items"]
    assert [one["correlation"] for one in triggers] == ids[::-1]


def test_a_scrape_follows_what_changes(daemon: WebDaemon) -> None:
    """Standings are kept between scrapes, and only while nothing that they rest on moves."""
    api = daemon.local
    declared = {"name": "worker", "kind": "image", "image": "registry.example/worker:1"}
    assert standing_of(daemon, "worker") == ""
    ok(api.post("/api/v1/projects", json=declared))
    assert standing_of(daemon, "worker") == "never-deployed"
    waiting = len(ok(api.get("/api/v1/deployments?status=queued"))["items"])
    ok(api.post("/api/v1/projects/worker/deployments", json={}))
    assert standing_of(daemon, "worker") == "queued"
    assert f"reconciler_deployments_queued {waiting + 1}.0" in metrics(daemon)
    ok(api.patch("/api/v1/settings", json={"auto_deploy_master_enabled": False}))
    assert "reconciler_master_switch 0.0" in metrics(daemon)
    assert api.delete("/api/v1/projects/worker").is_success
    assert standing_of(daemon, "worker") == ""


def metrics(daemon: WebDaemon) -> str:
    """Return what a scrape has."""
    return daemon.local.get("/metrics").text


def standing_of(daemon: WebDaemon, project: str) -> str:
    """Return where a scrape says that the project stands; empty: it doesn't know it."""
    for family in text_string_to_metric_families(metrics(daemon)):
        for sample in family.samples:
            if sample.name.endswith("_standing_info") and sample.labels["project"] == project:
                return sample.labels["standing"]
    return ""


def expressions(file: str) -> list[str]:
    """Return what a file asks Prometheus for."""
    path = ROOT / "packaging" / file
    if path.suffix == ".json":
        panels = json.loads(path.read_text())["panels"]
        return [target["expr"] for panel in panels for target in panel.get("targets", ())]
    groups = YAML(typ="safe").load(path)["groups"]
    return [rule["expr"] for group in groups for rule in group["rules"]]
