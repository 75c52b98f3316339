"""HTTP with one API server: bounded in time and bytes, to this server alone, as ourselves.

What only reads is asked again after 429, 5xx and lost connections, within the time there is. What
changes something is sent once; only 429 says for certain that nothing was done.
"""

import random
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus

import urllib3
from urllib3.exceptions import HTTPError, NewConnectionError, SSLError
from urllib3.exceptions import TimeoutError as HttpTimeoutError

from reconciler.adapters.deadline import Deadline
from reconciler.adapters.kubernetes.entrance import Entrance
from reconciler.adapters.retry_after import find_retry_after
from reconciler.adapters.timed_connections import reason_of, timed_pool_classes
from reconciler.domain.errors import InvalidInput, PreconditionFailed, TargetUnreachable
from reconciler.domain.host import HostName
from reconciler.domain.secret import Secret
from reconciler.log import Redactor

_AGAIN = frozenset({429, 500, 502, 503, 504})
_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Limits:
    """What one question may cost."""

    total: timedelta = timedelta(seconds=30)  #: of all its attempts
    answer_bytes: int = 8 << 20
    first_pause: timedelta = timedelta(milliseconds=200)  #: before it is asked again


@dataclass(frozen=True, slots=True)
class Question:
    """One request. ``target`` is path and query below the server's address."""

    method: str
    target: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    most_bytes: int | None = None  #: of its answer; more is left out. None: more is an error


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, whatever it says. Redirects are answers like others: none is followed."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    broken: str = ""  #: why it ended too early, where the question said what is wanted of it


class _BrokeOff(TargetUnreachable):
    """The connection ended before its answer did."""


class Connection:
    """Connections to one API server that are kept between calls. Threads may share it."""

    def __init__(
        self, name: HostName, entrance: Entrance, redactor: Redactor, limits: Limits = Limits()
    ) -> None:
        """Open nothing yet. Raises ``InvalidInput``."""
        self.name = name
        self._entrance = entrance
        self._redactor = redactor
        self._limits = limits
        self._pool = urllib3.PoolManager(
            num_pools=1,
            maxsize=8,
            block=False,
            ssl_context=entrance.trust(),
            server_hostname=entrance.server_name or None,
        )
        self._pool.pool_classes_by_scheme = dict(timed_pool_classes())

    def ask(self, question: Question, within: timedelta | None = None) -> Reply:
        """Return the answer, also one that refuses.

        Raises:
            TargetUnreachable: none in time, cut off, or too large.
            PreconditionFailed: the token can't be read.
        """
        deadline = Deadline.after(within or self._limits.total)
        for attempt in range(1, _ATTEMPTS + 1):
            pause = self._limits.first_pause * 2**attempt * random.uniform(0.5, 1)  # noqa: S311
            try:
                reply = self._once(question, deadline)
            except _BrokeOff:
                if not _reads(question) or not _has_time(deadline, pause, attempt):
                    raise
            else:
                pause = _asked_pause(reply) or pause
                if not _worth_another(question, reply) or not _has_time(deadline, pause, attempt):
                    return reply
            time.sleep(pause.total_seconds())
        raise AssertionError("the last attempt returns or raises")

    def ask_once(self, question: Question, within: timedelta) -> Reply:
        """Return the same of a single attempt."""
        return self._once(question, Deadline.after(within))

    def open(self, target: str, within: timedelta) -> urllib3.BaseHTTPResponse:
        """Return an answer that goes on for so long, to be read and closed by the caller.

        Raises:
            TargetUnreachable: none in time.
        """
        question = Question("GET", target)
        with self._named(within):
            return self._send(question, self._token(), within.total_seconds())

    def close(self) -> None:
        """Let go of connections that nobody uses."""
        self._pool.clear()

    def _once(self, question: Question, deadline: Deadline) -> Reply:
        token = self._token()
        reply = self._exchange(question, token, deadline)
        if reply.status == HTTPStatus.UNAUTHORIZED and (newer := self._token()) != token:
            return self._exchange(question, newer, deadline)
        return reply

    def _token(self) -> Secret | None:
        try:
            token = self._entrance.token()
        except InvalidInput as error:
            raise PreconditionFailed(f"cluster {self.name}: {error.message}") from None
        if token is not None:
            self._redactor.register(token)
        return token

    def _exchange(self, question: Question, token: Secret | None, deadline: Deadline) -> Reply:
        with self._named(deadline.limit):
            response = self._send(question, token, deadline.seconds_left())
            with closing(response):
                return self._read(response, question, deadline)

    def _send(
        self, question: Question, token: Secret | None, seconds: float
    ) -> urllib3.BaseHTTPResponse:
        headers = {
            "User-Agent": "reconciler",
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            **question.headers,
            **({"Authorization": f"Bearer {token.reveal()}"} if token else {}),
        }
        return self._pool.urlopen(
            question.method,
            f"{self._entrance.server}{question.target}",
            headers=headers,
            body=question.body,
            redirect=False,
            retries=False,
            preload_content=False,
            timeout=urllib3.Timeout(total=seconds),
        )

    def _read(
        self, response: urllib3.BaseHTTPResponse, question: Question, deadline: Deadline
    ) -> Reply:
        most = question.most_bytes
        limit = self._limits.answer_bytes if most is None else most
        said, broken = bytearray(), ""
        try:
            with self._named(deadline.limit):
                while len(said) <= limit and (
                    chunk := response.read1(limit + 1 - len(said), decode_content=False)
                ):
                    said += chunk
        except TargetUnreachable as error:
            if most is None:
                raise
            broken = error.message
        if len(said) > limit and most is None:
            message = f"cluster {self.name} answers over {limit} bytes, which nothing asked for"
            raise TargetUnreachable(message, host=self.name)
        if not broken and len(said) <= limit:
            response.release_conn()
        return Reply(response.status, response.headers, bytes(said[:limit]), broken)

    @contextmanager
    def _named(self, limit: timedelta) -> Iterator[None]:
        """Say in an operator's words what can go wrong on the way."""
        who, evidence = f"cluster {self.name}", {"host": self.name}
        try:
            yield
        except NewConnectionError as error:  # urllib3 calls this one a timeout, too
            problem = f"{who} can't be reached: {reason_of(error)}"
            raise _BrokeOff(problem, **evidence) from error
        except (HttpTimeoutError, TimeoutError) as error:
            problem = f"{who} did not answer within {limit.total_seconds():g} s"
            raise TargetUnreachable(problem, **evidence) from error
        except SSLError as error:
            problem = f"{who}: no trusted TLS: {reason_of(error)}"
            raise TargetUnreachable(problem, **evidence) from error
        except (HTTPError, OSError, ValueError) as error:
            problem = f"{who} broke off: {reason_of(error)}"
            raise _BrokeOff(problem, **evidence) from error


def _reads(question: Question) -> bool:
    # An access review is a question, too.
    return question.method == "GET" or question.target.startswith("/apis/authorization.k8s.io/")


def _worth_another(question: Question, reply: Reply) -> bool:
    if reply.status == HTTPStatus.TOO_MANY_REQUESTS:
        return True
    return reply.status in _AGAIN and _reads(question)


def _has_time(deadline: Deadline, pause: timedelta, attempt: int) -> bool:
    left = deadline.ends - time.monotonic()
    return attempt < _ATTEMPTS and left > pause.total_seconds()


def _asked_pause(reply: Reply) -> timedelta | None:
    """Return how long it asks to be left alone; None where it does not say."""
    asked = find_retry_after(reply.headers.get("Retry-After"), datetime.now(UTC))
    return max(asked, timedelta(0)) if asked is not None else None
