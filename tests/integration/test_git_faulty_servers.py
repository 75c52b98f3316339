"""Git servers that lie, drip, hang, flood or send us elsewhere: every call ends, and says why."""

import gzip
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from dulwich.protocol import pkt_line

from reconciler.adapters.git.fetch import FetchLimits
from reconciler.adapters.git.remote import DulwichRemote
from reconciler.adapters.git.ssh import HostKeys
from reconciler.adapters.process import LocalRunner
from reconciler.domain.errors import (
    SourceDenied,
    SourceError,
    SourceProtocolError,
    SourceRedirected,
    SourceThrottled,
    SourceUnreachable,
)
from reconciler.domain.references import BranchName, CommitSha, GitUrl, RepositoryPath
from reconciler.domain.secret import Secret
from reconciler.ports import GitCredentials
from tests.parts.faulty import Fault, FaultyProxy, Mode, Unreachable, endless_body
from tests.parts.git_repository import Repository
from tests.parts.git_server import GitServer, Login
from tests.parts.http_server import Answer, HttpServer, Request
from tests.parts.sshd import Sshd

pytestmark = pytest.mark.needs_git

MAIN = BranchName("main")
LIMIT = timedelta(seconds=1)
#: What a loaded machine may add; the limit itself is what is looked at.
SLACK_SECONDS = 4.0
ADVERTISEMENT = "application/x-git-upload-pack-advertisement"
RESULT = "application/x-git-upload-pack-result"
V2 = b"".join(
    pkt_line(line)
    for line in (b"version 2\n", b"agent=git/2\n", b"ls-refs\n", b"object-format=sha1\n", None)
)
TIP = b"1" * 40
REFS = pkt_line(TIP + b" refs/heads/main\n") + b"0000"


@pytest.fixture
def remote(tmp_path: Path) -> Iterator[DulwichRemote]:
    made = make_remote(tmp_path)
    yield made
    made.close()


def make_remote(
    folder: Path, limits: FetchLimits | None = None, **options: object
) -> DulwichRemote:
    """A remote of short patience."""
    keys = HostKeys(lambda _: "", lambda *_: None)
    limit = options.get("limit", LIMIT)
    assert isinstance(limit, timedelta)
    return DulwichRemote(
        folder / "git", LocalRunner("tests"), keys, limit=limit, fetch_limits=limits
    )


def url_of(host: str) -> GitUrl:
    return GitUrl.parse(f"http://{host}/team/web.git")


def speaks(post: Answer, get: Answer | None = None) -> Callable[[Request], Answer]:
    """A server that answers the first contact and the question."""
    first = get or Answer(200, {"Content-Type": ADVERTISEMENT}, V2)
    return lambda request: post if request.method == "POST" else first


