"""Health checks against real servers, asked from here, and on a host behind a real sshd."""

import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from reconciler.adapters.probes import on_host
from reconciler.adapters.probes.address import HostAddresses
from reconciler.adapters.probes.http_answer import LOOPBACK, HttpQuestion, NoAnswer
from reconciler.adapters.probes.prober import HealthProber
from reconciler.domain.errors import NotFound, TargetUnreachable
from reconciler.domain.health_check import HealthCheck, ProbeKind, ProbeOrigin
from reconciler.domain.host import LOCAL, HostName
from reconciler.domain.probing import Reading
from reconciler.domain.references import CommitSha, ProjectName
from reconciler.domain.target import Target
from reconciler.domain.version_check import VersionCheck
from reconciler.ports import Prober
from tests.parts.availability import REQUIRE_ALL
from tests.parts.child import free_port
from tests.parts.faulty import Fault, FaultyProxy, Mode, Unreachable, endless_body, redirect
from tests.parts.hosts import Hosts
from tests.parts.http_server import Answer, HttpServer, Request
from tests.parts.sshd import Sshd

pytestmark = pytest.mark.needs_sshd

WEB = HostName("web")
COMMIT = CommitSha("1" * 40)
#: Of a check that has to run out of time. A new process on the host, with ssh, takes some 20 ms.
SHORT = timedelta(seconds=0.4)

LOCALLY = pytest.param((LOCAL, ProbeOrigin.HOST), id="locally")
ON_THE_HOST = pytest.param((WEB, ProbeOrigin.HOST), id="on-the-host")
#: A command from the daemon is one on ``local``.
on_each_machine = pytest.mark.parametrize("way", [LOCALLY, ON_THE_HOST], indirect=True)


@pytest.fixture(scope="module")
def sshd() -> Iterator[Sshd]:
    with Sshd() as running:
        yield running


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory, sshd: Sshd) -> Iterator[Hosts]:
    with Hosts(tmp_path_factory.mktemp("hosts")) as declared:
        declared.declare(sshd)
        yield declared


@pytest.fixture(scope="module")
def prober(hosts: Hosts) -> Prober:
    return HealthProber(hosts.machines, HostAddresses(hosts.get, hosts.operator))


@dataclass(frozen=True)
class Way:
    """From where a host is asked."""

    prober: Prober
    host: HostName
    origin: ProbeOrigin

    def ask(self, check: HealthCheck, commit: CommitSha | None = COMMIT) -> str:
        return self.read(check, commit).problem

    def read(self, check: HealthCheck, commit: CommitSha | None = COMMIT) -> Reading:
        asked = replace(check, origin=self.origin)
        return self.prober.probe(Target(ProjectName("shop"), self.host, health=asked), commit)


@pytest.fixture(
    params=[LOCALLY, pytest.param((WEB, ProbeOrigin.DAEMON), id="over-the-network"), ON_THE_HOST]
)
def way(request: pytest.FixtureRequest, prober: Prober) -> Way:
    """Each way in turn: all of them see the same."""
    host, origin = request.param
    return Way(prober, host, origin)


def http(port: int, **rest: object) -> HealthCheck:
    return HealthCheck(ProbeKind.HTTP, port=port, **rest)  # type: ignore[arg-type]


def command(*argv: str, **rest: object) -> HealthCheck:
    return HealthCheck(ProbeKind.COMMAND, command=argv, **rest)  # type: ignore[arg-type]


@contextmanager
def within(seconds: float) -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < seconds


# ── HTTP ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("answered", "expected", "problem"),
    [
        (204, (204, 204), ""),
        (302, (200, 399), ""),
        (503, (200, 399), "answered 503, expected 200 to 399"),
    ],
)
def test_status(way: Way, answered: int, expected: tuple[int, int], problem: str) -> None:
    """The status has to be in the range."""
    with HttpServer(lambda _: Answer(answered)) as server:
        reading = way.read(http(server.port, path="/well", status=expected))
    assert (reading.problem, reading.status) == (problem, answered)
    assert reading.asked.startswith("http://")
    assert reading.asked.endswith(f":{server.port}/well")


def test_version(way: Way) -> None:
    """An answer that is good, of the version before, is not: its text names another commit."""
    check = {"text": '"commit": "{commit}"', "path": "/version"}
    with HttpServer(lambda _: Answer(200, {}, b'{"commit": "%s"}' % (b"1" * 40))) as server:
        assert way.ask(http(server.port, **check)) == ""
        assert way.ask(http(server.port, **check), CommitSha("2" * 40)) == (
            f'answered 200, but the text \'"commit": "{"2" * 40}"\' is not in the answer'
        )
        assert "needs a commit" in way.ask(http(server.port, **check), None)


