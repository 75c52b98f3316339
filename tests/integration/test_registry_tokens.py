"""Tokens and passwords: renewed when they must be, and never shown to anybody else."""

import base64
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qs

import pytest

from reconciler.adapters.registry.credentials import CredentialChain
from reconciler.adapters.registry.docker_config import DockerConfigFile
from reconciler.adapters.registry.hosts import REFUSED_FOR
from reconciler.adapters.registry.oras_registry import OrasRegistry
from reconciler.adapters.system_clock import SystemClock
from reconciler.domain.errors import SourceDenied, SourceProtocolError, SourceThrottled
from reconciler.domain.references import Digest, ImageReference, ProjectName
from reconciler.domain.secret import Secret
from reconciler.ports import RegistryCredentials
from reconciler.testing import ManualClock
from tests.parts.child import free_port
from tests.parts.faulty_registry import DIGEST, FaultyRegistry
from tests.parts.http_server import Answer, Request
from tests.parts.registry import Registry

PASSWORD = "s3cret of a"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def server() -> Iterator[FaultyRegistry]:
    with FaultyRegistry(tokens=True) as running:
        yield running


def credentials(host: str, *, identity_token: bool = False) -> RegistryCredentials:
    return RegistryCredentials(host, "alice", Secret.of(PASSWORD), identity_token)


def connect(clock: ManualClock, *known: RegistryCredentials, **options: object) -> OrasRegistry:
    by_host = {each.host: each for each in known}
    return OrasRegistry(clock, lambda host, _project: by_host.get(host), **options)  # type: ignore[arg-type]


def image(host: str, repository: str = "team/app") -> ImageReference:
    return ImageReference.parse(f"{host}/{repository}:main")


def basic(password: str = PASSWORD) -> str:
    return f"Basic {base64.b64encode(f'alice:{password}'.encode()).decode()}"


def test_one_token_serves_many_look_ups(server: FaultyRegistry, clock: ManualClock) -> None:
    """The second look-up is one request; the token is asked for with our own scope."""
    registry = connect(clock)
    assert registry.digest(image(server.host)) == Digest(DIGEST)
    assert len(server.requests) == 3
    (asked,) = [request for request in server.requests if request.path == "/token"]
    assert asked.query == {"scope": ["repository:team/app:pull"], "service": ["tests"]}
    assert registry.digest(image(server.host)) == Digest(DIGEST)
    assert len(server.requests) == 4


def test_a_token_that_the_registry_forgot_is_renewed(
    server: FaultyRegistry, clock: ManualClock
) -> None:
    """A 401 to a token that looked good costs one renewal, and no failure."""
    registry = connect(clock)
    registry.digest(image(server.host))
    server.issued.clear()
    assert registry.digest(image(server.host)) == Digest(DIGEST)
    assert len(server.sent("/token")) == 2


@pytest.mark.parametrize("status", [400, 403])
def test_other_answers_to_an_old_token_renew_it_too(
    server: FaultyRegistry, clock: ManualClock, status: int
) -> None:
    """Some registries answer 400 or 403 to a token that ended."""
    registry = connect(clock)
    registry.digest(image(server.host))
    old = {f"Bearer {token}" for token in server.issued}
    server.instead = lambda request: Answer(status) if request.authorization in old else None
    assert registry.digest(image(server.host)) == Digest(DIGEST)
    assert len(server.sent("/token")) == 2


def test_a_token_is_renewed_before_it_ends(server: FaultyRegistry, clock: ManualClock) -> None:
    """Nine tenths into its life a new one is fetched, without a refusal first."""
    registry = connect(clock)
    registry.digest(image(server.host))
    clock.advance(timedelta(seconds=server.lifetime_seconds * 0.89))
    registry.digest(image(server.host))
    assert len(server.sent("/token")) == 1
    clock.advance(timedelta(seconds=server.lifetime_seconds * 0.02))
    registry.digest(image(server.host))
    assert [path for _, path in server.sent()][-2:] == ["/token", "/v2/team/app/manifests/main"]


def test_a_second_repository_has_its_own_token(server: FaultyRegistry, clock: ManualClock) -> None:
    """The registry here refuses a token of another repository, as real ones do."""
    registry = connect(clock)
    for repository in ("team/app", "team/other", "team/app"):
        assert registry.digest(image(server.host, repository)) == Digest(DIGEST)
    assert sorted(server.issued.values()) == ["team/app", "team/other"]


def test_another_host_sees_neither_token_nor_password(
    server: FaultyRegistry, clock: ManualClock
) -> None:
    """What one host was shown appears nowhere in the requests of another, in any order."""
    with FaultyRegistry(tokens=True) as other:
        registry = connect(clock, credentials(server.host))
        for host in (server.host, other.host, server.host, other.host):
            registry.digest(image(host))
        assert basic() in server.shown()
        assert not server.shown() & other.shown()
        assert other.shown() == {f"Bearer {token}" for token in other.issued}


