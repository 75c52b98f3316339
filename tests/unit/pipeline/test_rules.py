"""F7: windows, a freeze and the age of images hold what moved; then all of it deploys once."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from reconciler.domain.deployment import Status, Trigger
from reconciler.domain.project import ExternalSource
from reconciler.domain.reason_codes import ReasonCode
from reconciler.domain.references import CommitSha, Digest, ProjectName
from reconciler.domain.rules import Freeze, Rules
from reconciler.domain.state import ImageLook, SourceHealth, WatchedImage
from reconciler.domain.windows import parse_windows
from reconciler.domain.wish import Wish
from reconciler.pipeline.explain import Explainer, StandingCode
from reconciler.pipeline.reconcile import InSync, OutOfDate, Seeded
from reconciler.pipeline.trigger import TriggerResult
from reconciler.ports import AuditQuery, PollResult
from reconciler.testing import digest_of
from reconciler.triggers.second_looks import SecondLooks
from tests.unit.pipeline.conftest import IMAGE, WEB, A, B, C, World

POLL = Wish(Trigger.GIT_POLL, "git-poll")
WATCH = Wish(Trigger.IMAGE_WATCH, "image-watch")
DAY, HOUR, SECOND = timedelta(days=1), timedelta(hours=1), timedelta(seconds=1)


def declare(world: World, *windows: str, age: timedelta = timedelta(0)) -> None:
    rules = Rules(parse_windows(windows, "windows"), age)
    project = world.store.get_project(WEB)
    world.store.update_project(replace(project, rules=rules, auto_deploy=True))


def see_commit(world: World, tip: CommitSha) -> TriggerResult | object:
    tracked = world.store.get_state(WEB).tracked_commit
    health = SourceHealth(looked_at=world.clock.now(), observed=tip, observed_at=world.clock.now())
    result = world.reconciler.reconcile_commit(WEB, tip, tracked, POLL)
    world.store.record_polls([PollResult(WEB, health)])
    return result


def see_image(
    world: World, digest: Digest, first_seen: datetime | None = None
) -> TriggerResult | InSync | Seeded | OutOfDate:
    tracked = world.store.get_state(WEB).tracked_images
    since = {} if first_seen is None else {IMAGE: first_seen}
    look = ImageLook(WEB, [IMAGE], {IMAGE: digest}, tracked, since)
    return world.reconciler.reconcile_images(look, WATCH)


def outcome(result: object) -> tuple[str, ReasonCode]:
    assert isinstance(result, TriggerResult)
    return result.outcome, result.reasons[0].code


HELD_BY_WINDOW = "held", ReasonCode.WINDOW_CLOSED


def test_what_moves_in_a_closed_window_is_queued_and_not_skipped(world: World) -> None:
    """Held pushes leave no trace of having been acted on; the first look afterwards takes them."""
    declare(world, "mon-fri 09:00-17:00")
    for tip in (A, B):
        assert outcome(see_commit(world, tip)) == HELD_BY_WINDOW
    assert world.store.get_state(WEB).tracked_commit is None
    world.clock.advance(9 * HOUR)  # the clock starts on a Tuesday at midnight
    assert outcome(see_commit(world, B)) == ("admitted", ReasonCode.ADMITTED)
    assert world.roll_out().status is Status.DEPLOYED
    assert len(world.store.list_deployments(WEB)) == 1


def test_a_window_that_closes_before_the_start_holds_it(world: World) -> None:
    """It was never acted on then, and its time is noted; a person's is stopped as well."""
    declare(world, "00:00-01:00")
    see_commit(world, A)
    world.clock.advance(HOUR)
    held = world.roll_out()
    assert held.status is Status.WITHDRAWN
    assert held.error
    assert held.error.code == "window-closed"
    assert world.store.get_state(WEB).tracked_commit is None
    world.clock.advance(23 * HOUR)
    assert world.store.list_looks_due(world.clock.now()) == {WEB: world.clock.now()}
    assert world.trigger(A, Trigger.PERSON).admitted
    world.clock.advance(HOUR)
    assert world.roll_out().status is Status.WITHDRAWN


