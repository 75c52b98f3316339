"""A registry that answers wrongly, slowly, endlessly or not at all: bounded, and told apart."""

import gzip
import itertools
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from reconciler.adapters.registry.oras_registry import OrasRegistry
from reconciler.domain.errors import (
    RevisionNotFound,
    SourceDenied,
    SourceError,
    SourceProtocolError,
    SourceRedirected,
    SourceThrottled,
    SourceUnreachable,
)
from reconciler.domain.references import Digest, ImageReference
from reconciler.domain.secret import Secret
from reconciler.ports import RegistryCredentials
from reconciler.testing import ManualClock
from tests.parts.certificates import CertificateAuthority
from tests.parts.child import free_port
from tests.parts.faulty_registry import DIGEST, MANIFEST, MANIFEST_HEADERS, FaultyRegistry
from tests.parts.http_server import Answer, Request

#: Instead of thirty seconds, so that the tests that run into it are quick.
LIMIT = timedelta(seconds=1)
WITHOUT_DIGEST = {"Content-Type": MANIFEST_HEADERS["Content-Type"]}
OTHER_DIGEST = f"sha256:{'0' * 64}"


class RunningClock(ManualClock):
    """Real time for limits, and a wall clock and cooling that tests can move."""

    def monotonic(self) -> float:
        return time.monotonic() + super().monotonic()


@pytest.fixture
def clock() -> RunningClock:
    return RunningClock()


@pytest.fixture
def registry(clock: RunningClock) -> OrasRegistry:
    return OrasRegistry(clock, lambda _host, _project: None, time_limit=LIMIT)


def image(host: str, repository: str = "team/app") -> ImageReference:
    return ImageReference.parse(f"{host}/{repository}:main")


def only(method: str, answer: Answer) -> FaultyRegistry:
    """A registry that answers one method with ``answer``, and is sound otherwise."""
    return FaultyRegistry(instead=lambda request: answer if request.method == method else None)


class TestFallingBackToGet:
    """Where HEAD does not tell the digest, it is computed from the manifest's own bytes."""

    @pytest.mark.parametrize(
        "head",
        [
            pytest.param(Answer(200, WITHOUT_DIGEST), id="no-header"),
            pytest.param(Answer(200, {"Docker-Content-Digest": ""}), id="empty-header"),
            pytest.param(Answer(200, {"Docker-Content-Digest": "sha256:x"}), id="malformed-header"),
            pytest.param(
                Answer(200, {"Docker-Content-Digest": f"sha512:{'0' * 128}"}), id="other-algorithm"
            ),
            pytest.param(
                Answer(
                    200,
                    {
                        "Content-Type": "application/vnd.docker.distribution.manifest.v1+prettyjws",
                        "Docker-Content-Digest": OTHER_DIGEST,
                    },
                ),
                id="converted-to-schema-1",
            ),
            pytest.param(Answer(405), id="405"),
            pytest.param(Answer(501), id="501"),
            pytest.param(Answer(400), id="400"),
        ],
    )
    def test_the_bytes_tell(self, registry: OrasRegistry, head: Answer) -> None:
        """The digest is the one that the header should have told."""
        with only("HEAD", head) as server:
            assert registry.digest(image(server.host)) == Digest(DIGEST)
            assert [method for method, _ in server.sent()] == ["HEAD", "GET"]
            assert len({request.headers["accept"] for request in server.requests}) == 1

    def test_compressed_bytes_count_as_they_were(self, registry: OrasRegistry) -> None:
        """A proxy that compresses does not change the digest."""
        squeezed = Answer(
            200, {**WITHOUT_DIGEST, "Content-Encoding": "gzip"}, gzip.compress(MANIFEST)
        )
        with FaultyRegistry(instead=lambda _request: squeezed) as server:
            assert registry.digest(image(server.host)) == Digest(DIGEST)

    @pytest.mark.parametrize(
        "answer",
        [
            pytest.param(
                Answer(200, {"Docker-Content-Digest": OTHER_DIGEST}, MANIFEST), id="other-digest"
            ),
            pytest.param(Answer(200, {"Content-Type": "text/html"}, b"<html>"), id="html"),
            pytest.param(Answer(200, {}, b""), id="empty"),
            pytest.param(Answer(200, {}, b"[]"), id="list"),
            pytest.param(Answer(200, {}, b'{"schemaVersion": 1}'), id="schema-1"),
            pytest.param(Answer(200, {}, b"[" * 100_000), id="deep"),
            pytest.param(Answer(200, {"Content-Length": "9999"}, (b"{",)), id="cut-short"),
            pytest.param(
                Answer(200, {"Content-Encoding": "gzip"}, b"not gzip at all"), id="broken-gzip"
            ),
        ],
    )
    def test_what_is_no_manifest_has_no_digest(
        self, registry: OrasRegistry, answer: Answer
    ) -> None:
        """A page of HTML, a cut or a changed manifest is an error, never a new digest."""
        with (
            FaultyRegistry(
                instead=lambda request: answer if request.method == "GET" else Answer(405)
            ) as server,
            pytest.raises((SourceProtocolError, SourceUnreachable)) as error,
        ):
            registry.digest(image(server.host))
        assert error.type is SourceProtocolError or "cut" in str(error)

    def test_html_with_200_to_everything(self, registry: OrasRegistry) -> None:
        """A captive portal is not a registry that moved the tag."""
        page = Answer(200, {"Content-Type": "text/html"}, b"<html>Please sign in</html>")
        with (
            FaultyRegistry(instead=lambda _request: page) as server,
            pytest.raises(SourceProtocolError, match="text/html"),
        ):
            registry.digest(image(server.host))


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param(Answer(401), SourceDenied, id="401-without-a-challenge"),
        pytest.param(Answer(403), SourceDenied, id="403"),
        pytest.param(Answer(404), RevisionNotFound, id="404"),
        pytest.param(Answer(429), SourceThrottled, id="429"),
        pytest.param(Answer(503, {"Retry-After": "5"}), SourceThrottled, id="503-with-retry-after"),
        pytest.param(Answer(500), SourceUnreachable, id="500"),
        pytest.param(Answer(502), SourceUnreachable, id="502"),
        pytest.param(Answer(503), SourceUnreachable, id="503"),
        pytest.param(Answer(418), SourceProtocolError, id="418"),
    ],
)
def test_a_refusal_is_one_request_and_one_error(
    registry: OrasRegistry, answer: Answer, expected: type[SourceError]
) -> None:
    """Nothing is repeated blindly; the error names the image."""
    with FaultyRegistry(instead=lambda _request: answer) as server:
        with pytest.raises(expected, match=r"team/app:main") as error:
            registry.digest(image(server.host))
        assert error.type is expected
        assert len(server.requests) == 1
        (status,) = registry.status()
        assert status.reachable is (expected is not SourceUnreachable)
        assert status.error == error.value.message


