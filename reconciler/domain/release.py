"""What a build made of a commit, as whoever built it reports it: the thing that is promoted."""

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import NewType
from urllib.parse import urlsplit

from reconciler.domain.errors import InvalidInput
from reconciler.domain.references import CommitSha, ProjectName
from reconciler.domain.revision import Fingerprint, ImageDigests

ReleaseId = NewType("ReleaseId", int)

MOST_IMAGES = 20
MOST_CHECKS = 50
#: What failed is no release: there is a record of a build that succeeded, or none.
BUILD_SUCCEEDED = "success"

_LONGEST_NAME = 100
_LONGEST_URL = 2048
_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)


class CheckStatus(StrEnum):
    """How a check ended that does not stand against a release."""

    SUCCESS = "success"
    NEUTRAL = "neutral"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at before: tests, a scan, a review."""

    name: str
    status: CheckStatus
    url: str = ""  #: where to read more; empty: nowhere


@dataclass(frozen=True, slots=True)
class Build:
    """A build that succeeded."""

    finished_at: datetime
    url: str = ""  #: where to read more; empty: nowhere


@dataclass(frozen=True, slots=True)
class ReleaseReport:
    """A release as it is reported. Which one it is, project, commit and digests say alone."""

    project: ProjectName
    commit: CommitSha
    images: ImageDigests  #: at least one
    build: Build
    checks: tuple[Check, ...] = ()

    @property
    def fingerprint(self) -> Fingerprint:
        """The release's identity: that of two reports of the same is equal."""
        images = sorted((image, digest.text) for image, digest in self.images.items())
        canonical = json.dumps([self.project, self.commit.text, images])
        return Fingerprint(hashlib.sha256(canonical.encode()).hexdigest())


@dataclass(frozen=True, slots=True)
class ReleaseRecord:
    """A release as it is kept; it never changes."""

    id: ReleaseId  #: grows: the newest of a project has the highest
    report: ReleaseReport
    recorded_at: datetime
    recorded_by: str  #: who reported it: a token's name, or ``local:uid``


def parse_build_result(text: str, field: str = "build.result") -> None:
    """Make sure that a build succeeded. Raises ``InvalidInput``."""
    if text != BUILD_SUCCEEDED:
        problem = f"must be {BUILD_SUCCEEDED!r}: a build that failed is no release"
        raise InvalidInput(field, text, problem)


def parse_check_status(text: str, field: str) -> CheckStatus:
    """Return ``text`` as the status of a check that did not fail. Raises ``InvalidInput``."""
    try:
        return CheckStatus(text)
    except ValueError:
        known = ", ".join(CheckStatus)
        problem = f"is not one of {known}: a release has only checks that passed"
        raise InvalidInput(field, text, problem) from None


def parse_check_name(text: str, field: str) -> str:
    """Return ``text`` as the name of a check. Raises ``InvalidInput``."""
    if not (0 < len(text) <= _LONGEST_NAME and text.isprintable() and text.strip()):
        raise InvalidInput(field, text, f"must be 1 to {_LONGEST_NAME} printable characters")
    return text


def parse_link(text: str, field: str) -> str:
    """Return ``text`` as the address of a page, for people; nobody follows it here.

    Raises:
        InvalidInput: not an http:// or https:// URL, too long, or one that holds a password.
    """
    shown = None if "@" in text else text
    problem = InvalidInput(field, shown, "is not an http:// or https:// URL")
    if not text.isascii() or not text.isprintable() or set(' "<>\\^`{|}') & set(text):
        raise problem
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise problem from None
    if parts.scheme not in {"http", "https"} or not host:
        raise problem
    if "@" in parts.netloc:
        shown = f"{parts.scheme}://{host}/…"
        raise InvalidInput(field, shown, "must hold no user name and no password")
    if len(text) > _LONGEST_URL:
        raise InvalidInput(field, text, f"has more than {_LONGEST_URL} characters")
    return text


def parse_time(text: str, field: str) -> datetime:
    """Return ``text``, as RFC 3339 writes an instant, in UTC.

    Raises:
        InvalidInput: not an instant, or without the zone that makes it one.
    """
    try:
        found = datetime.fromisoformat(text)
        instant = found.astimezone(UTC) if found.tzinfo else None
    except (ValueError, OverflowError):
        instant = None
    if instant is None or instant < _EARLIEST:
        raise InvalidInput(field, text, "is not a time with its zone like '2026-11-20T16:00:00Z'")
    return instant
