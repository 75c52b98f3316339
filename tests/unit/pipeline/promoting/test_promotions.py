"""What one environment verified goes to the next: by itself, or once people agree."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest
from sqlalchemy import event

from reconciler.domain.channel import Address, Channel, ChannelName
from reconciler.domain.deployment import (
    Cause,
    Deployment,
    DeploymentId,
    PreparedRevision,
    PreparedTarget,
    Stage,
    Status,
    Trigger,
)
from reconciler.domain.errors import (
    AccessDenied,
    Conflict,
    InvalidInput,
    NotFound,
    Recovery,
    Refused,
    TargetUnreachable,
)
from reconciler.domain.failure import Failure
from reconciler.domain.gate import MasterSwitch
from reconciler.domain.health_check import parse_health_check
from reconciler.domain.host import LOCAL, HostHealth, HostName
from reconciler.domain.migration import Migration
from reconciler.domain.promotion import Environment, EnvironmentName, PromotionStatus
from reconciler.domain.reason_codes import ReasonCode
from reconciler.domain.references import ProjectName
from reconciler.domain.rules import Freeze, Rules
from reconciler.domain.secret import Secret
from reconciler.domain.target import Target, TargetStrategy
from reconciler.domain.verification import Health
from reconciler.pipeline.promoting.advancing import Advancing
from reconciler.pipeline.promoting.origin import read_origin
from reconciler.pipeline.requests import Approved, Requests
from reconciler.ports import OutboxKind, Work
from reconciler.testing import RehearsedStrategy, digest_of
from tests.unit.pipeline.conftest import IMAGE, WEB, A, B, C
from tests.unit.pipeline.promoting.way import HOUR, MINUTE, PRODUCTION, Way
from tests.unit.pipeline.states import unhealthy

STAGING = ProjectName("web-staging")


# ── By itself ─────────────────────────────────────────────────────────────────────────────────


def test_what_was_verified_goes_on_with_the_same_digest(way: Way) -> None:
    """D5: the tag names something else by then, and nobody looks."""
    way.declare()
    verified = way.verify(A, "first")
    way.world.strategy.digests[IMAGE] = digest_of("moved")
    way.tick()
    live = way.live()
    assert live is not None
    assert (live.status, live.promotes) == (Status.DEPLOYED, verified.id)
    assert way.seen("first", PRODUCTION)
    assert live.target_revision.images[IMAGE] == digest_of("first")
    cause = live.causes[0]
    assert cause.trigger is Trigger.PROMOTION
    assert cause.detail == f"promotion of {A.short} from test (deployment {verified.id})"
    promotion = way.newest()
    assert (promotion.status, promotion.became) == (PromotionStatus.PROMOTED, live.id)
    way.tick()
    assert way.live() == live
    assert len(way.promotions.history(PRODUCTION)) == 1


def test_it_goes_through_every_environment_in_turn(way: Way) -> None:
    """The last one gets what the first one verified, and not what is behind the tag."""
    way.declare(STAGING)
    way.declare(PRODUCTION, STAGING)
    way.verify(A, "first")
    way.world.strategy.digests[IMAGE] = digest_of("moved")
    for _ in range(2):
        way.tick()
    assert way.seen("first", STAGING)
    assert way.seen("first", PRODUCTION)


def test_a_failing_test_leaves_production_untouched_and_says_why(way: Way) -> None:
    """D3."""
    way.declare()
    way.verify(A, "first")
    way.tick()
    before = way.live()
    way.world.strategy.looks[digest_of("bad")] = unhealthy
    failed = way.verify(B, "bad")
    assert failed.status is Status.ROLLED_BACK
    way.later(HOUR)
    assert way.live() == before
    assert "is not verified on test" in way.why()[ReasonCode.NOT_VERIFIED_UPSTREAM]
    with pytest.raises(Refused) as refused:
        way.propose(deployment=failed.id)
    assert refused.value.code == ReasonCode.NOT_VERIFIED_UPSTREAM


def test_a_failing_production_goes_back_and_is_not_tried_again(way: Way) -> None:
    """It is quarantined there; the next one that is verified goes on."""
    way.declare()
    way.verify(A, "first")
    way.tick()
    good = way.live()
    way.verify(B, "second")
    way.world.strategy.looks[digest_of("second")] = unhealthy
    way.tick()
    assert way.live() == good
    assert way.seen("first", PRODUCTION)
    count = len(way.world.store.list_deployments(PRODUCTION))
    for _ in range(3):
        way.later(HOUR)
    assert len(way.world.store.list_deployments(PRODUCTION)) == count
    with pytest.raises(Refused) as refused:
        way.propose()
    assert refused.value.code == ReasonCode.QUARANTINED
    way.change(generation=2)  # a person set what was missing there, and says so
    assert way.propose().promotion.status is PromotionStatus.PROMOTED
    way.carry_out()
    assert way.live() == good
    way.verify(C, "third")
    way.tick()
    assert way.seen("third", PRODUCTION)


@pytest.mark.parametrize("brake", ["auto-deploy", "master switch"])
def test_nobody_asked_so_the_switches_hold_it(way: Way, brake: str) -> None:
    """A3. It goes once it is released, and once a person asks."""
    way.declare(auto_deploy=brake != "auto-deploy")
    way.world.switch(enabled=True)
    way.verify(A, "first")
    way.world.switch(enabled=brake != "master switch")
    way.tick()
    assert way.live() is None
    proposed = way.propose()
    assert proposed.result is not None
    assert proposed.result.admitted
    assert proposed.promotion.status is PromotionStatus.PROMOTED
    way.carry_out()
    live = way.live()
    assert live is not None
    assert (live.causes[0].trigger, live.causes[0].actor) == (Trigger.PERSON, "ann")


def test_what_people_went_back_from_does_not_come_back_by_itself(way: Way) -> None:
    """Of either environment."""
    way.declare()
    way.verify(A, "first")
    way.tick()
    way.verify(B, "second")
    way.tick()
    first, second = reversed(way.world.store.list_deployments(PRODUCTION))
    way.ask(restores=first.id, revision=first.target_revision)
    way.carry_out()
    way.later(HOUR)
    assert way.seen("first", PRODUCTION)
    assert way.propose().promotion.deployment == second.promotes


# ── Soak ──────────────────────────────────────────────────────────────────────────────────────


def test_it_stands_as_long_as_asked_before_it_goes_on(way: Way) -> None:
    """And says how far it is."""
    way.declare(soak=HOUR)
    way.verify(A, "first")
    way.later(-MINUTE)  # the clock is set back
    assert "for 0 of the 60 minutes" in way.why()[ReasonCode.SOAKING]
    way.later(13 * MINUTE)
    assert way.live() is None
    assert "for 12 of the 60 minutes it has to soak" in way.why()[ReasonCode.SOAKING]
    with pytest.raises(Refused) as refused:
        way.propose()
    assert refused.value.code == ReasonCode.SOAKING
    way.later(48 * MINUTE)
    assert way.seen("first", PRODUCTION)


def test_what_is_not_well_begins_to_soak_anew(way: Way) -> None:
    """The stretch ends with the look that says so, and another begins once it is well."""
    way.declare(soak=HOUR)
    way.verify(A, "first")
    way.later(50 * MINUTE)
    way.hurt(Health.UNHEALTHY)
    way.later(MINUTE)
    way.hurt(Health.HEALTHY)
    way.later(MINUTE)
    way.later(50 * MINUTE)
    assert way.live() is None
    way.later(10 * MINUTE)
    assert way.seen("first", PRODUCTION)


def test_a_failing_health_check_breaks_it_too(way: Way) -> None:
    """Asked once a look."""
    check = parse_health_check({"kind": "http", "path": "/healthz", "port": 80})
    target = replace(Target(WEB, LOCAL, TargetStrategy.COMPOSE), health=check)
    way.change(WEB, targets=(target,))
    way.declare(soak=HOUR)
    way.verify(A, "first")
    way.world.prober.problems = ["answered 500"]
    way.later(50 * MINUTE)
    (broken,) = way.world.store.list_standings(WEB)
    assert "answered 500" in broken.ended_because
    way.later(MINUTE)
    assert len(way.world.store.list_standings(WEB)) == 2


def test_what_is_known_to_be_unwell_goes_nowhere_though_it_stood_long_enough(way: Way) -> None:
    """A person who insists says why."""
    way.declare(soak=HOUR, auto_deploy=False)
    way.verify(A, "first")
    way.later(2 * HOUR)
    way.hurt(Health.UNHEALTHY)
    way.later(MINUTE)
    with pytest.raises(Refused, match="not known to be well") as refused:
        way.propose()
    assert refused.value.code == ReasonCode.NOT_VERIFIED_UPSTREAM
    assert way.propose(override="it is no worse").result is not None


def test_what_went_to_some_hosts_only_is_not_verified(way: Way) -> None:
    """The others have never seen it."""
    way.declare()
    other = Target(WEB, HostName("vps1"), TargetStrategy.COMPOSE)
    way.change(WEB, targets=(Target(WEB, LOCAL, TargetStrategy.COMPOSE), other))
    way.world.trigger(A, Trigger.PERSON, hosts=(LOCAL,))
    way.tick()
    assert way.live(WEB) is not None
    with pytest.raises(Refused, match="never to vps1"):
        way.propose()


def test_what_is_quarantined_on_test_goes_nowhere(way: Way) -> None:
    """Its migration failed when it was deployed once more, before anything was switched."""
    way.change(WEB, migration=Migration(("migrate",)))
    way.declare(auto_deploy=False)
    way.verify(A, "first")
    way.world.migrator.statuses = [1]
    way.world.trigger(A, Trigger.PERSON, force=True)
    way.carry_out()
    assert way.world.store.get_state(WEB).quarantined
    with pytest.raises(Refused) as refused:
        way.propose()
    assert refused.value.code == ReasonCode.NOT_VERIFIED_UPSTREAM


def test_a_host_that_is_away_breaks_nothing_and_ends_no_soak(way: Way) -> None:
    """Nobody knows how it is there."""
    way.declare(soak=HOUR)
    way.verify(A, "first")
    failure = Failure("target-unreachable", "it does not answer", Recovery.RETRY)
    way.troubles[LOCAL] = HostHealth(way.world.clock.now(), None, failure)
    way.later(2 * HOUR)
    assert way.live() is None
    assert "it does not answer" in way.why()[ReasonCode.NOT_VERIFIED_UPSTREAM]
    with pytest.raises(Refused, match="it does not answer"):
        way.propose()
    del way.troubles[LOCAL]
    way.tick()
    assert way.seen("first", PRODUCTION)
    assert len(way.world.store.list_standings(WEB)) == 1


def test_the_longest_stretch_of_the_same_counts(way: Way) -> None:
    """Another one stood between."""
    way.declare(soak=HOUR, auto_deploy=False)
    first = way.verify(A, "first")
    way.world.clock.advance(2 * HOUR)
    way.verify(B, "second")
    proposed = way.propose(deployment=first.id)
    assert proposed.promotion.status is PromotionStatus.PROMOTED


def test_a_person_overrides_the_soak_and_says_why(way: Way) -> None:
    """It is on the record of the deployment."""
    way.declare(soak=HOUR)
    way.verify(A, "first")
    assert way.propose(override="the shop is down").result is not None
    way.carry_out()
    live = way.live()
    assert live is not None
    assert live.override == "the shop is down"


# ── Approvals ─────────────────────────────────────────────────────────────────────────────────


def test_two_different_people_have_to_agree(way: Way) -> None:
    """Each counts once; the toggle is no matter then, and nobody is told that it is."""
    way.declare(approvals=2, auto_deploy=False)
    way.verify(A, "first")
    way.tick()
    assert ReasonCode.AUTO_DEPLOY_OFF not in way.why()
    assert "waits for 2 more approvals for production" in way.why()[ReasonCode.APPROVAL_MISSING]
    for _ in range(2):
        way.vote("ann")
        way.tick()
    assert way.live() is None
    assert "1 more approval for production; ann gave one" in way.why()[ReasonCode.APPROVAL_MISSING]
    way.vote("local:0")
    way.tick()
    assert way.seen("first", PRODUCTION)


def test_who_approves_asks_for_it(way: Way) -> None:
    """The toggle is no matter then; the master switch is, if it was put off after that."""
    way.declare(approvals=1, auto_deploy=False)
    way.verify(A, "first")
    way.tick()
    way.vote("ann")
    way.world.clock.advance(timedelta(seconds=1))
    way.world.switch(enabled=False)
    way.tick()
    assert way.live() is None
    way.world.switch(enabled=True)
    way.tick()
    live = way.live()
    assert live is not None
    assert (live.causes[0].trigger, live.causes[0].actor) == (Trigger.PERSON, "ann")


def test_a_token_is_no_person(way: Way) -> None:
    """It may ask, and not agree."""
    way.declare(approvals=1)
    way.verify(A, "first")
    assert way.propose("token:ci").result is None
    with pytest.raises(AccessDenied, match="no person"):
        way.vote("token:ci")


def test_an_approval_is_of_one_revision_alone(way: Way) -> None:
    """The next one asks anew, and takes the place of the one before it once it is there."""
    way.declare(approvals=1)
    way.verify(A, "first")
    way.tick()
    way.verify(B, "second")
    way.tick()
    older, newer = way.promotions.list_waiting({PRODUCTION})
    with pytest.raises(Conflict, match="several"):
        way.vote("ann")
    way.promotions.approve(PRODUCTION, newer.id, reason="", actor="ann")
    way.tick()
    assert way.seen("second", PRODUCTION)
    assert way.promotions.get(PRODUCTION, older.id).status is PromotionStatus.SUPERSEDED


def test_people_are_told_once_that_it_waits_for_them_and_when_that_is_over(way: Way) -> None:
    """However often somebody looks or votes."""
    store = way.world.store
    way.declare(approvals=2)
    address = Address(Secret.of("ntfys://ntfy.example/topic"))
    store.create_channel(Channel(ChannelName("ops"), way.world.clock.now()), address)
    way.verify(A, "first")
    for person in ("ann", "bob"):
        way.tick()
        way.tick()
        way.vote(person)
    messages = reversed(store.list_messages(OutboxKind.NOTICE))
    told = [(one.body["event"], one.body["subject"]) for one in messages]
    assert told == [("needs-person", "promotion"), ("recovery", "promotion")]


def test_what_was_rejected_is_not_proposed_again_by_itself(way: Way) -> None:
    """A person may ask for it once more."""
    way.declare(approvals=1)
    way.verify(A, "first")
    way.tick()
    way.vote("bob", approves=False, reason="not today")
    way.later(HOUR)
    assert way.live() is None
    assert len(way.promotions.history(PRODUCTION)) == 1
    assert "rejected by bob: not today" in way.why()[ReasonCode.PROMOTION_REJECTED]
    assert way.propose().promotion.status is PromotionStatus.WAITING


def test_approvals_expire(way: Way) -> None:
    """What nobody decided is asked anew by a person, or once it is verified anew."""
    way.declare(approvals=2)
    way.verify(A, "first")
    way.tick()
    way.vote("ann")
    way.later(timedelta(days=3))
    assert way.newest().status is PromotionStatus.EXPIRED
    way.later(HOUR)
    assert len(way.promotions.history(PRODUCTION)) == 1
    assert "ran out at" in way.why()[ReasonCode.APPROVAL_EXPIRED]
    assert way.world.trigger(A, Trigger.PERSON, force=True).admitted
    way.carry_out()
    way.tick()
    assert way.newest().status is PromotionStatus.WAITING
    assert way.newest().approvals == ()


def test_another_declaration_is_another_revision(way: Way) -> None:
    """Whoever agreed did not agree to that; a person's wish stays one."""
    way.declare(approvals=2)
    way.verify(A, "first")
    way.propose("ann")
    way.vote("ann")
    way.change(generation=2)
    way.tick()
    newest, before = way.promotions.history(PRODUCTION)
    assert before.status is PromotionStatus.SUPERSEDED
    assert (newest.asked_by, newest.revision.generation, newest.votes) == ("ann", 2, ())