class TestCoolingDown:
    """A host that says 429 is left alone, whatever is asked of it."""

    @pytest.mark.parametrize(
        ("answer", "seconds"),
        [
            pytest.param(Answer(429, {"Retry-After": "120"}), 120, id="seconds"),
            pytest.param(
                Answer(429, {"Retry-After": "Tue, 01 Jan 2030 00:05:00 GMT"}), 300, id="date"
            ),
            pytest.param(Answer(429, {"Retry-After": "99999999999999"}), 3600, id="absurd"),
            pytest.param(Answer(429, {"Retry-After": "-1"}), 60, id="negative"),
            pytest.param(Answer(429), 60, id="nothing"),
            pytest.param(Answer(503, {"Retry-After": "120"}), 120, id="503"),
        ],
    )
    def test_nothing_is_sent_meanwhile(
        self, registry: OrasRegistry, clock: RunningClock, answer: Answer, seconds: int
    ) -> None:
        """Other images of the host are held, too; afterwards it is asked again."""
        with FaultyRegistry(instead=lambda _request: answer) as server:
            with pytest.raises(SourceThrottled) as first:
                registry.digest(image(server.host))
            assert first.value.retry_after == timedelta(seconds=seconds)
            clock.advance(timedelta(seconds=seconds - 2 if seconds > 2 else 0))
            with pytest.raises(SourceThrottled, match="cooling down"):
                registry.digest(image(server.host, "team/other"))
            failure = registry.probe(server.host)
            assert failure is not None
            assert failure.code == SourceThrottled.code
            assert len(server.requests) == 1
            (status,) = registry.status()
            assert status.cooling_until is not None
            clock.advance(timedelta(seconds=3))
            server.instead = lambda _request: None
            assert registry.digest(image(server.host)) == Digest(DIGEST)

    def test_the_body_tells_where_the_header_does_not(
        self, registry: OrasRegistry, clock: RunningClock
    ) -> None:
        """GHCR says in its body for how long, down to microseconds; a second is the least."""
        body = (
            b'{"message": "toomanyrequests: retry-after: 331.163\xc2\xb5s, allowed: 44000/minute"}'
        )
        with (
            FaultyRegistry(
                instead=lambda request: (
                    Answer(405) if request.method == "HEAD" else Answer(429, {}, body)
                )
            ) as server,
            pytest.raises(SourceThrottled) as error,
        ):
            registry.digest(image(server.host))
        assert error.value.retry_after == timedelta(seconds=1)

    def test_another_host_is_not_held(self, registry: OrasRegistry) -> None:
        """One bucket a host."""
        with (
            FaultyRegistry(instead=lambda _request: Answer(429)) as slow,
            FaultyRegistry() as other,
        ):
            with pytest.raises(SourceThrottled):
                registry.digest(image(slow.host))
            assert registry.digest(image(other.host)) == Digest(DIGEST)

    def test_limits_are_shown(self, registry: OrasRegistry) -> None:
        """What Docker Hub says of its limit can be read from the status."""
        limits = {"ratelimit-limit": "100;w=21600", "ratelimit-remaining": "76;w=21600"}
        with FaultyRegistry(
            instead=lambda _request: Answer(200, {**MANIFEST_HEADERS, **limits})
        ) as server:
            registry.digest(image(server.host))
        (status,) = registry.status()
        assert (status.limit, status.limit_remaining, status.requests_sent) == (100, 76, 1)