def result(body: object, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(200, {"Content-Type": RESULT, **named}, body)  # type: ignore[arg-type]


@contextmanager
def ends_in_time(limit: timedelta = LIMIT) -> Iterator[None]:
    """The block takes no longer than the limit, and some slack."""
    started = time.monotonic()
    yield
    assert time.monotonic() - started < limit.total_seconds() + SLACK_SECONDS


# ── time ──────────────────────────────────────────────────────────────────────────────────────


def test_a_host_that_can_not_be_reached(remote: DulwichRemote) -> None:
    """Silence at connect ends at the limit."""
    with Unreachable() as nowhere, ends_in_time(), pytest.raises(SourceUnreachable):
        remote.tip(url_of(nowhere.host), MAIN)


@pytest.mark.parametrize("mode", [Mode.SILENT, Mode.DRIP, Mode.BLACKHOLE])
def test_a_server_that_is_slow(remote: DulwichRemote, mode: Mode) -> None:
    """Silence after accept, and a byte a second from the status line on, end at the limit."""
    with GitServer() as server:
        server.repository("team/web.git").commit({"a": "1"})
        upstream = int(server.host.split(":")[1])
        slow = FaultyProxy(upstream, Fault(mode))
        with slow, ends_in_time(), pytest.raises(SourceUnreachable, match="within 1 s"):
            remote.tip(url_of(slow.host), MAIN)


def test_a_body_that_drips(remote: DulwichRemote) -> None:
    """An answer whose head is quick and whose body never ends, a little at a time."""

    def drip() -> Iterator[bytes]:
        yield b"0fff"
        while True:
            time.sleep(0.1)
            yield b"x"

    server = HttpServer(speaks(result(drip())))
    with server, ends_in_time(), pytest.raises(SourceUnreachable, match="within 1 s"):
        remote.tip(url_of(server.host), MAIN)


def test_a_tls_server_that_never_shakes_hands(remote: DulwichRemote) -> None:
    """Silence in the middle of the handshake is silence."""
    with FaultyProxy() as proxy, ends_in_time(), pytest.raises(SourceUnreachable):
        remote.tip(GitUrl.parse(f"https://{proxy.host}/a.git"), MAIN)


@pytest.mark.needs_sshd
@pytest.mark.parametrize("mode", [Mode.SILENT, Mode.DRIP])
def test_an_ssh_server_that_is_slow(remote: DulwichRemote, mode: Mode) -> None:
    """SSH ends at the same limit, and leaves no process behind."""
    with Sshd() as server, FaultyProxy(server.port, Fault(mode)) as proxy, ends_in_time():
        url = GitUrl.parse(f"ssh://git@{proxy.host}/a.git")
        key = GitCredentials(url.origin, ssh_key=Secret.of(server.key_path.read_text()))
        with pytest.raises(SourceUnreachable):
            remote.tip(url, MAIN, key)
    assert not [line for line in running() if str(proxy.port) in line]


def running() -> list[str]:
    """Return the command lines of all processes."""
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue
    return lines


def test_a_slow_server_holds_up_no_other(remote: DulwichRemote) -> None:
    """While one call waits for a silent server, another gets its answer."""
    with FaultyProxy() as silent, HttpServer(speaks(result(REFS))) as server:
        waiting = threading.Thread(target=swallow, args=(remote, url_of(silent.host)))
        waiting.start()
        started = time.monotonic()
        assert remote.tip(url_of(server.host), MAIN) == CommitSha(TIP.decode())
        assert waiting.is_alive() or time.monotonic() - started < LIMIT.total_seconds()
        waiting.join(10)


def swallow(remote: DulwichRemote, url: GitUrl) -> None:
    with pytest.raises(SourceError):
        remote.tip(url, MAIN)


# ── answers that are none ─────────────────────────────────────────────────────────────────────

BOMB = gzip.compress(bytes(50 << 20))
HTML = Answer(200, {"Content-Type": "text/html"}, b"<html>log in</html>")
DUMB = Answer(200, {"Content-Type": "text/plain"}, TIP + b"\trefs/heads/main\n")


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(lambda _: HTML, id="html"),
        pytest.param(lambda _: DUMB, id="dumb-server"),
        pytest.param(lambda _: Answer(200, {}, b""), id="nothing"),
        pytest.param(speaks(HTML), id="html-to-the-question"),
        pytest.param(speaks(result(b"")), id="empty-body"),
        pytest.param(speaks(result(REFS[:-4])), id="no-flush-packet"),
        pytest.param(speaks(result(REFS[:20])), id="cut-packet"),
        pytest.param(speaks(result(b"zzzz")), id="no-packet"),
        pytest.param(speaks(result(b"0003")), id="packet-of-no-length"),
        pytest.param(speaks(result(pkt_line(b"main") + b"0000")), id="line-without-a-ref"),
        pytest.param(speaks(result(pkt_line(b"x refs/heads/main") + b"0000")), id="no-object-id"),
        pytest.param(speaks(result(pkt_line(b"ERR out of order") + b"0000")), id="said-error"),
        pytest.param(speaks(result(iter([REFS]), Content_Length="500")), id="cut-short"),
        pytest.param(speaks(result(endless_body())), id="endless"),
        pytest.param(
            speaks(result(gzip.compress(REFS), Content_Encoding="gzip")), id="packed-unasked"
        ),
        pytest.param(
            lambda _: Answer(
                200,
                {"Content-Type": ADVERTISEMENT, "Content-Encoding": "gzip"},
                BOMB,
            ),
            id="gzip-bomb",
        ),
        pytest.param(lambda _: Answer(302, {"Location": "info/refs"}), id="endless-redirects"),
        pytest.param(lambda _: Answer(302), id="redirect-to-nowhere"),
        pytest.param(lambda _: Answer(418), id="odd-status"),
        pytest.param(
            lambda _: Answer(200, {"Content-Type": ADVERTISEMENT}, endless_body(b"0005x" * 9999)),
            id="endless-list",
        ),
    ],
)
def test_what_is_no_answer_is_an_error(
    remote: DulwichRemote, answer: Callable[[Request], Answer]
) -> None:
    """None of these reads as "the branch is gone", at first contact or later."""
    with HttpServer(speaks(result(REFS))) as server:
        url = url_of(server.host)
        server.answer = answer
        with ends_in_time(), pytest.raises(SourceProtocolError):
            remote.tip(url, MAIN)
        server.answer = speaks(result(REFS))
        assert remote.tip(url, MAIN) == CommitSha(TIP.decode())
        server.answer = answer
        with ends_in_time(), pytest.raises(SourceProtocolError):
            remote.tip(url, MAIN)


