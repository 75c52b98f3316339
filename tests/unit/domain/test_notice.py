"""People are told once per change, again at intervals, and never in a flood."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.domain.notice import (
    DEPLOYMENT,
    LONGEST_WAITING,
    MOST_AN_HOUR,
    MOST_ATTEMPTS,
    Happening,
    NoticeEvent,
    Telling,
    Told,
    Wants,
    due_at,
    remind,
    sameness_of,
    tell,
    wait_before_next,
)

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
FAILURE, ROLLBACK, RECOVERY, NEEDS_PERSON, SUCCESS = NoticeEvent


@dataclass
class Listener:
    """One channel and one project, whose outbox is looked at every minute."""

    wants: Wants = field(default_factory=Wants)
    now: datetime = NOW
    told: Told = field(default_factory=Told)
    heard: list[tuple[datetime, Telling]] = field(default_factory=list)

    def happens(self, event: NoticeEvent, error: str = "", subject: str = DEPLOYMENT) -> None:
        sameness = sameness_of(event, "code", error)
        happening = Happening(subject, event, {"error": error}, sameness)
        self.told, new = tell(self.told, happening, self.wants, self.now)
        self.heard += [(self.now, one) for one in new]

    def wait(self, duration: timedelta) -> None:
        ends = self.now + duration
        while (due := due_at(self.told, self.wants, self.now)) is not None and due <= ends:
            self.now = max(due, self.now)
            self.told, new = remind(self.told, self.wants, self.now)
            assert new, "it was due, and said nothing"
            self.heard += [(self.now, one) for one in new]
        self.now = ends

    @property
    def events(self) -> list[NoticeEvent]:
        return [telling.event for _, telling in self.heard]


def test_a_trouble_is_told_once_and_its_end_once() -> None:
    listener = Listener()
    for event in (FAILURE, FAILURE, FAILURE, SUCCESS, SUCCESS):
        listener.happens(event, "the disk is full" if event is FAILURE else "")
    assert listener.events == [FAILURE, RECOVERY]
    assert listener.heard[-1][1].since == NOW


@pytest.mark.parametrize(
    ("second", "is_told"),
    [
        pytest.param("web exited with status 1 at 2026-03-01T12:30:00Z", False, id="time"),
        pytest.param("web exited with status 1 at 2026-03-01T12:00:59Z", False, id="second"),
        pytest.param("web exited with status 2 at 2026-03-01T12:00:00Z", False, id="number"),
        pytest.param("db exited with status 1 at 2026-03-01T12:00:00Z", True, id="service"),
        pytest.param("web has no image at 2026-03-01T12:00:00Z", True, id="words"),
    ],
)
def test_another_error_is_told_at_once(second: str, is_told: bool) -> None:
    """Another error is one whose words differ, whatever its numbers and instants."""
    listener = Listener()
    listener.happens(FAILURE, "web exited with status 1 at 2026-03-01T12:00:00Z")
    listener.happens(FAILURE, second)
    assert len(listener.heard) == 1 + is_told


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        pytest.param("host web1 is away", "host web2 is away", False, id="hosts"),
        pytest.param("container 0c5b7d1e9f2a", "container 9f2a0c5b7d1e", True, id="container"),
        pytest.param(
            "request 6f1c1d52-7d6a-4c12-9a3e-0d7f1a2b3c4d",
            "request 0a1b2c3d-7d6a-4c12-9a3e-0d7f1a2b3c4d",
            True,
            id="uuid",
        ),
        pytest.param("after 12.5 s", "after 9 s", True, id="duration"),
        pytest.param("feedface", "deadbeef", False, id="words-of-hex-letters"),
    ],
)
def test_what_is_the_same_error(one: str, other: str, same: bool) -> None:
    found = sameness_of(FAILURE, "code", one) == sameness_of(FAILURE, "code", other)
    assert found is same


def test_the_same_error_of_another_kind_is_another() -> None:
    """What was rolled back is another state than what was left failed."""
    assert sameness_of(FAILURE, "code", "x") != sameness_of(ROLLBACK, "code", "x")
    assert sameness_of(FAILURE, "code", "x") != sameness_of(FAILURE, "other", "x")
    assert sameness_of(FAILURE, "code", "x") != sameness_of(FAILURE, "code", "x \ud800"), "no text"


def test_it_is_told_again_while_it_lasts() -> None:
    """Every day; not a second too early, and no more once it is over."""
    listener = Listener()
    listener.happens(FAILURE, "no space")
    listener.wait(DAY - timedelta(seconds=1))
    assert len(listener.heard) == 1
    listener.wait(2 * DAY)
    assert [telling.reminder for _, telling in listener.heard] == [False, True, True]
    listener.happens(SUCCESS)
    listener.wait(5 * DAY)
    assert listener.events == [FAILURE, FAILURE, FAILURE, RECOVERY]


def test_nobody_is_reminded_who_does_not_want_to_be() -> None:
    listener = Listener(Wants(remind_after=timedelta(0)))
    listener.happens(FAILURE, "no space")
    listener.wait(30 * DAY)
    assert len(listener.heard) == 1


def test_only_what_was_chosen_is_told() -> None:
    """A recovery belongs to what was told, not to what happened."""
    listener = Listener(Wants({NEEDS_PERSON, RECOVERY}))
    listener.happens(FAILURE, "no space")
    listener.happens(SUCCESS)
    assert listener.heard == []
    listener.happens(NEEDS_PERSON, "a migration")
    listener.happens(FAILURE, "no space")
    listener.happens(SUCCESS)
    assert listener.events == [NEEDS_PERSON, RECOVERY]


def test_success_is_told_where_it_was_chosen() -> None:
    listener = Listener(Wants(frozenset(NoticeEvent)))
    listener.happens(SUCCESS)
    listener.happens(SUCCESS, subject="source")
    listener.happens(FAILURE, "no space")
    listener.happens(SUCCESS)
    assert listener.events == [SUCCESS, FAILURE, RECOVERY]


def test_subjects_do_not_mix() -> None:
    """A deployment that goes well says nothing of a source that refuses us."""
    listener = Listener()
    listener.happens(NEEDS_PERSON, "denied", "source")
    listener.happens(SUCCESS)
    listener.happens(SUCCESS, subject="source")
    assert listener.events == [NEEDS_PERSON, RECOVERY]


def test_a_flapping_project_floods_nobody() -> None:
    """An hour holds so many messages; then one says how many were left out, and how it stands."""
    listener = Listener()
    for _ in range(50):
        listener.happens(FAILURE, "flaps")
        listener.happens(SUCCESS)
    assert len(listener.heard) == MOST_AN_HOUR
    listener.wait(HOUR)
    assert len(listener.heard) == MOST_AN_HOUR + 1
    last = listener.heard[-1][1]
    assert (last.event, last.left_out) == (RECOVERY, 100 - MOST_AN_HOUR - 1)
    listener.wait(10 * DAY)
    assert len(listener.heard) == MOST_AN_HOUR + 1


def test_what_was_left_out_and_is_over_is_not_told_late() -> None:
    """Where nobody wants to hear of its end either."""
    listener = Listener(Wants({FAILURE}))
    for number in range(MOST_AN_HOUR + 1):
        listener.happens(FAILURE, "abcdefghijklmnop"[number] * 3)
    listener.happens(SUCCESS)
    listener.wait(2 * HOUR)
    assert len(listener.heard) == MOST_AN_HOUR


def test_a_clock_that_was_set_back_silences_nobody() -> None:
    listener = Listener()
    for number in range(MOST_AN_HOUR):
        listener.happens(FAILURE, "abcdefghijklmnop"[number] * 3)
    listener.now -= 30 * DAY
    listener.happens(FAILURE, "another")
    assert len(listener.heard) == MOST_AN_HOUR + 1


Step = tuple[NoticeEvent, str, str] | timedelta
STEPS = st.one_of(
    st.tuples(
        st.sampled_from([FAILURE, ROLLBACK, NEEDS_PERSON, SUCCESS, SUCCESS]),
        st.sampled_from(["no space", "no network", "no luck"]),
        st.sampled_from([DEPLOYMENT, "source"]),
    ),
    st.timedeltas(timedelta(seconds=1), timedelta(hours=6)),
)
WANTS = st.builds(
    Wants,
    st.sets(st.sampled_from(list(NoticeEvent)), min_size=1).map(frozenset),
    st.sampled_from([timedelta(0), HOUR, DAY]),
)


def _run(wants: Wants, steps: Iterable[Step]) -> Listener:
    listener = Listener(wants)
    for step in steps:
        if isinstance(step, timedelta):
            listener.wait(step)
        else:
            event, error, subject = step
            listener.happens(event, "" if event is SUCCESS else error, subject)
    return listener


@settings(max_examples=80, deadline=None)
@given(wants=WANTS, steps=st.lists(STEPS, max_size=40))
def test_any_order_of_events_keeps_the_promises(wants: Wants, steps: list[Step]) -> None:
    """Of what was chosen, bounded, and no recovery of what nobody heard of."""
    listener = _run(wants, steps)
    times = [at for at, _ in listener.heard]
    for first, beyond in zip(times, times[MOST_AN_HOUR:], strict=False):
        assert beyond - first >= HOUR
    heard_of: set[str] = set()
    for _, telling in listener.heard:
        assert telling.event in wants.events
        if telling.event is RECOVERY:
            assert telling.subject in heard_of or telling.left_out
            heard_of.discard(telling.subject)
        elif telling.event is not SUCCESS:
            heard_of.add(telling.subject)
    if not listener.told.troubles:
        silent = replace(listener, heard=[])
        silent.wait(30 * DAY)
        assert len(silent.heard) <= 1  # what was left out, and no reminder of what is over


@settings(max_examples=50, deadline=None)
@given(
    wants=WANTS,
    errors=st.lists(st.sampled_from(["no space", "no network"]), min_size=1, max_size=9),
)
def test_nothing_chosen_goes_unheard(wants: Wants, errors: list[str]) -> None:
    """Each change of the error is told where failures are, in its order."""
    listener = _run(wants, [(FAILURE, error, DEPLOYMENT) for error in errors])
    changes = [
        error for number, error in enumerate(errors) if not number or error != errors[number - 1]
    ]
    told = [telling.facts["error"] for _, telling in listener.heard]
    assert told == (changes if FAILURE in wants.events else [])


def test_what_is_told_comes_back_from_its_body() -> None:
    telling = Telling(DEPLOYMENT, ROLLBACK, {"project": "shop"}, NOW, reminder=True, left_out=3)
    assert Telling.of_json(telling.as_json()) == telling


def test_tries_become_rare_and_end() -> None:
    """A minute, doubled up to 6 hours; 12 tries, or 2 days."""
    waits = [wait_before_next(tries, timedelta(0), timedelta(0)) for tries in range(1, 13)]
    minutes = [wait and wait.total_seconds() / 60 for wait in waits]
    assert minutes == [1, 2, 4, 8, 16, 32, 64, 128, 256, 360, 360, None]
    assert MOST_ATTEMPTS == 12
    assert wait_before_next(2, LONGEST_WAITING, timedelta(0)) is None
    assert wait_before_next(1, timedelta(0), HOUR) == HOUR
