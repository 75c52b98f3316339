"""Asking over the network, from the daemon's machine. A call takes no longer than it may."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta

import urllib3
from urllib3.exceptions import HTTPError, NewConnectionError
from urllib3.exceptions import TimeoutError as HttpTimeoutError

from reconciler.adapters.deadline import Deadline
from reconciler.adapters.probes.http_answer import (
    BODY_LIMIT_BYTES,
    HEADERS,
    HttpAnswer,
    HttpQuestion,
    NoAnswer,
    bracketed,
    no_answer_in_time,
    no_connection,
)
from reconciler.adapters.timed_connections import reason_of, timed_pool_classes

#: Bounds name look-up, connection, headers and body together, and uses no proxy.
_POOL = timed_pool_classes()["http"]


def ask_http(question: HttpQuestion) -> HttpAnswer:
    """Ask once, over a connection of its own.

    Raises:
        NoAnswer: no connection, or no status and headers in time.
    """
    deadline = Deadline.after(question.timeout)
    with closing(_POOL(bracketed(question.address), question.port, maxsize=1)) as pool:
        with _named(question.port, question.timeout):
            response = pool.urlopen(
                "GET",
                question.target,
                headers=HEADERS,
                redirect=False,
                retries=False,
                preload_content=False,
                timeout=urllib3.Timeout(total=deadline.seconds_left()),
            )
        with closing(response):
            body, broken = _read(response, question)
            location = response.headers.get("Location", "")
            return HttpAnswer(response.status, location, body, broken)


def ask_tcp(address: str, port: int | None, timeout: timedelta) -> None:
    """Connect once.

    Raises:
        NoAnswer: no connection, or none in time.
    """
    seconds = timeout.total_seconds()
    connection = _POOL.ConnectionCls(bracketed(address), port, timeout=seconds)
    with closing(connection), _named(port, timeout):
        connection.connect()


def _read(response: urllib3.BaseHTTPResponse, question: HttpQuestion) -> tuple[bytes, str]:
    """Return as much of the body as is wanted, and why it ended too early if it did."""
    text, whole = question.text.encode(), question.whole
    body = bytearray()
    searched = 0
    try:
        with _named(question.port, question.timeout):
            while len(body) < BODY_LIMIT_BYTES and (whole or body.find(text, searched) < 0):
                searched = max(len(body) - len(text), 0)
                chunk = response.read1(BODY_LIMIT_BYTES - len(body), decode_content=False)
                if not chunk:
                    break
                body += chunk
    except NoAnswer as error:
        return bytes(body), str(error)
    return bytes(body), ""


@contextmanager
def _named(port: int | None, timeout: timedelta) -> Iterator[None]:
    """Say in an operator's words what can go wrong on the way."""
    try:
        yield
    except NewConnectionError as error:  # urllib3 calls this one a timeout, too
        raise NoAnswer(no_connection(port, reason_of(error))) from error
    except (HttpTimeoutError, TimeoutError) as error:
        raise NoAnswer(no_answer_in_time(timeout)) from error
    except HTTPError as error:
        raise NoAnswer(f"no answer over HTTP: {reason_of(error)}") from error
