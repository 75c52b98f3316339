"""A network that misbehaves: a TCP proxy with faults, hosts that never answer, hostile answers.

Loopback only; every wait in here ends when the block does.
"""

import gzip
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from enum import StrEnum
from types import TracebackType
from typing import Self

from tests.parts.http_server import Answer

_LINGER_RESET = struct.pack("ii", 1, 0)
_TICK = 0.05


class Mode(StrEnum):
    """What the proxy does with a connection."""

    FORWARD = "forward"
    #: Accept, read nothing, answer nothing.
    SILENT = "silent"
    #: Forward the request; the answer comes one byte at a time.
    DRIP = "drip"
    #: Forward nothing, and reset the connection as soon as something is sent.
    RESET = "reset"
    #: Swallow everything that is sent, also on connections that worked until now.
    BLACKHOLE = "blackhole"
    #: Forward the request; close after so many bytes of the answer.
    CUT = "cut"
    #: Forward both ways, each piece late.
    LATENCY = "latency"


@dataclass
class Fault:
    """A mode and its amount; the proxy reads it anew for every piece it passes on."""

    mode: Mode = Mode.FORWARD
    bytes_per_second: float = 1.0
    cut_after_bytes: int = 0
    latency_seconds: float = 0.2


class FaultyProxy:
    """Stands before ``upstream`` (a loopback port) and does what ``fault`` says at the moment.

    Without an upstream it can only be silent, swallow or reset. Set ``proxy.fault.mode`` at any
    time; it holds for connections that are open, too.
    """

    def __init__(self, upstream: int | None = None, fault: Fault | None = None) -> None:
        """Bind a free port; nothing is accepted before the block is entered."""
        self.fault = fault or Fault(Mode.FORWARD if upstream else Mode.SILENT)
        #: How many connections were accepted so far.
        self.connections = 0
        self._upstream = upstream
        self._closing = threading.Event()
        self._sockets: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._listener.settimeout(_TICK)
        self.port: int = self._listener.getsockname()[1]

    @property
    def host(self) -> str:
        """``127.0.0.1:port``."""
        return f"127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._spawn(self._accept)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closing.set()
        self.break_connections()
        for thread in list(self._threads):
            thread.join(5)
        self._listener.close()

    def break_connections(self) -> None:
        """Close every open connection, as a restart of the server would."""
        with self._lock:
            for connection in self._sockets:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while not self._closing.is_set():
            with suppress(TimeoutError):
                client, _ = self._listener.accept()
                self.connections += 1
                self._spawn(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        with ExitStack() as stack:
            self._keep(client, stack)
            server = None
            if self._upstream and self.fault.mode is not Mode.SILENT:
                with suppress(OSError):
                    server = socket.create_connection(("127.0.0.1", self._upstream), timeout=5)
                    self._keep(server, stack)
            if server is None:
                self._receive_without_upstream(client)
                return
            answers = self._spawn(self._pump, server, client, True)
            self._pump(client, server, False)
            answers.join()

    def _receive_without_upstream(self, client: socket.socket) -> None:
        while not self._closing.wait(_TICK):
            if self.fault.mode is Mode.SILENT:
                continue
            if self.fault.mode is Mode.RESET or self._upstream:
                _reset(client)
                return
            if self._receive(client) == b"":
                return

    def _pump(self, source: socket.socket, sink: socket.socket, is_answer: bool) -> None:
        passed = 0
        with suppress(OSError):
            while (data := self._receive(source)) != b"":
                if data is None:
                    continue
                if self.fault.mode is Mode.RESET:
                    _reset(source if not is_answer else sink)
                    break
                room = self.fault.cut_after_bytes - passed
                if self.fault.mode is Mode.CUT and is_answer and room <= len(data):
                    sink.sendall(data[: max(room, 0)])
                    break
                self._pass_on(data, sink, is_answer)
                passed += len(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _pass_on(self, data: bytes, sink: socket.socket, is_answer: bool) -> None:
        match self.fault.mode:
            case Mode.BLACKHOLE | Mode.SILENT:
                return
            case Mode.DRIP if is_answer:
                for byte in data:
                    sink.sendall(bytes((byte,)))
                    if self._closing.wait(1 / self.fault.bytes_per_second):
                        return
            case Mode.LATENCY:
                self._closing.wait(self.fault.latency_seconds)
                sink.sendall(data)
            case _:
                sink.sendall(data)

    def _receive(self, source: socket.socket) -> bytes | None:
        """Return what came, None when nothing did for a moment, and nothing at the end."""
        if self._closing.is_set():
            return b""
        try:
            return source.recv(65536)
        except TimeoutError:
            return None
        except OSError:
            return b""

    def _keep(self, connection: socket.socket, stack: ExitStack) -> None:
        connection.settimeout(_TICK)
        with self._lock:
            self._sockets.add(connection)
        stack.callback(self._forget, connection)

    def _forget(self, connection: socket.socket) -> None:
        with self._lock:
            self._sockets.discard(connection)
        connection.close()

    def _spawn(self, work: object, *arguments: object) -> threading.Thread:
        assert callable(work)
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()
        return thread


class Unreachable:
    """A port where connecting never completes: its queue is full, so the kernel drops every SYN."""

    def __init__(self) -> None:
        """Bind a free port; the queue is filled when the block is entered."""
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(0)
        self.port: int = self._listener.getsockname()[1]
        self._fillers: list[socket.socket] = []

    @property
    def host(self) -> str:
        """``127.0.0.1:port``."""
        return f"127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        for _ in range(16):
            filler = socket.socket()
            self._fillers.append(filler)
            filler.settimeout(0.2)
            if filler.connect_ex(("127.0.0.1", self.port)) != 0:
                return self
        raise AssertionError("the kernel still takes connections")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for filler in self._fillers:
            filler.close()
        self._listener.close()


def endless_body(part: bytes = b"x" * 65536) -> Iterator[bytes]:
    """Yield for ever: an answer that never ends, as fast as it is read."""
    while True:
        yield part


def gzip_bomb(inflated_bytes: int) -> Answer:
    """Return a small answer that unpacks to ``inflated_bytes``, a thousand times its size."""
    return Answer(200, {"Content-Encoding": "gzip"}, gzip.compress(bytes(inflated_bytes)))


def redirect(target: str, status: int = 302) -> Answer:
    """Send the client elsewhere; to the same path for a loop."""
    return Answer(status, {"Location": target})


def _reset(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_RESET)
    connection.close()
