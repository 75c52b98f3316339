"""The queue: one waits, one runs, and nothing that moved is forgotten."""

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest

from reconciler.domain.admission import Request
from reconciler.domain.deployment import (
    TRANSITIONS,
    Cause,
    Deployment,
    DeploymentId,
    Status,
    Trigger,
)
from reconciler.domain.errors import ClaimLost, Conflict, NotFound
from reconciler.domain.host import LOCAL, HostPath
from reconciler.domain.project import HostedSource
from reconciler.domain.references import BranchName, ProjectName
from reconciler.domain.revision import Revision
from reconciler.domain.state import PassedOver
from reconciler.domain.target import Target, TargetStrategy
from reconciler.pipeline.trigger import trigger_deployment
from reconciler.ports import Claim, QueuePlace
from reconciler.store.sql_store import SqlStore
from reconciler.store.transaction import MOST_TRIGGERS
from tests.parts.stores import (
    NOW,
    WEB,
    Site,
    ask,
    claim,
    commit,
    digest,
    failure,
    prepared,
    project,
    queue,
)

APP = "registry.example/app:1"


@pytest.fixture(autouse=True)
def _web(store: SqlStore) -> None:
    store.create_project(project())


def tracked(store: SqlStore) -> str | None:
    found = store.get_state(WEB).tracked_commit
    return found.text[0] if found else None


class TestPlaces:
    def test_what_is_before_one_that_waits(self, store: SqlStore) -> None:
        """Of all projects: what runs, and the older ones whose time has come."""
        for name in ("a", "b", "c"):
            store.create_project(project(name))
            ask(store, "a", name=ProjectName(name))
        claimed = claim(store)
        store.retry_later(claimed, NOW + timedelta(hours=1), failure())
        claim(store)
        waits = queue(store, "a")
        assert store.queue_place(waits.id, NOW) == QueuePlace(running=1, ahead=1)
        later = NOW + timedelta(hours=1)
        assert store.queue_place(waits.id, later) == QueuePlace(running=1, ahead=2)

    def test_what_was_tracked_before_is_part_of_it(self, store: SqlStore) -> None:
        """Also of one that took the place of another before that began."""
        first = queue(store, "a", images={APP: digest("1")})
        assert first.before == Revision(None)
        store.finish(claim(store), Status.FAILED, NOW)
        queue(store, "b")
        last = queue(store, "c", images={APP: digest("2")})
        assert last.before == Revision(commit("a"), {APP: digest("1")})