def test_what_test_went_back_from_waits_no_longer(way: Way) -> None:
    """It was verified, and then somebody thought better of it."""
    way.declare(approvals=1)
    first = way.verify(A, "first")
    way.verify(B, "second")
    way.tick()
    way.ask(WEB, restores=first.id, revision=first.target_revision)
    way.carry_out()
    way.tick()
    history = way.promotions.history(PRODUCTION)
    assert [one.status for one in history] == [PromotionStatus.WAITING, PromotionStatus.SUPERSEDED]
    assert history[0].revision.commit == A


def test_the_receipt_names_what_was_promoted_and_who_agreed(way: Way) -> None:
    """F8."""
    way.declare(approvals=1)
    verified = way.verify(A, "first")
    promotion = way.propose().promotion
    way.promotions.approve(PRODUCTION, promotion.id, reason="looks well", actor="bob")
    way.tick()
    live = way.live()
    assert live is not None
    promotes = way.world.store.get_receipt(live.id).content["promotes"]
    at = promotion.proposed_at.isoformat()
    assert promotes == {
        "project": WEB,
        "deployment": verified.id,
        "promotion": promotion.id,
        "asked_by": "ann",
        "approvals": [{"by": "bob", "at": at, "reason": "looks well"}],
    }
    assert way.world.store.get_receipt(verified.id).content["promotes"] is None


