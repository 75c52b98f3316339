"""What a registry's refusal means for us."""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta

from reconciler.adapters.retry_after import DEFAULT_PAUSE, LONGEST_PAUSE, find_retry_after
from reconciler.domain.errors import (
    RevisionNotFound,
    SourceDenied,
    SourceError,
    SourceProtocolError,
    SourceThrottled,
    SourceUnreachable,
)

SHORTEST_WAIT = timedelta(seconds=1)
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
    wait = find_retry_after(headers.get("Retry-After"), now)
    if wait is None:
        wait = _wait_in_body(body.decode(errors="replace"))
    return min(max(wait, SHORTEST_WAIT), LONGEST_PAUSE)


def _wait_in_body(text: str) -> timedelta:
    """Return what GHCR says: ``toomanyrequests: retry-after: 331.163µs, allowed: …``."""
    if match := _BODY_WAIT.search(text):
        seconds = sum(float(number) * _UNITS[unit] for number, unit in _DURATION.findall(match[1]))
        return timedelta(seconds=min(seconds, LONGEST_PAUSE.total_seconds()))
    return _PULL_LIMIT_WAIT if _PULL_LIMIT in text.lower() else DEFAULT_PAUSE


def _excerpt(body: bytes) -> str:
    text = body[:300].decode(errors="replace")
    return "".join(character if character.isprintable() else " " for character in text).strip()
