"""Deploy windows: whether one is open, when the next one opens, and until when it stays open.

What counts is the clock on the wall of a window's time zone. An hour that is skipped there belongs
to no window; one that comes twice belongs to it twice.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from reconciler.domain.errors import InvalidInput
from reconciler.domain.numbers import shown
from reconciler.domain.problems import Problems, unknown_fields

MOST_WINDOWS = 20
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_FIELDS = ("days", "opens", "closes", "zone")
_TIME = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")
_ZONE = re.compile(r"[A-Za-z][A-Za-z0-9_+-]{0,30}(/[A-Za-z0-9_+-]{1,30}){0,2}")
_DAY = timedelta(days=1)
#: A window of one day a week opens within that time, even where its hour is skipped once.
_LOOKS_AHEAD = timedelta(days=22)
#: What is open for so long is not waited for to close.
_STAYS_OPEN = timedelta(days=8)


@dataclass(frozen=True, slots=True)
class DeployWindow:
    """A stretch of some days of the week in which a project may change."""

    days: tuple[int, ...]  #: those on which it opens, Monday is 0
    opens: time
    closes: time  #: not later than ``opens``: on the day after
    zone: str = "UTC"  #: as the IANA time zone database names it

    def is_open(self, at: datetime) -> bool:
        """Tell whether it is open at the instant ``at``."""
        wall = at.astimezone(ZoneInfo(self.zone))
        day, clock = wall.weekday(), wall.time()
        if self.opens < self.closes:
            return day in self.days and self.opens <= clock < self.closes
        began_yesterday = (day - 1) % 7 in self.days and clock < self.closes
        return began_yesterday or (day in self.days and clock >= self.opens)

    def next_edge(self, after: datetime) -> datetime:
        """Return the first instant after ``after`` at which it may open or close."""
        zone = ZoneInfo(self.zone)
        wall = after.astimezone(zone).replace(tzinfo=None, fold=0)
        ahead = min(_until(wall, self.opens), _until(wall, self.closes))
        return _before_the_clock_changes(after, ahead, zone)

    def __str__(self) -> str:
        times = f"{self.opens:%H:%M}-{self.closes:%H:%M}"
        return f"{_days_in_words(self.days)} {times} {self.zone}"


def any_is_open(windows: Sequence[DeployWindow], at: datetime) -> bool:
    """Tell whether a project with these ``windows`` may change at ``at``; without any it may."""
    return not windows or any(window.is_open(at) for window in windows)


@lru_cache(maxsize=512)  # a list of projects asks for one instant, of windows that many share
def next_opening(windows: tuple[DeployWindow, ...], now: datetime) -> tuple[datetime, str] | None:
    """Return when the next of ``windows`` is open, and in which zone; None: not in three weeks."""
    found = [(at, window.zone) for window in windows if (at := _opening(window, now))]
    return min(found, key=lambda one: one[0], default=None)


def closing(windows: Sequence[DeployWindow], now: datetime) -> datetime | None:
    """Return when none of ``windows`` is open any more; None: they go on for more than a week."""
    at = now
    while open_now := [window for window in windows if window.is_open(at)]:
        at = min(window.next_edge(at) for window in open_now)
        if at - now > _STAYS_OPEN:
            return None
    return at


def parse_windows(value: object, field: str) -> tuple[DeployWindow, ...]:
    """Return the windows of a list, each as an object or as one line like its own text.

    Raises:
        InvalidInput: one is wrong. ``SeveralInvalid``: more are.
    """
    if not isinstance(value, list | tuple) or len(value) > MOST_WINDOWS:
        raise InvalidInput(field, shown(value), f"must be a list of at most {MOST_WINDOWS} windows")
    problems = Problems()
    found: list[DeployWindow | None] = []
    for place, one in enumerate(value):
        name = f"{field}.{place}"
        found.append(problems.collect(lambda one=one, name=name: _parse_window(one, name)))  # type: ignore[misc]
    if problems.found:
        raise problems.error()
    return tuple(window for window in found if window)


def declaration_of(window: DeployWindow) -> dict[str, object]:
    """Return what ``parse_windows`` makes ``window`` of, as JSON has it."""
    return {
        "days": [DAYS[day] for day in window.days],
        "opens": f"{window.opens:%H:%M}",
        "closes": f"{window.closes:%H:%M}",
        "zone": window.zone,
    }


def in_zone(at: datetime, zone: str) -> str:
    """Return ``at`` for people, e.g. ``Mon 2026-11-30 09:00 Europe/Berlin``."""
    return f"{at.astimezone(ZoneInfo(zone)):%a %Y-%m-%d %H:%M} {zone}"


# ── Looking ahead ─────────────────────────────────────────────────────────────────────────────────


def _opening(window: DeployWindow, now: datetime) -> datetime | None:
    at = now
    while not window.is_open(at):
        at = window.next_edge(at)
        if at - now > _LOOKS_AHEAD:
            return None
    return at


def _until(wall: datetime, clock: time) -> timedelta:
    """Return how far ``clock`` is ahead of ``wall``: up to a day, never nothing."""
    ahead = datetime.combine(wall.date(), clock) - wall
    return ahead if ahead > timedelta(0) else ahead + _DAY


def _before_the_clock_changes(start: datetime, ahead: timedelta, zone: ZoneInfo) -> datetime:
    """Return ``start`` and ``ahead``, or when the zone's clock is changed if that is before it."""
    second = start.astimezone(UTC).replace(microsecond=0)  # clocks are changed at whole ones

    def is_before(seconds: int) -> bool:
        at = (second + timedelta(seconds=seconds)).astimezone(zone)
        return at.utcoffset() == second.astimezone(zone).utcoffset()

    earlier, later = 0, int(ahead.total_seconds()) + 1
    if is_before(later - 1) and is_before(later):
        return start + ahead
    while later - earlier > 1:
        middle = (earlier + later) // 2
        earlier, later = (middle, later) if is_before(middle) else (earlier, middle)
    return min(second + timedelta(seconds=later), start + ahead)