# ── At its start ──────────────────────────────────────────────────────────────────────────────


def queued(way: Way) -> Deployment:
    found = way.world.store.get_state(PRODUCTION).queued
    assert found is not None
    return found


def approved(way: Way) -> Deployment:
    """Have a promotion that was approved, and that waits for its start."""
    way.declare(approvals=1)
    way.verify(A, "first")
    way.propose()
    way.vote("bob")
    way.promotions.tick()
    return queued(way)


def ends_as(way: Way, code: ReasonCode) -> None:
    number = queued(way).id
    way.carry_out()
    ended = way.world.store.get_deployment(number)
    assert (ended.status, ended.error.code if ended.error else "") == (Status.WITHDRAWN, code)
    assert way.live() is None


def test_an_approval_that_ran_out_meanwhile_starts_nothing(way: Way) -> None:
    """And it is not tried for ever."""
    approved(way)
    way.world.clock.advance(timedelta(days=4))
    ends_as(way, ReasonCode.APPROVAL_EXPIRED)
    for _ in range(3):
        way.later(MINUTE)
    assert len(way.world.store.list_deployments(PRODUCTION)) == 1
    assert ReasonCode.APPROVAL_EXPIRED in way.why()


def test_more_approvals_asked_for_meanwhile_are_waited_for(way: Way) -> None:
    """It asks anew."""
    approved(way)
    way.change(rules=Rules(approvals=2))
    ends_as(way, ReasonCode.APPROVAL_MISSING)
    way.tick()
    assert way.newest().status is PromotionStatus.WAITING


