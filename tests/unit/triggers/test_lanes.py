"""Work side by side: limits for all, per host, and for suspects."""

import threading
from collections.abc import Iterator

import pytest

from reconciler.triggers.lanes import Lanes
from tests.parts.waiting import eventually


@pytest.fixture
def lanes() -> Iterator[Lanes]:
    made = Lanes("test", at_once=4, per_host=2, suspects_at_once=1)
    yield made
    made.close()


class Hanging:
    """Tasks that wait until they are let go, and count how many wait at once."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.lock = threading.Lock()
        self.busy = self.most = self.done = 0

    def __call__(self) -> None:
        with self.lock:
            self.busy += 1
            self.most = max(self.most, self.busy)
        self.gate.wait(10)
        with self.lock:
            self.busy -= 1
            self.done += 1


def test_a_host_holds_its_own_places_only(lanes: Lanes) -> None:
    """Ten hung looks at one host leave room for another host's."""
    hung, other = Hanging(), threading.Event()
    for _ in range(10):
        lanes.submit("hung.example", hung)
    lanes.submit("well.example", other.set)
    assert other.wait(5)
    assert hung.most == 2
    hung.gate.set()
    assert lanes.join(5)
    assert (hung.done, hung.most) == (10, 2)


def test_suspects_wait_apart(lanes: Lanes) -> None:
    """However many hosts failed before, the others keep all their places."""
    hung, other = Hanging(), threading.Event()
    for number in range(10):
        lanes.submit(f"hung-{number}.example", hung, suspect=True)
    lanes.submit("well.example", other.set)
    assert other.wait(5)
    eventually(lambda: hung.busy == 1, within=5)
    hung.gate.set()
    assert lanes.join(5)
    assert (hung.done, hung.most) == (10, 1)


def test_all_together_stay_within_the_limit(lanes: Lanes) -> None:
    """Never more than the limit at once, and all of them in the end."""
    hung = Hanging()
    for number in range(12):
        lanes.submit(f"host-{number}", hung)
    eventually(lambda: hung.busy == 4, within=5)
    assert lanes.unfinished == 12
    hung.gate.set()
    assert lanes.join(5)
    assert (hung.done, hung.most) == (12, 4)


def test_what_becomes_slow_makes_room_for_others() -> None:
    """A hundred hosts that hang for the first time hold up the others for a moment only."""
    lanes = Lanes("test", at_once=2, per_host=2, suspects_at_once=1, slow_at_once=3)
    hung, other = Hanging(), threading.Event()
    for number in range(6):
        lanes.submit(f"hung-{number}.example", hung)
    eventually(lambda: hung.busy == 2, within=5)
    lanes.submit("well.example", other.set)
    assert not other.is_set()

    def relieved() -> bool:
        lanes.relieve()
        return hung.busy == 5

    eventually(relieved, within=10, what="three slow ones made room for three others")
    lanes.relieve()
    assert (hung.busy, other.is_set()) == (5, False), "no more than that"
    hung.gate.set()
    assert other.wait(5)
    assert lanes.join(5)
    assert hung.done == 6
    lanes.close()


def test_join_says_when_time_is_out(lanes: Lanes) -> None:
    """A look that hangs does not hang whoever waits for it."""
    hung = Hanging()
    lanes.submit("hung.example", hung)
    assert not lanes.join(0.01)
    hung.gate.set()


def test_nothing_starts_after_close(lanes: Lanes) -> None:
    """What waits is dropped."""
    lanes.close()
    ran = threading.Event()
    lanes.submit("well.example", ran.set)
    assert lanes.unfinished == 0
    assert not ran.is_set()