def test_an_answer_that_broke_is_asked_for_once_more(remote: DulwichRemote) -> None:
    """What was learnt of a server is forgotten when it stops being true, within the same call."""
    with HttpServer(speaks(result(REFS))) as server:
        url = url_of(server.host)
        assert remote.tip(url, MAIN)
        # Behind a new proxy that drops the header, the server now speaks the old protocol.
        service, old = pkt_line(b"# service=git-upload-pack\n") + b"0000", b"2" * 40
        listed = pkt_line(old + b" refs/heads/main\0agent=git/1\n") + b"0000"
        first = Answer(200, {"Content-Type": ADVERTISEMENT}, service + listed)
        server.answer = speaks(result(b""), first)
        assert remote.tip(url, MAIN) == CommitSha(old.decode())
        count = len(server.requests)
        assert remote.tip(url, MAIN) == CommitSha(old.decode())
        assert len(server.requests) == count + 1


def test_a_hundred_thousand_refs_of_an_old_server(tmp_path: Path) -> None:
    """A server of protocol v0 lists all it has; memory stays bounded, and the ref is found."""
    remote = make_remote(tmp_path, limit=timedelta(seconds=30))
    lines = [pkt_line(TIP + b" HEAD\0agent=git/1\n")]
    lines += [pkt_line(TIP + b" refs/heads/branch-%06d\n" % number) for number in range(100_000)]
    lines += [pkt_line(b"2" * 40 + b" refs/heads/main\n"), b"0000"]
    body = pkt_line(b"# service=git-upload-pack\n") + b"0000" + b"".join(lines)
    with HttpServer(lambda _: Answer(200, {"Content-Type": ADVERTISEMENT}, body)) as server:
        for _ in range(2):
            assert remote.tip(url_of(server.host), MAIN) == CommitSha("2" * 40)
    remote.close()


# ── statuses, redirects, credentials ──────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, SourceDenied),
        (403, SourceDenied),
        (404, SourceDenied),
        (500, SourceUnreachable),
        (502, SourceUnreachable),
        (503, SourceUnreachable),
    ],
)
def test_what_a_status_means(remote: DulwichRemote, status: int, error: type[SourceError]) -> None:
    """Each refusal says what helps: credentials, or time."""
    with HttpServer(lambda _: Answer(status)) as server, pytest.raises(error) as raised:
        remote.tip(url_of(server.host), MAIN)
    assert raised.value.evidence["status"] == str(status)


def in_ten_minutes() -> str:
    """Return that instant as HTTP writes it; asked when the test runs, not when it is collected."""
    return format_datetime(datetime.now(UTC) + timedelta(minutes=10), usegmt=True)


@pytest.mark.parametrize(
    ("status", "header", "least", "most"),
    [
        pytest.param(429, "7", 7, 7, id="seconds"),
        pytest.param(503, "7", 7, 7, id="unavailable"),
        pytest.param(429, in_ten_minutes, 400, 600, id="date"),
        pytest.param(429, None, 60, 60, id="unsaid"),
        pytest.param(429, "-5", 60, 60, id="negative"),
        pytest.param(429, "soon", 60, 60, id="no-number"),
        pytest.param(429, "9" * 400, 3600, 3600, id="absurd"),
        pytest.param(429, "Wed, 21 Oct 2015 07:28:00 GMT", 60, 60, id="past"),
    ],
)
def test_a_server_that_asks_to_be_left_alone(
    remote: DulwichRemote,
    status: int,
    header: str | Callable[[], str] | None,
    least: int,
    most: int,
) -> None:
    """Its wish is passed on, within reason, and not slept through here."""
    said = header() if callable(header) else header
    answer = Answer(status, {"Retry-After": said} if said else {})
    server = HttpServer(lambda _: answer)
    with server, ends_in_time(), pytest.raises(SourceThrottled) as raised:
        remote.tip(url_of(server.host), MAIN)
    assert least <= raised.value.retry_after.total_seconds() <= most