def test_credentials_of_another_host_are_refused_before_anything_is_sent(
    server: FaultyRegistry, clock: ManualClock
) -> None:
    """A finder that mixes up hosts is caught here."""
    registry = OrasRegistry(clock, lambda _host, _project: credentials("other.example"))
    with pytest.raises(SourceDenied, match=r"other\.example"):
        registry.digest(image(server.host))
    assert server.requests == []


def test_projects_with_their_own_credentials_have_their_own_tokens(
    server: FaultyRegistry, clock: ManualClock
) -> None:
    """One project's access is not lent to another."""
    known = {ProjectName("a"): credentials(server.host)}
    registry = OrasRegistry(clock, lambda _host, project: known.get(project or ProjectName("")))
    registry.digest(image(server.host), ProjectName("a"))
    registry.digest(image(server.host), ProjectName("b"))
    asked = [request.authorization for request in server.requests if request.path == "/token"]
    assert asked == [basic(), None]


REALMS = {
    "other-host": "https://evil.example/token",
    "other-host-without-tls": "http://evil.example/token",
    "metadata": "http://169.254.169.254/latest/meta-data/",
    "private": "http://10.0.0.1/token",
    "not-a-url": "token",
    "half-an-address": "https://[::1/token",
    "password-in-url": "https://alice:pw@evil.example/",
    "empty": "http://",
}


@pytest.mark.parametrize("realm", REALMS.values(), ids=REALMS.keys())
def test_a_realm_elsewhere_is_refused(
    server: FaultyRegistry, clock: ManualClock, realm: str
) -> None:
    """Nothing but the first request is sent, and it holds no password."""
    server.realm = realm
    registry = connect(clock, credentials(server.host))
    with pytest.raises(SourceDenied, match="nothing was sent there") as error:
        registry.digest(image(server.host))
    assert PASSWORD not in f"{error.value} {error.value.evidence}"
    assert len(server.requests) == 1
    assert server.shown() == set()
    # One request in all: none went to the realm either.
    assert [status.requests_sent for status in registry.status()] == [1]


def test_a_realm_on_this_machine_is_not_for_registries_elsewhere(clock: ManualClock) -> None:
    """A registry that is no loopback name can't have us call a service of this machine."""
    with FaultyRegistry(tokens=True) as server, FaultyRegistry() as victim:
        # The resolver takes 127.1 for 127.0.0.1; by its text it is a host like any other.
        host = f"127.1:{server.port}"
        server.realm = f"{victim.url}/token"
        registry = connect(clock, credentials(host), insecure_hosts=[host])
        with pytest.raises(SourceDenied, match="another host"):
            registry.digest(image(host))
        assert victim.requests == []
        approved = connect(
            clock,
            credentials(host),
            insecure_hosts=[host],
            approved_realms=[(host, victim.host)],
        )
        # Its tokens are no good at the registry, which therefore refuses.
        with pytest.raises(SourceDenied, match="401"):
            approved.digest(image(host))
        assert victim.sent() == [("GET", "/token")]


def test_a_token_server_that_redirects_is_not_followed(
    server: FaultyRegistry, clock: ManualClock
) -> None:
    """The password stays where it was sent."""
    with FaultyRegistry() as elsewhere:
        server.instead = lambda request: (
            Answer(307, {"Location": f"{elsewhere.url}/token"})
            if request.path == "/token"
            else None
        )
        with pytest.raises(Exception, match="redirects"):
            connect(clock, credentials(server.host)).digest(image(server.host))
        assert elsewhere.requests == []


def test_many_waiters_share_one_token_request(server: FaultyRegistry, clock: ManualClock) -> None:
    """Sixteen look-ups that are refused at once fetch one token."""
    refused = threading.Barrier(16)

    def instead(request: Request) -> Answer | None:
        if request.path != "/token" and request.authorization is None:
            refused.wait(10)
        return None

    server.instead = instead
    registry = connect(clock)
    with ThreadPoolExecutor(16) as pool:
        digests = set(pool.map(lambda _: registry.digest(image(server.host)), range(16)))
    assert digests == {Digest(DIGEST)}
    assert len(server.sent("/token")) == 1


def test_a_refused_password_is_not_shown_again_and_again(
    server: FaultyRegistry, clock: ManualClock
) -> None:
    """One failed login a while, whatever is looked up; another password is tried at once."""
    server.instead = lambda request: (
        Answer(401) if request.path == "/token" and request.authorization == basic() else None
    )
    registry = connect(clock, credentials(server.host))
    for repository in ("team/a", "team/b", "team/a"):
        with pytest.raises(SourceDenied):
            registry.digest(image(server.host, repository))
    assert len(server.sent("/token")) == 1
    clock.advance(REFUSED_FOR)
    with pytest.raises(SourceDenied):
        registry.digest(image(server.host))
    assert len(server.sent("/token")) == 2


def test_a_refused_basic_password_rests_too(clock: ManualClock) -> None:
    """The same where the registry itself takes the password."""
    refuse = Answer(401, {"WWW-Authenticate": 'Basic realm="tests"'})
    with FaultyRegistry(instead=lambda _request: refuse) as server:
        registry = connect(clock, credentials(server.host))
        for _ in range(3):
            with pytest.raises(SourceDenied):
                registry.digest(image(server.host))
        assert [request.authorization for request in server.requests] == [None, basic()]


