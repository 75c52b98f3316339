"""Clusters over a real server and from the terminal: declared, entered, checked, removed."""

import io
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from reconciler.cli.main import main
from tests.parts.certificates import CertificateAuthority
from tests.parts.cluster_stage import role_of_manifest
from tests.parts.kubernetes_api import SERVER_VERSION, KubernetesApi
from tests.parts.web_client import WebDaemon, ok, refused

CLUSTERS = "/api/v1/clusters"


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebDaemon]:
    with WebDaemon(tmp_path_factory.mktemp("clusters")) as running:
        yield running


@pytest.fixture
def api(daemon: WebDaemon) -> httpx2.Client:
    return daemon.local


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubernetesApi]:
    with KubernetesApi(CertificateAuthority(tmp_path_factory.mktemp("cluster"))) as running:
        yield running


def test_a_cluster_from_its_declaration_to_its_end(
    daemon: WebDaemon, api: httpx2.Client, cluster: KubernetesApi
) -> None:
    """What opens it is shown nowhere, and stands in no file; an expired token is told."""
    token = cluster.add_user("us", role_of_manifest(), "shop")
    made = ok(api.post(CLUSTERS, json={"name": "prod"}))
    assert (made["kubeconfig"], made["health"]["reachable"], made["version"]) == (None, None, None)
    bare = ok(api.post(f"{CLUSTERS}/prod/check", json={}))["health"]["error"]
    assert (bare["code"], bare["remedy"]) == (
        "precondition-failed",
        "store one: `reconciler cluster kubeconfig prod`",
    )

    stored = ok(api.put(f"{CLUSTERS}/prod/kubeconfig", json={"value": cluster.kubeconfig(token)}))
    assert len(stored["kubeconfig"]["fingerprint"]) == 8
    checked = ok(api.post(f"{CLUSTERS}/prod/check", json={"namespace": "shop"}))
    assert (checked["health"]["reachable"], checked["version"]) == (True, SERVER_VERSION)
    assert ok(api.get(f"{CLUSTERS}/prod")) == checked
    assert ok(api.get(CLUSTERS))["items"] == [checked]
    assert ok(api.get("/api/v1/status"))["clusters"] == [checked]

    elsewhere = ok(api.post(f"{CLUSTERS}/prod/check", json={"namespace": "other"}))
    assert "in namespace other" in elsewhere["health"]["error"]["message"]
    assert "rbac.yaml" in elsewhere["health"]["error"]["remedy"]
    cluster.users[token].expired = True
    expired = ok(api.post(f"{CLUSTERS}/prod/check", json={}))["health"]
    assert (expired["reachable"], expired["error"]["code"]) == (False, "host-refused")

    newer = cluster.add_user("us", role_of_manifest(), "shop")
    ok(api.put(f"{CLUSTERS}/prod/kubeconfig", json={"value": cluster.kubeconfig(newer)}))
    again = ok(api.post(f"{CLUSTERS}/prod/check", json={}))
    assert (again["health"]["reachable"], again["health"]["error"]) == (True, None)

    told = ok(api.get("/api/v1/audit"))
    actions = [one["action"] for one in told["items"] if one["subject"] == "cluster prod"]
    assert actions == ["cluster.kubeconfig", "cluster.kubeconfig", "cluster.create"]
    log = (daemon.folder / "daemon.log").read_text()
    files = [path for path in (daemon.folder / "data").rglob("*") if path.is_file()]
    kept = b"".join(path.read_bytes() for path in files)
    for secret in (token, newer):
        assert secret not in f"{told}{again}{expired}{log}"
        assert secret.encode() not in kept
    assert api.delete(f"{CLUSTERS}/prod").status_code == 204
    refused(api.get(f"{CLUSTERS}/prod"), 404, "not-found")


def test_a_kubeconfig_that_points_elsewhere_is_refused_before_it_is_kept(
    api: httpx2.Client, cluster: KubernetesApi
) -> None:
    ok(api.post(CLUSTERS, json={"name": "odd"}))
    config = json.loads(cluster.kubeconfig(cluster.admin))
    config["users"][0]["user"] = {"exec": {"command": "id"}, "token": cluster.admin}
    answer = api.put(f"{CLUSTERS}/odd/kubeconfig", json={"value": json.dumps(config)})
    problem = refused(answer, 422, "invalid-input")
    assert "would run a program here" in problem["detail"]
    assert cluster.admin not in answer.text
    assert ok(api.get(f"{CLUSTERS}/odd"))["kubeconfig"] is None


