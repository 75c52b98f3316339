"""Looks at external sources: when they are due, and what becomes of the answers."""

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest

from reconciler.domain.deployment import Trigger
from reconciler.domain.errors import SourceThrottled, SourceUnreachable
from reconciler.domain.references import CommitSha, ProjectName
from reconciler.domain.secret import Secret
from reconciler.domain.webhook import Provider, Webhook, WebhookName
from reconciler.domain.webhook_signature import Verdict
from reconciler.domain.wish import Wish
from reconciler.log import correlation_id
from reconciler.ports import Delivery, DeliveryFilter, Unmetered
from reconciler.store.sql_store import SqlStore
from reconciler.testing import ManualClock
from reconciler.triggers.git_poll import GitPoll
from reconciler.triggers.lanes import Lanes
from tests.parts.waiting import eventually
from tests.unit.triggers.conftest import A, Sources, add_project, external

MINUTE = timedelta(minutes=1)


class Poller:
    """A poller whose looks are waited for."""

    def __init__(self, store: SqlStore, clock: ManualClock, sources: Sources) -> None:
        self.tips: list[tuple[str, CommitSha, CommitSha | None]] = []
        self.wishes: list[Wish | None] = []
        self.bugs: list[str] = []
        self.lanes = Lanes("test", at_once=4, per_host=2, suspects_at_once=2)
        self.store = store
        self.poll = GitPoll(
            store,
            sources,  # type: ignore[arg-type]
            clock,
            self.lanes,
            self.act,
            lambda what, _: self.bugs.append(what),
            lambda: 0.5,
        )

    def act(
        self, name: ProjectName, tip: CommitSha, tracked: CommitSha | None, wish: Wish | None
    ) -> str:
        self.tips.append((name, tip, tracked))
        self.wishes.append(wish)
        return f"saw {tip.short}"

    def tick(self) -> int:
        started = self.poll.tick(MINUTE)
        assert self.lanes.join(5)
        self.poll.record()
        return started


@pytest.fixture
def poller(store: SqlStore, clock: ManualClock, sources: Sources) -> Poller:
    return Poller(store, clock, sources)


def test_each_source_is_asked_once_an_interval(
    poller: Poller, clock: ManualClock, sources: Sources
) -> None:
    """A new project is due at once, and then a minute later."""
    add_project(poller.store, clock, "web", external("git.example"))
    sources.tips["git.example"] = A
    assert poller.tick() == 1
    assert poller.tips == [("web", A, None)]
    assert poller.tick() == 0
    clock.advance(MINUTE)
    assert poller.tick() == 1
    health = poller.store.get_health(ProjectName("web"))
    assert (health.observed, health.failures, health.branch_gone) == (A, 0, False)
    assert health.looked_at == clock.now()


def test_a_clock_that_is_set_back_stops_no_looks(
    poller: Poller, clock: ManualClock, sources: Sources
) -> None:
    """The next tick looks at once, and from then on an interval later."""
    add_project(poller.store, clock, "web", external("git.example"))
    sources.tips["git.example"] = A
    assert poller.tick() == 1
    clock.advance(-timedelta(days=2))
    assert [poller.tick(), poller.tick()] == [1, 0]
    clock.advance(MINUTE)
    assert poller.tick() == 1


def test_a_failing_source_backs_off_and_keeps_what_was_seen(
    poller: Poller, clock: ManualClock, sources: Sources
) -> None:
    """The last good look stays known; a good answer ends the trouble."""
    add_project(poller.store, clock, "web", external("git.example"))
    sources.tips["git.example"] = A
    poller.tick()
    sources.tips["git.example"] = SourceUnreachable("git.example: 503")
    waits = []
    for _ in range(3):
        clock.advance(timedelta(hours=1))
        assert poller.tick() == 1
        health = poller.store.get_health(ProjectName("web"))
        assert health.next_look_at is not None
        waits.append(health.next_look_at - clock.now())
    assert waits == [2 * MINUTE, 4 * MINUTE, 8 * MINUTE]
    health = poller.store.get_health(ProjectName("web"))
    assert health.observed == A
    assert health.error is not None
    assert health.error.code == "source-unreachable"
    sources.tips["git.example"] = A
    clock.advance(timedelta(hours=1))
    poller.tick()
    assert poller.store.get_health(ProjectName("web")).failures == 0