def test_a_basic_password_is_sent_at_once_from_then_on(clock: ManualClock) -> None:
    """The second look-up is one request."""
    challenge = Answer(401, {"WWW-Authenticate": 'Basic realm="tests"'})
    with FaultyRegistry(
        instead=lambda request: None if request.authorization == basic() else challenge
    ) as server:
        registry = connect(clock, credentials(server.host))
        registry.digest(image(server.host))
        registry.digest(image(server.host))
        assert [request.authorization for request in server.requests] == [None, basic(), basic()]


def test_an_identity_token_is_exchanged(server: FaultyRegistry, clock: ManualClock) -> None:
    """It goes to the token server in a form (OAuth2), never in a URL or to the registry."""
    refresh = f"grant_type=refresh_token&refresh_token={PASSWORD.replace(' ', '+')}"

    def instead(request: Request) -> Answer | None:
        if request.path != "/token":
            return None
        form = parse_qs(request.body.decode())
        assert form["grant_type"] == ["refresh_token"]
        assert form["refresh_token"] == [PASSWORD]
        assert form["scope"] == ["repository:team/app:pull"]
        server.issued["exchanged"] = "team/app"
        return Answer(200, {}, b'{"access_token": "exchanged", "expires_in": 60}')

    server.instead = instead
    registry = connect(clock, credentials(server.host, identity_token=True))
    assert registry.digest(image(server.host)) == Digest(DIGEST)
    assert ("POST", "/token") in server.sent()
    assert server.shown() == {"Bearer exchanged"}
    assert not [request for request in server.requests if refresh in request.target]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param(Answer(401), SourceDenied, id="401"),
        pytest.param(Answer(403), SourceDenied, id="403"),
        pytest.param(Answer(429, {"Retry-After": "30"}), SourceThrottled, id="429"),
        pytest.param(Answer(200, {}, b"<html>"), SourceProtocolError, id="html"),
        pytest.param(Answer(200, {}, b'{"token": "a\\nb"}'), SourceProtocolError, id="newline"),
    ],
)
def test_a_token_server_that_gives_none(
    server: FaultyRegistry, clock: ManualClock, answer: Answer, expected: type[Exception]
) -> None:
    """Its refusal is the look-up's, and a throttled token server cools the host down."""
    server.instead = lambda request: answer if request.path == "/token" else None
    registry = connect(clock)
    with pytest.raises(expected):
        registry.digest(image(server.host))
    sent = len(server.requests)
    with pytest.raises(expected):
        registry.digest(image(server.host))
    assert (len(server.requests) == sent) is (expected is SourceThrottled)


def test_a_challenge_that_never_ends(server: FaultyRegistry, clock: ManualClock) -> None:
    """A registry that refuses every token is asked twice, not for ever."""
    server.instead = lambda request: None if request.path == "/token" else server.challenge()
    with pytest.raises(SourceDenied):
        connect(clock).digest(image(server.host))
    assert [path for _, path in server.sent()] == [
        "/v2/team/app/manifests/main",
        "/token",
        "/v2/team/app/manifests/main",
    ]


@pytest.mark.parametrize("header", [None, "Negotiate", "Basic", "Bearer", 'Bearer service="x"'])
def test_a_challenge_without_a_way_in(clock: ManualClock, header: str | None) -> None:
    """A 401 that offers nothing we have is a refusal."""
    answer = Answer(401, {"WWW-Authenticate": header} if header else {})
    with FaultyRegistry(instead=lambda _request: answer) as server:
        with pytest.raises(SourceDenied):
            connect(clock).digest(image(server.host))
        assert len(server.requests) == 1


@pytest.mark.needs_registry
@pytest.mark.parametrize("auth", ["htpasswd", "token"])
def test_what_docker_login_left_behind_opens_a_real_registry(
    auth: Literal["htpasswd", "token"], tmp_path: Path
) -> None:
    """Credentials of Docker's own file, from the moment that it is there."""
    with Registry(auth) as real:
        pushed = real.push_manifest("team/app", "main", "private")
        file = DockerConfigFile(tmp_path / "config.json")
        chain = CredentialChain(lambda _host, _project: None, docker_config=file)
        registry = OrasRegistry(SystemClock(), chain.find)
        with pytest.raises(SourceDenied):
            registry.digest(image(real.host))
        real.docker_config(tmp_path)
        assert registry.digest(image(real.host)) == Digest(pushed)


@pytest.mark.needs_registry
def test_a_registry_that_was_restarted_is_asked_anew() -> None:
    """Connections that were kept are gone, and no look-up fails of it."""
    registry = OrasRegistry(SystemClock(), lambda _host, _project: None)
    port = free_port()
    for seed in ("before", "after"):
        with Registry(port=port) as real:
            pushed = real.push_manifest("team/app", "main", seed)
            assert registry.digest(image(real.host)) == Digest(pushed)