def endless(piece: bytes, pause: float = 0.0) -> Iterator[bytes]:
    for _ in itertools.count():
        time.sleep(pause)
        yield piece


@contextmanager
def raw_server(*pieces: bytes, pause: float = 0.0, closes: bool = False) -> Iterator[str]:
    """Accept connections, send ``pieces`` for ever, one at a time; yield ``host:port``."""
    closing = threading.Event()

    def speak(connection: socket.socket) -> None:
        with connection:
            for piece in pieces if closes else itertools.cycle(pieces or (b"",)):
                if closing.wait(pause):
                    return
                try:
                    connection.sendall(piece)
                except OSError:
                    return

    def accept(listener: socket.socket) -> None:
        while not closing.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=speak, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=accept, args=(listener,), daemon=True)
        thread.start()
        try:
            yield f"127.0.0.1:{listener.getsockname()[1]}"
        finally:
            closing.set()
            listener.shutdown(socket.SHUT_RDWR)
    thread.join(5)


class TestBounded:
    """Every look-up ends within its limit, whatever is at the other end."""

    @staticmethod
    def seconds_until_refused(
        registry: OrasRegistry, host: str, expected: type[SourceError] = SourceUnreachable
    ) -> float:
        started = time.monotonic()
        with pytest.raises(expected):
            registry.digest(image(host))
        return time.monotonic() - started

    def test_an_endless_body(self, registry: OrasRegistry) -> None:
        """Four megabytes of it are read, and no more."""
        answer = Answer(200, WITHOUT_DIGEST, endless(b" " * 65536))
        with only("GET", answer) as server:
            server.instead = lambda request: Answer(405) if request.method == "HEAD" else answer
            self.seconds_until_refused(registry, server.host, SourceProtocolError)

    def test_a_gzip_bomb(self, registry: OrasRegistry) -> None:
        """The limit counts what comes out: a quarter of a gigabyte of zeros is cut at its start."""
        bomb = gzip.compress(bytes(1 << 28), 9)
        answer = Answer(200, {**WITHOUT_DIGEST, "Content-Encoding": "gzip"}, bomb)
        with FaultyRegistry(
            instead=lambda request: Answer(405) if request.method == "HEAD" else answer
        ) as server:
            before = _peak_bytes()
            self.seconds_until_refused(registry, server.host, SourceProtocolError)
            assert _peak_bytes() - before < 64 << 20

    def test_a_byte_at_a_time_in_the_body(self, registry: OrasRegistry) -> None:
        """Each byte comes in time, the answer does not."""
        answer = Answer(200, WITHOUT_DIGEST, endless(b" ", pause=0.05))
        with FaultyRegistry(
            instead=lambda request: Answer(405) if request.method == "HEAD" else answer
        ) as server:
            assert self.seconds_until_refused(registry, server.host) < 2.5

    def test_a_byte_at_a_time_in_the_headers(self, registry: OrasRegistry) -> None:
        """The same before there is an answer at all."""
        with raw_server(b"H", b"T", b"T", b"P", pause=0.05) as host:
            assert self.seconds_until_refused(registry, host) < 2.5

    def test_interim_answers_without_end(self, registry: OrasRegistry) -> None:
        """``100 Continue`` for ever is no answer."""
        with raw_server(b"HTTP/1.1 100 Continue\r\n\r\n", pause=0.01) as host:
            assert self.seconds_until_refused(registry, host) < 2.5

    def test_silence(self, registry: OrasRegistry) -> None:
        """A server that accepts and says nothing."""
        with raw_server(pause=60) as host:
            assert self.seconds_until_refused(registry, host) < 2.5

    def test_silence_before_tls(self, clock: RunningClock) -> None:
        """The handshake is within the limit, too."""
        with raw_server(pause=60) as host:
            registry = OrasRegistry(
                clock, lambda _host, _project: None, tls_hosts=[host], time_limit=LIMIT
            )
            assert self.seconds_until_refused(registry, host) < 2.5

    def test_a_slow_token_server(self, registry: OrasRegistry) -> None:
        """The limit is for the whole look-up: token and manifest share it."""
        with FaultyRegistry(tokens=True) as server:

            def instead(request: Request) -> Answer | None:
                return (
                    Answer(200, {}, endless(b" ", pause=0.05)) if request.path == "/token" else None
                )

            server.instead = instead
            assert self.seconds_until_refused(registry, server.host) < 2.5

    def test_a_refused_connection(self, registry: OrasRegistry) -> None:
        """It is called what it is, and takes no time."""
        with pytest.raises(SourceUnreachable, match="refused"):
            registry.digest(image(f"127.0.0.1:{free_port()}"))

    @pytest.mark.parametrize("name", ["registry.invalid", f"{'a' * 64}.invalid"])
    def test_a_name_that_does_not_resolve(self, registry: OrasRegistry, name: str) -> None:
        """The same for a host that is nowhere (RFC 6761 keeps ``.invalid`` that way)."""
        self.seconds_until_refused(registry, name)

    def test_something_that_is_not_http(self, registry: OrasRegistry) -> None:
        """An SSH server on the port is named as what it is not."""
        with raw_server(b"SSH-2.0-OpenSSH_9.2\r\n", closes=True, pause=0.01) as host:
            self.seconds_until_refused(registry, host, SourceProtocolError)

    def test_a_connection_that_is_dropped(self, registry: OrasRegistry) -> None:
        """Accepted, and closed without a word."""
        with raw_server(closes=True) as host:
            self.seconds_until_refused(registry, host)

    def test_plain_http_where_tls_is_expected(self, clock: RunningClock) -> None:
        """It is not spoken to in the clear instead."""
        with FaultyRegistry() as server:
            registry = OrasRegistry(
                clock, lambda _host, _project: None, tls_hosts=[server.host], time_limit=LIMIT
            )
            self.seconds_until_refused(registry, server.host)
            assert all(request.method != "HEAD" for request in server.requests)

    def test_metadata_addresses_are_not_even_connected_to(self, registry: OrasRegistry) -> None:
        """An image of a stranger's file can't have us call them."""
        assert self.seconds_until_refused(registry, "169.254.169.254") < 0.9
        assert self.seconds_until_refused(registry, "0.0.0.0:80") < 0.9


