"""`packaging/post-receive`, run by a real push: what the pusher reads, and that nothing fails."""

import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from reconciler.adapters.git.repositories import BareRepositories, find_hook
from reconciler.adapters.process import LocalRunner
from reconciler.domain.references import ProjectName
from tests.parts.availability import REQUIRE_ALL
from tests.parts.git_repository import ENVIRONMENT, Repository, run_git

pytestmark = pytest.mark.needs_git

NEEDED = ("git", "cat", "dirname", "sed", "uname", "sh")


@dataclass
class Listener:
    """A daemon as far as the hook can tell: an HTTP server on a unix socket."""

    path: Path
    answer: bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    requests: list[bytes] = field(default_factory=list)

    def say(self, text: str, status: str = "200 OK") -> None:
        body = text.encode()
        head = f"HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n"
        self.answer = head.encode() + b"Connection: close\r\n\r\n" + body


@contextmanager
def listening(path: Path) -> Iterator[Listener]:
    """Listen on ``path`` until the block ends."""
    listener = Listener(path)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        thread = threading.Thread(target=_serve, args=(server, listener), daemon=True)
        thread.start()
        yield listener
        server.shutdown(socket.SHUT_RDWR)
        thread.join(5)


def _serve(server: socket.socket, listener: Listener) -> None:
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        with connection:
            received = b""
            while (chunk := connection.recv(65536)) and not _whole(received := received + chunk):
                pass
            listener.requests.append(received)
            if listener.answer:
                connection.sendall(listener.answer)
            else:
                connection.recv(1)  # until the hook gives up


def _whole(request: bytes) -> bool:
    head, end, body = request.partition(b"\r\n\r\n")
    length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
    return bool(end) and len(body) >= int(length or 0)


@dataclass
class Pusher:
    """A clone whose pushes go to a repository with our hook."""

    server: Repository
    clone: Path
    path: str  #: where the hook's programs are found

    def push(self, *refs: str) -> str:
        """Commit, push, and return what the server said on the terminal."""
        git = ("git", "-C", str(self.clone))
        environment = {**os.environ, **ENVIRONMENT, "PATH": self.path}
        subprocess.run(
            [*git, "commit", "-q", "--allow-empty", "-m", "x"], check=True, env=environment
        )
        done = subprocess.run(
            [*git, "push", str(self.server.path), *(refs or ("main",))],
            env=environment,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        said = [line.removeprefix("remote: ") for line in done.stderr.splitlines()]
        return "\n".join(line.rstrip() for line in said if line.startswith("reconciler: "))


@pytest.fixture(params=["curl", "perl"])
def pusher(request: pytest.FixtureRequest, tmp_path: Path) -> Pusher:
    """A server that has nothing but git, a shell, and one of the two clients."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in (*NEEDED, request.param):
        if not (found := shutil.which(name)):
            # In CI nothing is left out.
            (pytest.fail if REQUIRE_ALL else pytest.skip)(f"{name} is not installed")
        (programs / name).symlink_to(found)
    server = Repository(tmp_path / "web.git")
    shutil.copy(find_hook(), server.path / "hooks" / "post-receive")
    server.git("config", "reconciler.socket", str(tmp_path / "socket"))
    clone = tmp_path / "clone"
    run_git("init", "--quiet", "--initial-branch=main", clone)
    return Pusher(server, clone, str(programs))


def test_the_pusher_reads_what_was_triggered(pusher: Pusher, tmp_path: Path) -> None:
    """Each line that the daemon answers stands on the terminal."""
    with listening(tmp_path / "socket") as daemon:
        daemon.say("web: deployment 7 is queued\napi: held, the master switch is off\n")
        assert pusher.push() == (
            "reconciler: web: deployment 7 is queued\n"
            "reconciler: api: held, the master switch is off"
        )


def test_every_ref_of_a_push_is_told(pusher: Pusher, tmp_path: Path) -> None:
    """The daemon is sent what git gives the hook, in one request, under the folder's name."""
    with listening(tmp_path / "socket") as daemon:
        pusher.push("main", "main:refs/heads/other")
        head, _, body = daemon.requests[0].partition(b"\r\n\r\n")
    tip = pusher.server.tip()
    assert head.startswith(b"POST /api/v1/repositories/web/received HTTP/1.")
    assert sorted(body.decode().splitlines()) == [
        f"{'0' * 40} {tip} refs/heads/main",
        f"{'0' * 40} {tip} refs/heads/other",
    ]
    assert len(daemon.requests) == 1


def test_the_configured_name_is_used(pusher: Pusher, tmp_path: Path) -> None:
    """A repository may lie in a folder of any name."""
    pusher.server.git("config", "reconciler.repository", "shop")
    with listening(tmp_path / "socket") as daemon:
        pusher.push()
    assert daemon.requests[0].startswith(b"POST /api/v1/repositories/shop/received ")


def test_a_push_succeeds_without_the_daemon(pusher: Pusher, tmp_path: Path) -> None:
    """With no socket, and with one that nobody listens on, the push stands and says so."""
    assert (
        pusher.push()
        == "reconciler: the daemon is not running; it will see this push when it starts"
    )
    with socket.socket(socket.AF_UNIX) as abandoned:
        abandoned.bind(str(tmp_path / "socket"))
    assert (
        pusher.push() == "reconciler: the daemon can't be reached; it will see this push by itself"
    )


def test_a_silent_daemon_delays_a_push_by_seconds_only(pusher: Pusher, tmp_path: Path) -> None:
    """A daemon that hangs does not hang the push."""
    with listening(tmp_path / "socket") as daemon:
        daemon.answer = b""
        started = time.monotonic()
        said = pusher.push()
    assert said == "reconciler: the daemon did not answer in time; it will see this push by itself"
    assert time.monotonic() - started < 10


def test_a_refusal_is_shown(pusher: Pusher, tmp_path: Path) -> None:
    """An answer that is no success is no reason to fail, and is said."""
    with listening(tmp_path / "socket") as daemon:
        daemon.say('{"code": "not-found"}', status="404 Not Found")
        assert "the daemon does not know repository web" in pusher.push()


def test_a_repository_that_is_not_set_up_says_how(pusher: Pusher) -> None:
    """Without a socket configured, the line names what to set."""
    pusher.server.git("config", "--unset", "reconciler.socket")
    assert "git config reconciler.socket is not set" in pusher.push()


def test_an_odd_name_is_never_sent(pusher: Pusher, tmp_path: Path) -> None:
    """A name that is none can't change the request's path."""
    pusher.server.git("config", "reconciler.repository", "../secrets")
    with listening(tmp_path / "socket") as daemon:
        assert "reconciler.repository" in pusher.push()
    assert daemon.requests == []


def test_hosted_repositories_have_it_set_up(tmp_path: Path) -> None:
    """In a repository that the daemon made, the hook knows socket and name without a hand."""
    repositories = BareRepositories(
        tmp_path / "hosted", LocalRunner("tests"), hook=find_hook(), socket=tmp_path / "socket"
    )
    server = Repository(repositories.create(ProjectName("shop")))
    clone = tmp_path / "clone"
    run_git("init", "--quiet", "--initial-branch=main", clone)
    with listening(tmp_path / "socket") as daemon:
        daemon.say("shop: in sync\n")
        assert Pusher(server, clone, os.environ["PATH"]).push() == "reconciler: shop: in sync"
    assert daemon.requests[0].startswith(b"POST /api/v1/repositories/shop/received ")
