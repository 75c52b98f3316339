"""Servers that send us elsewhere: to steal a credential, or to reach what only we can reach.

T36: git servers that redirect. T37: registries whose token server is another's. T38: addresses
written in any way, and names that resolve to something else the second time.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from reconciler.adapters.addresses import may_be_server
from reconciler.adapters.git.remote import DulwichRemote
from reconciler.adapters.git.ssh import HostKeys
from reconciler.adapters.notify.notifier import ServiceNotifier
from reconciler.adapters.notify.signed_webhook import SignedWebhooks
from reconciler.adapters.process import LocalRunner
from reconciler.adapters.registry.oras_registry import OrasRegistry
from reconciler.adapters.system_clock import SystemClock
from reconciler.domain.channel import Address
from reconciler.domain.errors import NotifyError, NotifyRefused, ReconcilerError, SourceError
from reconciler.domain.notice import NoticeEvent
from reconciler.domain.references import (
    BranchName,
    CommitSha,
    GitUrl,
    ImageReference,
    RepositoryPath,
)
from reconciler.domain.secret import Secret
from reconciler.log import Redactor
from reconciler.ports import GitCredentials, Letter, RegistryCredentials
from reconciler.testing import ManualClock
from tests.parts.faulty_registry import FaultyRegistry
from tests.parts.http_server import Answer, HttpServer, Request
from tests.parts.stray_network import watched_connections

_ROOT = Path(__file__).parents[2]
MAIN = BranchName("main")
COMMIT = CommitSha("a" * 40)
LETTER = Letter(NoticeEvent.FAILURE, "title", "text", {}, "1", ManualClock().now())
PASSWORD = "canary-of-the-operator"


@pytest.fixture
def remote(tmp_path: Path) -> Iterator[DulwichRemote]:
    keys = HostKeys(lambda _: "", lambda *_: None)
    made = DulwichRemote(tmp_path, LocalRunner("tests"), keys, limit=timedelta(seconds=5))
    yield made
    made.close()


def says(answer: Answer) -> Callable[[Request], Answer]:
    """Return what answers everything alike."""
    return lambda _: answer


def at_token(say: Callable[[], Answer]) -> Callable[[Request], Answer | None]:
    """Return what answers so where tokens are asked for."""
    return lambda request: say() if request.path == "/token" else None


# ── T36: git servers that redirect ────────────────────────────────────────────────────────────


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_t36_no_git_server_sends_our_token_to_another(
    remote: DulwichRemote, tmp_path: Path, status: int
) -> None:
    """Figures: 0 requests, and so 0 Authorization headers, at the other server."""
    with HttpServer(lambda _: Answer(401)) as other, HttpServer(lambda _: Answer(404)) as server:
        url = GitUrl.parse(f"http://{server.host}/team/web.git")
        token = GitCredentials(url.origin, "bob", Secret.of(PASSWORD))
        port = server.port
        elsewhere = (
            f"http://{other.host}/team/web.git/info/refs?service=git-upload-pack",
            f"http://bob:{PASSWORD}@{other.host}/team/web.git/info/refs",
            f"//{other.host}/team/web.git/info/refs",
            f"http://{server.host}@{other.host}/x/info/refs",
            f"http://{other.host}\\@{server.host}/x/info/refs",
            f"http://{other.host}#@{server.host}/x/info/refs",
            f"HTTP://LOCALHOST:{other.port}/x/info/refs",
            f"http://127.0.0.1:{other.port}%0d%0a.{port}/info/refs",
            f"\thttp://{other.host}/x/info/refs",
        )
        ask: tuple[Callable[[], object], ...] = (
            lambda: remote.tip(url, MAIN, token),
            lambda: remote.read_files(url, COMMIT, [RepositoryPath("compose.yaml")], token),
            lambda: remote.fetch(url, COMMIT, tmp_path / "bare.git", token),
        )
        for location in elsewhere:
            server.answer = says(Answer(status, {"Location": location}))
            for question in ask:
                with pytest.raises(SourceError) as refused:
                    question()
                assert PASSWORD not in f"{refused.value}{refused.value.evidence}"
        assert len(server.requests) >= len(elsewhere) * len(ask)
        assert other.requests == []


# ── T37: token servers of somebody else ───────────────────────────────────────────────────────


def registry_of(host: str, **options: object) -> OrasRegistry:
    """Return a client that knows a password for ``host`` alone."""
    known = RegistryCredentials(host, "alice", Secret.of(PASSWORD))
    return OrasRegistry(
        ManualClock(),
        lambda asked, _project: known if asked == host else None,
        **options,  # type: ignore[arg-type]
    )


def image(host: str) -> ImageReference:
    return ImageReference.parse(f"{host}/team/app:main")


def test_t37_no_registry_sends_our_password_to_another_s_realm() -> None:
    """Figures: 0 requests to where the realm is, 0 passwords sent anywhere, 1 request a look."""
    with FaultyRegistry(tokens=True) as server, FaultyRegistry() as victim:
        # The resolver takes 127.1 for 127.0.0.1: a registry that is no loopback name by its text.
        host = f"127.1:{server.port}"
        realms = (
            *(f"http://{victim.host}/token", f"http://localhost:{victim.port}/token"),
            *("https://evil.test/token", "http://evil.test/token", f"http://{host}.evil.test/"),
            *(
                "http://169.254.169.254/latest/meta-data/",
                "http://[::ffff:a9fe:a9fe]/",
                "http://0/",
            ),
            *(
                "http://[fd00:ec2::254]/",
                "http://2852039166/",
                "http://0xa9fea9fe/",
                "http://10.0.0.1/",
            ),
            *("http://10.255.255.254/token", "http://192.168.0.1/", "http://100.100.100.200/"),
            *(f"http://{host}@{victim.host}/token", f"http://{victim.host}#@{host}/token"),
            *(f"http://{victim.host}\\@{host}/", f"//{victim.host}/token", "file:///etc/passwd"),
            *("gopher://127.0.0.1:6379/_FLUSHALL", "unix:///var/run/docker.sock", "", "token"),
        )
        registry = registry_of(host, insecure_hosts=[host])
        with watched_connections() as made:
            for count, realm in enumerate(realms, 1):
                server.realm = realm or "/"
                with pytest.raises(SourceError) as refused:
                    registry.digest(image(host))
                assert PASSWORD not in f"{refused.value}{refused.value.evidence}"
                assert [one.requests_sent for one in registry.status()] == [count], realm
        assert victim.requests == []
        assert server.shown() == set()
        assert {address for _, address in made} == {("127.0.0.1", server.port)}


def test_t37_a_token_server_that_fails_or_floods_is_left_alone() -> None:
    """Figures: at most 2 requests a look, at most 4 MiB read of a token without an end."""
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        yield b'{"token": "'
        while True:
            sent += 65536
            yield b"x" * 65536

    huge = b'{"token": "%b"}' % (b"x" * 70_000)
    says: tuple[Callable[[], Answer], ...] = (
        *(lambda: Answer(500), lambda: Answer(503), lambda: Answer(502, {}, b"<html>")),
        *(lambda: Answer(200, {}, huge), lambda: Answer(200, {}, endless())),
        lambda: Answer(200, {}, b'{"token": "a b\\r\\nX: y"}'),
        lambda: Answer(200, {}, b'{"token": ["x"], "access_token": {}}'),
        *(lambda: Answer(200, {}, b"[" * 100_000), lambda: Answer(401), lambda: Answer(302)),
    )
    for say in says:
        with FaultyRegistry(tokens=True) as server:
            server.instead = at_token(say)
            with pytest.raises(SourceError):
                registry_of(server.host).digest(image(server.host))
            assert len(server.requests) <= 2
    assert sent < 32 << 20, "what is read, and what the system has in flight"


# ── T38: addresses in disguise ────────────────────────────────────────────────────────────────

#: The metadata service of most clouds, and other places of no server of ours, as resolvers and
#: URL parsers read them: decimal, octal, hexadecimal, short, mapped into IPv6, with a zone.
DISGUISES = (
    *("169.254.169.254", "169.254.169.254.", "2852039166", "0xa9fea9fe", "0XA9FEA9FE"),
    *("0xa9.0xfe.0xa9.0xfe", "0251.0376.0251.0376", "025177524776", "169.16689662"),
    *("169.254.43518", "0xa9.254.0251.254", "0xA9.16689662", "169.0xfea9fe", "0251.254.169.254"),
    *("[::ffff:169.254.169.254]", "[::ffff:a9fe:a9fe]", "[0:0:0:0:0:ffff:a9fe:a9fe]"),
    *("[64:ff9b::a9fe:a9fe]", "[64:ff9b::169.254.169.254]", "[2002:a9fe:a9fe::1]"),
    *("[fd00:ec2::254]", "[fd00:0ec2:0:0:0:0:0:254]", "[fe80::1]", "[fe80::a9fe:a9fe%25lo]"),
    *("[FE80::1]", "[ff02::1]", "[::]", "[::ffff:0.0.0.0]", "0.0.0.0", "0", "0x0", "00", "0.0"),
    *("224.0.0.1", "239.255.255.250", "100.100.100.200", "192.0.0.192", "168.63.129.16"),
    *("1684300900", "169.254.170.2", "169.254.0.1", "0x7f.1@169.254.169.254", "255.255.255.255"),
    *(
        "\uff11\uff16\uff19.254.169.254",
        "169\u3002254\u3002169\u3002254",
        "\u2460\u2465\u2468.254.169.254",
    ),
)


def test_t38_no_address_in_disguise_is_connected_to(remote: DulwichRemote) -> None:
    """Figures: 40 disguises or more, as repository and as registry; 0 connections to one."""
    assert len(DISGUISES) >= 40
    registry = OrasRegistry(
        ManualClock(), lambda *_: None, insecure_hosts=DISGUISES, time_limit=timedelta(seconds=3)
    )
    with watched_connections() as made:
        for host in DISGUISES:
            with pytest.raises(ReconcilerError):
                remote.tip(GitUrl.parse(f"http://{host}/team/app.git"), MAIN)
            with pytest.raises(ReconcilerError):
                registry.digest(ImageReference.parse(f"{host}:80/team/app:1"))
            failure = registry.probe(f"{host}:80")
            assert failure is not None
    assert [address for _, address in made if not may_be_server(str(address[0]))] == []


def test_t38_no_message_goes_to_an_address_in_disguise() -> None:
    """Figures: 40 disguises or more, as our webhook and for apprise; 0 connections to one.

    Apprise is looked at in a process of its own, because its guard stays for good.
    """
    webhooks = SignedWebhooks(ManualClock(), timedelta(seconds=0.5))
    with watched_connections() as made:
        for host in DISGUISES:
            address = Address(Secret.of(f"http://{host}:9/x"), Secret.of("key"))
            with pytest.raises(NotifyError):
                webhooks.send(address, LETTER)
        with pytest.raises(NotifyError):
            webhooks.send(Address(Secret.of("https://169.254.169.254/x")), LETTER)
    assert [address for _, address in made if not may_be_server(str(address[0]))] == []
    urls = [f"ntfy://{host}/topic?cto=0.5" for host in DISGUISES]
    trial = (sys.executable, "-m", "tests.parts.messenger_trial")
    done = subprocess.run(
        trial, cwd=_ROOT, input=json.dumps(urls).encode(), capture_output=True, check=True
    )
    found = json.loads(done.stdout)
    assert [address for address in found["connected"] if not may_be_server(address)] == []
    assert not any(one["sent"] for one in found["seen"].values())
    assert found["seen"][urls[0]]["refused"] == "169.254.169.254"


def test_t38_no_message_follows_a_redirect() -> None:
    """Figure: 0 requests elsewhere, of our webhook and of apprise."""
    with HttpServer(lambda _: Answer(200, body=b"{}")) as inside:
        there = Answer(307, {"Location": f"{inside.url}/x"})
        with HttpServer(lambda _: there) as server:
            notifier = ServiceNotifier(LocalRunner("tests"), SystemClock(), Redactor())
            for url in (f"http://{server.host}/x", f"ntfy://{server.host}/topic"):
                with pytest.raises(NotifyRefused):
                    notifier.send(Address(Secret.of(url)), LETTER)
            assert len(server.requests) == 2
        assert inside.requests == []


def test_t38_a_stranger_s_redirect_reaches_nothing_of_this_network() -> None:
    """Figure: 0 requests at servers that only we can reach, wherever a registry redirects."""
    with HttpServer(lambda _: Answer(200)) as inside:
        targets = (
            *(f"https://127.0.0.1:{inside.port}/", f"https://localhost:{inside.port}/"),
            *(f"https://0x7f.1:{inside.port}/x", f"https://2130706433:{inside.port}/x"),
            *(f"https://[::ffff:127.0.0.1]:{inside.port}/x", "https://169.254.169.254/latest/"),
            *("https://10.0.0.1/", "https://192.168.1.1/", "https://0.0.0.0/", "http://10.0.0.1/"),
        )
        with FaultyRegistry() as server:
            host = f"127.1:{server.port}"
            registry = registry_of(host, insecure_hosts=[host])
            for target in targets:
                server.instead = says(Answer(307, {"Location": target}))
                with watched_connections() as made, pytest.raises(SourceError):
                    registry.digest(image(host))
                assert {address for _, address in made} <= {("127.0.0.1", server.port)}, target
            assert len(server.requests) == len(targets)
        assert inside.requests == []


@pytest.mark.needs_namespaces
@pytest.mark.needs_sshd
def test_t38_a_name_that_resolves_to_something_else_leads_nowhere() -> None:
    """Figure: 0 connections to a metadata service that is there, by 48 look-ups of 24 names.

    One look-up a connection, all of its addresses checked, and connected to what was checked: over
    HTTP to registries, git servers and receivers of webhooks, and over SSH.
    """
    alone = ("unshare", "--net", "--mount", sys.executable, "-m", "tests.parts.lying_resolver")
    done = subprocess.run(alone, cwd=_ROOT, capture_output=True, timeout=50, check=False)
    assert done.returncode == 0, done.stderr.decode()
    found = json.loads(done.stdout)
    assert found["reached"] == 0
    assert len(found["asked"]) == 24
    assert set(found["asked"].values()) == {2}, "a look-up for each of two connections"
    # What is honest, or was so the first time, is asked.
    assert found["requests"] == {
        "/v2/team/app/manifests/1": 3,
        "/team/web.git/info/refs": 3,
        "/hook": 3,
    }
    refused = {name for name, code in found["seen"][1].items() if code == "source-unreachable"}
    refused |= {name for name, code in found["seen"][1].items() if code == "notify-unreachable"}
    assert set(found["seen"][1]) - refused == {"registry honest", "git honest", "webhook honest"}