def test_a_certificate_of_nobody_known_is_refused(
    clock: RunningClock, authority: CertificateAuthority
) -> None:
    """Without its authority there is no conversation; with it there is."""
    with FaultyRegistry(tls=authority.issue()) as server:
        options = {"tls_hosts": [server.host], "time_limit": LIMIT}
        stranger = OrasRegistry(clock, lambda _host, _project: None, **options)  # type: ignore[arg-type]
        with pytest.raises(SourceUnreachable, match="certificate"):
            stranger.digest(image(server.host))
        assert server.requests == []
        friend = OrasRegistry(
            clock,
            lambda _host, _project: None,
            ca_bundle=authority.ca_path,
            **options,  # type: ignore[arg-type]
        )
        assert friend.digest(image(server.host)) == Digest(DIGEST)


class TestRedirects:
    """Some public registries redirect manifests; an authorization stays where it belongs."""

    def test_within_the_host_they_are_followed(self, registry: OrasRegistry) -> None:
        """Up to three of them."""
        with FaultyRegistry() as server:
            moved = Answer(307, {"Location": "/v2/team/new/manifests/main"})
            server.instead = lambda request: moved if "team/app" in request.path else None
            assert registry.digest(image(server.host)) == Digest(DIGEST)

    def test_a_loop_ends(self, registry: OrasRegistry) -> None:
        """The registry is asked four times, not for ever."""
        with FaultyRegistry() as server:
            server.instead = lambda request: Answer(302, {"Location": request.target})
            with pytest.raises(SourceRedirected):
                registry.digest(image(server.host))
            assert len(server.requests) == 4

    def test_to_another_port_the_password_does_not_follow(self, clock: RunningClock) -> None:
        """The other server sees the request without its Authorization."""
        with FaultyRegistry() as target, FaultyRegistry() as server:

            def instead(request: Request) -> Answer:
                if request.authorization is None:
                    return Answer(401, {"WWW-Authenticate": 'Basic realm="x"'})
                return Answer(307, {"Location": f"{target.url}{request.target}"})

            server.instead = instead
            credentials = RegistryCredentials(server.host, "u", Secret.of("p"))
            registry = OrasRegistry(clock, lambda _host, _project: credentials)
            assert registry.digest(image(server.host)) == Digest(DIGEST)
            assert len(target.requests) == 1
            assert target.shown() == set()

    @pytest.mark.parametrize(
        "location",
        [
            "http://localhost:{port}/x",
            "http://169.254.169.254/x",
            "file:///etc/passwd",
            "https://[::1",
            "http://127.0.0.1:99999999/x",
            "https://user:pw@127.0.0.1:{port}/x",
            "",
        ],
    )
    def test_elsewhere_they_are_not(self, registry: OrasRegistry, location: str) -> None:
        """Not to a name inside, not out of HTTP, not with a password in the URL."""
        with FaultyRegistry() as victim, FaultyRegistry() as server:
            target = location.format(port=victim.port)
            server.instead = lambda _request: Answer(302, {"Location": target})
            with pytest.raises((SourceRedirected, SourceProtocolError)):
                registry.digest(image(server.host))
            assert victim.requests == []

    def test_over_tls_they_lead_to_public_addresses_only(
        self, registry: OrasRegistry, authority: CertificateAuthority
    ) -> None:
        """A redirect to another name is followed by https, and never to this network."""
        with FaultyRegistry(tls=authority.issue()) as victim, FaultyRegistry() as server:
            server.instead = lambda _request: Answer(
                302, {"Location": f"https://localhost:{victim.port}/x"}
            )
            with pytest.raises(SourceUnreachable, match="where we ask nothing"):
                registry.digest(image(server.host))
            assert victim.requests == []


