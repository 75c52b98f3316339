"""What a registry's refusal means for us."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from reconciler.domain.errors import (
    RevisionNotFound,
    SourceDenied,
    SourceError,
    SourceProtocolError,
    SourceThrottled,
    SourceUnreachable,
)

SHORTEST_WAIT = timedelta(seconds=1)
LONGEST_WAIT = timedelta(hours=1)
_DEFAULT_WAIT = timedelta(minutes=1)
#: Docker Hub counts pulls over six hours; asking again each minute would only add refusals.
_PULL_LIMIT_WAIT = timedelta(minutes=15)

_PULL_LIMIT = "pull rate limit"
_BODY_WAIT = re.compile(
    r"retry-after:\s*((?:\d{1,9}(?:\.\d{1,9})?(?:ns|us|µs|μs|ms|s|m|h))+)", re.IGNORECASE
)
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|μs|ms|s|m|h)")
_UNITS = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,
    "μs": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
}


def error_for(
    subject: str, status: int, headers: Mapping[str, str], body: bytes, now: datetime
) -> SourceError:
    """Return the error that ``status`` means.

    Args:
        subject: what was asked, e.g. ``ghcr.io/team/app:1.2``; the message begins with it.
        status: an HTTP status that is no success.
        headers: the answer's, looked up in any case.
        body: the beginning of it.
        now: for a ``Retry-After`` that is a date.

    Source: OCI distribution-spec, "Error Codes"; RFC 9110, section 10.2.3.
    """
    evidence = {"status": str(status), "answer": _excerpt(body)}
    if status == 429 or (status == 503 and "Retry-After" in headers):
        wait = wait_of(headers, body, now)
        message = f"{subject}: the registry asks to be left alone for {wait.total_seconds():.0f} s"
        return SourceThrottled(message, wait, **evidence)
    if status in {401, 403}:
        return SourceDenied(
            f"{subject}: the registry refused us, or has no such image ({status})", **evidence
        )
    if status == 404:
        return RevisionNotFound(f"{subject}: the registry has no such image", **evidence)
    if status >= 500:
        return SourceUnreachable(f"{subject}: the registry answered {status}", **evidence)
    return SourceProtocolError(
        f"{subject}: the registry answered {status}, which no registry should", **evidence
    )


def wait_of(headers: Mapping[str, str], body: bytes, now: datetime) -> timedelta:
    """Return how long to leave the host alone, from 1 s to 1 h, whatever it says."""
    wait = _wait_in_header(headers.get("Retry-After", "").strip(), now)
    if wait is None:
        wait = _wait_in_body(body.decode(errors="replace"))
    return min(max(wait, SHORTEST_WAIT), LONGEST_WAIT)


def _wait_in_header(text: str, now: datetime) -> timedelta | None:
    if re.fullmatch(r"[0-9]+(?:\.[0-9]+)?", text):
        whole = text.partition(".")[0]
        return timedelta(seconds=int(whole)) if len(whole) < 6 else LONGEST_WAIT
    try:
        at = parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)) - now


def _wait_in_body(text: str) -> timedelta:
    """Return what GHCR says: ``toomanyrequests: retry-after: 331.163µs, allowed: …``."""
    if match := _BODY_WAIT.search(text):
        seconds = sum(float(number) * _UNITS[unit] for number, unit in _DURATION.findall(match[1]))
        return timedelta(seconds=min(seconds, LONGEST_WAIT.total_seconds()))
    return _PULL_LIMIT_WAIT if _PULL_LIMIT in text.lower() else _DEFAULT_WAIT


def _excerpt(body: bytes) -> str:
    text = body[:300].decode(errors="replace")
    return "".join(character if character.isprintable() else " " for character in text).strip()
