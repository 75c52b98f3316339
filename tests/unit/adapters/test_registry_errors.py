"""Every refusal of a registry becomes the error that says what helps."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from requests.structures import CaseInsensitiveDict

from reconciler.adapters.registry.errors import SHORTEST_WAIT, error_for, wait_of
from reconciler.adapters.retry_after import LONGEST_PAUSE
from reconciler.domain.errors import (
    RevisionNotFound,
    SourceDenied,
    SourceError,
    SourceProtocolError,
    SourceThrottled,
    SourceUnreachable,
)

NOW = datetime(2030, 1, 1, 12, 0, 0, tzinfo=UTC)
GHCR = b'{"errors":[{"message":"toomanyrequests: retry-after: %s, allowed: 44000/minute"}]}'
HUB = b'{"errors":[{"message":"You have reached your pull rate limit. You may increase it"}]}'


@pytest.mark.parametrize(
    ("header", "body", "seconds"),
    [
        pytest.param("30", b"", 30, id="seconds"),
        pytest.param(" 30 ", b"", 30, id="seconds-with-blanks"),
        pytest.param("1.5", b"", 60, id="fraction"),
        pytest.param("0", b"", 1, id="zero"),
        pytest.param("-5", b"", 60, id="negative"),
        pytest.param("99999999999", b"", 3600, id="absurd"),
        pytest.param("9" * 5000, b"", 3600, id="five-thousand-digits"),
        pytest.param("nan", b"", 60, id="not-a-number"),
        pytest.param("1e9", b"", 60, id="exponent"),
        pytest.param("٣٠", b"", 60, id="other-digits"),
        pytest.param("Tue, 01 Jan 2030 12:00:45 GMT", b"", 45, id="date"),
        pytest.param("Tue, 01 Jan 2030 14:00:45 +0200", b"", 45, id="date-with-offset"),
        pytest.param("Tue, 01 Jan 2030 11:00:00 GMT", b"", 1, id="past-date"),
        pytest.param("Fri, 31 Dec 9999 23:59:59 GMT", b"", 3600, id="far-date"),
        pytest.param("Fri, 99 Dec 9999 99:99:99 GMT", b"", 60, id="impossible-date"),
        pytest.param("", b"", 60, id="nothing"),
        pytest.param("", GHCR % "331.163µs".encode(), 1, id="ghcr-microseconds"),
        pytest.param("", GHCR % b"250ms", 1, id="ghcr-milliseconds"),
        pytest.param("", GHCR % b"42.5s", 42.5, id="ghcr-seconds"),
        pytest.param("", GHCR % b"1m30s", 90, id="ghcr-minutes"),
        pytest.param("", GHCR % b"999999999h", 3600, id="ghcr-absurd"),
        pytest.param("", GHCR % b"-4s", 60, id="ghcr-negative"),
        pytest.param("7", GHCR % b"42s", 7, id="header-before-body"),
        pytest.param("", HUB, 900, id="docker-hub-pull-limit"),
        pytest.param("", b"\xff\xfe\x00", 60, id="binary"),
    ],
)
def test_the_host_is_left_alone_for_as_long_as_it_says(
    header: str, body: bytes, seconds: float
) -> None:
    """Whatever it says, it is between a second and an hour."""
    assert wait_of({"Retry-After": header}, body, NOW) == timedelta(seconds=seconds)


@given(header=st.text(max_size=60), body=st.binary(max_size=120))
def test_no_answer_silences_us_for_long_or_not_at_all(header: str, body: bytes) -> None:
    """The wait stays within its limits, and nothing a server sends raises."""
    assert SHORTEST_WAIT <= wait_of({"Retry-After": header}, body, NOW) <= LONGEST_PAUSE


@pytest.mark.parametrize(
    ("status", "headers", "expected"),
    [
        (401, {}, SourceDenied),
        (403, {}, SourceDenied),
        (404, {}, RevisionNotFound),
        (429, {}, SourceThrottled),
        (503, {"retry-after": "9"}, SourceThrottled),
        (503, {}, SourceUnreachable),
        (500, {}, SourceUnreachable),
        (502, {"retry-after": "9"}, SourceUnreachable),
        (400, {}, SourceProtocolError),
        (418, {}, SourceProtocolError),
        (302, {}, SourceProtocolError),
        (204, {}, SourceProtocolError),
    ],
)
def test_each_status_becomes_the_error_that_says_what_helps(
    status: int, headers: dict[str, str], expected: type[SourceError]
) -> None:
    """The error names what was asked and keeps the status as evidence."""
    answered: CaseInsensitiveDict[str] = CaseInsensitiveDict(headers)
    error = error_for("r.example/app:1", status, answered, b"why\x00\nnot", NOW)
    assert type(error) is expected
    assert error.message.startswith("r.example/app:1: ")
    assert error.evidence["status"] == str(status)
    assert error.evidence["answer"] == "why  not"


def test_the_evidence_is_short() -> None:
    """A page of HTML does not end up in the log."""
    error = error_for("r.example/app:1", 500, {}, b"<html>" * 10_000, NOW)
    assert len(error.evidence["answer"]) <= 300