def test_no_redirect_is_followed(way: Way) -> None:
    """Where it leads is told, and not asked: not of another host, nor of the same."""
    with (
        HttpServer(lambda _: Answer(200, {}, b"well")) as other,
        HttpServer(lambda _: redirect(f"{other.url}/well")) as server,
    ):
        assert way.ask(http(server.port, status=(200, 299))) == (
            f"answered 302 (sent on to {other.url}/well), expected 200 to 299"
        )
        assert len(server.requests) == 1
        taken = way.read(http(server.port))
        assert (taken.problem, taken.told) == ("", f"sent on to {other.url}/well")
        assert not other.requests


def test_no_cache_answers(way: Way) -> None:
    """Every question is a new one, on a connection of its own, and may not be answered stale."""
    with HttpServer(lambda _: Answer()) as server:
        for _ in range(2):
            assert way.ask(http(server.port, path="/healthz")) == ""
        assert way.ask(http(server.port, path="/a;b/%41?full='1'&x=$(id)")) == ""
    first, second, third = server.requests
    assert first.path == second.path == "/healthz"
    assert first.target != second.target
    assert third.target == "/a;b/%41?full='1'&x=$(id)"
    assert {one.headers["cache-control"] for one in server.requests} == {"no-cache, no-store"}
    assert {one.headers["connection"] for one in server.requests} == {"close"}