def test_what_is_declared_otherwise_in_the_moment_of_its_admission_does_not_start(
    way: Way,
) -> None:
    """An approval is of one generation, however late it is that another one begins."""
    way.declare(approvals=1)
    way.verify(A, "first")
    way.propose()
    way.vote("bob")

    def declared_anew(switch: MasterSwitch) -> MasterSwitch:
        if way.world.store.get_project(PRODUCTION).generation == 1:
            way.change(generation=2)
        return switch

    replace(way.promotions, brakes=declared_anew).tick()
    ends_as(way, ReasonCode.APPROVAL_MISSING)
    way.tick()
    assert way.newest().status is PromotionStatus.WAITING
    assert not way.newest().votes


def test_what_is_declared_otherwise_before_its_start_asks_anew(way: Way) -> None:
    """It would run as it is declared by then, be it promoted or insisted on."""
    approved(way)
    way.change(generation=2)
    ends_as(way, ReasonCode.APPROVAL_MISSING)
    way.tick()
    way.vote("cyd")
    way.tick()
    live = way.live()
    assert live is not None
    way.ask(revision=live.target_revision, promotes=live.promotes, force=True)
    way.change(generation=3)
    way.carry_out()
    assert way.live() == live


def test_it_goes_on_once_its_migration_is_approved_too(way: Way) -> None:
    """Who approved the promotion approved that revision; the migration was a second question."""
    way.change(WEB, migration=Migration(("migrate",), approval_status=3))
    way.declare(approvals=1)
    way.verify(A, "first")
    way.propose()
    way.vote("bob")
    way.world.migrator.statuses = [3]
    way.tick()
    (stopped,) = way.world.store.list_deployments(PRODUCTION)
    assert stopped.status is Status.NEEDS_OPERATOR
    world = way.world
    # Nothing is looked up for it.
    requests = Requests(world.store, world.clock, world.brakes, None, None)  # type: ignore[arg-type]
    assert requests.approve(PRODUCTION, Approved(stopped.id), actor="cyd").admitted
    way.carry_out()
    live = way.live()
    assert live is not None
    assert "'by': 'bob'" in str(way.world.store.get_receipt(live.id).content["promotes"])


