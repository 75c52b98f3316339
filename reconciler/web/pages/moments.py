"""Times, durations, sizes and counts, as people read them.

The server writes the exact form in the reader's zone, which is right for ever; the page's script
turns it into the relative one ("12 min ago"), and keeps that true.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

_DAY = timedelta(days=1)
_UNITS = ("B", "kB", "MB", "GB", "TB")
#: As recorded sentences write a time: ``Fri 2026-11-20 15:00 UTC``, or a zone that was declared.
_WRITTEN = re.compile(
    r"\b(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) )?(\d{4}-\d\d-\d\d \d\d:\d\d(?::\d\d)?)"
    r" (UTC|[A-Z]\w{1,20}(?:/[A-Z]\w{1,20}){1,2})\b",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class WrittenTime:
    """A time that a sentence names, and where in it."""

    at: datetime
    begin: int
    end: int


def times_in(text: str) -> Iterator[WrittenTime]:
    """Yield the times that a recorded sentence names, in their order; what is none is left out."""
    for found in _WRITTEN.finditer(text):
        with suppress(ValueError, OSError, KeyError):
            zone = ZoneInfo(found[2])
            at = datetime.fromisoformat(found[1]).replace(tzinfo=zone)
            yield WrittenTime(at, found.start(), found.end())


def exact(at: datetime, zone: ZoneInfo) -> str:
    """Return all there is to know: ``Fri 20 Nov 2026, 15:00:31 CET (14:00:31 UTC)``."""
    there = at.astimezone(zone)
    text = f"{there:%a} {there.day} {there:%b %Y, %H:%M:%S %Z}"
    return text if zone.key == "UTC" else f"{text} ({at.astimezone(ZoneInfo('UTC')):%H:%M:%S} UTC)"


def short(at: datetime, now: datetime, zone: ZoneInfo) -> str:
    """Return a time beside others: ``15:00``, ``Tue, 15:00``, ``2 Nov``, ``2 Nov 2025``."""
    there, today = at.astimezone(zone), now.astimezone(zone)
    if there.date() == today.date():
        return f"{there:%H:%M}"
    if abs(at - now) < 6 * _DAY:
        return f"{there:%a, %H:%M}"
    return f"{there.day} {there:%b}" if there.year == today.year else f"{there.day} {there:%b %Y}"


def second(at: datetime, now: datetime, zone: ZoneInfo) -> str:
    """Return a time in a log: ``20 Nov, 15:12:49``, and its year where that is another one."""
    there, today = at.astimezone(zone), now.astimezone(zone)
    year = "" if there.year == today.year else f" {there.year}"
    return f"{there.day} {there:%b}{year}, {there:%H:%M:%S}"


def of_day(at: datetime, _: datetime, zone: ZoneInfo) -> str:
    """Return a time beneath its day: ``15:00``."""
    return f"{at.astimezone(zone):%H:%M}"


def clock(duration: timedelta) -> str:
    """Return how long something has been going on: ``0:41``, ``1:03:20``."""
    minutes, seconds = divmod(max(int(duration.total_seconds()), 0), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def took(duration: timedelta) -> str:
    """Return how long something took: ``8.2 s``, ``1 min 23 s``, ``2 h 04 min``."""
    seconds = max(duration.total_seconds(), 0.0)
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if round(seconds) < 60:
        return f"{round(seconds)} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes:02} min"
    return f"{hours // 24} d {hours % 24} h"


def size(count: int) -> str:
    """Return a number of bytes: ``812 B``, ``184 MB``, ``1.2 GB``."""
    value, place = float(count), 0
    while value >= 999.5 and place < len(_UNITS) - 1:
        value, place = value / 1000, place + 1
    return (
        f"{value:.1f} {_UNITS[place]}"
        if place > 0 and value < 9.95
        else (f"{value:.0f} {_UNITS[place]}")
    )


def count(number: int) -> str:
    """Return a number that people can read: ``90,327``."""
    return f"{number:,}"