class TestTriggers:
    def test_admitting_records_attempt_and_queue_together(self, store: SqlStore) -> None:
        deployment = queue(store, "a", images={APP: digest("1")})
        state = store.get_state(WEB)
        assert (state.queued, state.latest, state.running) == (deployment, deployment, None)
        assert (tracked(store), state.tracked_images) == ("a", {APP: digest("1")})

    def test_what_is_promoted_and_why_it_goes_past_the_rules_is_kept(self, store: SqlStore) -> None:
        """From the request to the end."""
        cause = Cause(Trigger.PROMOTION, "promotion")
        revision = Revision(commit("a"), {"web": digest("1")})
        request = Request(WEB, revision, cause, promotes=DeploymentId(7), override="the fair")
        trigger_deployment(store, request, brakes=lambda switch: switch, now=NOW)
        held = claim(store)
        assert (held.deployment.promotes, held.deployment.override) == (7, "the fair")
        store.finish(held, Status.DEPLOYED, NOW)
        ended = store.get_deployment(held.deployment.id)
        assert (ended.promotes, ended.override) == (7, "the fair")
        assert store.get_state(WEB).tracked_images == {"web": digest("1")}
        plain = queue(store, "b")
        assert (plain.promotes, plain.override) == (None, "")

    def test_an_exception_inside_leaves_nothing(self, store: SqlStore) -> None:
        with pytest.raises(NotFound):
            ask(store, "a", name=ProjectName("nobody"))
        request = Request(WEB, Revision(commit("a")), Cause(Trigger.PUSH, "test"))

        def fall_over() -> None:
            with store.transaction() as transaction:
                transaction.get_project(WEB)
                transaction.queue(request, None, NOW)
                raise RuntimeError

        with pytest.raises(RuntimeError):
            fall_over()
        assert store.get_state(WEB).latest is None

    def test_the_same_revision_again_coalesces_with_its_cause(self, store: SqlStore) -> None:
        first = queue(store, "a")
        again = ask(store, "a", trigger=Trigger.WEBHOOK)
        assert again.outcome == "coalesced"
        causes = store.get_deployment(first.id).causes
        assert [cause.trigger for cause in causes] == [Trigger.GIT_POLL, Trigger.WEBHOOK]

    def test_a_newer_revision_replaces_the_one_that_waits(self, store: SqlStore) -> None:
        older, newer = queue(store, "a"), queue(store, "b")
        replaced = store.get_deployment(older.id)
        assert (replaced.status, replaced.superseded_by) == (Status.SUPERSEDED, newer.id)
        assert store.get_state(WEB).queued == newer

    @pytest.mark.timeout(120)
    def test_triggers_at_once_leave_one_waiting(self, site: Site) -> None:
        """Released together 20 times, four triggers of two revisions queue one deployment."""
        stores = [site.open(), site.open()]
        rounds, barrier, bugs = 20, threading.Barrier(4), list[Exception]()

        def trigger(number: int) -> None:
            try:
                for turn in range(rounds):
                    barrier.wait(timeout=30)
                    ask(stores[number % 2], "0123456789abcdef"[turn % 8 * 2 + number // 2])
            except Exception as error:  # noqa: BLE001  reported below
                bugs.append(error)
                barrier.abort()

        threads = [threading.Thread(target=trigger, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not bugs
        waiting = stores[0].list_deployments(WEB, statuses=[Status.QUEUED], limit=1000)
        replaced = stores[0].list_deployments(WEB, statuses=[Status.SUPERSEDED], limit=1000)
        assert len(waiting) == 1
        # Each round admits at least one of its two revisions.
        assert rounds - 1 <= len(replaced) <= rounds * 4


class TestRecords:
    def test_equal_calls_in_a_row_are_one_record(self, store: SqlStore) -> None:
        ask(store, "a")
        for minute in range(1, 4):
            ask(store, "a", now=NOW + timedelta(minutes=minute))
        newest, first = store.list_triggers(WEB)
        assert (first.outcome, first.count, first.last_at) == ("admitted", 1, NOW)
        assert (newest.outcome, newest.count) == ("coalesced", 3)
        assert (newest.at, newest.last_at) == (
            NOW + timedelta(minutes=1),
            NOW + timedelta(minutes=3),
        )

    @pytest.mark.slow
    def test_only_the_newest_are_kept(self, store: SqlStore) -> None:
        for number in range(MOST_TRIGGERS + 10):
            ask(store, "ab"[number % 2])
        kept = store.list_triggers(WEB, limit=1000)
        assert len(kept) == MOST_TRIGGERS
        assert kept[0].revision.commit == commit("b")


class TestTracking:
    """What is withdrawn is noticed again; what moved on since then is left alone."""

    def test_withdrawing_puts_back_what_was_tracked(self, store: SqlStore) -> None:
        _deploy(store, "a")
        before = store.get_state(WEB)
        waiting = queue(store, "b", images={APP: digest("2")})
        assert store.withdraw_queued(waiting.id, failure(), NOW)
        after = store.get_state(WEB)
        assert (after.tracked_commit, after.tracked_images) == (commit("a"), before.tracked_images)
        assert store.get_deployment(waiting.id).status is Status.WITHDRAWN
        assert ask(store, "b").admitted

    def test_the_first_one_withdrawn_leaves_nothing_tracked(self, store: SqlStore) -> None:
        store.withdraw_queued(queue(store, "a", images={APP: digest("1")}).id, failure(), NOW)
        state = store.get_state(WEB)
        assert (state.tracked_commit, state.tracked_images) == (None, {})

    def test_a_replacement_answers_for_what_it_replaced(self, store: SqlStore) -> None:
        _deploy(store, "a")
        queue(store, "b", images={APP: digest("2")})
        store.withdraw_queued(queue(store, "c").id, failure(), NOW)
        state = store.get_state(WEB)
        assert (tracked(store), state.tracked_images) == ("a", {APP: digest("1")})

    def test_there_and_back_again_tracks_the_first(self, store: SqlStore) -> None:
        """A live, B running, A again: B withdrawn leaves A, and A is deployed once more."""
        _deploy(store, "a")
        queue(store, "b")
        running = claim(store)
        again = queue(store, "a")
        store.finish(running, Status.WITHDRAWN, NOW, error=failure())
        assert tracked(store) == "a"
        assert claim(store).deployment.id == again.id

    def test_both_withdrawn_leaves_what_is_live(self, store: SqlStore) -> None:
        """The order of the two does not matter: neither B nor C counts as dealt with."""
        _deploy(store, "a")
        queue(store, "b")
        running = claim(store)
        waiting = queue(store, "c")
        store.finish(running, Status.WITHDRAWN, NOW)
        assert tracked(store) == "c"
        store.withdraw_queued(waiting.id, failure(), NOW)
        assert tracked(store) == "a"

    def test_a_failed_one_stays_tracked(self, store: SqlStore) -> None:
        queue(store, "a")
        store.finish(claim(store), Status.FAILED, NOW, error=failure())
        assert tracked(store) == "a"

    def test_a_withdrawn_person_does_not_move_the_source(self, store: SqlStore) -> None:
        _deploy(store, "a")
        waiting = queue(store, "b", trigger=Trigger.PERSON)
        assert tracked(store) == "a"
        store.withdraw_queued(waiting.id, failure(), NOW)
        assert tracked(store) == "a"


class TestEnds:
    def test_deployed_is_live_and_knows_its_digests(self, store: SqlStore) -> None:
        store.seed_images(WEB, {APP: digest("9")})
        done = _deploy(store, "a", {APP: digest("1"), "new:1": digest("2")})
        state = store.get_state(WEB)
        assert state.live is not None
        assert (state.live.id, state.live.status) == (done.id, Status.DEPLOYED)
        assert state.tracked_images == {APP: digest("9"), "new:1": digest("2")}

    @pytest.mark.parametrize("auto_deploy", [True, False])
    def test_deployed_seeds_what_is_watched(self, store: SqlStore, auto_deploy: bool) -> None:
        store.update_project(replace(project(), auto_deploy=auto_deploy))
        queue(store, "a", trigger=Trigger.PERSON)
        running = claim(store)
        store.record_prepared(running, prepared("a"))
        store.finish(running, Status.DEPLOYED, NOW)
        assert store.get_state(WEB).images_seeded is auto_deploy

    def test_deployed_seeds_what_was_adopted(self, store: SqlStore) -> None:
        hosted = HostedSource(WEB, BranchName("main"))
        target = Target(WEB, LOCAL, TargetStrategy.COMPOSE, base=HostPath("/srv/apps/web"))
        adopted = replace(project(), auto_deploy=False, source=hosted, targets=(target,))
        store.update_project(adopted)
        queue(store, "a", trigger=Trigger.PERSON)
        running = claim(store)
        store.record_prepared(running, prepared("a"))
        store.finish(running, Status.DEPLOYED, NOW)
        assert store.get_state(WEB).images_seeded

    def test_rolled_back_keeps_the_one_that_runs_live(self, store: SqlStore) -> None:
        good = _deploy(store, "a")
        bad = _roll_back(store, "b", to=good)
        state = store.get_state(WEB)
        assert state.live is not None
        assert state.live.id == good.id
        assert [q.deployment for q in state.quarantined] == [bad.id]
        assert state.quarantined[0].revision == prepared("b").revision
        assert ask(store, "b").outcome == "refused"

    def test_a_later_success_lifts_the_quarantine(self, store: SqlStore) -> None:
        _roll_back(store, "b", to=_deploy(store, "a"))
        assert store.get_state(WEB).quarantined
        _deploy(store, "c")
        assert not store.get_state(WEB).quarantined

    def test_lifting_makes_the_next_look_see_the_difference(self, store: SqlStore) -> None:
        _roll_back(store, "b", to=_deploy(store, "a"))
        assert tracked(store) == "b"
        assert (store.lift_quarantine(WEB), tracked(store)) == (1, "a")
        assert (store.lift_quarantine(WEB), tracked(store)) == (0, "a")
        assert ask(store, "b").admitted

    def test_lifting_has_a_commit_that_was_passed_over_decided_anew(self, store: SqlStore) -> None:
        _roll_back(store, "b", to=_deploy(store, "a"))
        passed = PassedOver(commit("c"), "skip-marker", "says so", NOW, commit("a"))
        assert store.pass_over(store.get_project(WEB), commit("b"), passed)
        store.lift_quarantine(WEB)
        assert store.get_state(WEB).passed_over is None

    def test_only_verified_ones_can_be_restored_while_kept(self, store: SqlStore) -> None:
        good = _deploy(store, "a")
        _roll_back(store, "b", to=good)
        better = _deploy(store, "c")
        assert [one.id for one in store.list_restorable(WEB)] == [better.id, good.id]
        store.drop_prepared(good.id)
        assert [one.id for one in store.list_restorable(WEB)] == [better.id]
        assert store.get_deployment(good.id).prepared is not None

    def test_a_retry_waits_for_its_time(self, store: SqlStore) -> None:
        queue(store, "a")
        later = NOW + timedelta(minutes=5)
        store.retry_later(claim(store), later, failure())
        assert store.claim_next("worker", later - timedelta(seconds=1), lease=timedelta(1)) is None
        again = claim(store, now=later)
        assert (again.deployment.attempt, again.fence, again.resumed) == (2, 2, False)
        assert again.deployment.error == failure()

    def test_a_retry_makes_way_for_a_newer_one(self, store: SqlStore) -> None:
        _deploy(store, "z")
        queue(store, "a", images={APP: digest("5")})
        running = claim(store)
        newer = queue(store, "b")
        store.retry_later(running, NOW, failure())
        older = store.get_deployment(running.deployment.id)
        assert (older.status, older.superseded_by) == (Status.SUPERSEDED, newer.id)
        store.withdraw_queued(newer.id, failure(), NOW)
        state = store.get_state(WEB)
        assert (tracked(store), state.tracked_images) == ("z", {APP: digest("1")})


# ── Transitions ───────────────────────────────────────────────────────────────────────────────


def _finish(status: Status, store: SqlStore, held: Claim) -> None:
    store.finish(held, status, NOW)


_MOVES: dict[Status, Callable[[SqlStore, Claim], object]] = {
    Status.QUEUED: lambda store, held: store.retry_later(held, NOW, failure()),
    **{
        status: partial(_finish, status) for status in TRANSITIONS[Status.RUNNING] - {Status.QUEUED}
    },
}


@pytest.mark.parametrize("move", sorted(_MOVES))
@pytest.mark.parametrize("start", sorted(Status))
def test_a_claim_moves_only_what_runs(store: SqlStore, start: Status, move: Status) -> None:
    """Every way that the law does not know is refused, and changes nothing."""
    queue(store, "a")
    held = claim(store)
    if start is not Status.RUNNING:
        _MOVES[start](store, held)
    before = store.get_deployment(held.deployment.id)
    assert before.status is start
    if start is Status.RUNNING:
        _MOVES[move](store, held)
        assert store.get_deployment(held.deployment.id).status is move
        return
    with pytest.raises(ClaimLost):
        _MOVES[move](store, held)
    assert store.get_deployment(held.deployment.id) == before


@pytest.mark.parametrize("status", [Status.QUEUED, Status.RUNNING])
def test_an_end_is_an_end(store: SqlStore, status: Status) -> None:
    """Finishing needs a status that is final."""
    queue(store, "a")
    with pytest.raises(Conflict):
        store.finish(claim(store), status, NOW)


@pytest.mark.parametrize("start", sorted(set(Status) - {Status.QUEUED}))
def test_only_what_waits_is_withdrawn(store: SqlStore, start: Status) -> None:
    """Withdrawing anything else answers that it came too late."""
    waiting = queue(store, "a")
    held = claim(store)
    if start is not Status.RUNNING:
        _MOVES[start](store, held)
    assert not store.withdraw_queued(waiting.id, failure(), NOW)
    assert store.get_deployment(waiting.id).status is start


def _deploy(store: SqlStore, letter: str, images: dict[str, object] | None = None) -> Deployment:
    queue(store, letter)
    running = claim(store)
    store.record_prepared(running, prepared(letter, images))  # type: ignore[arg-type]
    store.finish(running, Status.DEPLOYED, NOW)
    return store.get_deployment(running.deployment.id)


def _roll_back(store: SqlStore, letter: str, *, to: Deployment) -> Deployment:
    queue(store, letter)
    running = claim(store)
    store.record_prepared(running, prepared(letter))
    store.finish(
        running,
        Status.ROLLED_BACK,
        NOW,
        error=failure(),
        rolled_back_to=to.id,
        quarantine="web is unhealthy",
    )
    return store.get_deployment(running.deployment.id)