def test_approvals_run_out_as_the_rules_of_that_moment_say(way: Way) -> None:
    """Also of what was proposed when nobody had to approve anything."""
    way.declare(auto_deploy=False)
    way.world.store.set_freeze(PRODUCTION, Freeze("ann", way.world.clock.now()))
    way.verify(A, "first")
    way.propose()
    way.change(rules=Rules(approvals=1))
    way.vote("bob")
    way.world.clock.advance(timedelta(days=4))
    way.world.store.lift_freeze(PRODUCTION)
    way.tick()
    assert way.live() is None
    assert way.newest().status is PromotionStatus.EXPIRED


def test_what_was_rejected_in_the_same_moment_is_not_asked_anew(way: Way) -> None:
    """A person's wish outlives another declaration, and not another person's no."""
    way.declare(approvals=1)
    way.verify(A, "first")
    waits = way.propose().promotion
    way.change(generation=2)
    project = way.world.store.get_project(PRODUCTION)
    way.vote("cyd", approves=False)
    advancing = Advancing(way.world.store, way.world.clock, way.promotions.brakes)
    advancing.settle(
        project, read_origin(way.world.store, WEB), waits
    )  # as it was read before that
    assert way.newest().status is PromotionStatus.REJECTED


def test_an_old_wish_does_not_bring_back_what_something_newer_took_the_place_of(way: Way) -> None:
    """It did not start, and was wanted for as long as nothing else was."""
    way.declare(auto_deploy=False)
    first = way.verify(A, "first")
    way.propose()
    way.world.store.set_freeze(PRODUCTION, Freeze("cyd", way.world.clock.now()))
    way.carry_out()
    way.world.store.lift_freeze(PRODUCTION)
    way.verify(B, "second")
    way.propose()
    way.carry_out()
    assert way.seen("second", PRODUCTION)
    way.ask(WEB, restores=first.id, cause=Cause(Trigger.ROLLBACK, "ann", "back"))
    way.carry_out()
    assert way.seen("first")
    way.tick()
    assert way.seen("second", PRODUCTION)