class TestNothingFromTheEnvironment:
    """What other programs on this machine are set up with is not ours."""

    def test_netrc_is_not_read(
        self, registry: OrasRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A password there would replace our token, at any host that it names."""
        (tmp_path / ".netrc").write_text("default login stranger password theirs\n")
        (tmp_path / ".netrc").chmod(0o600)
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
        with FaultyRegistry(tokens=True) as server:
            assert registry.digest(image(server.host)) == Digest(DIGEST)
            assert server.shown() == {f"Bearer {token}" for token in server.issued}

    @pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "ALL_PROXY", "https_proxy"])
    def test_proxies_are_not_used(
        self, registry: OrasRegistry, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        """A proxy would see every token in the clear."""
        with FaultyRegistry() as proxy, FaultyRegistry() as server:
            monkeypatch.setenv(name, proxy.url)
            monkeypatch.setenv("no_proxy", "")
            assert registry.digest(image(server.host)) == Digest(DIGEST)
            assert proxy.requests == []

    def test_dockers_own_file_is_read_by_the_chain_alone(
        self, registry: OrasRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Oras would read it by itself, and show one host's password to the next."""
        monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
        with FaultyRegistry(tokens=True) as server:
            entry = {"auth": "c3RyYW5nZXI6dGhlaXJz"}
            (tmp_path / "config.json").write_text(json.dumps({"auths": {server.host: entry}}))
            registry.digest(image(server.host))
            assert not [shown for shown in server.shown() if shown.startswith("Basic")]


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        pytest.param(Answer(200), None, id="200"),
        pytest.param(Answer(401), None, id="401"),
        pytest.param(Answer(404), "source-protocol-error", id="404"),
        pytest.param(Answer(403), "source-denied", id="403"),
        pytest.param(Answer(429), "source-throttled", id="429"),
        pytest.param(Answer(500), "source-unreachable", id="500"),
    ],
)
def test_the_probe_tells_what_is_there(
    registry: OrasRegistry, answer: Answer, code: str | None
) -> None:
    """It asks once, shows no credentials, and never raises."""
    with FaultyRegistry(instead=lambda _request: answer) as server:
        failure = registry.probe(server.host)
        assert (failure.code if failure else None) == code
        assert server.sent() == [("GET", "/v2/")]
        assert server.shown() == set()


@pytest.mark.parametrize("host", ["", "https://r.example", "r.example/path", "-x", "a b", "word"])
def test_a_probe_of_what_is_no_host(registry: OrasRegistry, host: str) -> None:
    """A wrong setting is named as such, and nothing is sent."""
    failure = registry.probe(host)
    assert failure is not None
    assert failure.code == "invalid-reference"
    assert registry.status() == []


def _peak_bytes() -> int:
    """Return the most memory that this process ever had."""
    status = Path(f"/proc/{os.getpid()}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024
