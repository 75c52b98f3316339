"""Windows: open and closed as the clock on the wall says, also on the days when it is changed."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from reconciler.domain.errors import InvalidInput, SeveralInvalid
from reconciler.domain.windows import (
    DAYS,
    DeployWindow,
    any_is_open,
    closing,
    declaration_of,
    next_opening,
    parse_windows,
)

MINUTE, TWO_DAYS = timedelta(minutes=1), timedelta(days=2)
#: Days around which clocks are changed, one at midnight, one where a day is left out, one by half
#: an hour; and one on which nothing happens.
MOMENTS = [
    ("Europe/Berlin", datetime(2026, 3, 28, 22, tzinfo=UTC)),
    ("Europe/Berlin", datetime(2026, 10, 24, 22, tzinfo=UTC)),
    ("America/New_York", datetime(2026, 11, 1, 3, tzinfo=UTC)),
    ("Africa/Cairo", datetime(2026, 4, 23, 20, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 10, 3, 13, tzinfo=UTC)),
    ("Pacific/Apia", datetime(2011, 12, 30, 6, tzinfo=UTC)),
    ("UTC", datetime(2026, 6, 1, 0, tzinfo=UTC)),
]
CLOCK = st.builds(time, st.integers(0, 23), st.sampled_from([0, 1, 29, 30, 59]))
SOME_DAYS = st.sets(st.integers(0, 6), min_size=1).map(lambda days: tuple(sorted(days)))


def on_the_wall(window: DeployWindow, at: datetime) -> bool:
    """Tell from day and time alone, as somebody with a calendar would."""
    wall = at.astimezone(ZoneInfo(window.zone))
    now = wall.hour * 60 + wall.minute
    opens = window.opens.hour * 60 + window.opens.minute
    closes = window.closes.hour * 60 + window.closes.minute
    if closes > opens:
        return wall.weekday() in window.days and opens <= now < closes
    if now < closes and (wall.weekday() + 6) % 7 in window.days:
        return True
    return now >= opens and wall.weekday() in window.days


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[DeployWindow], datetime]:
    """Draw windows and an instant near one at which the clocks of their zone are changed."""
    zone, around = draw(st.sampled_from(MOMENTS))
    windows = [
        DeployWindow(
            draw(SOME_DAYS), draw(CLOCK), draw(CLOCK), draw(st.sampled_from([zone, "UTC"]))
        )
        for _ in range(draw(st.integers(1, 3)))
    ]
    return windows, around + timedelta(minutes=draw(st.integers(0, 8 * 60)))


GAP = DeployWindow((6,), time(2, 0), time(3, 0), "Europe/Berlin")
FOLD = DeployWindow((6,), time(2, 15), time(2, 45), "Europe/Berlin")


@settings(max_examples=60, deadline=None)
@example(case=([GAP], datetime(2026, 3, 29, 0, 30, tzinfo=UTC)))
@example(case=([FOLD], datetime(2026, 10, 25, 0, 50, tzinfo=UTC)))
@given(case=cases())
def test_the_next_opening_is_the_first_open_minute(
    case: tuple[list[DeployWindow], datetime],
) -> None:
    windows, now = case
    found = next_opening(tuple(windows), now)
    at = now
    while not any(on_the_wall(window, at) for window in windows) and at - now < TWO_DAYS:
        at += MINUTE
    if any(on_the_wall(window, at) for window in windows):
        assert found is not None
        assert found[0] == at
    else:
        assert found is None or found[0] > at - MINUTE


@settings(max_examples=60, deadline=None)
@example(case=([FOLD], datetime(2026, 10, 25, 0, 20, tzinfo=UTC)))
@given(case=cases())
def test_it_stays_open_to_the_last_open_minute(
    case: tuple[list[DeployWindow], datetime],
) -> None:
    windows, now = case
    end = closing(windows, now)
    at = now
    while any(on_the_wall(window, at) for window in windows) and at - now < TWO_DAYS:
        at += MINUTE
    if at - now < TWO_DAYS:
        assert end == at
    else:
        assert end is None or end >= at


def test_seconds_count() -> None:
    window = DeployWindow((0,), time(9), time(17), "Europe/Berlin")
    nine = datetime(2026, 11, 30, 8, tzinfo=UTC)
    tick = timedelta(microseconds=1)
    assert not window.is_open(nine - tick)
    assert next_opening((window,), nine - tick) == (nine, "Europe/Berlin")
    assert window.is_open(nine)
    assert closing([window], nine + tick) == nine + timedelta(hours=8)


def test_an_hour_that_is_skipped_opens_a_week_later() -> None:
    """On 29 March 2026 it is never between two and three o'clock in Berlin."""
    found = next_opening((GAP,), datetime(2026, 3, 28, tzinfo=UTC))
    assert found == (datetime(2026, 4, 5, 0, tzinfo=UTC), "Europe/Berlin")


def test_an_hour_that_comes_twice_opens_twice() -> None:
    first = datetime(2026, 10, 25, 0, 15, tzinfo=UTC)
    again = first + timedelta(hours=1)
    assert closing([FOLD], first) == first + timedelta(minutes=30)
    assert next_opening((FOLD,), first + timedelta(minutes=30)) == (again, "Europe/Berlin")


def test_around_the_clock_never_closes() -> None:
    every_day = DeployWindow(tuple(range(7)), time(9), time(9), "Asia/Kolkata")
    now = datetime(2026, 5, 1, 3, 30, 15, tzinfo=UTC)
    assert every_day.is_open(now)
    assert closing([every_day], now) is None


def test_windows_that_meet_are_one() -> None:
    morning = DeployWindow((0,), time(9), time(12))
    noon = DeployWindow((0,), time(12), time(15))
    nine = datetime(2026, 11, 30, 9, tzinfo=UTC)
    assert closing([morning, noon], nine) == nine + timedelta(hours=6)


def test_without_windows_it_may_always_change() -> None:
    assert any_is_open((), datetime(2026, 5, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("mon-fri 09:00-17:00 Europe/Berlin", "mon-fri 09:00-17:00 Europe/Berlin"),
        ("22:00-02:00", "mon-sun 22:00-02:00 UTC"),
        ("Sat,sun 10:00-12:00", "sat-sun 10:00-12:00 UTC"),
        ("mon, wed 10:00-12:00 UTC", "mon,wed 10:00-12:00 UTC"),
        ("fri-mon 10:00-12:00", "mon,fri,sat,sun 10:00-12:00 UTC"),
    ],
)
def test_a_line_is_a_window(line: str, shown: str) -> None:
    (window,) = parse_windows([line], "rules.windows")
    assert str(window) == shown
    assert parse_windows([declaration_of(window), str(window)], "rules.windows") == (window, window)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "mon-fri",
        "09:00",
        "funday 09:00-17:00",
        "09:00-25:00",
        "mon 9-17",
        "1:00-2:00 Mars/Base",
    ],
)
def test_what_is_no_window_is_refused_with_its_field(line: str) -> None:
    with pytest.raises((InvalidInput, SeveralInvalid)) as refused:
        parse_windows(["09:00-17:00", line], "rules.windows")
    assert "rules.windows.1" in refused.value.message


def test_no_zone_leads_out_of_the_database() -> None:
    for zone in ("../../etc/passwd", "/etc/localtime", "Europe", "UTC\x00"):
        with pytest.raises(InvalidInput):
            parse_windows([{"opens": "09:00", "closes": "10:00", "zone": zone}], "windows")


def test_days_are_written_as_they_are_read() -> None:
    assert declaration_of(FOLD)["days"] == [DAYS[6]]
