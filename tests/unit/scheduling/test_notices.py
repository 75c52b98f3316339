"""Messages are sent once, tried again for a time, and hold up nobody."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from reconciler.adapters.notify.templates import JinjaLetters
from reconciler.domain.channel import Address, Channel, ChannelName
from reconciler.domain.deployment import Status
from reconciler.domain.errors import NotifyError, NotifyThrottled, Recovery, SourceUnreachable
from reconciler.domain.failure import Failure
from reconciler.domain.host import HostHealth, HostName
from reconciler.domain.secret import Secret
from reconciler.log import Redactor
from reconciler.pipeline.notices import NoticeParts, Notices
from reconciler.ports import Letter, Message, OutboxKind
from reconciler.scheduling import Sending
from reconciler.store.sql_store import SqlStore
from reconciler.testing import ManualClock, RecordingNotifier
from tests.parts.stores import claim, open_copy, prepared, project, queue
from tests.parts.waiting import eventually

BROKEN = Failure("verification-failed", "web said s3cret-word-of-ours", Recovery.STALL)


class Place:
    """A daemon's part that tells people, with a clock and a notifier to play with."""

    def __init__(self, template: Path, folder: Path) -> None:
        self.clock = ManualClock()
        self.store: SqlStore = open_copy(template, folder, self.clock)
        self.notifier = RecordingNotifier()
        self.hosts: dict[HostName, HostHealth] = {}
        self.redactor = Redactor()
        self.redactor.register(Secret.of("s3cret-word-of-ours"))
        self.store.create_project(project())

    def notices(self, subject: str = "Take cards again") -> Notices:
        def subject_of(*_: object) -> str:
            if not subject:
                raise SourceUnreachable("git.example is away")
            return subject

        return Notices(
            NoticeParts(
                self.store,
                self.clock,
                self.notifier,
                JinjaLetters(),
                self.redactor,
                subject_of,
                lambda: self.hosts,
                "https://deploy.example",
            )
        )

    @contextmanager
    def sending(self, owner: str = "me", **more: Any) -> Iterator[Sending]:
        running = Sending(self.store, self.notices(**more), owner)
        running.on_free = running.tick
        try:
            yield running
        finally:
            running.drain(timedelta(seconds=5))

    def add(self, name: str, **more: Any) -> None:
        address = Address(Secret.of(f"{name}://host/topic"))
        self.store.create_channel(Channel(ChannelName(name), self.clock.now(), **more), address)

    def fail(self, letter: str = "b", status: Status = Status.FAILED) -> None:
        queue(self.store, letter, force=True, now=self.clock.now())
        held = claim(self.store, now=self.clock.now())
        self.store.record_prepared(held, prepared(letter))
        error = BROKEN if status is Status.FAILED else None
        self.store.finish(held, status, self.clock.now(), error=error)

    def messages(self, address: str = "") -> list[Message]:
        return list(self.store.list_messages(OutboxKind.NOTICE, address=address))

    def sent(self) -> list[Letter]:
        return [letter for _, letter in self.notifier.sent]


@pytest.fixture
def place(sqlite_template: Path, tmp_path: Path) -> Iterator[Place]:
    made = Place(sqlite_template, tmp_path)
    yield made
    made.store.close()


def settled(place: Place, address: str = "") -> bool:
    return all(message.settled_at for message in place.messages(address))


def test_a_message_says_what_people_want_to_know(place: Place) -> None:
    """What, where, the commit and its message, the error, what runs, and a link; no secret."""
    place.add("ops")
    place.fail("a", Status.DEPLOYED)
    place.fail("b")
    with place.sending() as sending:
        sending.tick()
        eventually(lambda: settled(place))
    (letter,) = place.sent()
    assert (letter.title, letter.id) == ("web: deployment 2 failed", "notice-1")
    assert letter.text.splitlines() == [
        "web: deployment 2 failed",
        "Commit: bbbbbbbbbbbb Take cards again",
        "Images: registry.example/app:1 → 111111111111",
        "Error: web said ***",
        "Runs now: deployment 1, aaaaaaaa + 1 image",
        "Asked for: git-poll by test",
        "https://deploy.example/deployments/2",
    ]
    assert letter.facts["commit"] == "b" * 40
    assert "s3cret" not in repr(letter)
    record = place.store.get_channel(ChannelName("ops"))
    assert (record.last_error, record.last_at) == ("", place.clock.now())


def test_a_message_by_a_channel_s_own_template(place: Place) -> None:
    """A source that can't be asked for the commit's message holds up nothing."""
    place.add("ops", template="{{ project }}{{ commit_message }} {{ event }}")
    place.fail()
    with place.sending(subject="") as sending:
        sending.tick()
        eventually(lambda: settled(place))
    assert place.sent()[0].text == "web failure"


@pytest.mark.parametrize(
    ("error", "said"),
    [(NotifyError("ops is away"), "ops is away"), (TypeError("x"), "unexpected: TypeError")],
    ids=["away", "a-bug"],
)
def test_what_is_not_sent_is_tried_again_and_given_up(
    place: Place, error: Exception, said: str
) -> None:
    """With its error, which the channel shows, too."""
    place.add("ops")
    place.notifier.failures["ops"] = [error] * 100
    place.fail()
    tries: list[timedelta] = []
    with place.sending() as sending:
        while not settled(place):
            sending.tick()  # unless the end of the attempt before came to it first
            eventually(partial(_was_tried, place, len(tries) + 1))
            after = place.messages()[0]
            tries.append(after.not_before - place.clock.now())
            place.clock.advance(max(tries[-1], timedelta(0)))
    minutes = [wait.total_seconds() / 60 for wait in tries[:-1]]
    assert minutes == [1, 2, 4, 8, 16, 32, 64, 128, 256, 360, 360]
    assert place.messages()[0].error == said
    assert place.store.get_channel(ChannelName("ops")).last_error == said
    assert place.sent() == []


