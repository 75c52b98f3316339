"""How long a server asks to be left alone, read from whatever it says."""

from datetime import UTC, datetime, timedelta

import pytest

from reconciler.adapters.retry_after import DEFAULT_PAUSE, LONGEST_PAUSE, parse_retry_after

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "pause"),
    [
        pytest.param("7", timedelta(seconds=7), id="seconds"),
        pytest.param(" 7 ", timedelta(seconds=7), id="spaces"),
        pytest.param("Thu, 01 Jan 2026 00:10:00 GMT", timedelta(minutes=10), id="date"),
        pytest.param("Thu, 01 Jan 2026 00:10:00 -0000", timedelta(minutes=10), id="no-zone"),
        pytest.param(None, DEFAULT_PAUSE, id="unsaid"),
        pytest.param("", DEFAULT_PAUSE, id="empty"),
        pytest.param("0", DEFAULT_PAUSE, id="zero"),
        pytest.param("-1", DEFAULT_PAUSE, id="negative"),
        pytest.param("soon", DEFAULT_PAUSE, id="words"),
        pytest.param("٣", DEFAULT_PAUSE, id="other-digits"),
        pytest.param("Wed, 31 Dec 2025 00:00:00 GMT", DEFAULT_PAUSE, id="past"),
        pytest.param("9" * 5000, LONGEST_PAUSE, id="absurd"),
        pytest.param("Thu, 01 Jan 9999 00:00:00 GMT", LONGEST_PAUSE, id="far-date"),
        pytest.param("Thu, 99 Jan 2026 00:00:00 GMT", DEFAULT_PAUSE, id="no-date"),
    ],
)
def test_pauses(text: str | None, pause: timedelta) -> None:
    """The wish is followed within reason: above zero, at most an hour."""
    assert parse_retry_after(text, NOW) == pause