def test_a_server_that_asks_for_peace_gets_it(
    poller: Poller, clock: ManualClock, sources: Sources
) -> None:
    """Retry-After wins over a shorter backoff."""
    add_project(poller.store, clock, "web", external("git.example"))
    sources.tips["git.example"] = SourceThrottled("slow down", timedelta(minutes=30))
    poller.tick()
    health = poller.store.get_health(ProjectName("web"))
    assert health.next_look_at == clock.now() + timedelta(minutes=30)


def test_a_branch_that_is_gone_is_no_deployment(
    poller: Poller, clock: ManualClock, sources: Sources
) -> None:
    """It is a state of its own, which ends when the branch is back."""
    add_project(poller.store, clock, "web", external("git.example"))
    sources.tips["git.example"] = None
    poller.tick()
    assert poller.tips == []
    assert poller.store.get_health(ProjectName("web")).branch_gone
    sources.tips["git.example"] = A
    clock.advance(MINUTE)
    poller.tick()
    assert not poller.store.get_health(ProjectName("web")).branch_gone
    assert poller.tips == [("web", A, None)]


def test_a_bug_in_one_look_stops_no_other(
    poller: Poller, clock: ManualClock, sources: Sources
) -> None:
    """It is told, and the project is due again when its claim runs out."""
    add_project(poller.store, clock, "bad", external("bad.example"))
    add_project(poller.store, clock, "good", external("good.example"))
    sources.tips |= {"bad.example": ZeroDivisionError(), "good.example": A}
    assert poller.tick() == 2
    assert poller.tips == [("good", A, None)]
    assert poller.bugs == ["looking at the source of bad"]
    clock.advance(3 * MINUTE)
    assert poller.tick() == 2


def test_a_project_that_is_off_is_not_asked_about(poller: Poller, clock: ManualClock) -> None:
    """Its server is left alone."""
    project = add_project(poller.store, clock, "web", external("git.example"))
    from dataclasses import replace

    poller.store.update_project(replace(project, auto_deploy=False))
    assert poller.tick() == 0


def test_a_wish_is_granted_while_a_host_hangs(
    poller: Poller, clock: ManualClock, sources: Sources
) -> None:
    """Whatever waits for that one; and what is wished for meanwhile follows at once."""
    hanging = threading.Event()
    granted: list[str] = []
    for _ in range(500):
        poller.lanes.submit("https://dead.example", lambda: hanging.wait(10))
    add_project(poller.store, clock, "web", external("git.example"))
    sources.tips["git.example"] = A
    poller.poll.on_wish_done = lambda: granted.append("web")
    try:
        assert poller.poll.tick(MINUTE) == 0
        poller.store.poll_now(ProjectName("web"), Wish(Trigger.WEBHOOK, "forgejo"))
        assert poller.poll.tick(MINUTE) == 1
        eventually(lambda: granted == ["web"], within=5)
    finally:
        hanging.set()


def test_a_look_tells_the_delivery_that_asked_for_it_what_it_gave(
    poller: Poller, clock: ManualClock, sources: Sources
) -> None:
    """In the webhook's name, also where it failed; other looks tell nobody."""
    add_project(poller.store, clock, "web", external("git.example"))
    name, web = WebhookName("forgejo"), ProjectName("web")
    poller.store.create_webhook(Webhook(name, Provider.FORGEJO, clock.now()), Secret.of("s" * 16))
    given = Delivery(name, clock.now(), "10.0.0.7", Verdict.VERIFIED)
    numbers = poller.store.record_deliveries([given] * 3, {})
    answers = (A, SourceUnreachable("git.example: 503"), None)
    for number, answer in zip(numbers, answers, strict=True):
        sources.tips["git.example"] = answer
        wish = Wish(Trigger.WEBHOOK, name, number)
        poller.store.poll_now(web, wish)
        assert poller.tick() == 1
    assert poller.wishes == [Wish(Trigger.WEBHOOK, name, numbers[0])]
    said = [
        one.led_to[web] for one in poller.store.list_deliveries(DeliveryFilter(name), limit=9)[::-1]
    ]
    assert said == [
        "saw aaaaaaaa",
        "git.example: 503",
        "branch main is gone; what runs stays as it is",
    ]
    sources.tips["git.example"] = A
    poller.store.poll_now(web)
    poller.tick()
    assert poller.wishes[-1] is None
    assert poller.bugs == []