def test_no_proxy_is_asked(way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the daemon's environment says."""
    with (
        HttpServer(lambda _: Answer(500)) as proxy,
        HttpServer(lambda _: Answer(200)) as server,
    ):
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        assert way.ask(http(server.port)) == ""
        assert not proxy.requests


@pytest.mark.parametrize("filler", [60_000, 70_000])
def test_text_far_behind(way: Way, filler: int) -> None:
    """It is looked for in the first 64 KiB; no more than that is waited for."""
    with HttpServer(lambda _: Answer(200, {}, b"x" * filler + b"well")) as server:
        problem = way.ask(http(server.port, text="well"))
    missing = "answered 200, but the text 'well' is not in its first 64 KiB"
    assert problem == ("" if filler == 60_000 else missing)


def test_answer_without_end(way: Way) -> None:
    """Neither memory nor time goes into what is not looked at."""
    with HttpServer(lambda _: Answer(200, {}, endless_body())) as server, within(10):
        patient = http(server.port, timeout=timedelta(seconds=30))
        assert way.ask(patient) == ""
        assert way.ask(replace(patient, text="well")).endswith("is not in its first 64 KiB")


def test_packed_answer(way: Way) -> None:
    """Nothing is unpacked: what is asked for is plain."""

    def answer(request: Request) -> Answer:
        assert request.headers["accept-encoding"] == "identity"
        return Answer(200, {"Content-Encoding": "gzip"}, b"\x1f\x8b garbage")

    with HttpServer(answer) as server:
        assert way.ask(http(server.port)) == ""
        assert way.ask(http(server.port, text="well")).endswith("is not in the answer")


def test_dripping_body(way: Way) -> None:
    """A text that came counts at once, or when time is over; one that did not come is too late."""

    def drip(request: Request) -> Answer:
        return Answer(200, {}, slowly(b"well" + b"." * 1000))

    with HttpServer(drip) as server:
        assert way.ask(http(server.port, text="well", timeout=SHORT)) == ""
        assert way.ask(http(server.port, text="done", timeout=SHORT)) == "no answer within 0.4 s"


def slowly(body: bytes) -> Iterator[bytes]:
    for byte in body:
        yield bytes((byte,))
        time.sleep(0.02)  # the fault itself


@pytest.mark.parametrize("mode", [Mode.SILENT, Mode.DRIP])
def test_no_answer_in_time(way: Way, mode: Mode) -> None:
    """One limit for all of it: also where a byte comes now and then."""
    with (
        HttpServer(lambda _: Answer()) as server,
        FaultyProxy(server.port, Fault(mode, bytes_per_second=10)) as proxy,
        within(10),
    ):
        assert way.ask(http(proxy.port, timeout=SHORT)) == "no answer within 0.4 s"


def test_connection_in_vain(way: Way) -> None:
    """Nobody listens, or nobody accepts."""
    port = free_port()
    problem = way.ask(http(port))
    assert problem.startswith(f"no connection to port {port}: ")
    assert problem.endswith(("Connection refused", "Couldn't connect to server"))
    with Unreachable() as full, within(10):
        assert way.ask(http(full.port, timeout=SHORT)) == "no answer within 0.4 s"


def test_no_http(way: Way, sshd: Sshd) -> None:
    """Another protocol is no answer, and neither is a connection that breaks."""
    assert way.ask(http(sshd.port)).startswith("no answer over HTTP: ")
    with FaultyProxy(sshd.port, Fault(Mode.RESET)) as proxy:
        assert way.ask(http(proxy.port)).startswith("no answer over HTTP: ")


def test_no_curl(hosts: Hosts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host without curl says so, instead of looking ill."""
    (tmp_path / "sh").symlink_to("/bin/sh")
    monkeypatch.setenv("PATH", str(tmp_path))
    question = HttpQuestion(LOOPBACK, free_port(), "/", SHORT)
    with pytest.raises(NoAnswer, match="curl is not installed there"):
        on_host.ask_http(hosts.machines.get(LOCAL), question)


# ── The version ───────────────────────────────────────────────────────────────────────────────

VERSION = VersionCheck(80, "/version?full=1", "build.commit")
on_each_host = pytest.mark.parametrize("host", [LOCAL, WEB])


def shop_on(host: HostName) -> Target:
    return Target(ProjectName("shop"), host)


def tells(commit: CommitSha) -> Answer:
    return Answer(200, {}, b'{"build": {"commit": "%s"}}' % commit.text.encode())


@on_each_host
def test_every_question_for_the_version_is_a_new_one(
    prober: Prober, host: HostName, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No cache on the way has the answer, none is asked for what it has, and no proxy is used."""
    with HttpServer(lambda _: tells(COMMIT)) as server, HttpServer(lambda _: Answer(500)) as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        check = replace(VERSION, port=server.port)
        for _ in range(2):
            assert prober.probe_version(shop_on(host), "127.0.0.1", check, COMMIT).problem == ""
        problem = prober.probe_version(
            shop_on(host), "127.0.0.1", check, CommitSha("2" * 40)
        ).problem
    assert problem == f"/version?full=1 tells '{COMMIT}', expected is commit {'2' * 40}"
    assert len({one.target for one in server.requests}) == 3
    for one in server.requests:
        assert one.target.startswith("/version?full=1&reconciler-probe=")
        assert one.headers["cache-control"] == "no-cache, no-store"
        assert one.headers["pragma"] == "no-cache"
    assert not proxy.requests


@on_each_host
def test_a_version_is_not_asked_elsewhere(prober: Prober, host: HostName) -> None:
    """What sends on to another place does not tell its own version."""
    with (
        HttpServer(lambda _: tells(COMMIT)) as other,
        HttpServer(lambda _: redirect(f"{other.url}/version")) as server,
    ):
        check = replace(VERSION, port=server.port)
        problem = prober.probe_version(shop_on(host), "127.0.0.1", check, COMMIT).problem
        assert problem.startswith("/version?full=1 answered 302 (sent on to ")
        assert not other.requests


@on_each_host
def test_a_version_that_does_not_end(prober: Prober, host: HostName) -> None:
    """Neither more than 64 KiB is read of it, nor is it waited for longer than it may take."""
    with HttpServer(lambda _: Answer(200, {}, endless_body())) as server, within(10):
        patient = VersionCheck(server.port, timeout=timedelta(seconds=30))
        problem = prober.probe_version(shop_on(host), "127.0.0.1", patient, COMMIT).problem
        assert "expected is commit" in problem
        assert len(problem) < 300
    with (
        HttpServer(lambda _: Answer(200, {}, slowly(COMMIT.text.encode() * 10))) as server,
        within(10),
    ):
        hasty = VersionCheck(server.port, timeout=SHORT)
        assert prober.probe_version(shop_on(host), "127.0.0.1", hasty, COMMIT).problem == (
            "/: no answer within 0.4 s"
        )


@on_each_host
def test_nobody_tells_the_version(prober: Prober, host: HostName) -> None:
    """It is said where it was looked for."""
    check = VersionCheck(free_port())
    problem = prober.probe_version(shop_on(host), "127.0.0.1", check, COMMIT).problem
    assert problem.startswith(f"no connection to port {check.port}: ")


# ── TCP ───────────────────────────────────────────────────────────────────────────────────────


def test_tcp(way: Way, sshd: Sshd) -> None:
    """A connection is good, one that nobody takes is not."""
    check = HealthCheck(ProbeKind.TCP, port=sshd.port)
    assert way.ask(check) == ""
    port = free_port()
    refused = f"no connection to port {port}: Connection refused"
    assert way.ask(replace(check, port=port)) == refused
    with Unreachable() as full, within(10):
        slow = replace(check, port=full.port, timeout=SHORT)
        assert way.ask(slow) == "no answer within 0.4 s"


# ── Commands ──────────────────────────────────────────────────────────────────────────────────


@on_each_machine
@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ("echo fine; echo careful >&2", ""),
        ("echo one; echo 'two  \x1b[31m!'; exit 2", "exit status 2: two  !"),
        ("echo gone >&2; exit 127", "exit status 127: gone"),
        (
            "printf '%300s' | tr ' ' a; exit 1",
            f"exit status 1: {'a' * 200} … (100 more characters)",
        ),
    ],
)
def test_command(way: Way, script: str, problem: str) -> None:
    """Its exit status counts, and its last line is told."""
    assert way.ask(command("sh", "-c", script)) == problem


