"""TLS by the daemon itself: what is served with, how it is renewed, and what strangers cost."""

import shutil
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest

from reconciler.adapters.tls import TlsFiles
from reconciler.adapters.tls_door import MOST_AT_THE_DOOR
from reconciler.domain.errors import ConfigError
from tests.parts.certificates import CertificateAuthority, ServerCertificate
from tests.parts.waiting import eventually
from tests.parts.web_client import WebDaemon


@pytest.fixture(scope="module")
def served(authority: CertificateAuthority, tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    folder = tmp_path_factory.mktemp("served")
    files = TlsFiles(folder / "fullchain.pem", folder / "privkey.pem")
    put(files, authority.issue("localhost", "127.0.0.1", name="first"))
    return files


@pytest.fixture(scope="module")
def daemon(
    authority: CertificateAuthority, served: TlsFiles, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[WebDaemon]:
    settings = {
        "RECONCILER_LISTEN": "0.0.0.0:0",
        "RECONCILER_TLS_CERTIFICATE": str(served.certificate),
        "RECONCILER_TLS_KEY_FILE": str(served.key),
    }
    folder = tmp_path_factory.mktemp("tls")
    with WebDaemon(folder, settings=settings, trust=authority.ca_path) as running:
        assert running.url.startswith("https://0.0.0.0:")
        running.url = f"https://127.0.0.1:{running.port}"
        yield running


def put(files: TlsFiles, new: ServerCertificate) -> None:
    """Renew as certbot and its like do: the new file takes the name of the old one."""
    for source, target in ((new.certificate_path, files.certificate), (new.key_path, files.key)):
        unfinished = target.with_suffix(".new")
        shutil.copy(source, unfinished)
        unfinished.replace(target)


def connect(daemon: WebDaemon, **options: object) -> ssl.SSLSocket:
    context = ssl.create_default_context(cafile=daemon.trust)
    for name, value in options.items():
        setattr(context, name, value)
    plain = socket.create_connection(("127.0.0.1", daemon.port), timeout=20)
    return context.wrap_socket(plain, server_hostname="127.0.0.1")


def serial_number(connection: ssl.SSLSocket) -> str:
    found = connection.getpeercert()
    assert found
    return str(found["serialNumber"])


def version(connection: ssl.SSLSocket) -> bytes:
    connection.sendall(b"GET /api/version HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    return connection.recv(65536)


def test_it_is_spoken_and_promised(daemon: WebDaemon) -> None:
    """By the certificate's authority alone, with a current protocol, and for a year."""
    answer = daemon.remote().get("/api/version")
    assert answer.status_code == 200
    assert answer.headers["strict-transport-security"] == "max-age=31536000"
    with pytest.raises(httpx2.ConnectError, match="certificate verify failed"):
        httpx2.get(f"{daemon.url}/api/version", trust_env=False)
    with (
        pytest.warns(DeprecationWarning, match="TLSv1_1"),
        pytest.raises((ssl.SSLError, ConnectionError)),
    ):
        connect(daemon, maximum_version=ssl.TLSVersion.TLSv1_1)


def test_a_renewed_certificate_is_taken_without_dropping_anything(
    daemon: WebDaemon, served: TlsFiles, authority: CertificateAuthority
) -> None:
    """New connections get it; open ones go on; one that is no use is not taken."""
    with connect(daemon) as before:
        first = serial_number(before)
        put(served, authority.issue("localhost", "127.0.0.1", name="second"))
        with connect(daemon) as after:
            second = serial_number(after)
            assert second != first
            assert b"200 OK" in version(after)
        served.certificate.with_suffix(".new").write_text("half of a certificate")
        served.certificate.with_suffix(".new").replace(served.certificate)
        for _ in range(2):
            with connect(daemon) as still:
                assert serial_number(still) == second
        assert b"200 OK" in version(before)
    log = daemon.folder / "daemon.log"
    assert log.read_text().count("the certificate is not taken anew") <= 1


def test_who_never_finishes_a_handshake_makes_room(daemon: WebDaemon) -> None:
    """Hundreds of them keep nobody out, and few of them stay."""
    with ExitStack() as stack:
        silent = [
            stack.enter_context(socket.create_connection(("127.0.0.1", daemon.port), timeout=20))
            for _ in range(MOST_AT_THE_DOOR * 3)
        ]
        assert daemon.remote().get("/api/version").status_code == 200

        def are_few() -> bool:
            return sum(not is_closed(one) for one in silent) <= MOST_AT_THE_DOOR

        eventually(are_few, what="those who came first are gone")


def is_closed(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return connection.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


def test_what_is_no_tls_is_ended(daemon: WebDaemon) -> None:
    """It is not answered in clear text, either."""
    with socket.create_connection(("127.0.0.1", daemon.port), timeout=20) as plain:
        plain.sendall(b"GET /api/version HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        said = b""
        with suppress(ConnectionError):
            said = plain.recv(65536)
        assert b"HTTP" not in said


# ── looked over before it is used ─────────────────────────────────────────────────────────────

NOW = datetime.now(UTC)


def wrong(files: TlsFiles, now: datetime = NOW) -> str:
    with pytest.raises(ConfigError) as caught:
        files.look_over(now)
    (problem,) = caught.value.problems
    return problem


def test_files_that_are_no_use_are_named(authority: CertificateAuthority, tmp_path: Path) -> None:
    """Each with what is wrong with it; the one that is in order is not."""
    good, other = (authority.issue(name=name) for name in ("good", "other"))
    files = TlsFiles(good.certificate_path, good.key_path)
    assert "expires in 2 days; renew it" in files.look_over(NOW - timedelta(days=1))
    lasting = authority.issue(name="lasting", lifetime=timedelta(days=60))
    assert TlsFiles(lasting.certificate_path, lasting.key_path).look_over(NOW) == ""
    assert "expired on" in wrong(files, NOW + timedelta(days=2))
    assert "is valid from" in wrong(files, NOW - timedelta(days=9))
    assert "is no key of" in wrong(TlsFiles(good.certificate_path, other.key_path))
    assert "tls_key_file" in wrong(TlsFiles(good.certificate_path, good.certificate_path))
    absent = tmp_path / "absent.pem"
    for files in (TlsFiles(absent, good.key_path), TlsFiles(good.certificate_path, absent)):
        assert f"{absent} is no file" in wrong(files)
    nonsense = tmp_path / "nonsense.pem"
    nonsense.touch(mode=0o600)
    assert "is no PEM file of a certificate" in wrong(TlsFiles(nonsense, good.key_path))
    assert "is no PEM file of a private key" in wrong(TlsFiles(good.certificate_path, nonsense))
    for mode in (0o644, 0o604, 0o660):
        good.key_path.chmod(mode)
        assert f"chmod 600 {good.key_path}" in wrong(TlsFiles(good.certificate_path, good.key_path))
    good.key_path.chmod(0o640)
    assert TlsFiles(good.certificate_path, good.key_path).look_over(NOW)