def test_a_window_that_closes_under_way_tears_nothing_apart(world: World) -> None:
    declare(world, "00:00-01:00")
    see_commit(world, A)
    world.strategy.on_call = lambda name: world.clock.advance(HOUR) if name == "apply" else None
    assert world.roll_out().status is Status.DEPLOYED


def test_a_person_goes_past_with_a_reason_and_a_rollback_without(world: World) -> None:
    """The reason is kept with the deployment, and the audit log tells it."""
    first, second = world.deploy(A), world.deploy(B)
    declare(world, "10:00-11:00")
    assert outcome(world.trigger(C, Trigger.PERSON)) == ("refused", ReasonCode.WINDOW_CLOSED)
    assert world.trigger(C, Trigger.PERSON, override="the shop is down").admitted
    third = world.roll_out()
    assert (third.status, third.override) == (Status.DEPLOYED, "the shop is down")
    told = world.store.list_audit(AuditQuery(action="project.deploy"))[0].changes
    assert told["override"] == (None, "the shop is down")
    back = world.trigger(A, Trigger.ROLLBACK, restores=first.id, revision=first.target_revision)
    assert back.admitted
    assert world.roll_out().status is Status.DEPLOYED
    assert second.override == ""


@pytest.mark.parametrize("running", [False, True])
def test_an_override_counts_for_what_it_is_folded_into(world: World, running: bool) -> None:
    """The automatic deployment of that revision that waits, or is being made ready, goes on."""
    declare(world, "00:00-01:00")
    see_commit(world, A)

    def ask(name: str = "prepare") -> None:
        if name == "prepare":
            world.clock.advance(2 * HOUR)
            asked = world.trigger(A, Trigger.PERSON, override="urgent")
            assert asked.outcome == "coalesced"

    if running:
        world.strategy.on_call = ask
    else:
        ask()
    done = world.roll_out()
    assert (done.status, done.override) == (Status.DEPLOYED, "urgent")


def test_a_freeze_holds_until_it_is_over_or_lifted(world: World) -> None:
    until = world.clock.now() + 3 * HOUR
    world.store.set_freeze(WEB, Freeze("ann", world.clock.now(), "month end", until))
    assert outcome(see_commit(world, A)) == ("held", ReasonCode.FROZEN)
    assert world.store.list_looks_due(until) == {WEB: until}
    assert outcome(world.trigger(B, Trigger.PERSON)) == ("refused", ReasonCode.FROZEN)
    world.clock.advance(3 * HOUR)
    assert outcome(see_commit(world, A))[0] == "admitted"
    world.store.set_freeze(WEB, Freeze("ann", world.clock.now()))
    assert outcome(see_commit(world, B)) == ("held", ReasonCode.FROZEN)
    assert world.store.lift_freeze(WEB)
    assert outcome(see_commit(world, B))[0] == "admitted"


def test_a_young_image_waits_and_deploys_if_it_is_still_the_newest(world: World) -> None:
    """A newer digest starts the clock anew."""
    declare(world, age=3 * DAY)
    see_image(world, digest_of("one"))
    first_seen = world.clock.now()
    held = "held", ReasonCode.IMAGE_TOO_YOUNG
    assert outcome(see_image(world, digest_of("two"))) == held
    assert world.store.get_state(WEB).tracked_images == {IMAGE: digest_of("one")}
    assert world.store.list_looks_due(first_seen + 3 * DAY) == {WEB: first_seen + 3 * DAY}
    world.clock.advance(2 * DAY)
    assert outcome(see_image(world, digest_of("three"), world.clock.now())) == held
    world.clock.advance(2 * DAY)
    assert outcome(see_image(world, digest_of("three"), world.clock.now() - 2 * DAY)) == held
    seen = see_image(world, digest_of("three"), world.clock.now() - 3 * DAY)
    assert outcome(seen)[0] == "admitted"
    assert world.store.get_state(WEB).tracked_images == {IMAGE: digest_of("three")}