@on_each_machine
def test_command_gets_its_arguments(way: Way) -> None:
    """As they were declared, whatever a shell would make of them."""
    arguments = ("a b", "$HOME", "`id`", "it's", "", "-n", "*", ";", "\n")
    check = f"import sys; sys.exit(0 if tuple(sys.argv[1:]) == {arguments!r} else 1)"
    assert way.ask(command(sys.executable, "-c", check, *arguments)) == ""


@on_each_machine
def test_command_that_is_not_there(way: Way) -> None:
    """A program that is missing makes the target look ill, and says why."""
    assert "no-such-program" in way.ask(command("no-such-program"))


@on_each_machine
def test_command_without_end(way: Way) -> None:
    """It is ended in time, however much it writes."""
    with within(10):
        assert way.ask(command("sleep", "50", timeout=SHORT)) == "no end within 0.4 s"
        assert way.ask(command("yes", "wait", timeout=SHORT)) == "no end within 0.4 s: wait"


@on_each_machine
def test_command_that_minds_no_signal(way: Way) -> None:
    """It is ended all the same; one that says of itself what `timeout` would say was in time."""
    stubborn = "trap 'echo no' TERM; while :; do sleep 0.1; done"
    with within(10):
        assert way.ask(command("sh", "-c", stubborn, timeout=SHORT)).startswith("no end within")
    assert way.ask(command("sh", "-c", "exit 124")) == "exit status 124"  # in silence


# ── The host itself ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", list(ProbeKind))
def test_host_out_of_reach(hosts: Hosts, prober: Prober, sshd: Sshd, kind: ProbeKind) -> None:
    """Nothing is known of a target on a host that can't be reached."""
    hosts.declare(sshd, "away", port=free_port())
    check = HealthCheck(kind, port=sshd.port, command=("true",))
    away = Way(prober, HostName("away"), ProbeOrigin.HOST)
    with pytest.raises(TargetUnreachable, match="host away"):
        away.ask(check)
    if kind is not ProbeKind.HTTP:
        assert replace(away, origin=ProbeOrigin.DAEMON).ask(check) == ""


def test_address(hosts: Hosts, sshd: Sshd) -> None:
    """It is the declared one, or what the operator's configuration has for an alias."""
    addresses = HostAddresses(hosts.get, hosts.operator)
    hosts.operator_path.write_text("Host prod\n  HostName 127.0.0.2\n")
    hosts.declare_alias(sshd, "prod", "aliased")
    assert (addresses(WEB), addresses(HostName("aliased"))) == ("127.0.0.1", "127.0.0.2")
    with pytest.raises(NotFound):
        addresses(HostName("nowhere"))


def test_name_that_nobody_knows(hosts: Hosts, sshd: Sshd) -> None:
    """A host that the network does not know by its name is no reason to stop asking."""
    prober = HealthProber(hosts.machines, lambda _: "no-such-name.invalid")
    unknown = Way(prober, WEB, ProbeOrigin.DAEMON)
    problem = unknown.ask(HealthCheck(ProbeKind.TCP, port=sshd.port))
    assert problem.startswith(f"no connection to port {sshd.port}: ")


def test_ipv6(hosts: Hosts) -> None:
    """An address with colons is one like others."""
    try:
        listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        (pytest.fail if REQUIRE_ALL else pytest.skip)("this machine has no IPv6")
    with listener as server:
        port = server.getsockname()[1]
        prober = HealthProber(hosts.machines, lambda _: "::1")
        assert Way(prober, WEB, ProbeOrigin.DAEMON).ask(HealthCheck(ProbeKind.TCP, port=port)) == ""


def test_no_check(prober: Prober) -> None:
    """A target without a health check is taken as it looks."""
    assert prober.probe(Target(ProjectName("shop")), COMMIT).problem == ""
