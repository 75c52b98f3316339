"""How reaching a host has gone lately."""

from datetime import timedelta

import pytest

from reconciler.adapters.hosts.health import HealthRecord
from reconciler.domain.errors import HostRefused, Interrupted, TargetUnreachable
from reconciler.testing import ManualClock

SECOND = timedelta(seconds=1)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def record(clock: ManualClock) -> HealthRecord:
    return HealthRecord(clock)


def fail(record: HealthRecord, error: Exception) -> None:
    with pytest.raises(type(error)), record.recorded():
        raise error


def test_nothing_is_known_before_the_first_answer(record: HealthRecord) -> None:
    """Neither good nor bad."""
    assert record.last.reachable is None


def test_the_same_again_changes_when_it_was_seen_and_not_since_when(
    record: HealthRecord, clock: ManualClock
) -> None:
    """For good answers and bad ones, whatever a bad one says."""
    began = clock.now()
    for _ in range(2):
        fail(record, TargetUnreachable("it is away"))
        clock.advance(SECOND)
    assert record.last.since == began
    assert record.last.checked_at == began + SECOND
    with record.recorded():
        pass
    assert record.last.since == clock.now()
    assert record.last.reachable


def test_another_kind_of_failure_is_another_state(record: HealthRecord, clock: ManualClock) -> None:
    """It answers again, and that it does not let us in is news."""
    fail(record, TargetUnreachable("it is away"))
    clock.advance(SECOND)
    fail(record, HostRefused("it does not let us in"))
    assert record.last.since == clock.now()
    assert record.last.error is not None
    assert record.last.error.message == "it does not let us in"


def test_what_was_stopped_says_nothing_about_the_host(record: HealthRecord) -> None:
    """We were the ones who did not wait."""
    fail(record, Interrupted("stopped"))
    assert record.last.reachable is None


def test_how_long_a_good_check_took_is_known(record: HealthRecord, clock: ManualClock) -> None:
    """A bad one says nothing of it, nor does a connection that was opened by the way."""
    with record.recorded():
        clock.advance(SECOND)
    assert record.last.took == SECOND
    record.record(None)
    assert record.last.took is None