def test_an_image_of_age_does_not_wait_for_a_young_one(world: World) -> None:
    """What is young stays at the digest that is known, and is looked at in its time."""
    sidecar = "registry.example/team/sidecar:1"
    declare(world, age=DAY)

    def see(app: str, beside: str, first_seen: datetime) -> object:
        tracked = world.store.get_state(WEB).tracked_images
        seen = {IMAGE: digest_of(app), sidecar: digest_of(beside)}
        look = ImageLook(WEB, [IMAGE, sidecar], seen, tracked, {IMAGE: first_seen})
        return world.reconciler.reconcile_images(look, WATCH)

    now = world.clock.now()
    see("one", "one", now)
    moved = see("two", "two", now - 2 * DAY)
    assert isinstance(moved, TriggerResult)
    assert moved.admitted
    assert moved.deployment
    known = {IMAGE: digest_of("two"), sidecar: digest_of("one")}
    assert moved.deployment.revision.images == known
    assert world.store.get_state(WEB).tracked_images == known
    assert world.store.list_looks_due(now + DAY) == {WEB: now + DAY}


def test_what_runs_is_old_enough(world: World) -> None:
    """A person deployed the young image: the watch takes note of that and holds nothing."""
    declare(world, age=DAY)
    world.store.seed_images(WEB, {IMAGE: digest_of("one")})
    runs = world.deploy(A).target_revision.images[IMAGE]
    assert outcome(see_image(world, runs)) == ("refused", ReasonCode.ALREADY_LIVE)
    assert world.store.get_state(WEB).tracked_images == {IMAGE: runs}


# ── Why, and looking again ────────────────────────────────────────────────────────────────────────


def test_why_tells_what_waits_and_until_when(world: World) -> None:
    declare(world, "mon-fri 09:00-17:00 Europe/Berlin", age=DAY)
    see_commit(world, A)
    now = world.clock.now()
    world.store.set_freeze(WEB, Freeze("ann", now, "month end", now + HOUR))
    world.store.seed_images(WEB, {IMAGE: digest_of("one")})
    world.store.put_images(
        WEB,
        "now",
        [WatchedImage(IMAGE, ("app",), digest=digest_of("two"), first_seen_at=now)],
    )
    explainer = Explainer(world.store, world.clock, world.brakes)
    found = {one.code: one for one in explainer.why(WEB).reasons}
    frozen, closed = found["frozen"], found["window-closed"]
    assert frozen.text.startswith("ann froze web until Tue 2030-01-01 01:00 UTC: month end")
    assert (frozen.evidence["by"], frozen.needs_person) == ("ann", True)
    assert "opens Tue 2030-01-01 09:00 Europe/Berlin" in closed.text
    assert closed.evidence["windows"] == "mon-fri 09:00-17:00 Europe/Berlin"
    assert f"at {A.short}" in closed.evidence["waits"]
    assert found["image-too-young"].evidence["until"] == (now + DAY).isoformat()
    summary = explainer.summary(WEB)
    assert summary.standing is StandingCode.HELD
    assert summary.reason == "frozen"


def test_when_the_window_opens_all_that_moved_deploys_once(world: World) -> None:
    """The images are looked at once it is known which digests the commit is deployed with."""
    world.store.seed_images(WEB, {IMAGE: digest_of("old")})
    world.deploy(A)
    declare(world, "09:00-17:00")
    new = world.strategy.digests[IMAGE] = digest_of("new")
    assert outcome(see_commit(world, B)) == HELD_BY_WINDOW
    looks: list[str] = []

    def at_source(name: ProjectName) -> None:
        looks.append(f"source of {name}")

    def at_images(names: object) -> None:
        looks.append("images")
        see_image(world, new)

    second = SecondLooks(world.store, world.clock, at_source, at_images, lambda *_: None)

    def tick() -> None:
        second.tick_sources()
        second.tick_images()

    (opens,) = world.store.list_looks_due(world.clock.now() + DAY).values()
    world.clock.advance(opens - SECOND - world.clock.now())
    tick()
    assert looks == []
    world.clock.advance(SECOND)
    tick()
    tick()
    assert looks == ["source of web"]  # an external one is looked at in the background
    world.clock.advance(SECOND)
    assert outcome(see_commit(world, B))[0] == "admitted"
    tick()
    assert looks == ["source of web"]
    assert world.roll_out().status is Status.DEPLOYED
    tick()
    tick()
    assert looks == ["source of web", "images"]
    assert [one.status for one in world.store.list_deployments(WEB)] == [Status.DEPLOYED] * 2
    assert isinstance(world.store.get_project(WEB).source, ExternalSource)