def test_what_failed_on_test_meanwhile_does_not_start(way: Way) -> None:
    """The newest word on the very same counts."""
    way.declare(auto_deploy=False)
    way.verify(A, "first")
    way.verify(B, "second")
    way.propose()
    way.promotions.tick()
    way.world.strategy.looks[digest_of("second")] = unhealthy
    assert way.world.trigger(B, Trigger.PERSON, force=True).admitted
    held = way.world.claim()  # it is claimed, and its gate is asked only now
    way.carry_out()
    ended = way.world.roll_out(held)
    assert ended.project == PRODUCTION
    assert ended.error is not None
    assert ended.error.code == ReasonCode.NOT_VERIFIED_UPSTREAM


def test_a_deployment_from_before_it_was_promoted_does_not_start(way: Way) -> None:
    """It gets what is promoted to it from now on."""
    way.world.trigger(A)
    project = way.world.store.get_project(WEB)
    way.world.store.create_project(replace(project, name=STAGING, environment=None))
    way.change(WEB, environment=Environment(EnvironmentName("late"), STAGING))
    way.carry_out()
    (ended,) = way.world.store.list_deployments(WEB)
    assert ended.error is not None
    assert ended.error.code == ReasonCode.PROMOTED_ONLY


@pytest.mark.parametrize("rejected", [False, True])
def test_who_dies_between_admitting_and_noting_repeats_it_harmlessly(
    way: Way, rejected: bool
) -> None:
    """A18: the next look finds what was admitted; what was rejected in between does not start."""
    way.declare(approvals=1)
    verified = way.verify(A, "first")
    promotion = way.propose().promotion
    voted = way.vote("bob")
    # What a tick would have done before it was killed:
    admitted = way.ask(revision=voted.revision, promotes=verified.id).deployment
    assert admitted is not None
    if rejected:
        way.vote("cyd", approves=False)
        ends_as(way, ReasonCode.PROMOTION_REJECTED)
        return
    way.carry_out()
    way.tick()
    assert [one.id for one in way.world.store.list_deployments(PRODUCTION)] == [admitted.id]
    assert way.promotions.get(PRODUCTION, promotion.id).became == admitted.id


def test_replicas_that_look_at_once_deploy_once(way: Way) -> None:
    """Whoever is first."""
    way.declare()
    way.verify(A, "first")
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(way.promotions.tick) for _ in range(8)]:
            done.result()
    assert len(way.world.store.list_deployments(PRODUCTION)) == 1
    assert [one.status for one in way.promotions.history(PRODUCTION)] == [PromotionStatus.PROMOTED]


