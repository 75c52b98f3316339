"""What goes wrong between us and an API server, each in a test of its own."""

import base64
import json
import socket
import ssl
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from http import HTTPStatus
from itertools import count
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from reconciler.adapters.kubernetes.client import KubernetesClient, WatchTimes
from reconciler.adapters.kubernetes.connection import Connection
from reconciler.adapters.kubernetes.entrance import in_cluster
from reconciler.adapters.kubernetes.kubeconfig import parse_kubeconfig
from reconciler.adapters.kubernetes.prober import KubernetesProber
from reconciler.domain.errors import (
    ChangedMeanwhile,
    CommandFailed,
    HostRefused,
    ReconcilerError,
    TargetUnreachable,
)
from reconciler.domain.health_check import HealthCheck, ProbeKind
from reconciler.domain.host import HostName
from reconciler.domain.references import ProjectName
from reconciler.domain.secret import Secret
from reconciler.domain.target import Target
from reconciler.domain.workload import Workload as TargetWorkload
from reconciler.domain.workload import WorkloadKind
from reconciler.log import Redactor
from reconciler.ports import WorkloadState
from tests.parts.certificates import CertificateAuthority, ServerCertificate
from tests.parts.cluster_stage import (
    KINDS,
    RBAC,
    SHORT,
    TIMES,
    client_of,
    role_of_manifest,
)
from tests.parts.http_server import Answer, HttpServer, Request
from tests.parts.kubernetes_api import Asked, KubernetesApi, User, Workload, failed
from tests.parts.kubernetes_objects import ApiFailure
from tests.parts.waiting import eventually

DEPLOYMENT = WorkloadKind.DEPLOYMENT
NEW = f"registry.example/web@sha256:{'c' * 64}"
Instead = Callable[[Request], Answer | None]


@dataclass
class Rig:
    """A cluster with one deployment, and our client of it."""

    api: KubernetesApi
    client: KubernetesClient
    token: str

    def look(self) -> WorkloadState:
        return self.client.get_workload("default", DEPLOYMENT, "web")

    def set_image(self, seen: WorkloadState) -> WorkloadState:
        return self.client.set_images(seen, {"web": NEW}, {})

    @property
    def image(self) -> str:
        template = self.api.get("Deployment", "web")["spec"]["template"]
        return str(template["spec"]["containers"][0]["image"])

    @property
    def verbs(self) -> list[str]:
        return [one.verb for one in self.api.asked]


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with KubernetesApi(CertificateAuthority(tmp_path)) as api:
        api.create(Workload().manifest)
        api.controllers.settle()
        token = api.add_user("us", role_of_manifest(), "default")
        yield Rig(api, client_of(api.kubeconfig(token)), token)


def first(times: int, answer: Answer, method: str = "GET") -> Instead:
    """Give an answer so many times, and then go on as usual."""
    numbers = count()

    def instead(request: Request) -> Answer | None:
        return answer if request.method == method and next(numbers) < times else None

    return instead


def kinds_asked(rig: Rig) -> set[tuple[str, str]]:
    return {(one.verb, one.resource) for one in rig.api.asked}


def throttled(seconds: int) -> Answer:
    return failed(ApiFailure(429, "TooManyRequests", "too many requests", retry_after=seconds))


# ── what is asked again ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "answer",
    [throttled(0), Answer(500), Answer(503), Answer(504)],
    ids=["429", "500", "503", "504"],
)
def test_what_only_reads_is_asked_again(rig: Rig, answer: Answer) -> None:
    rig.api.instead = first(2, answer)
    assert rig.look().name == "web"


def test_a_pause_that_is_asked_for_is_kept(rig: Rig) -> None:
    rig.api.instead = first(1, throttled(1))
    begun = time.monotonic()
    rig.look()
    assert time.monotonic() - begun >= 1


def test_one_that_asks_for_too_long_a_pause_is_given_up_at_once(rig: Rig) -> None:
    rig.api.instead = first(9, throttled(3600))
    begun = time.monotonic()
    with pytest.raises(TargetUnreachable, match="answered 429: too many requests"):
        rig.look()
    assert time.monotonic() - begun < 2


def test_a_server_that_stays_broken_is_given_up(rig: Rig) -> None:
    rig.api.instead = first(99, Answer(500, body=b"<html>oh no</html>"))
    with pytest.raises(TargetUnreachable, match=r"get deployments.apps web in namespace default"):
        rig.look()
    assert len(rig.api.requests) == 5


