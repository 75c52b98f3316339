"""When a source is looked at next."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.domain.polling import (
    LONGEST_BACKOFF,
    time_until_next_attempt,
    time_until_next_look,
)

MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(
    ("failures", "spread", "seconds"),
    [
        pytest.param(0, 0.5, 60, id="all-well"),
        pytest.param(0, 0.0, 54, id="earliest"),
        pytest.param(0, 1.0, 66, id="latest"),
        pytest.param(1, 0.5, 120, id="one-failure"),
        pytest.param(3, 0.5, 480, id="three-failures"),
        pytest.param(4, 0.5, 900, id="at-the-longest"),
        pytest.param(10_000, 0.5, 900, id="for-days"),
    ],
)
def test_backs_off(failures: int, spread: float, seconds: float) -> None:
    """The wait doubles with each failure up to a quarter of an hour, and is spread."""
    assert time_until_next_look(MINUTE, failures, spread) == timedelta(seconds=seconds)


@given(
    st.timedeltas(timedelta(seconds=10), timedelta(days=7)),
    st.integers(0, 10**6),
    st.floats(0, 1),
)
def test_never_sooner_than_the_interval(interval: timedelta, failures: int, spread: float) -> None:
    """A source in trouble is never asked more often than a healthy one."""
    assert time_until_next_look(interval, failures, spread) >= interval * 0.899
    assert (
        time_until_next_look(interval, failures, spread) <= max(interval, LONGEST_BACKOFF) * 1.101
    )


def test_attempts_wait_longer_and_longer() -> None:
    """A deployment that fails for a passing reason waits 10 s, 20 s, 40 s, … up to 15 minutes."""
    waits = [time_until_next_attempt(attempt, 0.5).total_seconds() for attempt in (1, 2, 3, 99)]
    assert waits == [10, 20, 40, 900]
