"""Hosted repositories, cloned from and pushed to with the git that users have."""

import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.parts.child import free_port
from tests.parts.git_repository import ENVIRONMENT
from tests.parts.waiting import eventually
from tests.parts.web_client import WebDaemon

pytestmark = pytest.mark.needs_git
V1 = "/api/v1"


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebDaemon]:
    with WebDaemon(tmp_path_factory.mktemp("git")) as running:
        yield running


def git(
    *arguments: str | Path, cwd: Path | None = None, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run git as a user without any configuration."""
    return subprocess.run(
        ["git", *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, **ENVIRONMENT, **(env or {})},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def must(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


class Work:
    """A user's clone."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.url = folder, url
        must(git("init", "--quiet", "--initial-branch=main", folder))
        must(git("remote", "add", "origin", url, cwd=folder))

    def commit(self, name: str, content: bytes = b"x") -> str:
        (self.folder / name).write_bytes(content)
        must(git("add", "--all", cwd=self.folder))
        must(git("commit", "--quiet", "--message", name, cwd=self.folder))
        return must(git("rev-parse", "HEAD", cwd=self.folder))

    def push(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return git("push", "origin", *(arguments or ("main",)), cwd=self.folder)


def url_of(daemon: WebDaemon, name: str, token: str) -> str:
    return f"{daemon.url.replace('//', f'//any:{token}@')}/git/{name}.git"


def follow(daemon: WebDaemon, name: str, repository: str, **more: object) -> None:
    body = {
        "name": name,
        "kind": "compose",
        "repository": repository,
        "auto_deploy": True,
        "expose_service": "web",
        "expose_port": 80,
        **more,
    }
    answer = daemon.local.post(f"{V1}/projects", json=body)
    assert answer.status_code == 201, answer.text


def deployments(daemon: WebDaemon, project: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = daemon.local.get(f"{V1}/projects/{project}/deployments").json()[
        "items"
    ]
    return items


def test_push_is_told_and_recorded(daemon: WebDaemon, tmp_path: Path) -> None:
    """A push to a followed branch queues a deployment of that commit, and says so to the pusher."""
    token = daemon.make_repository("shop")
    follow(daemon, "shop", "shop")
    work = Work(tmp_path / "work", url_of(daemon, "shop", token))
    commit = work.commit("compose.yaml")
    pushed = work.push()
    must(pushed)
    assert "shop: " in pushed.stderr
    found = deployments(daemon, "shop")
    assert [one["revision"]["commit"] for one in found] == [commit]
    assert found[0]["causes"][0]["trigger"] == "push"
    listed = daemon.local.get(f"{V1}/repositories").json()["items"]
    assert {"main": commit} in [item["branches"] for item in listed]
    clone = tmp_path / "clone"
    must(git("clone", "--quiet", work.url, clone))
    assert (clone / "compose.yaml").read_bytes() == b"x"


def test_push_is_acted_on_without_a_hook(tmp_path: Path) -> None:
    """Where no hook reports a push, the server sees for itself that the branch moved."""
    with WebDaemon(tmp_path / "daemon", hook=False) as daemon:
        token = daemon.make_repository("shop")
        follow(daemon, "shop", "shop")
        work = Work(tmp_path / "work", url_of(daemon, "shop", token))
        commit = work.commit("a")
        must(work.push())
        found = eventually(lambda: deployments(daemon, "shop"))
        assert [one["revision"]["commit"] for one in found] == [commit]


def test_push_is_recorded_once(daemon: WebDaemon, tmp_path: Path) -> None:
    """The hook's report and the server's own look are one trigger, not two."""
    token = daemon.make_repository("once")
    follow(daemon, "once", "once")
    work = Work(tmp_path / "work", url_of(daemon, "once", token))
    work.commit("a")
    must(work.push())
    triggers = daemon.local.get(f"{V1}/projects/once/triggers").json()["items"]
    assert [(one["outcome"], one["count"]) for one in triggers] == [("admitted", 1)]


def test_another_branch_deploys_nothing(daemon: WebDaemon, tmp_path: Path) -> None:
    """A push to a branch that nobody follows is accepted, and says that nothing follows it."""
    token = daemon.make_repository("side")
    follow(daemon, "side", "side")
    work = Work(tmp_path / "work", url_of(daemon, "side", token))
    work.commit("a")
    pushed = work.push("main:feature")
    must(pushed)
    assert "no project follows feature" in pushed.stderr
    assert deployments(daemon, "side") == []


def test_forced_back_and_deleted(daemon: WebDaemon, tmp_path: Path) -> None:
    """A branch forced back deploys the older commit; a deleted one deploys nothing."""
    token = daemon.make_repository("back")
    follow(daemon, "back", "back", branch="live")
    work = Work(tmp_path / "work", url_of(daemon, "back", token))
    first = work.commit("a")
    must(work.push("main:live"))
    work.commit("b")
    must(work.push("main:live"))
    must(git("reset", "--quiet", "--hard", first, cwd=work.folder))
    must(work.push("--force", "main:live"))
    assert deployments(daemon, "back")[0]["revision"]["commit"] == first
    before = deployments(daemon, "back")
    deleted = work.push("--delete", "live")
    must(deleted)
    assert "branch live is gone" in deleted.stderr
    assert [one["id"] for one in deployments(daemon, "back")] == [one["id"] for one in before]


def test_what_is_recorded_from_a_folder_takes_no_push(daemon: WebDaemon, tmp_path: Path) -> None:
    """It says where to change the files instead; it can be cloned, and pushed to once it is not."""
    token = daemon.make_repository("kept")
    follow(daemon, "kept", "kept", auto_deploy=False)
    target = {"host": "local", "base": "/srv/kept"}
    made = daemon.local.post(f"{V1}/projects/kept/targets", json=target)
    assert made.status_code == 201, made.text
    work = Work(tmp_path / "work", url_of(daemon, "kept", token))
    work.commit("compose.yaml")
    refused = work.push()
    assert refused.returncode != 0
    assert "kept is recorded from /srv/kept on local: change the files there" in refused.stderr
    auth = ("any", token)
    post = daemon.remote().post("/git/kept.git/git-receive-pack", auth=auth, content=b"0000")
    assert post.status_code == 403
    assert daemon.local.get(f"{V1}/repositories/kept").json()["branches"] == {}
    must(git("clone", "--quiet", work.url, tmp_path / "clone"))
    daemon.make_repository("own")
    changed = daemon.local.patch(f"{V1}/projects/kept", json={"repository": "own"})
    assert changed.status_code == 200, changed.text
    must(work.push())


def test_protocol_v2(daemon: WebDaemon, tmp_path: Path) -> None:
    """A client that speaks protocol v2 is answered in it."""
    token = daemon.make_repository("second")
    work = Work(tmp_path / "work", url_of(daemon, "second", token))
    work.commit("a")
    must(work.push())
    listed = git("ls-remote", work.url, env={"GIT_TRACE_PACKET": "1"})
    must(listed)
    assert "version 2" in listed.stderr


def test_shallow_clone_and_gzip(daemon: WebDaemon, tmp_path: Path) -> None:
    """A shallow clone, and a fetch whose request git compresses, get what they ask for."""
    token = daemon.make_repository("deep")
    work = Work(tmp_path / "work", url_of(daemon, "deep", token))
    for number in range(60):
        work.commit(f"f{number}")
    must(work.push())
    shallow = tmp_path / "shallow"
    must(git("clone", "--quiet", "--depth=1", work.url, shallow))
    assert must(git("rev-list", "--count", "HEAD", cwd=shallow)) == "1"
    other = Work(tmp_path / "other", work.url)
    for number in range(60):
        other.commit(f"own{number}")
    # Sixty commits that the server does not know make a request that is worth compressing.
    fetched = git("fetch", "origin", "main", cwd=other.folder, env={"GIT_TRACE_CURL": "1"})
    must(fetched)
    assert "content-encoding: gzip" in fetched.stderr.lower()


class TestAccess:
    @pytest.fixture(scope="class")
    @staticmethod
    def token(daemon: WebDaemon) -> str:
        return daemon.make_repository("guarded")

    @pytest.mark.parametrize(
        ("user", "status"),
        [
            pytest.param("", 401, id="nobody"),
            pytest.param("any:wrong-token-wrong-token", 401, id="wrong"),
            pytest.param("other", 403, id="another-repository"),
            pytest.param("read", 403, id="read-scope"),
        ],
    )
    def test_refused(self, daemon: WebDaemon, token: str, user: str, status: int) -> None:
        """Who may not is told so, alike for repositories that are there and that are not."""
        if user == "other":
            user = f"any:{daemon.make_repository('another')}"
        if user == "read":
            user = f"any:{daemon.make_token('git-read', 'read')}"
        client = daemon.remote()
        auth = tuple(user.split(":")) if user else None
        for name in ("guarded", "nowhere"):
            path = f"/git/{name}.git/info/refs?service=git-upload-pack"
            answer = client.get(path, auth=auth)  # type: ignore[arg-type]
            assert answer.status_code == status
            assert ("www-authenticate" in answer.headers) == (status == 401)
            post = client.post(f"/git/{name}.git/git-receive-pack", auth=auth, content=b"0000")  # type: ignore[arg-type]
            assert post.status_code == status

    def test_git_says_what_is_wrong(self, daemon: WebDaemon, token: str) -> None:
        """A wrong token and a repository that is not there fail with git's own words."""
        wrong = git("ls-remote", url_of(daemon, "guarded", "x" * 30))
        assert wrong.returncode != 0
        assert "Authentication failed" in wrong.stderr
        admin = git("ls-remote", url_of(daemon, "nowhere", daemon.admin_token))
        assert admin.returncode != 0
        assert "not found" in admin.stderr

    def test_admin_may(self, daemon: WebDaemon, token: str) -> None:
        """The administrator's token opens every repository."""
        must(git("ls-remote", url_of(daemon, "guarded", daemon.admin_token)))

    def test_repository_token_reaches_nothing_else(self, daemon: WebDaemon, token: str) -> None:
        """A repository's token is no token of the API."""
        client = daemon.remote(token)
        for path in ("projects", "status", "tokens", "settings", "repositories"):
            assert client.get(f"{V1}/{path}").status_code == 403
        lines = f"{'0' * 40} {'1' * 40} refs/heads/main\n"
        own = client.post(f"{V1}/repositories/guarded/received", content=lines)
        assert own.status_code == 200
        assert client.post(f"{V1}/repositories/other/received", content=lines).status_code == 403

    @pytest.mark.parametrize(
        "path",
        [
            "/git/../data/state.db",
            "/git/%2e%2e/state.db",
            "/git/guarded.git/config",
            "/git/guarded.git/HEAD",
            "/git/guarded.git/objects/info/packs",
            "/git/guarded.git/info/refs/../../config",
            "/git/guarded.git%00/info/refs",
            "/git/guarded.git//info/refs",
            "/git//guarded.git/info/refs",
            "/git/guarded.git/info/refs%0a",
            "/git/Guarded.git/info/refs",
            "/git/.shared/info/refs",
            "/git/-guarded.git/info/refs",
            "/git/",
        ],
    )
    def test_no_other_path(self, daemon: WebDaemon, token: str, path: str) -> None:
        """Only the three addresses that git needs are answered; files are none of them."""
        assert raw_status(daemon, f"GET {path}?service=git-upload-pack", token) in {404, 421}

    def test_dumb_protocol_and_wrong_methods(self, daemon: WebDaemon, token: str) -> None:
        """Files are not served, and each address has its one method."""
        for line, status in (
            ("GET /git/guarded.git/info/refs", 403),
            ("GET /git/guarded.git/info/refs?service=git-upload-archive", 403),
            ("GET /git/guarded.git/info/refs?service=git-upload-pack&service=x", 403),
            ("POST /git/guarded.git/info/refs?service=git-upload-pack", 405),
            ("GET /git/guarded.git/git-upload-pack", 405),
            ("PUT /git/guarded.git/git-receive-pack", 405),
        ):
            assert raw_status(daemon, line, token) == status, line


def raw_status(daemon: WebDaemon, line: str, token: str) -> int:
    """Return the status that exactly this request line gets: clients tidy paths up."""
    import base64
    import socket

    basic = base64.b64encode(f"any:{token}".encode()).decode()
    with socket.create_connection(("127.0.0.1", daemon.port), timeout=10) as connection:
        connection.sendall(
            f"{line} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic {basic}\r\n"
            "Content-Length: 0\r\nConnection: close\r\n\r\n".encode()
        )
        return int(connection.recv(65536).split(b" ")[1])


@pytest.mark.timeout(150)
@pytest.mark.slow
def test_large_push_stays_small_in_memory(daemon: WebDaemon, tmp_path: Path) -> None:
    """Fifty megabytes go through without being held: the server grows by a tenth at most."""
    token = daemon.make_repository("large")
    work = Work(tmp_path / "work", url_of(daemon, "large", token))
    work.commit("blob", os.urandom(50_000_000))
    before = resident_bytes(daemon.child.pid)
    peak = [before]
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.01):
            peak[0] = max(peak[0], resident_bytes(daemon.child.pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        must(git("-c", "core.compression=0", "push", "origin", "main", cwd=work.folder))
        must(git("clone", "--quiet", "--bare", work.url, tmp_path / "clone"))
    finally:
        over.set()
        watcher.join()
    assert peak[0] - before < 5_000_000


def resident_bytes(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def test_concurrent_pushes(daemon: WebDaemon, tmp_path: Path) -> None:
    """Pushes to several branches at once all arrive; two to one branch: one wins, one is told."""
    token = daemon.make_repository("busy")
    follow(daemon, "busy", "busy")
    url = url_of(daemon, "busy", token)
    works = [Work(tmp_path / f"w{number}", url) for number in range(4)]
    for number, work in enumerate(works):
        work.commit(f"f{number}")
    results: dict[str, subprocess.CompletedProcess[str]] = {}

    def push(number: int, target: str) -> None:
        results[f"{number}-{target}"] = works[number].push(f"main:{target}")

    threads = [threading.Thread(target=push, args=(number, f"b{number}")) for number in range(4)]
    threads += [threading.Thread(target=push, args=(number, "main")) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(results[f"{number}-b{number}"].returncode == 0 for number in range(4))
    assert 0 in {results[f"{number}-main"].returncode for number in range(2)}
    branches = next(
        item["branches"]
        for item in daemon.local.get(f"{V1}/repositories").json()["items"]
        if item["name"] == "busy"
    )
    assert set(branches) == {"b0", "b1", "b2", "b3", "main"}
    assert deployments(daemon, "busy")[0]["revision"]["commit"] == branches["main"]


def test_client_that_goes_away_leaves_nothing(daemon: WebDaemon) -> None:
    """A push that breaks off in the middle leaves no git behind, and no lock."""
    import base64
    import socket

    token = daemon.make_repository("broken")
    basic = base64.b64encode(f"any:{token}".encode()).decode()
    with socket.create_connection(("127.0.0.1", daemon.port), timeout=10) as connection:
        connection.sendall(
            "POST /git/broken.git/git-receive-pack HTTP/1.1\r\nHost: localhost\r\n"
            f"Authorization: Basic {basic}\r\nContent-Length: 1000000\r\n"
            "Content-Type: application/x-git-receive-pack-request\r\n\r\n0000".encode()
        )
        eventually(lambda: children(daemon.child.pid), what="git was started")
    eventually(lambda: not children(daemon.child.pid), what="git is gone")
    assert not list((daemon.folder / "data").rglob("*.lock"))


def children(pid: int) -> list[int]:
    """Return the processes that ``pid`` started and that still are."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found.append(int(stat.parent.name))
    return found


def test_unix_socket_needs_no_token(daemon: WebDaemon) -> None:
    """Who can open the unix socket is the operator, for git too."""
    daemon.make_repository("local")
    answer = daemon.local.get("/git/local.git/info/refs?service=git-upload-pack")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/x-git-upload-pack-advertisement"


def test_daemon_down_fails_no_push(tmp_path: Path) -> None:
    """The port of a daemon that is down gives git an error at once, no hang."""
    done = git("ls-remote", f"http://any:x@127.0.0.1:{free_port()}/git/x.git")
    assert done.returncode != 0
