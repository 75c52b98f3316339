"""A daemon that says what a test tells it to, over a real unix socket."""

import json
import socketserver
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, unquote, urlsplit


@dataclass(frozen=True)
class Asked:
    """One request."""

    method: str
    path: str  #: unquoted
    query: dict[str, str] = field(default_factory=dict)
    body: object = None
    accept: str = ""
    authorization: str = ""


@dataclass(frozen=True)
class Said:
    """One answer."""

    body: object = field(default_factory=dict)
    status: int = 200
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)


def problem(status: int, code: str, detail: str, **more: object) -> Said:
    """Return an error as the API gives it."""
    body = {"type": "about:blank", "title": code, "status": status, "code": code, "detail": detail}
    return Said({**body, **more}, status, "application/problem+json")


def events(*lines: tuple[int, str, str], end: str | None = "deployed") -> Said:
    """Return a log as server-sent events; without ``end`` it breaks off."""
    text = ": hello\n\n"
    for number, stage, line in lines:
        at = "2026-01-01T00:00:00Z"
        data = json.dumps({"number": number, "at": at, "stage": stage, "text": line})
        text += f"event: line\nid: {number}\ndata: {data}\n\n"
    if end:
        text += f'event: end\ndata: {{"status": "{end}"}}\n\n'
    return Said(text, content_type="text/event-stream")


class DaemonStub:
    """Answers on ``socket`` what it was given for ``METHOD /path``, in order; the last stays."""

    def __init__(self, socket: Path) -> None:
        self.socket = socket
        self.asked: list[Asked] = []
        self._answers: dict[str, list[Said | Callable[[], Said]]] = {}
        self._server = _Server(str(socket), _Handler)
        self._server.stub = self
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), daemon=True
        )

    def says(self, request: str, *answers: Said | Callable[[], Said]) -> None:
        """Give the answers of ``METHOD /path``."""
        self._answers[request] = list(answers)

    def answer(self, asked: Asked) -> Said:
        """Return what is to be said to ``asked``."""
        self.asked.append(asked)
        answers = self._answers.get(f"{asked.method} {asked.path}")
        if not answers:
            return problem(404, "not-found", f"no answer for {asked.method} {asked.path}")
        said = answers.pop(0) if len(answers) > 1 else answers[0]
        return said() if callable(said) else said

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    block_on_close = False
    stub: DaemonStub

    def handle_error(self, request: object, client_address: object) -> None:
        """A command may go away in the middle."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 10
    server: _Server

    def _converse(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        split = urlsplit(self.path)
        said = self.server.stub.answer(
            Asked(
                self.command,
                unquote(split.path),
                {name: values[0] for name, values in parse_qs(split.query).items()},
                json.loads(content) if content else None,
                self.headers.get("Accept", ""),
                self.headers.get("Authorization", ""),
            )
        )
        body = said.body if isinstance(said.body, str) else json.dumps(said.body)
        self.send_response(said.status)
        for name, value in said.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", said.content_type)
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body.encode(errors="surrogateescape"))
        self.close_connection = True

    def __getattr__(self, name: str) -> Callable[[], None]:
        # The base class looks up `do_<METHOD>`; here every method has the same way.
        if name.startswith("do_"):
            return self._converse
        raise AttributeError(name)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing: ``asked`` remembers."""
