"""Loops: one pass at a time, no wake-up lost, and the truth about how they do."""

import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest

from reconciler.domain.errors import SourceUnreachable
from reconciler.scheduling import Loop
from reconciler.testing import ManualClock
from tests.parts.waiting import eventually


class Pass:
    """Work that can be held up, and that counts."""

    def __init__(self) -> None:
        self.begun = 0
        self.ended = 0
        self.at_once = 0
        self.most = 0
        self.gate = threading.Event()
        self.gate.set()
        self.error: Exception | None = None

    def __call__(self) -> None:
        self.begun += 1
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        self.gate.wait(10)
        self.at_once -= 1
        self.ended += 1
        if self.error:
            raise self.error


@pytest.fixture
def work() -> Pass:
    return Pass()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def loop(work: Pass, clock: ManualClock) -> Iterator[Loop]:
    made = Loop("test", work, clock, timedelta(minutes=1))
    yield made
    work.gate.set()
    made.stop()
    made.join(5)


def test_the_first_pass_runs_at_once(loop: Loop, work: Pass) -> None:
    """Starting is a wake-up."""
    loop.start()
    eventually(lambda: work.ended == 1, within=5)


def test_a_wake_up_during_a_pass_is_kept(loop: Loop, work: Pass) -> None:
    """However many come while it runs, one more pass follows; never two at once."""
    work.gate.clear()
    loop.start()
    eventually(lambda: work.begun == 1, within=5)
    for _ in range(5):
        loop.wake()
    work.gate.set()
    eventually(lambda: work.ended == 2, within=5)
    assert work.most == 1


def test_wake_ups_gather_while_it_rests(work: Pass, clock: ManualClock) -> None:
    """The first is followed at once, those that come closely after it are one pass together."""
    loop = Loop("test", work, clock, timedelta(minutes=1), rest=timedelta(seconds=0.5))
    loop.start()
    try:
        eventually(lambda: work.ended == 1, within=5)
        for _ in range(5):
            loop.wake()
        assert work.begun == 1
        eventually(lambda: work.ended == 2, within=5)
        loop.stop()
        assert loop.join(5)
        assert work.ended == 2
    finally:
        loop.stop()


def test_stop_lets_the_pass_finish_and_begins_no_other(loop: Loop, work: Pass) -> None:
    """Draining loses nothing that has begun."""
    work.gate.clear()
    loop.start()
    eventually(lambda: work.begun == 1, within=5)
    loop.stop()
    assert not loop.join(0.01)
    work.gate.set()
    assert loop.join(5)
    loop.wake()
    assert (work.begun, work.ended) == (1, 1)


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(SourceUnreachable("git.example: 503"), id="expected"),
        pytest.param(ZeroDivisionError(), id="bug"),
    ],
)
def test_an_error_ends_its_pass_only(loop: Loop, work: Pass, error: Exception) -> None:
    """The loop lives on, and says what went wrong until a pass goes well."""
    work.error = error
    loop.start()
    eventually(lambda: loop.health().error != "", within=5)
    work.error = None
    loop.wake()
    eventually(lambda: loop.health().error == "", within=5)


def test_health_tells_a_stuck_loop(loop: Loop, work: Pass, clock: ManualClock) -> None:
    """A pass that does not end is not well, whatever the thread does."""
    loop.start()
    eventually(lambda: work.ended == 1, within=5)
    eventually(lambda: loop.health().last_progress_at == clock.now(), within=5)
    assert loop.health().ok
    clock.advance(timedelta(minutes=3))
    assert loop.health().late == timedelta(minutes=2)
    assert loop.health().ok
    clock.advance(timedelta(minutes=10))
    assert not loop.health().ok


def test_health_tells_a_loop_that_never_started(loop: Loop) -> None:
    """No thread, no health."""
    assert not loop.health().ok