def test_a_move_is_announced_by_a_webhook_or_found_by_polling(
    poller: Poller, clock: ManualClock, sources: Sources
) -> None:
    """The first sight is no move, and what a person had looked at does not count."""
    web, name = ProjectName("web"), WebhookName("forgejo")
    add_project(poller.store, clock, web, external("git.example"))
    hook = Webhook(name, Provider.FORGEJO, clock.now(), web)
    poller.store.create_webhook(hook, Secret.of("s" * 16))
    asked: tuple[Callable[[], object], ...] = (
        lambda: None,  # the first sight
        lambda: poller.store.poll_now(web, Wish(Trigger.WEBHOOK, name)),
        lambda: poller.store.poll_now(web),
        lambda: None,
    )
    for letter, ask in zip("abcd", asked, strict=True):
        clock.advance(2 * MINUTE)
        sources.tips["git.example"] = CommitSha(letter * 40)
        ask()
        assert poller.tick() == 1
    moves = poller.store.get_announcements(web).moves
    assert [(one.commit.text[0], one.announced) for one in moves] == [("b", True), ("d", False)]


class Counting(Unmetered):
    """Remembers what it was told of looks."""

    def __init__(self) -> None:
        self.polls: list[tuple[str, str, timedelta | None]] = []

    def polled(self, outcome: str, code: str, late: timedelta | None) -> None:
        self.polls.append((outcome, code, late))


def test_looks_are_counted_with_how_late_they_began(
    poller: Poller, clock: ManualClock, sources: Sources
) -> None:
    """One that somebody asked for had no time of its own to be late for."""
    counting = poller.poll.metering = Counting()
    add_project(poller.store, clock, "web", external("git.example"))
    answers = (A, SourceThrottled("slow down", timedelta(seconds=1)), None)
    for answer in answers:
        sources.tips["git.example"] = answer
        poller.store.poll_now(ProjectName("web"))
        poller.tick()
    clock.advance(2 * MINUTE)
    poller.tick()
    outcomes = [(outcome, code) for outcome, code, _ in counting.polls]
    throttled = ("failed", SourceThrottled.code)
    assert outcomes == [("ok", ""), throttled, ("branch-gone", ""), ("branch-gone", "")]
    *asked_for, due = (late for _, _, late in counting.polls)
    assert asked_for == [None, None, None]
    assert due is not None
    assert timedelta(0) < due <= MINUTE * 1.5


def test_a_look_has_the_id_of_who_wished_for_it_or_its_own(
    poller: Poller, clock: ManualClock, sources: Sources
) -> None:
    """The id goes through the store: another replica may be the one that looks."""
    ids: list[str] = []

    def act(name: ProjectName, tip: CommitSha, tracked: CommitSha | None, wish: Wish | None) -> str:
        ids.append(correlation_id())
        return "seen"

    poller.poll.on_tip = act
    add_project(poller.store, clock, "web", external("git.example"))
    sources.tips["git.example"] = A
    poller.tick()
    wish = Wish(Trigger.WEBHOOK, "forgejo", None, "5d1c0f3be82a9746")
    poller.store.poll_now(ProjectName("web"), wish)
    poller.tick()
    assert ids[0]
    assert ids == [ids[0], "5d1c0f3be82a9746"]
    assert correlation_id() == ""
