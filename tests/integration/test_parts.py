"""Each real part really answers."""

import os
import signal
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import psycopg
import pytest
import urllib3
from playwright.sync_api import Browser

from tests.parts.browser import take_screenshot
from tests.parts.certificates import CertificateAuthority
from tests.parts.docker_engine import DockerEngine
from tests.parts.faulty import (
    Fault,
    FaultyProxy,
    Mode,
    Unreachable,
    endless_body,
    gzip_bomb,
    redirect,
)
from tests.parts.git_repository import GitFailed, run_git
from tests.parts.git_server import GitServer, Login
from tests.parts.http_server import Answer, HttpServer
from tests.parts.postgres import Postgres
from tests.parts.registry import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    PASSWORD,
    USERNAME,
    Registry,
    RegistryRefused,
)
from tests.parts.sshd import Sshd
from tests.parts.waiting import eventually


@pytest.mark.needs_docker
def test_engine_runs_an_image_of_ours_until_it_is_healthy(engine: DockerEngine) -> None:
    """Files, command and health check of a built image are what runs."""
    tag = f"{engine.run_id}/web:1"
    engine.build_image(
        tag,
        cmd=["httpd", "-f", "-p", "80", "-h", "/www"],
        files={"www/index.html": "hello"},
        labels={"some.label": 'with "quotes" and $signs'},
        healthcheck="--interval=200ms CMD wget -q -O- 127.0.0.1",
    )
    container = engine.run(tag)
    eventually(lambda: engine.inspect(container)["State"]["Health"]["Status"] == "healthy")
    assert engine.inspect(container)["Config"]["Labels"]["some.label"] == (
        'with "quotes" and $signs'
    )
    assert engine.docker("exec", container, "wget", "-q", "-O-", "127.0.0.1") == "hello"


@pytest.mark.needs_docker
def test_engine_brings_a_compose_project_up_and_removes_it(
    engine: DockerEngine, tmp_path: Path
) -> None:
    """Nothing of a project is left: no container, no network, no volume."""
    project = engine.unique("shop")
    compose_file = tmp_path / "compose.yaml"
    compose_file.write_text(
        f"services: {{web: {{image: '{engine.busybox_image()}', volumes: ['data:/data'],"
        " init: true}}\nvolumes: {data: {}}\n"
    )
    engine.docker("compose", "-p", project, "-f", compose_file, "up", "--detach")
    assert [found["State"]["Status"] for found in engine.containers(project)] == ["running"]
    engine.remove_project(project)
    assert engine.containers(project) == []
    for kind in ("volume", "network"):
        assert project not in engine.docker(kind, "ls")


@pytest.mark.needs_docker
@pytest.mark.needs_registry
def test_pushed_image_has_the_digest_that_the_registry_says(
    engine: DockerEngine, registry: Registry
) -> None:
    """The digest that a push returns is the one behind the tag."""
    digest = engine.push(engine.busybox_image(), registry.host, repository="team/web:1")
    assert registry.digest("team/web", "1") == digest


@pytest.mark.needs_registry
@pytest.mark.parametrize("tls", [pytest.param(False, id="plain"), pytest.param(True, id="tls")])
@pytest.mark.parametrize("auth", ["none", "htpasswd", "token"])
def test_registry_keeps_images_and_indexes(auth: str, tls: bool) -> None:
    """The same seed makes the same digest; a moved tag has another one."""
    with Registry(auth, tls=tls) as registry:  # type: ignore[arg-type]  # one of its literals
        first = registry.push_manifest("team/web", "1", "a")
        assert registry.push_manifest("team/web", "same", "a") == first
        moved = registry.push_manifest("team/web", "1", "b", media_type=DOCKER_MANIFEST)
        assert registry.digest("team/web", "1") == moved != first
        index, images = registry.push_index("team/web", "2", {"amd64": "a", "arm64": "c"})
        assert registry.digest("team/web", "2") == index
        assert images["amd64"] == first
        registry.push_index("team/web", "3", {"amd64": "d"}, media_type=DOCKER_LIST)
        registry.delete("team/web", moved)
        with pytest.raises(RegistryRefused, match="404"):
            registry.digest("team/web", "1")


@pytest.mark.needs_registry
def test_registry_asks_for_its_password() -> None:
    """Without it 401, with it 200."""
    with Registry("htpasswd") as registry:
        registry.push_manifest("web", "1", "a")
        target = f"{registry.url}/v2/web/manifests/1"
        basic = urllib3.make_headers(basic_auth=f"{USERNAME}:{PASSWORD}")
        with urllib3.PoolManager() as http:
            assert http.request("HEAD", target).status == 401
            assert http.request("HEAD", target, headers=basic).status == 404  # no OCI in Accept
            assert http.request("GET", f"{registry.url}/v2/", headers=basic).status == 200
        eventually(lambda: [entry.status for entry in registry.requests()][-3:] == [401, 404, 200])


