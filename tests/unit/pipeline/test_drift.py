"""What runs is compared with what was deployed, and a difference that stays is told."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta

from reconciler.domain.deployment import Status, Trigger
from reconciler.domain.errors import NotFound, PreconditionFailed, Recovery, TargetUnreachable
from reconciler.domain.failure import Failure
from reconciler.domain.host import LOCAL, HostHealth
from reconciler.domain.target import TargetStrategy
from reconciler.pipeline.drift import DriftWatch
from reconciler.pipeline.explain import Explainer, StandingCode
from reconciler.pipeline.target_reports import TargetNow, TargetReports
from reconciler.testing import digest_of
from tests.unit.pipeline.conftest import WEB, A, B, C, World

MINUTE = timedelta(minutes=1)


@dataclass
class Watched:
    """A project whose targets are looked at."""

    world: World
    watch: DriftWatch
    asked: list[Collection[str] | None]

    def look(self, minutes: int = 1) -> None:
        self.watch.tick()
        self.world.clock.advance(minutes * MINUTE)

    def standing(self) -> StandingCode:
        world = self.world
        return Explainer(world.store, world.clock, world.brakes).summary(WEB).standing


@contextmanager
def watched(world: World) -> Iterator[Watched]:
    reports = TargetReports(world.store, {TargetStrategy.COMPOSE: world.strategy}, dict)
    asked: list[Collection[str] | None] = []

    def ask(projects: Collection[str] | None) -> Sequence[TargetNow]:
        asked.append(projects)
        return reports.all(projects)

    try:
        watch = DriftWatch(world.store, world.clock, ask, world.brakes)
        yield Watched(world, watch, asked)
    finally:
        reports.close()


def change_by_hand(world: World) -> None:
    (sample,) = world.strategy.running[WEB, LOCAL]
    other = replace(sample, digests=frozenset({digest_of("by hand")}))
    world.strategy.running[WEB, LOCAL] = [other]


def test_a_change_by_hand_counts_once_it_was_seen_twice(world: World) -> None:
    """With what differs, and since when; it is over once what was deployed runs again."""
    world.deploy(A)
    good = world.strategy.running[WEB, LOCAL]
    with watched(world) as seen:
        change_by_hand(world)
        seen.look()
        assert seen.standing() is StandingCode.IN_SYNC
        seen.look()
        assert seen.standing() is StandingCode.DRIFTED
        drift = world.store.get_state(WEB).drift
        assert drift is not None
        assert "pinned is" in drift.differences[0]
        seen.look()
        after = world.store.get_state(WEB).drift
        assert after == drift, "it goes on, since then"
        world.strategy.running[WEB, LOCAL] = good
        seen.look()
        assert seen.standing() is StandingCode.IN_SYNC


def test_a_project_that_says_so_is_mended(world: World) -> None:
    """Once no brake is on, from what is kept; and a person may do it anywhere."""
    first = world.deploy(A)
    good = world.strategy.running[WEB, LOCAL]
    project = replace(world.store.get_project(WEB), mend_drift=True)
    world.store.update_project(project)
    with watched(world) as seen:
        world.switch(enabled=False)
        change_by_hand(world)
        for _ in range(3):
            seen.look()
        assert seen.standing() is StandingCode.DRIFTED
        world.switch(enabled=True)
        seen.look()
        mending = world.store.get_state(WEB).queued
        assert mending is not None
        assert (mending.restores, mending.causes[0].trigger) == (first.id, Trigger.DRIFT)
        world.roll_out()
        (mended,), (before,) = world.strategy.running[WEB, LOCAL], good
        assert mended.digests == before.digests
        assert seen.standing() is StandingCode.IN_SYNC


def test_what_drifts_again_at_once_is_left_for_a_while(world: World) -> None:
    """What goes on changing it would be deployed against for ever."""
    world.deploy(A)
    world.store.update_project(replace(world.store.get_project(WEB), mend_drift=True))
    with watched(world) as seen:
        for again in (False, True):
            change_by_hand(world)
            seen.look(minutes=6)
            seen.look(minutes=6)
            assert (world.store.get_state(WEB).queued is None) is again
            if not again:
                world.roll_out()
        assert seen.standing() is StandingCode.DRIFTED
        world.clock.advance(30 * MINUTE)
        seen.look()
        assert world.store.get_state(WEB).queued is not None


def test_mending_says_nothing_of_the_source(world: World) -> None:
    """What failed is not new once more."""
    world.deploy(A)
    world.strategy.failures["prepare"] = [PreconditionFailed("there is no room")]
    assert world.deploy(B).status is Status.FAILED
    world.store.update_project(replace(world.store.get_project(WEB), mend_drift=True))
    tracked = world.store.get_state(WEB).tracked_commit
    with watched(world) as seen:
        change_by_hand(world)
        seen.look()
        seen.look()
    state = world.store.get_state(WEB)
    assert state.queued is not None
    assert tracked == B
    assert state.tracked_commit == B


def test_mending_takes_no_place_of_what_came_while_it_looked(world: World) -> None:
    world.deploy(A)
    world.store.update_project(replace(world.store.get_project(WEB), mend_drift=True))
    with watched(world) as seen:
        change_by_hand(world)
        seen.look()
        ask = seen.watch.ask

        def ask_slowly(projects: Collection[str] | None) -> Sequence[TargetNow]:
            found = ask(projects)
            world.trigger(C)
            return found

        seen.watch.ask = ask_slowly
        seen.look()
    queued = world.store.get_state(WEB).queued
    assert queued is not None
    assert (queued.revision.commit, queued.restores) == (C, None)


def test_what_is_seen_once_is_forgotten(world: World) -> None:
    world.deploy(A)
    good = world.strategy.running[WEB, LOCAL]
    with watched(world) as seen:
        for _ in range(2):
            change_by_hand(world)
            seen.look()
            world.strategy.running[WEB, LOCAL] = good
            seen.look(minutes=6)
        assert world.store.get_state(WEB).drift is None


def test_another_deployment_ends_it(world: World) -> None:
    world.deploy(A)
    with watched(world) as seen:
        change_by_hand(world)
        seen.look()
        seen.look()
        live = world.store.get_state(WEB).live
        world.deploy(B)
        assert world.store.get_state(WEB).drift is None
        assert live is not None
        assert not world.store.record_drift(WEB, live.id, ["an old look"], world.clock.now())
        assert world.store.get_state(WEB).drift is None


def test_a_calm_project_is_left_alone_for_minutes(world: World) -> None:
    """And one that was never deployed, or is being deployed, is not asked at all."""
    with watched(world) as seen:
        seen.look()
        assert seen.asked == []
        world.deploy(A)
        for _ in range(5):
            seen.look()
        assert seen.asked == [[WEB]]
        seen.look()
        assert len(seen.asked) == 2
        world.trigger(B)
        seen.look(minutes=10)
        assert len(seen.asked) == 2


def test_what_nobody_could_look_at_changes_nothing(world: World) -> None:
    world.deploy(A)
    with watched(world) as seen:
        change_by_hand(world)
        seen.look()
        seen.look()
        known = world.store.get_state(WEB).drift
        world.strategy.failures["report"] = [TargetUnreachable("it is away")] * 3
        for _ in range(3):
            seen.look()
        assert known is not None
        assert world.store.get_state(WEB).drift == known


def test_a_host_that_is_silent_for_minutes_makes_it_unknown(world: World) -> None:
    """A restart does not."""
    world.deploy(A)
    away = Failure(TargetUnreachable.code, "local does not answer", Recovery.RETRY)
    health = HostHealth(world.clock.now(), world.clock.now(), away)
    explainer = Explainer(world.store, world.clock, world.brakes, lambda: {LOCAL: health})
    world.clock.advance(4 * MINUTE)
    assert explainer.summary(WEB).standing is StandingCode.IN_SYNC
    world.clock.advance(2 * MINUTE)
    found = explainer.summary(WEB)
    assert found.standing is StandingCode.UNKNOWN
    assert "local does not answer" in found.text


def test_a_project_that_goes_is_forgotten(world: World) -> None:
    world.deploy(A)
    live = world.store.get_state(WEB).live
    with watched(world) as seen:
        seen.look()
        world.store.remove_project(WEB)
        seen.look(minutes=10)
        assert len(seen.asked) == 1
    try:
        world.store.record_drift(WEB, live.id if live else 0, ["gone"], world.clock.now())  # type: ignore[arg-type]
    except NotFound:
        return
    raise AssertionError("it was there")
