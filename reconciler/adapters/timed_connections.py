"""HTTP connections that are kept between calls, and never hold a call beyond its time.

``urllib3`` limits the time of one socket operation: a server that sends a byte a second, in its
headers or its body, holds a caller for ever. Here ``Timeout(total=…)`` limits everything: name
look-up, every address of the host, TLS handshake, status line, headers and body.
"""

import functools
import http.client
import io
import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from reconciler.adapters.addresses import may_be_server

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer
    from urllib3.response import HTTPResponse

_Address = tuple[Any, ...]


def timed_pool(*, ca_file: Path | None = None, hosts: int = 256, per_host: int = 64) -> PoolManager:
    """Return a pool that threads may share; nothing of the environment is read, no proxy used.

    Args:
        ca_file: trusted instead of the system's authorities.
        hosts: for which connections are kept.
        per_host: connections kept to one host; more are opened when needed, and closed after use.
    """
    context = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
    pool = PoolManager(num_pools=hosts, maxsize=per_host, block=False, ssl_context=context)
    pool.pool_classes_by_scheme = dict(timed_pool_classes())
    return pool


def timed_pool_classes(
    accepts: Callable[[str], bool] = may_be_server,
) -> Mapping[str, type[HTTPConnectionPool]]:
    """Return scheme → pool, for a ``PoolManager`` of one's own.

    Args:
        accepts: takes an address and tells whether to connect there. All of a host's addresses
            have to be acceptable, and the ones that were asked about are the ones connected to.
    """

    class Connection(_TimedConnection):
        accepts_address = staticmethod(accepts)

    class TlsConnection(_TimedTlsConnection):
        accepts_address = staticmethod(accepts)

    class Pool(HTTPConnectionPool):
        ConnectionCls = Connection

    class TlsPool(HTTPSConnectionPool):
        ConnectionCls = TlsConnection

    return {"http": Pool, "https": TlsPool}


def reason_of(error: BaseException) -> str:
    """Return the innermost text: urllib3 wraps what the system said."""
    while error.__cause__ is not None or (error.args and isinstance(error.args[-1], Exception)):
        error = error.__cause__ or error.args[-1]
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__


def resolve(host: str, port: int, seconds: float) -> str:
    """Return the address of ``host`` to connect to, for a program that would look it up again.

    Raises:
        OSError: it has none, one of them is where no server of ours is, or nobody told in time.
    """
    addresses = _look_up(host, port, time.monotonic() + seconds)
    _check(host, addresses, may_be_server)
    return str(addresses[0][-1][0])


class _TimedConnection(HTTPConnection):
    """A connection whose answers end in time. ``timeout`` is what is left of the whole call."""

    accepts_address: Callable[[str], bool] = staticmethod(may_be_server)

    def _new_conn(self) -> socket.socket:
        ends = time.monotonic() + _seconds(self.timeout)
        try:
            addresses = _look_up(self._dns_host, self.port, ends)
            _check(self._dns_host, addresses, self.accepts_address)
            return _connect(self.host, addresses, ends)
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error
        except TimeoutError as error:
            raise ConnectTimeoutError(self, f"{self.host} can't be reached in time") from error
        except OSError as error:
            raise NewConnectionError(self, f"{error.strerror or error}") from error

    def getresponse(self) -> "HTTPResponse":  # type: ignore[override]  # as in urllib3 itself
        ends = time.monotonic() + _seconds(self.timeout)
        self.response_class = functools.partial(_TimedResponse, ends=ends)  # type: ignore[assignment]
        return super().getresponse()


class _TimedTlsConnection(_TimedConnection, HTTPSConnection):
    """The same over TLS; Python's own handshake keeps to the socket's timeout as a whole."""


class _TimedResponse(http.client.HTTPResponse):
    """An answer that is read through `_TimedReader`, its status line and headers included."""

    def __init__(
        self, sock: socket.socket, debuglevel: int = 0, method: str | None = None, *, ends: float
    ) -> None:
        super().__init__(sock, debuglevel, method)
        self.fp.close()
        self.fp = io.BufferedReader(_TimedReader(sock, ends))


class _TimedReader(io.RawIOBase):
    """Reads a socket; each read waits no longer than what is left of the whole."""

    def __init__(self, sock: socket.socket, ends: float) -> None:
        self._socket = sock
        self._raw = sock.makefile("rb", buffering=0)
        self._ends = ends

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int | None:
        left = self._ends - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        self._socket.settimeout(left)
        count: int | None = self._raw.readinto(buffer)
        return count

    def close(self) -> None:
        if not self.closed:
            self._raw.close()
        super().close()


def _connect(host: str, addresses: list[_Address], ends: float) -> socket.socket:
    """Try the host's addresses in turn; together they have until ``ends``."""
    failure: OSError = OSError(f"{host} has no address")
    for family, kind, protocol, _, address in addresses:
        left = ends - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(left)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.connect(address)
            # What follows on this socket before the answer, the TLS handshake, has the rest.
            sock.settimeout(max(ends - time.monotonic(), 0.001))
        except OSError as error:
            sock.close()
            failure = error
        else:
            return sock
    raise failure


def _check(host: str, addresses: list[_Address], accepts: Callable[[str], bool]) -> None:
    """Raise OSError if one of ``addresses`` is none to connect to."""
    refused = [address for *_, (address, *_) in addresses if not accepts(str(address))]
    if refused:
        raise OSError(f"{host} is at {refused[0]}, where we ask nothing")


def _look_up(host: str, port: int, ends: float) -> list[_Address]:
    """Resolve the name in a thread of its own: ``getaddrinfo`` knows no time limit."""
    answers: queue.SimpleQueue[list[_Address] | OSError] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(list(socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)))
        except OSError as error:
            answers.put(error)
        except UnicodeError as error:
            # A label of more than 63 characters, before any resolver was asked.
            answers.put(socket.gaierror(f"not a name: {error}"))

    _start(ask)
    try:
        answer = answers.get(timeout=max(ends - time.monotonic(), 0.001))
    except queue.Empty:
        raise TimeoutError("name look-up timed out") from None
    if isinstance(answer, OSError):
        raise answer
    return answer


def _start(work: Callable[[], None]) -> None:
    threading.Thread(target=work, name="name look-up", daemon=True).start()


def _seconds(timeout: object) -> float:
    return float(timeout) if isinstance(timeout, int | float) else 30.0