@pytest.mark.needs_docker
@pytest.mark.needs_registry
def test_token_server_is_asked_by_docker_and_remembers_it(
    engine: DockerEngine, tmp_path: Path
) -> None:
    """What the client sent is there to look at."""
    with Registry("token") as registry:
        target = f"{registry.host}/web:1"
        engine.docker("tag", engine.busybox_image(), target)
        engine.docker("--config", registry.docker_config(tmp_path), "push", target)
        assert registry.token_server
        asked = registry.token_server.requests[-1]
        assert asked.query["scope"] == ["repository:web:push,pull"]
        assert (
            asked.authorization
            == (urllib3.make_headers(basic_auth=f"{USERNAME}:{PASSWORD}")["authorization"])
        )
        engine.docker("rmi", target)


@pytest.mark.needs_registry
def test_registry_posts_its_events() -> None:
    """A push arrives at the notification's URL."""
    with (
        HttpServer(lambda request: Answer()) as hook,
        Registry(notifications=[f"{hook.url}/events"]) as registry,
    ):
        digest = registry.push_manifest("team/web", "1", "a")
        eventually(lambda: any(digest.encode() in request.body for request in hook.requests))


@pytest.mark.needs_git
def test_git_server_serves_what_was_committed(git_server: GitServer, tmp_path: Path) -> None:
    """Commits, deletions, branches and forced pushes are what a client sees."""
    repository = git_server.repository("team/web.git")
    first = repository.commit({"a": "one", "run": "#!/bin/sh\n"})
    second = repository.commit({"a": None, "b": b"\x00two"}, "second")
    repository.commit({"c": "3"}, branch="other", parent=first)
    forced = repository.commit({"d": "4"}, parent=first)
    url = git_server.url("team/web.git")
    assert f"{forced}\trefs/heads/main" in run_git("ls-remote", url)
    run_git("clone", "--quiet", "--branch", "main", url, tmp_path / "clone")
    assert {path.name for path in (tmp_path / "clone").iterdir()} == {".git", "a", "d", "run"}
    assert os.access(tmp_path / "clone/run", os.X_OK)
    run_git("-C", tmp_path / "clone", "fetch", "--quiet", "origin", second)
    assert git_server.requests[-1].headers["git-protocol"] == "version=2"


@pytest.mark.needs_git
@pytest.mark.parametrize("count", [3, 20_000, 100_000])
def test_git_server_has_many_refs(git_server: GitServer, count: int) -> None:
    """As many as were asked for, besides HEAD and main."""
    repository = git_server.repository("web.git")
    repository.commit({"a": "one"})
    repository.add_refs(count)
    seen = run_git("ls-remote", git_server.url("web.git")).splitlines()
    assert len(seen) == count + 2


@pytest.mark.needs_git
def test_git_server_takes_pushes_from_those_who_log_in(tmp_path: Path) -> None:
    """With TLS, its own authority and a password; without the password nothing."""
    login = Login("deploy", "s3cret")
    with GitServer(login=login, tls=True) as server:
        repository = server.repository("web.git")
        repository.commit({"a": "one"})
        url = server.url("web.git")
        trust = {"GIT_SSL_CAINFO": str(server.ca_path)}
        with pytest.raises(GitFailed, match="could not read Username"):
            run_git("ls-remote", url, env=trust)
        with_login = url.replace("//", f"//{login.username}:{login.password}@")
        clone = tmp_path / "clone"
        run_git("clone", "--quiet", with_login, clone, env=trust)
        run_git("-C", clone, "commit", "--quiet", "--allow-empty", "--message", "pushed")
        run_git("-C", clone, "push", "--quiet", env=trust)
        assert repository.tip() == run_git("-C", clone, "rev-parse", "HEAD")


@pytest.mark.needs_sshd
@pytest.mark.needs_git
def test_sshd_serves_git_until_its_host_key_changes(sshd: Sshd) -> None:
    """A pinned host key is the condition."""
    sha = sshd.repository("web.git").commit({"a": "one"})
    ssh = {"GIT_SSH_COMMAND": " ".join(["ssh", *sshd.client_options()])}
    assert sha in run_git("ls-remote", sshd.url("web.git"), env=ssh)
    done = subprocess.run(
        ["ssh", *sshd.client_options(), "127.0.0.1", "echo", "hello"],
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    assert done.stdout == "hello\n"
    sshd.change_host_key()
    with pytest.raises(GitFailed, match="Host key verification failed"):
        run_git("ls-remote", sshd.url("web.git"), env=ssh)


@pytest.mark.needs_postgres
def test_postgres_gives_every_test_its_own_database(postgres: Postgres, database_url: str) -> None:
    """They differ, and are there again after a restart."""
    assert postgres.create_database() != database_url
    plain = database_url.replace("+psycopg", "")
    with psycopg.connect(plain) as connection:
        connection.execute("CREATE TABLE kept (id int)")
    postgres.stop()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(plain)
    postgres.start()
    with psycopg.connect(plain) as connection:
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)