def test_a_redirect_elsewhere_is_not_followed(remote: DulwichRemote) -> None:
    """Nothing is sent to another host; the error names the new URL, and no secret in it."""
    with HttpServer(speaks(result(REFS))) as elsewhere:
        target = f"http://user:s3cret@{elsewhere.host}/new/web.git/info/refs?service=git-upload-pack&t=s3cret"
        with HttpServer(lambda _: Answer(302, {"Location": target})) as server:
            url = url_of(server.host)
            token = GitCredentials(url.origin, "bob", Secret.of("t0ken"))
            with pytest.raises(SourceRedirected) as raised:
                remote.tip(url, MAIN, token)
        assert elsewhere.requests == []
    assert raised.value.evidence["location"] == f"http://{elsewhere.host}/new/web.git"
    assert "s3cret" not in f"{raised.value}{raised.value.evidence}"


def test_a_question_that_is_redirected_elsewhere_is_not_repeated_there(
    remote: DulwichRemote,
) -> None:
    """The same holds once a server is known: its POST is not sent on."""
    with HttpServer(speaks(result(REFS))) as elsewhere, HttpServer(speaks(result(REFS))) as server:
        url = url_of(server.host)
        token = GitCredentials(url.origin, "bob", Secret.of("t0ken"))
        remote.tip(url, MAIN, token)
        target = f"http://{elsewhere.host}/team/web.git/git-upload-pack"
        server.answer = speaks(Answer(307, {"Location": target}))
        with pytest.raises(SourceRedirected):
            remote.tip(url, MAIN, token)
        assert elsewhere.requests == []


def test_a_redirect_within_the_origin_is_followed_and_remembered(remote: DulwichRemote) -> None:
    """A repository that moved on its own server costs two requests once, and one from then on."""

    def answer(request: Request) -> Answer:
        if request.path.startswith("/team/web.git"):
            return Answer(301, {"Location": request.target.replace("/team/", "/new/")})
        return speaks(result(REFS))(request)

    with HttpServer(answer) as server:
        assert remote.tip(url_of(server.host), MAIN)
        assert remote.tip(url_of(server.host), MAIN)
        assert [(request.method, request.path) for request in server.requests] == [
            ("GET", "/team/web.git/info/refs"),
            ("GET", "/new/web.git/info/refs"),
            ("POST", "/new/web.git/git-upload-pack"),
            ("POST", "/new/web.git/git-upload-pack"),
        ]


def test_credentials_are_never_sent_in_clear_text(remote: DulwichRemote) -> None:
    """Over plain http to another machine a token is refused before a connection is made."""
    url = GitUrl.parse("http://git.example/team/web.git")
    token = GitCredentials(url.origin, "bob", Secret.of("t0ken"))
    with pytest.raises(SourceDenied, match="https"):
        remote.tip(url, MAIN, token)


def test_a_certificate_nobody_vouches_for_is_refused(remote: DulwichRemote) -> None:
    """TLS is verified; without trust nothing is sent, no token above all."""
    with GitServer(tls=True, login=Login("bob", "t0ken")) as server:
        url = GitUrl.parse(server.url("team/web.git"))
        token = GitCredentials(url.origin, "bob", Secret.of("t0ken"))
        with pytest.raises(SourceUnreachable, match="certificate"):
            remote.tip(url, MAIN, token)
        assert server.requests == []


