"""An answer over HTTP, wherever it was asked for, and what is wrong with it."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass

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
    "Cache-Control": "no-cache",
    "Pragma": "no-cache",
    "Connection": "close",
}

_COMMIT = "{commit}"
_LONGEST_SHOWN = 100


class NoAnswer(Exception):
    """Nothing that can be judged came back; the text says what did."""


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """As much of an answer as was read. Redirects are answers like others: none is followed."""

    status: int
    location: str = ""  #: where a redirect leads to
    body: bytes = b""  #: its beginning; empty where no text is expected
    broken: str = ""  #: why the body ended before its end; empty if it did not


def target_of(check: HealthCheck) -> str:
    """Return path and query to ask for.

    A random parameter goes along, so that a cache which ignores what we ask of it knows no answer
    either; an application that minds it is asked with a query of the operator's own.
    """
    if "?" in check.path:
        return check.path
    return f"{check.path}?reconciler-probe={secrets.token_hex(8)}"


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
        return f"answered {answer.status}{_sent_on(answer)}, expected {wanted}"
    if text.encode() in answer.body[:BODY_LIMIT_BYTES]:
        return ""
    if answer.broken:
        return answer.broken
    where = "the answer" if len(answer.body) < BODY_LIMIT_BYTES else "its first 64 KiB"
    return f"answered {answer.status}, but the text {_shown(text)!r} is not in {where}"


def no_answer_in_time(check: HealthCheck) -> str:
    """Say that the time is over."""
    return f"no answer within {check.timeout.total_seconds():g} s"


def no_connection(check: HealthCheck, reason: str) -> str:
    """Say that nobody listens, or lets us in."""
    return f"no connection to port {check.port}: {_shown(reason)}"


def _sent_on(answer: HttpAnswer) -> str:
    return f" (sent on to {_shown(answer.location)})" if answer.location else ""


def _shown(text: str) -> str:
    return shorten(plain(text), _LONGEST_SHOWN)
