"""A small threaded HTTP server that answers from a function and remembers what it was asked."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, urlsplit

from tests.parts.certificates import ServerCertificate


@dataclass(frozen=True)
class Request:
    """What a client sent. Header names are in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def path(self) -> str:
        """The target without its query."""
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, list[str]]:
        """The query's parameters, each with all of its values."""
        return parse_qs(urlsplit(self.target).query, keep_blank_values=True)

    @property
    def authorization(self) -> str | None:
        """The Authorization header, exactly as sent."""
        return self.headers.get("authorization")


@dataclass(frozen=True)
class Answer:
    """What the server says.

    A body of ``bytes`` gets its length, unless ``headers`` give another. An iterable is sent in
    chunks and may be endless: the client going away or the server closing stops it.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | Iterable[bytes] = b""


class HttpServer:
    """Answers on a free loopback port with ``answer(request)`` until the block ends."""

    def __init__(
        self,
        answer: Callable[[Request], Answer],
        *,
        tls: ServerCertificate | None = None,
    ) -> None:
        """Serve plain HTTP, or HTTPS with a certificate."""
        self.answer = answer
        self.requests: list[Request] = []
        self.closing = threading.Event()
        self._server = _Server(self)
        self._scheme = "https" if tls else "http"
        if tls:
            # The handshake belongs to the connection's own thread: a silent client holds up no one.
            self._server.socket = tls.server_context().wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._server.server_port

    @property
    def host(self) -> str:
        """``127.0.0.1:port``."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """The root address, without a slash at its end."""
        return f"{self._scheme}://{self.host}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, owner: HttpServer) -> None:
        self.owner = owner
        super().__init__(("127.0.0.1", 0), _Handler)

    def shutdown_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
        """Say goodbye in TLS too: a client takes a bare end of the stream for an attack."""
        if isinstance(request, ssl.SSLSocket):
            with suppress(OSError, ValueError):
                request.settimeout(0.5)
                request.unwrap()
        super().shutdown_request(request)

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that go away in the middle are part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30
    # Head and body are written apart: without this the body waits 40 ms for the client's ACK.
    disable_nagle_algorithm = True
    server: _Server

    def __getattr__(self, name: str) -> Callable[[], None]:
        # The base class looks up `do_<METHOD>`; here every method has the same way.
        if name.startswith("do_"):
            return self._converse
        raise AttributeError(name)

    def _converse(self) -> None:
        request = Request(
            self.command,
            self.path,
            {name.lower(): value for name, value in self.headers.items()},
            self._read_body(),
        )
        self.server.owner.requests.append(request)
        self._say(self.server.owner.answer(request))

    def _read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _say(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        length_is_given = "content-length" in {name.lower() for name in answer.headers}
        if isinstance(answer.body, bytes):
            if not length_is_given:
                self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.body)
        elif length_is_given:
            # The length may be a lie, so nothing can follow on this connection.
            self.close_connection = True
            self.end_headers()
            self._stream(answer.body)
        elif self.command == "HEAD":
            self.end_headers()
        else:
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self._stream(b"%x\r\n%b\r\n" % (len(part), part) for part in answer.body if part)
            self.wfile.write(b"0\r\n\r\n")

    def _stream(self, parts: Iterable[bytes]) -> None:
        for part in parts:
            if self.server.owner.closing.is_set():
                raise ConnectionAbortedError("the server closes")
            self.wfile.write(part)
            self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing: `requests` remembers them."""