def test_proxies_of_the_environment_play_no_part(
    remote: DulwichRemote, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where our requests go is not for an environment variable to say."""
    with HttpServer(speaks(result(REFS))) as server, HttpServer(lambda _: HTML) as proxy:
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        assert remote.tip(url_of(server.host), MAIN)
        assert proxy.requests == []


# ── packs ─────────────────────────────────────────────────────────────────────────────────────


def serve_without_filter(server: GitServer) -> Repository:
    repository = server.repository("team/web.git")
    repository.git("config", "uploadpack.allowFilter", "false")
    return repository


COMPOSE = RepositoryPath("compose.yaml")


def test_a_server_that_ignores_the_filter(tmp_path: Path) -> None:
    """Where all files come although none were asked for, they go to the disk, and away again."""
    limits = FetchLimits(memory_pack_bytes=1 << 20)
    remote = make_remote(tmp_path, limits, limit=timedelta(seconds=20))
    with GitServer() as server:
        files: dict[str, str | bytes | None] = {COMPOSE: "a: 1\n", "big": os.urandom(4 << 20)}
        commit = CommitSha(serve_without_filter(server).commit(files))
        url = GitUrl.parse(server.url("team/web.git"))
        assert remote.read_files(url, commit, [COMPOSE]) == {COMPOSE: b"a: 1\n"}
    assert not list((tmp_path / "git").glob("read-*"))


def test_a_pack_that_unpacks_to_far_more(tmp_path: Path) -> None:
    """A pack of 70 KB that holds 70 MB is weighed, and never unpacked in our memory."""
    remote = make_remote(tmp_path, FetchLimits(memory_bytes=8 << 20), limit=timedelta(seconds=30))
    with GitServer() as server:
        commit = CommitSha(
            serve_without_filter(server).commit({COMPOSE: "a: 1", "bomb": bytes(70 << 20)})
        )
        url = GitUrl.parse(server.url("team/web.git"))
        before = peak_memory_bytes()
        assert remote.read_files(url, commit, [COMPOSE]) == {COMPOSE: b"a: 1"}
        assert peak_memory_bytes() - before < 40 << 20


def peak_memory_bytes() -> int:
    """Return the most memory that this process has held so far."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


@pytest.mark.parametrize(
    "limits",
    [
        pytest.param(FetchLimits(pack_bytes=1 << 20), id="bytes"),
        pytest.param(FetchLimits(time=timedelta(seconds=0.001)), id="time"),
    ],
)
def test_a_fetch_is_bounded(tmp_path: Path, limits: FetchLimits) -> None:
    """A commit that is too large, or takes too long, leaves a repository that is whole."""
    with GitServer() as server:
        commit = CommitSha(server.repository("team/web.git").commit({"big": os.urandom(3 << 20)}))
        url = GitUrl.parse(server.url("team/web.git"))
        into = tmp_path / "bare.git"
        with pytest.raises(SourceError):
            make_remote(tmp_path, limits).fetch(url, commit, into)
        make_remote(tmp_path).fetch(url, commit, into)
        Repository(into).git("fsck", "--full", "--strict")
        assert not list(into.glob("incoming-*"))


@pytest.mark.parametrize("cut_after", [400, 5_000, 100_000])
def test_a_pack_that_is_cut_short(tmp_path: Path, cut_after: int) -> None:
    """A connection that breaks in the middle of a pack spoils nothing; the next one succeeds."""
    with GitServer() as server:
        commit = CommitSha(server.repository("team/web.git").commit({"big": os.urandom(300_000)}))
        upstream = int(server.host.split(":")[1])
        into = tmp_path / "bare.git"
        remote = make_remote(tmp_path, limit=timedelta(seconds=10))
        with FaultyProxy(upstream, Fault(Mode.CUT, cut_after_bytes=cut_after)) as proxy:
            with pytest.raises((SourceProtocolError, SourceUnreachable)):
                remote.fetch(url_of(proxy.host), commit, into)
            proxy.fault.mode = Mode.FORWARD
            remote.fetch(url_of(proxy.host), commit, into)
        Repository(into).git("fsck", "--full", "--strict")
        remote.close()


def test_connections_are_kept(remote: DulwichRemote) -> None:
    """Once a server is known, a poll is one request, and opens no connection."""
    with HttpServer(speaks(result(REFS))) as server, FaultyProxy(server.port) as proxy:
        for _ in range(5):
            assert remote.tip(url_of(proxy.host), MAIN)
        assert proxy.connections == 1
        assert len(server.requests) == 6


def test_a_kept_connection_that_went_away_is_no_failure(remote: DulwichRemote) -> None:
    """A server that closes idle connections costs a new one, and nothing else."""
    with HttpServer(speaks(result(REFS))) as server, FaultyProxy(server.port) as proxy:
        assert remote.tip(url_of(proxy.host), MAIN)
        proxy.break_connections()
        assert remote.tip(url_of(proxy.host), MAIN)


def test_a_refused_connection_says_so(remote: DulwichRemote) -> None:
    """Nobody listens: that is told at once."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with ends_in_time(), pytest.raises(SourceUnreachable, match="refused"):
        remote.tip(url_of(f"127.0.0.1:{port}"), MAIN)
