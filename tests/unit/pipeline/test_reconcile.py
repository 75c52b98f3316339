"""One pass over one project: what was seen against what was acted on."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from reconciler.domain.deployment import Status, Trigger
from reconciler.domain.host import LOCAL, HostPath
from reconciler.domain.project import HostedSource
from reconciler.domain.reason_codes import ReasonCode
from reconciler.domain.references import BranchName, CommitSha
from reconciler.domain.state import ImageLook
from reconciler.domain.target import Target, TargetStrategy
from reconciler.domain.wish import Wish
from reconciler.pipeline.reconcile import InSync, OutOfDate, Seeded
from reconciler.pipeline.trigger import TriggerResult
from reconciler.testing import digest_of
from tests.unit.pipeline.conftest import IMAGE, WEB, A, B, C, World

SIDECAR = "registry.example/team/sidecar:1"
POLL = Wish(Trigger.GIT_POLL, "git-poll")


WATCH = Wish(Trigger.IMAGE_WATCH, "image-watch")
EVENT = Wish(Trigger.REGISTRY_EVENT, "registry")


def look(world: World, **digests: str) -> ImageLook:
    """Begin a look now that gives ``digests``."""
    names = {"app": IMAGE, "sidecar": SIDECAR}
    seen = {names[name]: digest_of(seed) for name, seed in digests.items()}
    return ImageLook(WEB, [IMAGE, SIDECAR], seen, world.store.get_state(WEB).tracked_images)


def see(world: World, **digests: str) -> TriggerResult | InSync | Seeded | OutOfDate:
    return world.reconciler.reconcile_images(look(world, **digests), WATCH)


def test_the_first_look_deploys_once_to_align(world: World) -> None:
    """Nothing is tracked yet, so the first tip is a move; the second look finds nothing."""
    first = world.reconciler.reconcile_commit(WEB, A, None, POLL)
    assert isinstance(first, TriggerResult)
    assert first.admitted
    tracked = world.store.get_state(WEB).tracked_commit
    assert world.reconciler.reconcile_commit(WEB, A, tracked, POLL) == InSync()


def test_the_first_look_at_images_only_records(world: World) -> None:
    """Later looks compare with what the first one saw."""
    assert see(world, app="one", sidecar="one") == Seeded((IMAGE, SIDECAR))
    assert see(world, app="one", sidecar="one") == InSync()
    moved = see(world, app="two", sidecar="one")
    assert isinstance(moved, TriggerResult)
    assert moved.admitted
    assert world.store.get_state(WEB).tracked_images[IMAGE] == digest_of("two")


def test_what_was_adopted_is_first_seen_as_it_was_deployed(world: World) -> None:
    """What ran may be older than its tag by then; so the move counts, however late it is seen."""
    target = Target(WEB, LOCAL, TargetStrategy.COMPOSE, base=HostPath("/srv/apps/web"))
    hosted = HostedSource(WEB, BranchName("main"))
    declared = world.store.get_project(WEB)
    world.store.update_project(replace(declared, source=hosted, targets=(target,)))
    assert see(world, app="two") == InSync()
    assert not world.store.get_state(WEB).images_seeded
    world.strategy.digests = {IMAGE: digest_of("one")}
    world.deploy(A)
    assert world.store.get_state(WEB).tracked_images == {IMAGE: digest_of("one")}
    moved = see(world, app="two")
    assert isinstance(moved, TriggerResult)
    assert moved.admitted


def test_several_moved_digests_are_one_deployment(world: World) -> None:
    """The new map is recorded whole."""
    see(world, app="one", sidecar="one")
    see(world, app="two", sidecar="two")
    assert len(world.store.list_deployments(WEB)) == 1
    assert see(world, app="two", sidecar="two") == InSync()


def test_a_failed_lookup_is_unknown_not_new(world: World) -> None:
    """An image that nobody could look up at the seed is compared with what runs."""
    world.deploy(A)
    world.store.seed_images(WEB, {})
    assert see(world, sidecar="one") == Seeded((SIDECAR,))
    moved = see(world, app="moved while unknown", sidecar="one")
    assert isinstance(moved, TriggerResult)
    assert moved.admitted


def test_a_lookup_that_fails_later_keeps_what_was_known(world: World) -> None:
    """A registry that hiccups causes no deployment, and hides no move."""
    see(world, app="one", sidecar="one")
    assert see(world, sidecar="one") == InSync()
    moved = see(world, app="two", sidecar="one")
    assert isinstance(moved, TriggerResult)


def test_an_image_that_appeared_is_recorded_and_one_that_left_is_dropped(world: World) -> None:
    """Neither triggers anything."""
    see(world, app="one")
    assert see(world, app="one", sidecar="one") == Seeded((SIDECAR,))
    without = replace(look(world, app="one"), followed=[IMAGE])
    left = world.reconciler.reconcile_images(without, WATCH)
    assert left == Seeded(())
    assert world.store.get_state(WEB).tracked_images == {IMAGE: digest_of("one")}


def test_a_look_that_ends_late_never_deploys_backwards(world: World) -> None:
    """Whether it saw what was there before or something in between: a newer one was acted on."""
    see(world, app="one")
    before, between = look(world, app="one"), look(world, app="two")
    newest = world.reconciler.reconcile_images(look(world, app="three"), EVENT)
    assert isinstance(newest, TriggerResult)
    for late in (before, between):
        assert world.reconciler.reconcile_images(late, WATCH) == OutOfDate()
    assert world.store.get_state(WEB).tracked_images == {IMAGE: digest_of("three")}
    (only,) = world.store.list_deployments(WEB)
    assert [(one.trigger, one.actor) for one in only.causes] == [
        (Trigger.REGISTRY_EVENT, "registry")
    ]


def test_a_look_beside_another_one_is_made_again(world: World) -> None:
    """It may have seen what is newest: the next one, begun after the other, says."""
    see(world, app="one")
    event = look(world, app="three")
    see(world, app="two")
    assert world.reconciler.reconcile_images(event, EVENT) == OutOfDate()
    again = world.reconciler.reconcile_images(look(world, app="three"), EVENT)
    assert isinstance(again, TriggerResult)
    assert again.admitted


def test_only_what_another_look_acted_on_is_out_of_date(world: World) -> None:
    """What a late look saw of other images counts still."""
    see(world, app="one", sidecar="one")
    late = look(world, app="one", sidecar="two")
    world.reconciler.reconcile_images(look(world, app="two"), EVENT)
    moved = world.reconciler.reconcile_images(late, WATCH)
    assert isinstance(moved, TriggerResult)
    assert moved.deployment is not None
    both = {IMAGE: digest_of("two"), SIDECAR: digest_of("two")}
    assert moved.deployment.revision.images == both
    first_sight = look(world)
    assert world.reconciler.reconcile_images(first_sight, WATCH) == InSync()


def test_of_two_looks_at_the_same_instant_one_is_acted_on(world: World) -> None:
    """The other is out of date, however close they come: no thread's memory decides that."""
    see(world, app="start")
    with ThreadPoolExecutor(2) as pool:
        for number in range(25):
            looks = [look(world, app=f"{number}-{side}") for side in "ab"]
            barrier = threading.Barrier(2)

            def act(one: ImageLook, barrier: threading.Barrier = barrier) -> object:
                barrier.wait()
                return world.reconciler.reconcile_images(one, EVENT)

            ends = list(pool.map(act, looks))
            assert sorted(type(end).__name__ for end in ends) == ["OutOfDate", "TriggerResult"]
    assert len(world.store.list_deployments(WEB, limit=100)) == 25


