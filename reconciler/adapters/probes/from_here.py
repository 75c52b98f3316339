"""Asking over the network, from the daemon's machine. A call takes no longer than it may."""

from collections.abc import Iterator
from contextlib import closing, contextmanager

import urllib3
from urllib3.exceptions import HTTPError, NewConnectionError
from urllib3.exceptions import TimeoutError as HttpTimeoutError

from reconciler.adapters.deadline import Deadline
from reconciler.adapters.probes.http_answer import (
    BODY_LIMIT_BYTES,
    HEADERS,
    HttpAnswer,
    NoAnswer,
    no_answer_in_time,
    no_connection,
    target_of,
)
from reconciler.adapters.timed_connections import timed_pool_classes
from reconciler.domain.health_check import HealthCheck

#: Bounds name look-up, connection, headers and body together, and uses no proxy.
_POOL = timed_pool_classes()["http"]


def ask_http(address: str, check: HealthCheck, text: str) -> HttpAnswer:
    """Ask once, over a connection of its own; the body is read until ``text`` was in it.

    Raises:
        NoAnswer: no connection, or no status and headers in time.
    """
    deadline = Deadline.after(check.timeout)
    with closing(_POOL(_bracketed(address), check.port, maxsize=1)) as pool:
        with _named(check):
            response = pool.urlopen(
                "GET",
                target_of(check),
                headers=HEADERS,
                redirect=False,
                retries=False,
                preload_content=False,
                timeout=urllib3.Timeout(total=deadline.seconds_left()),
            )
        with closing(response):
            body, broken = _read(response, check, text.encode())
            location = response.headers.get("Location", "")
            return HttpAnswer(response.status, location, body, broken)


def ask_tcp(address: str, check: HealthCheck) -> None:
    """Connect once.

    Raises:
        NoAnswer: no connection, or none in time.
    """
    seconds = check.timeout.total_seconds()
    connection = _POOL.ConnectionCls(_bracketed(address), check.port, timeout=seconds)
    with closing(connection), _named(check):
        connection.connect()


def _read(response: urllib3.BaseHTTPResponse, check: HealthCheck, text: bytes) -> tuple[bytes, str]:
    """Return the beginning of the body up to ``text``, and why it ended too early if it did."""
    body = bytearray()
    searched = 0
    try:
        with _named(check):
            while len(body) < BODY_LIMIT_BYTES and body.find(text, searched) < 0:
                searched = max(len(body) - len(text), 0)
                chunk = response.read1(BODY_LIMIT_BYTES - len(body), decode_content=False)
                if not chunk:
                    break
                body += chunk
    except NoAnswer as error:
        return bytes(body), str(error)
    return bytes(body), ""


@contextmanager
def _named(check: HealthCheck) -> Iterator[None]:
    """Say in an operator's words what can go wrong on the way."""
    try:
        yield
    except NewConnectionError as error:  # urllib3 calls this one a timeout, too
        raise NoAnswer(no_connection(check, _reason(error))) from error
    except (HttpTimeoutError, TimeoutError) as error:
        raise NoAnswer(no_answer_in_time(check)) from error
    except HTTPError as error:
        raise NoAnswer(f"no answer over HTTP: {_reason(error)}") from error


def _reason(error: BaseException) -> str:
    """Return the innermost text: urllib3 wraps what the system said."""
    while error.__cause__ is not None or (error.args and isinstance(error.args[-1], Exception)):
        error = error.__cause__ or error.args[-1]
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address