def test_an_answer_that_is_cut_off_is_asked_for_again(rig: Rig) -> None:
    def cut() -> Iterator[bytes]:
        yield b'{"kind": "Deploy'
        raise ConnectionResetError

    rig.api.instead = first(1, Answer(200, {"Content-Type": "application/json"}, cut()))
    assert rig.look().name == "web"
    short = {"Content-Type": "application/json", "Content-Length": "5000"}
    rig.api.instead = first(1, Answer(200, short, iter([b"{}"])))
    assert rig.look().name == "web"


# ── what is not ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "body",
    [
        b"<html>Sign in</html>",
        b"",
        b"null",
        b"[]",
        b'{"spec": 5}',
        b'{"metadata": {}}',
        b"[" * 9999,
    ],
    ids=["html", "empty", "null", "list", "type", "hollow", "deep"],
)
def test_garbage_is_no_workload(rig: Rig, body: bytes) -> None:
    rig.api.instead = first(9, Answer(200, {"Content-Type": "application/json"}, body))
    with pytest.raises(TargetUnreachable, match="does not answer as an API server does"):
        rig.look()


def test_an_answer_without_end_is_not_read_to_it(rig: Rig) -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield b"x" * 65536

    rig.api.instead = first(9, Answer(200, {"Content-Type": "application/json"}, endless()))
    with pytest.raises(TargetUnreachable, match=f"over {SHORT.answer_bytes} bytes"):
        rig.look()
    assert len(rig.api.requests) == 1


@pytest.mark.parametrize("silent", [True, False], ids=["silent", "dripping"])
def test_an_answer_is_waited_for_no_longer_than_its_time(rig: Rig, silent: bool) -> None:
    def dripping() -> Iterator[bytes]:
        while True:
            time.sleep(0.05)
            yield b" "

    def slow(_request: Request) -> Answer:
        rig.api.closing.wait(5 if silent else 0)
        return Answer(200, {"Content-Type": "application/json"}, dripping())

    rig.api.instead = slow
    limits = replace(SHORT, total=timedelta(seconds=0.5))
    config = Secret.of(rig.api.kubeconfig(rig.token))
    connection = Connection(HostName("prod"), parse_kubeconfig(config), Redactor(), limits)
    begun = time.monotonic()
    with pytest.raises(TargetUnreachable, match=r"did not answer within 0\.5 s"):
        KubernetesClient(connection, Redactor()).get_workload("default", DEPLOYMENT, "web")
    assert time.monotonic() - begun < 2


def test_what_others_note_is_one_line_without_control_characters(rig: Rig) -> None:
    """It stands in errors, e.g. as the project that a workload belongs to."""
    deployment = rig.api.get("Deployment", "web")
    noted = {"reconciler/project": "a\x1b[31m\nb", "long": "x" * 99999, "odd": True}
    deployment["metadata"]["annotations"] |= noted
    rig.api.objects.replace("deployments", deployment)
    found = rig.look().annotations
    assert (found["reconciler/project"], found["odd"]) == ("a b", "True")
    assert len(found["long"]) < 3000


def test_a_list_that_is_gone_in_the_middle_blames_nobody(rig: Rig) -> None:
    """Its next page may be too old by the time that it is asked for."""
    expired = failed(ApiFailure(410, "Expired", "the provided continue parameter is too old"))
    seen = rig.look()
    rig.api.instead = first(1, expired)
    with pytest.raises(TargetUnreachable, match="continue parameter is too old"):
        rig.client.list_pods(seen)


def test_events_of_others_are_never_too_many(rig: Rig) -> None:
    """What is noted in a namespace is no bound on what may be deployed to it."""
    item = {"metadata": {}, "involvedObject": {"uid": "else"}}
    page = {"kind": "EventList", "metadata": {"continue": "on"}, "items": [item] * 1000}
    body = json.dumps(page).encode()

    def many(request: Request) -> Answer | None:
        if not request.path.endswith("/events"):
            return None
        return Answer(200, {"Content-Type": "application/json"}, body)

    rig.api.instead = many
    assert rig.client.list_events(rig.look(), ()) == []
    assert len(rig.api.requests) < 20


def test_a_redirect_is_not_followed(rig: Rig) -> None:
    with HttpServer(lambda _request: Answer(200)) as elsewhere:
        rig.api.instead = first(9, Answer(302, {"Location": f"{elsewhere.url}/"}))
        with pytest.raises(TargetUnreachable, match="would send us elsewhere"):
            rig.look()
        assert not elsewhere.requests