@pytest.mark.needs_browser
def test_browser_shows_a_page_and_takes_a_picture(chromium: Browser) -> None:
    """Scripts run, clicks arrive."""
    page_source = b"<button onclick=\"this.textContent = 'clicked'\">not yet</button>"
    with HttpServer(
        lambda request: Answer(200, {"Content-Type": "text/html"}, page_source)
    ) as site:
        page = chromium.new_page()
        page.goto(site.url)
        page.get_by_role("button", name="not yet").click()
        assert page.get_by_role("button").inner_text() == "clicked"
        assert take_screenshot(page, "parts-browser").stat().st_size > 1000
        page.close()


def test_certificates_are_trusted_by_those_who_have_the_authority(
    authority: CertificateAuthority,
) -> None:
    """And by nobody else; an expired one by nobody at all."""
    trusting = ssl.create_default_context(cafile=str(authority.ca_path))
    with HttpServer(lambda request: Answer(body=b"hello"), tls=authority.issue()) as server:
        with urllib.request.urlopen(server.url, context=trusting, timeout=5) as answer:
            assert answer.read() == b"hello"
        with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
            urllib.request.urlopen(server.url, timeout=5)


@pytest.mark.fault
@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        pytest.param(Fault(Mode.FORWARD), b"x" * 1000, id="forward"),
        pytest.param(Fault(Mode.LATENCY, latency_seconds=0.1), b"x" * 1000, id="latency"),
        pytest.param(Fault(Mode.SILENT), urllib3.exceptions.ReadTimeoutError, id="silent"),
        pytest.param(Fault(Mode.BLACKHOLE), urllib3.exceptions.ReadTimeoutError, id="blackhole"),
        pytest.param(Fault(Mode.RESET), urllib3.exceptions.ProtocolError, id="reset"),
        pytest.param(
            Fault(Mode.CUT, cut_after_bytes=500), urllib3.exceptions.ProtocolError, id="cut"
        ),
    ],
)
def test_proxy_misbehaves_as_told(fault: Fault, expected: bytes | type[Exception]) -> None:
    """A client sees the very fault."""
    with (
        HttpServer(lambda request: Answer(body=b"x" * 1000)) as server,
        FaultyProxy(server.port, fault) as proxy,
        urllib3.PoolManager(retries=False, timeout=1) as http,
    ):
        if isinstance(expected, bytes):
            assert http.request("GET", f"http://{proxy.host}/").data == expected
        else:
            with pytest.raises(expected):
                http.request("GET", f"http://{proxy.host}/")


@pytest.mark.fault
def test_proxy_drips_for_longer_than_any_read_takes() -> None:
    """No single read times out, and yet the answer does not come to its end."""
    with (
        HttpServer(lambda request: Answer(body=b"x" * 1000)) as server,
        FaultyProxy(server.port, Fault(Mode.DRIP, bytes_per_second=20)) as proxy,
        socket.create_connection(("127.0.0.1", proxy.port), timeout=2) as client,
    ):
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        started = time.monotonic()
        pieces = [client.recv(100) for _ in range(10)]
        assert pieces == [bytes((byte,)) for byte in b"HTTP/1.1 2"]
        assert time.monotonic() - started > 0.3


@pytest.mark.fault
def test_unreachable_port_never_completes_a_connection() -> None:
    """Connecting runs into the client's own limit, not into a refusal."""
    with Unreachable() as nowhere, socket.socket() as client:
        client.settimeout(0.3)
        with pytest.raises(TimeoutError):
            client.connect(("127.0.0.1", nowhere.port))


@pytest.mark.fault
def test_hostile_answers_are_what_they_say() -> None:
    """Endless, inflating and circular."""
    answers = {
        "/endless": lambda: Answer(body=endless_body()),
        "/bomb": lambda: gzip_bomb(10_000_000),
        "/loop": lambda: redirect("/loop"),
    }
    with (
        HttpServer(lambda request: answers[request.path]()) as server,
        urllib3.PoolManager(timeout=2) as http,
    ):
        endless = http.request("GET", f"{server.url}/endless", preload_content=False)
        assert len(endless.read(1_000_000)) == 1_000_000
        endless.close()
        bomb = http.request("GET", f"{server.url}/bomb")
        assert len(bomb.data) == 10_000_000
        assert int(bomb.headers["Content-Length"]) < 20_000
        with pytest.raises(urllib3.exceptions.MaxRetryError, match="too many redirects"):
            http.request("GET", f"{server.url}/loop")


@pytest.mark.needs_registry
def test_stopped_child_goes_on_where_it_was() -> None:
    """SIGSTOP makes a silent server of a real one, SIGCONT mends it."""
    with Registry() as registry, urllib3.PoolManager(retries=False, timeout=0.3) as http:
        registry.child.send_signal(signal.SIGSTOP)
        state = Path(f"/proc/{registry.child.pid}/stat")
        eventually(lambda: state.read_text().rpartition(")")[2].split()[0] == "T")
        with pytest.raises(urllib3.exceptions.ReadTimeoutError):
            http.request("GET", f"{registry.url}/v2/")
        registry.child.send_signal(signal.SIGCONT)
        assert http.request("GET", f"{registry.url}/v2/", timeout=5).status == 200
