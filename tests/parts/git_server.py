"""A real git server over HTTP: `git http-backend`, with nothing but a CGI bridge before it."""

import base64
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import IO, Self

from tests.parts.certificates import CertificateAuthority
from tests.parts.git_repository import Repository
from tests.parts.git_repository import environment as git_environment
from tests.parts.http_server import Answer, HttpServer, Request


@dataclass(frozen=True)
class Login:
    """What the server asks for before it answers."""

    username: str
    password: str

    @property
    def authorization(self) -> str:
        """The header that a client sends."""
        credentials = f"{self.username}:{self.password}".encode()
        return f"Basic {base64.b64encode(credentials).decode()}"


class GitServer:
    """Serves bare repositories below a temporary folder; with a login, pushes are taken too.

    ``instead`` replaces every answer while it is set, e.g. with a 429 or a redirect.
    """

    def __init__(self, *, login: Login | None = None, tls: bool = False) -> None:
        """Say what kind of server; nothing starts before the block is entered."""
        self.login = login
        self.instead: Answer | None = None
        self.ca_path: Path | None = None
        self._tls = tls
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            directory = Path(stack.enter_context(TemporaryDirectory(prefix="git-server-")))
            self.root = directory / "repositories"
            self.root.mkdir()
            certificate = None
            if self._tls:
                authority = CertificateAuthority(directory / "tls")
                self.ca_path = authority.ca_path
                certificate = authority.issue()
            self._http = stack.enter_context(HttpServer(self._answer, tls=certificate))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    @property
    def host(self) -> str:
        """``127.0.0.1:port``."""
        return self._http.host

    @property
    def requests(self) -> list[Request]:
        """Every request so far, with its headers and body."""
        return self._http.requests

    def repository(self, name: str) -> Repository:
        """Make the bare repository ``name``, e.g. ``team/web.git``, or take the one there."""
        return Repository(self.root / name)

    def url(self, name: str) -> str:
        """Return the address that ``name`` is cloned from."""
        return f"{self._http.url}/{name}"

    def _answer(self, request: Request) -> Answer:
        if self.instead:
            return self.instead
        if self.login and request.authorization != self.login.authorization:
            return Answer(401, {"WWW-Authenticate": 'Basic realm="tests"'}, b"log in first\n")
        process = subprocess.Popen(
            ["git", "http-backend"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=self._cgi_environment(request),
        )
        assert process.stdin
        assert process.stdout
        try:
            process.stdin.write(request.body)
            process.stdin.close()
        except BrokenPipeError:
            pass
        status, headers = _read_cgi_head(process.stdout)
        return Answer(status, headers, _rest(process))

    def _cgi_environment(self, request: Request) -> dict[str, str]:
        target, _, query = request.target.partition("?")
        environment = {
            **git_environment(),
            "GIT_PROJECT_ROOT": str(self.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": target,
            "QUERY_STRING": query,
            "REQUEST_METHOD": request.method,
            "CONTENT_TYPE": request.headers.get("content-type", ""),
            "CONTENT_LENGTH": str(len(request.body)),
            "HTTP_CONTENT_ENCODING": request.headers.get("content-encoding", ""),
            "GIT_PROTOCOL": request.headers.get("git-protocol", ""),
            "REMOTE_ADDR": "127.0.0.1",
        }
        if self.login:
            # http-backend takes pushes from those whom the server in front of it has let in.
            environment["REMOTE_USER"] = self.login.username
        return environment


def _read_cgi_head(output: IO[bytes]) -> tuple[int, dict[str, str]]:
    status = 200
    headers: dict[str, str] = {}
    while line := output.readline().strip():
        name, _, value = line.decode().partition(":")
        if name.lower() == "status":
            status = int(value.split()[0])
        else:
            headers[name] = value.strip()
    return status, headers


def _rest(process: subprocess.Popen[bytes]) -> Iterator[bytes]:
    assert process.stdout
    try:
        while part := process.stdout.read1(65536):  # type: ignore[attr-defined]  # it is buffered
            yield part
    finally:
        process.stdout.close()
        process.kill()
        process.wait()