def test_a_context_has_to_be_one_of_the_kubeconfig(
    api: httpx2.Client, cluster: KubernetesApi
) -> None:
    where = f"{CLUSTERS}/several"
    ok(api.post(CLUSTERS, json={"name": "several", "context": "main"}))
    value = {"value": cluster.kubeconfig(cluster.admin)}
    ok(api.put(f"{where}/kubeconfig", json=value))
    refused(api.patch(where, json={"context": "third"}), 422, "invalid-input")
    seen = api.get(where)
    assert ok(api.patch(where, json={"context": None}))["context"] is None
    late = api.patch(where, json={"context": "main"}, headers={"if-match": seen.headers["etag"]})
    assert late.status_code == 412


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "Prod"}, "name"),
        ({"name": "local"}, "name"),
        ({"name": "a", "context": "two words"}, "context"),
        ({"name": "a", "context": "main", "in_cluster": True}, "context"),
        ({"name": "a", "kubeconfig": "x"}, "kubeconfig"),
    ],
)
def test_what_is_wrong_with_a_declaration_is_named(
    api: httpx2.Client, body: dict[str, Any], field: str
) -> None:
    answer = api.post(CLUSTERS, json=body)
    assert (answer.status_code, field in answer.json()["detail"]) == (422, True)


def test_hosts_and_clusters_share_their_names(api: httpx2.Client) -> None:
    ok(api.post(CLUSTERS, json={"name": "taken"}))
    host = {"name": "taken", "address": "192.0.2.1", "user": "u"}
    refused(api.post("/api/v1/hosts", json=host), 409, "already-exists")


def test_a_daemon_outside_of_any_cluster_is_in_none(api: httpx2.Client) -> None:
    ok(api.post(CLUSTERS, json={"name": "own", "in_cluster": True}))
    value = {"value": "apiVersion: v1"}
    refused(api.put(f"{CLUSTERS}/own/kubeconfig", json=value), 422, "invalid-input")
    error = ok(api.post(f"{CLUSTERS}/own/check", json={}))["health"]["error"]
    assert "runs in none" in error["message"]


@pytest.fixture
def run(
    daemon: WebDaemon, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """Run a command of the family, with what it is given on standard input."""
    monkeypatch.setenv("RECONCILER_URL", daemon.url)
    monkeypatch.setenv("RECONCILER_TOKEN", daemon.admin_token)

    def run(*arguments: str, given: str = "") -> tuple[int, str]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given.encode())))
        status = main(["cluster", *arguments])
        said = capsys.readouterr()
        return status, said.out + said.err

    return run


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_clusters_from_the_terminal(
    run: Callable[..., tuple[int, str]], cluster: KubernetesApi, tmp_path: Path
) -> None:
    token = cluster.add_user("us", role_of_manifest(), "shop")
    file = tmp_path / "kubeconfig"
    file.write_text(cluster.kubeconfig(token, server="http://192.0.2.1"))
    status, said = run("add", "term", "--file", str(file))
    assert (status, "without TLS" in said, "term was not added" in said) == (65, True, True)
    assert run("show", "term")[0] == 66

    assert run("add", "term")[1].startswith("added term\n`reconciler cluster kubeconfig term`")
    assert "no kubeconfig" in run("list")[1]
    status, said = run("kubeconfig", "term", given=cluster.kubeconfig(token))
    assert (status, said.startswith("stored the kubeconfig of term (")) == (0, True)
    status, said = run("check", "term", "-n", "shop")
    assert (status, "ok" in said, SERVER_VERSION in said) == (0, True, True)
    status, said = run("check", "term", "-n", "other")
    assert (status, "does not let us" in said) == (69, True)
    lines = run("list")[1].splitlines()
    assert lines[0].split() == ["CLUSTER", "STATE", "SINCE", "VERSION", "TROUBLE"]
    assert any("term" in line and "host-refused" in line for line in lines)
    assert run("set", "term")[0] == 2
    assert run("set", "term", "--context", "main") == (0, "changed term\n")
    assert "context main of kubeconfig" in run("show", "term")[1]
    assert token not in f"{lines}{run('show', 'term', '--json')}"
    assert run("remove", "term", "--yes") == (0, "removed term\n")
