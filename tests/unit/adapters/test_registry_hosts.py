"""A host that asks to be left alone is; others, and other identities, are not held up by it."""

from datetime import timedelta

import pytest

from reconciler.adapters.registry.hosts import REFUSED_FOR, HostLedger
from reconciler.domain.errors import SourceDenied, SourceThrottled, SourceUnreachable
from reconciler.domain.reason_codes import ReasonCode
from reconciler.domain.secret import Secret
from reconciler.domain.state import RegistryTrouble
from reconciler.ports import RegistryCredentials, RegistryStatus
from reconciler.testing import ManualClock

ALICE = RegistryCredentials("r.example", "alice", Secret.of("a"))
BOB = RegistryCredentials("r.example", "bob", Secret.of("b"))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def ledger(clock: ManualClock) -> HostLedger:
    return HostLedger(clock)


def throttle(ledger: HostLedger, seconds: float) -> None:
    ledger.record_error("r.example", ALICE, SourceThrottled("slow", timedelta(seconds=seconds)))


def test_a_throttled_host_cools_down_for_those_credentials(
    ledger: HostLedger, clock: ManualClock
) -> None:
    """The rest of the wait is told, and after it the host is asked again."""
    throttle(ledger, 30)
    clock.advance(timedelta(seconds=10))
    with pytest.raises(SourceThrottled) as error:
        ledger.check("r.example", ALICE)
    assert error.value.retry_after == timedelta(seconds=20)
    ledger.check("r.example", BOB)
    ledger.check("r.example", None)
    ledger.check("other.example", ALICE)
    clock.advance(timedelta(seconds=20))
    ledger.check("r.example", ALICE)


def test_a_shorter_wait_does_not_end_a_longer_one(ledger: HostLedger, clock: ManualClock) -> None:
    """Of two answers that came at once the one that asks for more counts."""
    throttle(ledger, 300)
    throttle(ledger, 1)
    clock.advance(timedelta(seconds=100))
    with pytest.raises(SourceThrottled):
        ledger.check("r.example", ALICE)


def test_who_asks_for_a_rest_is_told_once(clock: ManualClock) -> None:
    """And again when it asks for a longer one; being told while it rests is no news."""
    told: list[RegistryTrouble] = []
    ledger = HostLedger(clock, told.append)
    throttle(ledger, 30)
    with pytest.raises(SourceThrottled) as error:
        ledger.check("r.example", ALICE)
    ledger.record_error("r.example", ALICE, error.value)
    throttle(ledger, 90)
    assert [(one.host, one.username, one.until) for one in told] == [
        ("r.example", "alice", clock.now() + timedelta(seconds=seconds)) for seconds in (30, 90)
    ]


def test_a_rest_outlives_the_daemon(ledger: HostLedger, clock: ManualClock) -> None:
    """For the same user alone, and only until it is over."""
    code, until = ReasonCode.REGISTRY_COOLED, clock.now() + timedelta(seconds=30)
    ledger.recall(RegistryTrouble("r.example", code, "slow", clock.now(), until, "alice"))
    with pytest.raises(SourceThrottled):
        ledger.check("r.example", ALICE)
    ledger.check("r.example", BOB)
    ledger.check("r.example", None)
    (status,) = ledger.status()
    assert (status.cooling_until, status.error) == (until, "slow")
    clock.advance(timedelta(seconds=30))
    ledger.check("r.example", ALICE)


def test_a_refused_password_rests(ledger: HostLedger, clock: ManualClock) -> None:
    """It is not shown again for a while; another one is, at once."""
    ledger.record_refused("r.example", ALICE)
    ledger.record_refused("r.example", None)
    with pytest.raises(SourceDenied):
        ledger.check("r.example", ALICE)
    ledger.check("r.example", BOB)
    ledger.check("r.example", None)
    clock.advance(REFUSED_FOR)
    ledger.check("r.example", ALICE)


def test_the_status_tells_what_was_seen(ledger: HostLedger, clock: ManualClock) -> None:
    """Limits, failures, cooling and the number of requests, per host."""
    for _ in range(3):
        ledger.record_sent("r.example")
    ledger.record_answer(
        "r.example", {"ratelimit-limit": "100;w=21600", "ratelimit-remaining": "0;w=21600"}
    )
    ledger.record_answer("r.example", {"ratelimit-limit": "many", "ratelimit-remaining": "-1"})
    throttle(ledger, 60)
    ledger.record_error("a.example", None, SourceUnreachable("a.example can't be reached"))
    assert list(ledger.status()) == [
        RegistryStatus(
            "a.example", reachable=False, error="a.example can't be reached", cooling_until=None,
            limit=None, limit_remaining=None, requests_sent=0,
        ),
        RegistryStatus(
            "r.example", reachable=True, error="slow",
            cooling_until=clock.now() + timedelta(seconds=60),
            limit=100, limit_remaining=0, requests_sent=3, limit_window=timedelta(hours=6),
        ),
    ]  # fmt: skip


def test_an_answer_ends_an_outage(ledger: HostLedger) -> None:
    """A host that answers is reachable again, and its last error is gone."""
    ledger.record_error("r.example", None, SourceUnreachable("gone"))
    ledger.record_answer("r.example", {})
    (status,) = ledger.status()
    assert (status.reachable, status.error) == (True, "")
