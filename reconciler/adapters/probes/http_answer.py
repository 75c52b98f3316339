"""What is asked over HTTP, from wherever, what is answered, and what is wrong with it."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from reconciler.domain.health_check import HealthCheck
from reconciler.domain.references import CommitSha
from reconciler.log import plain, shorten

#: In what of a body the expected text has to be.
BODY_LIMIT_BYTES = 64 << 10
#: Nobody on the way may answer from what an earlier version said, or pack what we look into.
HEADERS: Mapping[str, str] = {
    "User-Agent": "reconciler",
    "Accept": "*/*",
    "Accept-Encoding": "identity",
    "Cache-Control": "no-cache, no-store",
    "Pragma": "no-cache",
    "Connection": "close",
}

LOOPBACK = "127.0.0.1"

_COMMIT = "{commit}"
_LONGEST_SHOWN = 100


class NoAnswer(Exception):
    """Nothing that can be judged came back; the text says what did."""


@dataclass(frozen=True, slots=True)
class HttpQuestion:
    """One request, for whom, and how much of the answer is wanted."""

    address: str  #: an IP address, or a name
    port: int | None  #: None: that of HTTP
    target: str  #: path and query
    timeout: timedelta  #: of the whole answer
    text: str = ""  #: the body is read until it was in it; empty: none of the body is needed
    whole: bool = False  #: whether the body is wanted up to its end, or up to the limit


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """As much of an answer as was read. Redirects are answers like others: none is followed."""

    status: int
    location: str = ""  #: where a redirect leads to
    body: bytes = b""  #: its beginning; empty where no text is expected
    broken: str = ""  #: why the body ended before its end; empty if it did not


def bracketed(address: str) -> str:
    """Return ``address`` as a URL has it."""
    return f"[{address}]" if ":" in address else address


def target_of(check: HealthCheck) -> str:
    """Return path and query to ask for.

    An application that minds the random parameter is asked with a query of the operator's own.
    """
    return check.path if "?" in check.path else never_asked(check.path)


def never_asked(path: str) -> str:
    """Return ``path`` with a random parameter: no cache on the way can know the answer to it."""
    return f"{path}{'&' if '?' in path else '?'}reconciler-probe={secrets.token_hex(8)}"


def expected_text(check: HealthCheck, commit: CommitSha | None) -> str:
    """Return the text to look for; empty for none.

    Raises:
        NoAnswer: it names the commit, and there is none.
    """
    if _COMMIT in check.text and commit is None:
        raise NoAnswer(f"the text {check.text!r} needs a commit, and none is deployed")
    return check.text.replace(_COMMIT, str(commit))


def problem_with(answer: HttpAnswer, check: HealthCheck, text: str) -> str:
    """Return what is wrong with ``answer``; empty if it has a good status, and ``text`` in it."""
    low, high = check.status
    if not low <= answer.status <= high:
        wanted = str(low) if low == high else f"{low} to {high}"
        return f"answered {answer.status}{sent_on(answer)}, expected {wanted}"
    if text.encode() in answer.body[:BODY_LIMIT_BYTES]:
        return ""
    if answer.broken:
        return answer.broken
    where = "the answer" if len(answer.body) < BODY_LIMIT_BYTES else "its first 64 KiB"
    return f"answered {answer.status}, but the text {shown(text)!r} is not in {where}"


def no_answer_in_time(timeout: timedelta) -> str:
    """Say that the time is over."""
    return f"no answer within {timeout.total_seconds():g} s"


def no_connection(port: int | None, reason: str) -> str:
    """Say that nobody listens, or lets us in."""
    return f"no connection to port {port}: {shown(reason)}"


def sent_on(answer: HttpAnswer) -> str:
    """Say where a redirect leads to; empty where it is none."""
    return f" (sent on to {shown(answer.location)})" if answer.location else ""


def shown(text: str) -> str:
    """Return what came from outside as it may stand in an error."""
    return shorten(plain(text), _LONGEST_SHOWN)