# ── What is written ───────────────────────────────────────────────────────────────────────────────


def _parse_window(value: object, field: str) -> DeployWindow:
    if isinstance(value, str):
        value = _fields_of_line(value, field)
    if not isinstance(value, Mapping):
        problem = "must be an object with days, opens, closes and zone, or a line of them"
        raise InvalidInput(field, shown(value), problem)
    problems = Problems()
    given = {name: one for name, one in value.items() if one is not None}
    problems.found.extend(unknown_fields(given, _FIELDS, field, "a window"))
    days = problems.collect(lambda: _parse_days(given.get("days", list(DAYS)), f"{field}.days"))
    opens = problems.collect(lambda: _parse_time(given.get("opens"), f"{field}.opens"))
    closes = problems.collect(lambda: _parse_time(given.get("closes"), f"{field}.closes"))
    zone = problems.collect(lambda: _parse_zone(given.get("zone", "UTC"), f"{field}.zone"))
    if problems.found or days is None or opens is None or closes is None or zone is None:
        raise problems.error()
    return DeployWindow(days, opens, closes, zone)


def _fields_of_line(line: str, field: str) -> dict[str, object]:
    """Return the fields of ``mon-fri 09:00-17:00 Europe/Berlin``; days and zone may be left out."""
    words = line.split()
    times = [at for at, word in enumerate(words) if ":" in word]
    if len(words) > len(_FIELDS) or len(times) != 1 or words[times[0]].count("-") != 1:
        problem = "is no window like 'mon-fri 09:00-17:00 Europe/Berlin'"
        raise InvalidInput(field, line, problem)
    opens, closes = words[times[0]].split("-")
    before, after = words[: times[0]], words[times[0] + 1 :]
    fields: dict[str, object] = {"opens": opens, "closes": closes}
    if parts := [part for part in ",".join(before).split(",") if part]:
        fields["days"] = [day for part in parts for day in _days_of(part)]
    if after:
        fields["zone"] = " ".join(after)
    return fields


def _days_of(part: str) -> list[str]:
    """Return the days of ``mon`` or ``fri-mon``; what is none is given back, to be refused."""
    first, _, last = part.lower().partition("-")
    if first not in DAYS or last not in DAYS:
        return [part.lower()]
    days = list(DAYS[DAYS.index(first) :] + DAYS[: DAYS.index(first)])
    return days[: days.index(last) + 1]


def _parse_days(value: object, field: str) -> tuple[int, ...]:
    names = list(value) if isinstance(value, list | tuple) else []
    if not names or any(name not in DAYS for name in names):
        wrong = next((name for name in names if name not in DAYS), value)
        raise InvalidInput(field, shown(wrong), f"must be a list of {', '.join(DAYS)}")
    return tuple(sorted({DAYS.index(name) for name in names}))


def _parse_time(value: object, field: str) -> time:
    if not isinstance(value, str) or not _TIME.fullmatch(value):
        raise InvalidInput(field, shown(value), "must be a time of the day like '09:30'")
    return time.fromisoformat(value)


def _parse_zone(value: object, field: str) -> str:
    problem = InvalidInput(field, shown(value), "is no time zone like 'Europe/Berlin' or 'UTC'")
    if not isinstance(value, str) or not _ZONE.fullmatch(value):
        raise problem
    try:
        ZoneInfo(value)
    except (OSError, ValueError, KeyError):  # a folder, not readable as one, not found
        raise problem from None
    return value


def _days_in_words(days: Sequence[int]) -> str:
    """Return ``mon-fri``, or the days one by one where they don't follow each other."""
    if len(days) > 1 and days[-1] - days[0] == len(days) - 1:
        return f"{DAYS[days[0]]}-{DAYS[days[-1]]}"
    return ",".join(DAYS[day] for day in days)