def test_a_look_at_images_keeps_the_newest_commit(world: World) -> None:
    """A digest that moves does not push a commit that arrived meanwhile out of the queue."""
    see(world, app="one")
    world.trigger(B)
    moved = see(world, app="two")
    assert isinstance(moved, TriggerResult)
    assert moved.deployment is not None
    assert moved.deployment.revision.commit == B
    assert [one.status for one in world.store.list_deployments(WEB)] == [
        Status.QUEUED,
        Status.SUPERSEDED,
    ]


def test_eleven_quick_pushes_are_at_most_two_deployments(world: World) -> None:
    """What waits is replaced by what is newer; what runs is left to finish."""
    world.trigger(A)
    running = world.claim()
    for number in range(11):
        commit = CommitSha(f"{number:040d}")
        world.trigger(commit, Trigger.PUSH)
    world.roll_out(running)
    world.roll_out()
    done = [one for one in world.store.list_deployments(WEB) if one.status is Status.DEPLOYED]
    assert [one.revision.commit for one in done] == [CommitSha(f"{10:040d}"), A]


def test_back_and_forth_ends_where_the_branch_is(world: World) -> None:
    """A, then B, then A again: each is compared with what is live, not with history."""
    for commit in (A, B, A):
        assert world.deploy(commit).status is Status.DEPLOYED
    live = world.store.get_state(WEB).live
    assert live is not None
    assert live.revision.commit == A


def test_moves_while_the_switch_is_off_deploy_once_when_it_is_on(world: World) -> None:
    """Held requests are not forgotten, and not counted one by one."""
    world.deploy(A)
    world.switch(False)
    for commit in (B, C):
        tracked = world.store.get_state(WEB).tracked_commit
        held = world.reconciler.reconcile_commit(WEB, commit, tracked, POLL)
        assert isinstance(held, TriggerResult)
        assert held.reasons[0].code is ReasonCode.MASTER_SWITCH_OFF
    world.switch(True)
    tracked = world.store.get_state(WEB).tracked_commit
    released = world.reconciler.reconcile_commit(WEB, C, tracked, POLL)
    assert isinstance(released, TriggerResult)
    assert released.admitted
    assert len(world.store.list_deployments(WEB)) == 2


def test_equal_answers_in_a_row_are_one_record(world: World) -> None:
    """A project that is held for a week leaves one line that counts."""
    world.switch(False)
    for _ in range(5):
        world.trigger(A)
    records = world.store.list_triggers(WEB)
    assert [(record.outcome, record.count) for record in records] == [("held", 5)]


@pytest.mark.parametrize("rounds", [25])
def test_triggers_at_once_give_one_deployment(world: World, rounds: int) -> None:
    """Poll, push and webhook in the same instant queue one deployment."""
    with ThreadPoolExecutor(8) as pool:
        for number in range(rounds):
            commit = CommitSha(f"{number:040d}")
            barrier = threading.Barrier(8)

            def ask(commit: CommitSha = commit, barrier: threading.Barrier = barrier) -> str:
                barrier.wait()
                return world.trigger(commit, Trigger.PUSH).outcome

            outcomes = sorted(future.result() for future in [pool.submit(ask) for _ in range(8)])
            assert outcomes == ["admitted"] + ["coalesced"] * 7
    assert len(world.store.list_deployments(WEB, limit=100)) == rounds