def _was_tried(place: Place, attempt: int) -> bool:
    """Tell whether an attempt is over: put off, or settled."""
    now = place.messages()[0]
    lease = place.clock.now() + timedelta(minutes=3)
    return now.attempts == attempt and (now.settled_at is not None or now.not_before != lease)


def test_a_service_that_asks_for_it_is_left_alone(place: Place) -> None:
    place.add("ops")
    place.notifier.failures["ops"] = [NotifyThrottled("busy", timedelta(minutes=30))]
    place.fail()
    with place.sending() as sending:
        sending.tick()
        eventually(lambda: place.messages()[0].error)
        eventually(lambda: place.messages()[0].not_before == _in(place, minutes=30))
        place.clock.advance(timedelta(minutes=31))
        sending.tick()
        eventually(lambda: settled(place))
    assert len(place.sent()) == 1


def _in(place: Place, minutes: int) -> object:
    return place.clock.now() + timedelta(minutes=minutes)


def test_a_recovery_never_comes_before_its_failure(place: Place) -> None:
    """One that waits for another try holds back what came after it, at its own channel."""
    place.add("ops")
    place.add("chat")
    place.notifier.failures["ops"] = [NotifyError("ops is away")]
    place.fail("a")
    place.fail("b", Status.DEPLOYED)
    with place.sending() as sending:
        sending.tick()
        eventually(lambda: settled(place, "chat"))
        eventually(lambda: place.messages("ops")[-1].not_before == _in(place, minutes=1))
        assert not any(message.settled_at for message in place.messages("ops"))
        place.clock.advance(timedelta(minutes=1))
        sending.tick()
        eventually(lambda: settled(place))
    told = [letter.event for address, letter in place.notifier.sent if address.service == "ops"]
    assert told == ["failure", "recovery"]


def test_a_channel_that_hangs_delays_no_other(place: Place) -> None:
    """Nor the end: what it holds is sent by the next life."""
    place.add("hangs")
    place.add("ops")
    place.notifier.hanging = {"hangs"}
    place.fail("a")
    place.fail("b", Status.DEPLOYED)
    sending = Sending(place.store, place.notices(), "me")
    sending.on_free = sending.tick
    sending.tick()
    eventually(lambda: settled(place, "ops"))
    assert [letter.event for letter in place.sent()] == ["failure", "recovery"]
    assert not sending.drain(timedelta(0))
    assert place.messages("hangs")[-1].error == "interrupted"
    place.notifier.hanging = set()
    with place.sending("next") as again:
        again.tick()
        eventually(lambda: settled(place, "hangs"))
    hung = [letter.event for address, letter in place.notifier.sent if address.service == "hangs"]
    assert hung == ["failure", "recovery"]


def test_replicas_send_each_message_once(place: Place) -> None:
    place.add("one")
    place.add("two")
    for letter, status in (("a", Status.FAILED), ("b", Status.DEPLOYED)) * 4:
        place.fail(letter, status)
    with place.sending("here") as here, place.sending("there") as there:
        for _ in range(3):
            here.tick()
            there.tick()
        eventually(lambda: settled(place))
    ids = [letter.id for letter in place.sent()]
    assert len(ids) == len(set(ids)) == 16


def test_what_was_claimed_by_one_that_died_is_sent_by_another(place: Place) -> None:
    """Once its lease is over."""
    place.add("ops")
    place.fail()
    lease = timedelta(minutes=3)
    assert place.store.claim_messages(OutboxKind.NOTICE, "dead", limit=1, lease=lease)
    with place.sending() as sending:
        sending.tick()
        assert place.sent() == []
        place.clock.advance(lease + timedelta(seconds=1))
        sending.tick()
        eventually(lambda: settled(place))
    assert len(place.sent()) == 1


def test_reminders_and_hosts_come_by_themselves(place: Place) -> None:
    """A host of which nobody knows how it stands is neither in trouble nor well."""
    place.add("ops")
    changed = Failure("host-key-changed", "web1 shows another key", Recovery.OPERATOR)
    away = Failure("target-unreachable", "web1 does not answer", Recovery.RETRY)
    with place.sending() as sending:
        for error in (away, changed, away, changed, None):
            place.hosts = {HostName("web1"): HostHealth(place.clock.now(), None, error)}
            sending.tick()
            eventually(lambda: settled(place))
            place.clock.advance(timedelta(hours=13))
    assert [letter.title for letter in place.sent()] == [
        "host web1 needs a person",
        "still so: host web1 needs a person",
        "host web1 is well again",
    ]


def test_a_test_message_is_sent_at_once(place: Place) -> None:
    """And says how that went; it is no message of the outbox."""
    place.add("ops")
    place.notifier.failures["ops"] = [NotifyError("no s3cret-word-of-ours")]
    notices = place.notices()
    failed = notices.try_out(ChannelName("ops"))
    assert (failed.sent, failed.error) == (False, "no ***")
    assert place.store.get_channel(ChannelName("ops")).last_error == "no ***"
    assert notices.try_out(ChannelName("ops")).sent
    assert place.messages() == []