# ── What else is asked of it ──────────────────────────────────────────────────────────────────


def test_nothing_but_a_promotion_or_the_way_back_is_let_in(way: Way) -> None:
    """Neither by force nor by halves."""
    way.declare(auto_deploy=False)
    way.verify(A, "first")
    for wish in ({}, {"force": True}, {"hosts": (LOCAL,)}):
        result = way.ask(**wish)
        assert (result.outcome, result.reasons[0].code) == ("refused", ReasonCode.PROMOTED_ONLY)
        assert f"reconciler promote {PRODUCTION}" in result.reasons[0].text


@dataclass
class Looking(RehearsedStrategy):
    """Remembers what it was handed."""

    handed: list[PreparedRevision | None] = field(default_factory=list)

    def prepare(self, work: Work) -> PreparedTarget:
        self.handed.append(work.handed_on)
        return super().prepare(work)


def test_a_strategy_is_given_what_was_verified(way: Way) -> None:
    """All of it, as it was made ready there."""
    way.declare()
    verified = way.verify(A, "first")
    way.world.strategy = looking = Looking(running=way.world.strategy.running)
    way.tick()
    assert looking.handed == [verified.prepared]


def test_bad_wishes_are_refused_with_what_helps(way: Way) -> None:
    """Each names what is wrong."""
    way.declare()
    with pytest.raises(InvalidInput, match="reconciler deploy web"):
        way.propose(name=WEB)
    with pytest.raises(Refused, match="nothing was verified on test yet"):
        way.propose()
    with pytest.raises(NotFound):
        way.propose(deployment=DeploymentId(99))
    with pytest.raises(Conflict, match="no promotion"):
        way.vote("ann")
    way.verify(A, "first")
    with pytest.raises(Refused) as refused:
        way.propose(commit=B)
    assert refused.value.code == ReasonCode.NOT_VERIFIED_UPSTREAM
    way.tick()
    with pytest.raises(Refused) as refused:
        way.propose(commit=A)
    assert refused.value.code == ReasonCode.ALREADY_LIVE


def test_what_fails_for_a_passing_reason_is_tried_again_as_a_promotion(way: Way) -> None:
    """A host that is away for a moment."""
    way.declare()
    way.verify(A, "first")
    way.world.strategy.failures["prepare"] = [TargetUnreachable("it is away", host="local")]
    way.tick()
    assert way.live() is None
    way.later(HOUR)
    assert way.seen("first", PRODUCTION)
    assert Stage.PREPARE in {one.stage for one in way.live().stages}  # type: ignore[union-attr]


def test_nothing_is_asked_about_environments_to_which_nothing_may_come(way: Way) -> None:
    """A look takes as many statements for two of them as for one."""
    way.verify(A, "first")
    counted = []
    for name in (PRODUCTION, STAGING):
        way.declare(name)
        way.tick()
        assert way.seen("first", name)
        counted.append(statements_of(way))
    assert counted[0] == counted[1]


def statements_of(way: Way) -> int:
    """Return how many statements one look takes."""
    engine = way.world.store._database._reader
    asked: list[object] = []

    def note(*what: object) -> None:
        asked.append(what)

    event.listen(engine, "before_cursor_execute", note)
    way.promotions.tick()
    event.remove(engine, "before_cursor_execute", note)
    return len(asked)


# ── The age of images ─────────────────────────────────────────────────────────────────────────


def test_a_young_image_waits_whoever_approved_it(way: Way) -> None:
    """It counts from when test first ran it; who asks for it by name does not wait."""
    way.declare(approvals=1)
    way.change(rules=Rules(approvals=1, minimum_image_age=HOUR))
    way.verify(A, "first")
    way.tick()
    way.vote("ann")
    way.later(HOUR / 2)
    assert way.live() is None
    assert "it is old enough" in way.why()["image-too-young"]
    way.later(HOUR / 2)
    assert way.seen("first", PRODUCTION)
    assert "image-too-young" not in way.why()
    way.verify(B, "first")
    way.tick()
    way.vote("ann")
    way.tick()
    assert way.live().revision.commit == B  # type: ignore[union-attr]  # the image is no other
    way.verify(C, "second")
    way.tick()
    way.propose("bob")
    way.vote("ann")
    way.tick()
    assert way.seen("second", PRODUCTION)
