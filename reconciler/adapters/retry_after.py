"""How long a server asks to be left alone."""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

#: Of a server that asks, and does not say for how long.
DEFAULT_PAUSE = timedelta(minutes=1)
#: No header of a stranger silences us for longer.
LONGEST_PAUSE = timedelta(hours=1)


def parse_retry_after(text: str | None, now: datetime) -> timedelta:
    """Return the pause asked for, above zero and at most an hour; a minute where none is readable.

    Source: RFC 9110 §10.2.3: seconds, or an HTTP-date.
    """
    asked = find_retry_after(text, now)
    if asked is None or asked <= timedelta(0):
        return DEFAULT_PAUSE
    return min(asked, LONGEST_PAUSE)


def find_retry_after(text: str | None, now: datetime) -> timedelta | None:
    """Return what the header says, which may be zero, past or absurd; None if it says nothing."""
    text = (text or "").strip()
    if text.isascii() and text.isdigit():
        # A number of many digits is refused by `timedelta`; its first nine say enough.
        return timedelta(seconds=int(text[:9]))
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)) - now