def test_a_proxy_of_the_environment_is_not_used(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert client_of(rig.api.kubeconfig(rig.token)).check("default")


def test_an_address_may_be_written_in_any_way(rig: Rig) -> None:
    """Whoever writes it anew leaves out `:443`, and makes capitals small."""
    written = f"https://LocalHost:{rig.api.port}"
    client = client_of(rig.api.kubeconfig(rig.token, server=written))
    assert client.get_workload("default", DEPLOYMENT, "web").name == "web"


def test_a_server_that_is_not_there_is_said(rig: Rig) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    config = rig.api.kubeconfig(rig.token, server=f"https://127.0.0.1:{port}")
    with pytest.raises(TargetUnreachable, match=r"cluster prod can't be reached: .*refused"):
        client_of(config).check()


# ── who is let in, and what for ──────────────────────────────────────────────────────────────────


def test_an_expired_token_is_said_and_never_shown(rig: Rig) -> None:
    rig.api.users[rig.token].expired = True
    with pytest.raises(HostRefused, match="does not let us in") as caught:
        rig.look()
    assert caught.value.remedy.endswith("`reconciler cluster kubeconfig prod`")
    for namespace in ("", "default"):
        with pytest.raises(HostRefused, match="does not let us in"):
            rig.client.check(namespace)
    assert rig.token not in f"{caught.value.evidence}"


def test_a_token_that_a_server_repeats_is_not_shown(rig: Rig) -> None:
    said = json.dumps({"kind": "Status", "message": f"bad token {rig.token}", "code": 400})
    rig.api.instead = first(9, Answer(400, {"Content-Type": "application/json"}, said.encode()))
    with pytest.raises(CommandFailed, match="bad token") as caught:
        rig.look()
    assert rig.token not in f"{caught.value} {caught.value.evidence}"


def test_a_token_of_the_service_account_is_read_anew(tmp_path: Path, rig: Rig) -> None:
    """Also when it expires between two requests, or while one is under way."""
    (tmp_path / "ca.crt").write_bytes(rig.api.authority.ca_path.read_bytes())
    (tmp_path / "token").write_text(rig.token)
    port = str(rig.api.port)
    where = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": port}
    entrance = in_cluster(where, tmp_path)
    client = KubernetesClient(Connection(HostName("own"), entrance, Redactor(), SHORT), Redactor())
    client.check("default")

    def expire(request: Request) -> Answer | None:
        """The kubelet writes a new one just after the old one was read."""
        if request.authorization == f"Bearer {rig.token}" and not rig.api.users[rig.token].expired:
            rig.api.users[rig.token].expired = True
            (tmp_path / "token").write_text(newer)
        return None

    newer = rig.api.add_user("us", role_of_manifest(), "default")
    rig.api.instead = expire
    assert client.get_workload("default", DEPLOYMENT, "web").name == "web"


def test_a_client_certificate_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No file is made of it."""
    authority = CertificateAuthority(tmp_path / "mutual")
    server = authority.issue()
    mutual = _Mutual(server.certificate_path, server.key_path, authority.ca_path)
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    with KubernetesApi(authority, tls=mutual) as api:
        api.certificate_user = User("us")
        api.create(Workload().manifest)
        pair = authority.issue("us", name="us")
        config = json.loads(api.kubeconfig(""))
        config["users"][0]["user"] = {
            "client-certificate-data": _base64(pair.certificate_path),
            "client-key-data": _base64(pair.key_path),
        }
        client = client_of(json.dumps(config))
        assert client.get_workload("default", DEPLOYMENT, "web").name == "web"
        assert not list((tmp_path / "scratch").iterdir())
        with pytest.raises(TargetUnreachable):
            client_of(api.kubeconfig(api.admin)).check()


def test_a_server_of_another_authority_is_told_nothing(tmp_path: Path, rig: Rig) -> None:
    other = CertificateAuthority(tmp_path / "other")
    config = json.loads(rig.api.kubeconfig(rig.token))
    config["clusters"][0]["cluster"]["certificate-authority-data"] = _base64(other.ca_path)
    with pytest.raises(TargetUnreachable, match=r"no trusted TLS: .*verify failed"):
        client_of(json.dumps(config)).check()
    assert not rig.api.requests


def test_a_server_may_have_another_name_than_its_address(tmp_path: Path) -> None:
    authority = CertificateAuthority(tmp_path)
    with KubernetesApi(authority, tls=authority.issue("kubernetes")) as api:
        named = api.kubeconfig(api.admin, **{"tls-server-name": "kubernetes"})
        assert client_of(named).check().startswith("v1.")
        with pytest.raises(TargetUnreachable, match="no trusted TLS"):
            client_of(api.kubeconfig(api.admin)).check()


def test_what_the_role_lacks_is_named(rig: Rig) -> None:
    rules = [
        replace(one, verbs=[verb for verb in one.verbs if verb != "patch"])
        for one in role_of_manifest()
    ]
    token = rig.api.add_user("reader", rules, "default")
    reader = client_of(rig.api.kubeconfig(token))
    missing = "patch deployments, patch statefulsets, patch daemonsets in namespace default"
    with pytest.raises(HostRefused, match=missing):
        reader.check("default")
    with pytest.raises(HostRefused, match=r"does not let us patch deployments.apps web") as caught:
        reader.set_images(rig.look(), {"web": NEW}, {})
    assert (caught.value.evidence["verb"], caught.value.evidence["namespace"]) == (
        "patch",
        "default",
    )
    assert "rbac.yaml" in caught.value.remedy


def test_what_is_asked_to_be_allowed_is_what_is_used_and_no_more(rig: Rig) -> None:
    """The packaged role has all of it, and lets nothing be made or deleted."""
    rig.client.check("default")
    reviews = [json.loads(one.body)["spec"]["resourceAttributes"] for one in rig.api.requests[1:]]
    needed = {
        (
            one["verb"],
            one["group"],
            "/".join(filter(None, (one["resource"], one.get("subresource")))),
        )
        for one in reviews
    }
    rig.api.asked.clear()
    target = Target(ProjectName("shop"), namespace="default")
    for kind, name in KINDS.items():
        rig.api.create(Workload(kind, name).manifest)
        rig.api.controllers.settle()
        seen = rig.client.get_workload("default", kind, kind)
        changed = rig.client.set_images(seen, {"web": NEW}, {})
        pods = rig.client.list_pods(changed)
        rig.client.list_events(changed, pods)
        rig.client.last_lines("default", pods[0].name, "web", 5)
        watching = rig.client.watch(changed, timedelta(seconds=5), threading.Event())
        next(watching)
        wanted = {("watch", f"{kind}s"), ("watch", "pods")}
        eventually(lambda wanted=wanted: kinds_asked(rig) >= wanted)  # type: ignore[misc]
        watching.close()  # type: ignore[attr-defined]
        one = TargetWorkload(kind, kind, {"web": "web"})
        check = HealthCheck(ProbeKind.HTTP, 80)
        prober = KubernetesProber(lambda _name: rig.client)
        assert not prober.probe(replace(target, workloads=(one,), health=check), None).problem
    used = {(one.verb, one.group, one.resource) for one in rig.api.asked}
    assert used == needed
    rules = role_of_manifest()
    assert all(any(rule.allows(*one) for rule in rules) for one in used)
    granted = {(verb, what) for rule in rules for verb in rule.verbs for what in rule.resources}
    assert {verb for verb, _ in granted} == {"get", "list", "watch", "patch"}
    assert {what for verb, what in granted if verb == "patch"} == {f"{kind}s" for kind in KINDS}


def test_the_manifest_is_of_one_namespace() -> None:
    """Whose subject has to be named: it is not filled in."""
    documents = list(YAML(typ="safe").load_all(RBAC.read_text()))
    (binding,) = [one for one in documents if one["kind"] == "RoleBinding"]
    places = {one["metadata"]["namespace"] for one in documents}
    assert {*places, binding["subjects"][0]["namespace"]} == {"shop"}


@pytest.mark.parametrize("status", [403, 422, 400])
def test_an_admission_policy_says_why(rig: Rig, status: int) -> None:
    said = 'admission webhook "policy.example" denied the request: unsigned\x1b[31m image'
    denied = failed(ApiFailure(status, "Forbidden", said))
    seen = rig.look()
    rig.api.instead = first(9, denied, "PATCH")
    with pytest.raises(CommandFailed, match="denied the request: unsigned"):
        rig.set_image(seen)


# ── what changes something ───────────────────────────────────────────────────────────────────────


def test_a_change_is_a_patch_of_these_images_with_its_precondition(rig: Rig) -> None:
    seen = rig.look()
    changed = rig.client.set_images(seen, {"web": NEW}, {"note": "x"})
    (patch,) = [one for one in rig.api.requests if one.method == "PATCH"]
    assert patch.headers["content-type"] == "application/strategic-merge-patch+json"
    assert patch.query["fieldManager"] == ["reconciler"]
    assert json.loads(patch.body) == {
        "metadata": {"resourceVersion": seen.resource_version, "annotations": {"note": "x"}},
        "spec": {"template": {"spec": {"containers": [{"name": "web", "image": NEW}]}}},
    }
    assert changed.images == {"web": NEW}


def test_a_change_whose_answer_is_lost_is_looked_after(rig: Rig) -> None:
    """It was made: that is seen, and nothing is sent once more."""
    seen = rig.look()

    def make_and_break(request: Request) -> Answer | None:
        if request.method != "PATCH":
            return None
        rig.api.instead = lambda _request: None
        rig.api.answer(request)
        raise ConnectionResetError

    rig.api.instead = make_and_break
    assert rig.set_image(seen).images == {"web": NEW}
    assert rig.verbs.count("patch") == 1


@pytest.mark.parametrize("status", [500, 503, 504])
def test_a_change_that_was_not_made_is_not_made_by_itself(rig: Rig, status: int) -> None:
    seen = rig.look()
    rig.api.instead = first(9, Answer(status), "PATCH")
    with pytest.raises(TargetUnreachable, match=f"answered {status}"):
        rig.set_image(seen)
    assert [one.method for one in rig.api.requests].count("PATCH") == 1
    assert rig.image != NEW


def test_a_change_that_was_turned_away_is_sent_again(rig: Rig) -> None:
    seen = rig.look()
    rig.api.instead = first(2, throttled(0), "PATCH")
    assert rig.set_image(seen).images == {"web": NEW}


def test_somebody_else_was_first(rig: Rig) -> None:
    seen = rig.look()
    rig.set_image(seen)
    other = {"web": "registry.example/web:2"}
    with pytest.raises(ChangedMeanwhile):
        rig.client.set_images(seen, other, {})
    assert rig.image == NEW
    assert rig.set_image(seen).images == {"web": NEW}, "what is wanted is there already"


# ── watches ──────────────────────────────────────────────────────────────────────────────────────


def watch(rig: Rig, seconds: float = 10) -> Generator[WorkloadState, None, None]:
    within = timedelta(seconds=seconds)
    yield from rig.client.watch(rig.look(), within, threading.Event())


def until_it_says(watching: Iterator[WorkloadState], image: str) -> float:
    begun = time.monotonic()
    next(state for state in watching if state.images["web"] == image)
    return time.monotonic() - begun


def patient(rig: Rig) -> Rig:
    """Return the rig with a client that looks by itself only after a minute."""
    times = WatchTimes(anyway=timedelta(minutes=1), polled=TIMES.polled)
    client = KubernetesClient(rig.client.connection, Redactor(), times)
    return Rig(rig.api, client, rig.token)


def change(rig: Rig, image: str) -> None:
    deployment = rig.api.get("Deployment", "web")
    deployment["spec"]["template"]["spec"]["containers"][0]["image"] = image
    rig.api.objects.replace("deployments", deployment)


def watches(rig: Rig) -> int:
    return rig.verbs.count("watch")


def test_a_watch_that_is_gone_begins_anew(rig: Rig) -> None:
    """It says so in the middle: what there is now comes first, of no version."""
    watching = watch(patient(rig))
    next(watching)
    eventually(lambda: watches(rig) == 2)
    rig.api.objects.forget_history()
    eventually(lambda: watches(rig) == 4)
    asked = [one.query for one in rig.api.requests if "watch" in one.query]
    assert not any("resourceVersion" in one for one in asked)
    change(rig, NEW)
    assert until_it_says(watching, NEW) < 5
    assert watches(rig) == 4


def test_a_version_that_is_gone_is_not_asked_for_again(rig: Rig) -> None:
    """Servers refuse it outright as well."""
    versions: list[str] = []

    def end_and_forget(request: Request) -> Answer | None:
        if "watch" not in request.query or "/deployments" not in request.path:
            return None
        versions.append(request.query.get("resourceVersion", [""])[0])
        if versions[-1]:
            return failed(ApiFailure(410, "Expired", "too old resource version"))
        line = json.dumps({"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "7"}}})
        return Answer(200, {"Content-Type": "application/json"}, iter([line.encode() + b"\n"]))

    rig.api.instead = end_and_forget
    watching = watch(patient(rig))
    next(watching)
    eventually(lambda: len(versions) >= 3)
    watching.close()
    assert versions[:3] == ["", "7", ""]


def test_a_watch_goes_on_from_its_last_bookmark(rig: Rig) -> None:
    """Of a server that ends its watches soon, nothing is listed once more."""
    versions = []

    def end_soon(request: Request) -> Answer | None:
        if request.query.get("watch") != ["true"] or "/deployments" not in request.path:
            return None
        versions.append(request.query.get("resourceVersion", [""])[0])
        bookmark = {"metadata": {"resourceVersion": "4711"}}
        line = json.dumps({"type": "BOOKMARK", "object": bookmark}).encode() + b"\n"
        return Answer(200, {"Content-Type": "application/json"}, iter([line]))

    rig.api.instead = end_soon
    watching = watch(patient(rig))
    next(watching)
    eventually(lambda: len(versions) >= 3)
    watching.close()
    assert versions[:3] == ["", "4711", "4711"]


def test_a_watch_that_ends_at_once_is_not_begun_without_end(rig: Rig) -> None:
    """A proxy in between may answer so: each end is one look, and each time a longer pause."""
    begun = []

    def end_at_once(request: Request) -> Answer | None:
        if "watch" not in request.query:
            return None
        begun.append(request.path)
        return Answer(200, {"Content-Type": "application/json"}, b"")

    rig.api.instead = end_at_once
    assert len(list(watch(patient(rig), 1.5))) < 12
    assert 4 <= len(begun) <= 8


@pytest.mark.parametrize(
    "line", [b"<html>\n", b"{}\n", b'{"type": "ADDED", "object": 5}\n', b"\xff\n"]
)
def test_a_garbled_watch_begins_anew(rig: Rig, line: bytes) -> None:
    def garble(request: Request) -> Answer | None:
        if "watch" not in request.query or watches(rig) > 2:
            return None
        rig.api.asked.append(Asked("watch", "", "", "", "", ""))
        return Answer(200, {"Content-Type": "application/json"}, iter([line]))

    rig.api.instead = garble
    watching = watch(patient(rig))
    next(watching)
    eventually(lambda: watches(rig) >= 4)
    change(rig, NEW)
    assert until_it_says(watching, NEW) < 5


def test_where_nothing_may_be_watched_it_is_looked_at_instead(rig: Rig) -> None:
    def refuse(request: Request) -> Answer | None:
        if "watch" in request.query:
            return failed(ApiFailure(HTTPStatus.FORBIDDEN, "Forbidden", "no watch"))
        return None

    rig.api.instead = refuse
    watching = watch(patient(rig))
    next(watching)
    threading.Timer(0.3, lambda: change(rig, NEW)).start()
    assert until_it_says(watching, NEW) < 5
    assert len([one for one in rig.api.requests if "watch" in one.query]) == 2


def test_a_cluster_that_goes_away_while_it_is_watched_is_said(rig: Rig) -> None:
    watching = watch(rig)
    next(watching)
    rig.api.instead = first(999, Answer(503))
    with pytest.raises(TargetUnreachable):
        list(watching)


def test_no_thread_is_left_of_a_watch(rig: Rig) -> None:
    watching = watch(rig)
    next(watching)
    eventually(lambda: watches(rig) == 2)
    watching.close()
    eventually(
        lambda: not [one for one in threading.enumerate() if one.name == "cluster watch"], within=20
    )


# ── lists ────────────────────────────────────────────────────────────────────────────────────────


def test_long_lists_come_in_pages(rig: Rig) -> None:
    rig.api.page_size = 2
    rig.api.create(Workload("big", spec={"replicas": 7}).manifest)
    rig.api.controllers.settle()
    big = rig.client.get_workload("default", DEPLOYMENT, "big")
    assert len(rig.client.list_pods(big)) == 7


def test_our_errors_are_of_the_kinds_that_callers_know(rig: Rig) -> None:
    """Whatever an API server answers with."""
    for status in (300, 400, 401, 402, 403, 404, 405, 408, 409, 410, 415, 418, 422, 451, 501, 505):
        for headers in ({"Content-Type": "application/json"}, {"Content-Type": "text/html"}):
            rig.api.instead = first(99, Answer(status, headers, b'{"message": [1]}'))
            with pytest.raises(ReconcilerError):
                rig.look()


@dataclass(frozen=True)
class _Mutual(ServerCertificate):
    """A server's certificate that wants to see one of its clients, too."""

    clients: Path  #: who signs theirs

    def server_context(self) -> ssl.SSLContext:
        context = super().server_context()
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(self.clients)
        return context


def _base64(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
