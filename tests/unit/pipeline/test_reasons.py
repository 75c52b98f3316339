"""Every reason code is given by something: the table is gone through, and nothing is left out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import pytest

from reconciler.domain import errors
from reconciler.domain.compose import OF_STATEFUL_SERVICE, PINNED_BY_DIGEST
from reconciler.domain.deployment import Trigger
from reconciler.domain.failure import Failure
from reconciler.domain.foreign_labels import read_foreign_labels
from reconciler.domain.host import LOCAL
from reconciler.domain.manifest import MANIFEST_PATH
from reconciler.domain.project import ProjectKind
from reconciler.domain.promotion import Environment, EnvironmentName
from reconciler.domain.reason_codes import REASONS, ReasonCode, ReasonKind
from reconciler.domain.references import ProjectName
from reconciler.pipeline.explain import Explainer
from reconciler.pipeline.reasons import ExplainedReason
from reconciler.pipeline.trigger import TriggerResult
from reconciler.testing import digest_of
from tests.unit.pipeline.conftest import IMAGE, WEB, A, B, C, World
from tests.unit.pipeline.promoting.states import (
    fails_on_test,
    is_asked_past_its_environment,
    is_rejected,
    runs_out,
    soaks,
    waits_for_approval,
)
from tests.unit.pipeline.states import (
    MINUTE,
    an_image_is_young,
    changes_once_it_runs,
    declare,
    dies_and_goes_on,
    drifts,
    explain,
    fails,
    fell,
    first_look,
    gives_up_on_a_host_that_is_away,
    goes_down_with_its_worker,
    image_comes_new,
    image_moves,
    in_trouble,
    is_closed,
    is_frozen,
    is_held,
    is_live_already,
    is_not_told_to_the_forge,
    is_refused,
    is_switched_off_while_something_waits,
    looked,
    needs_migration,
    passed_over,
    rests,
    rolls_back,
    seen,
    waits_for_a_place,
    watched,
    withdraws,
)


@dataclass(frozen=True)
class Case:
    """A state, and what the reason shows of it."""

    #: Brings the state about; returns what is told, unless that is what a person is told.
    arrange: Callable[[World], object]
    evidence: Mapping[str, str] = field(default_factory=dict)
    timeless: bool = False  #: whether nothing records when it was so


_IMAGE = {"image": IMAGE, "services": "web"}
_LEFT_BY_LABEL = read_foreign_labels({"wud.watch": "false"}).reason
_SOURCE = {"host": "git.example", "failures": "3"}
CASES: Mapping[ReasonCode, Case] = {
    ReasonCode.EMERGENCY_FILE: Case(
        lambda world: world.stop_files.append("/run/STOP"), {"file": "/run/STOP"}, timeless=True
    ),
    ReasonCode.MASTER_SWITCH_OFF: Case(
        is_switched_off_while_something_waits,
        {"by": "ann", "reason": "drill", "waits": "main at bbbbbbbb"},
    ),
    ReasonCode.AUTO_DEPLOY_OFF: Case(
        lambda world: declare(world, "ann", auto_deploy=False), {"by": "ann"}
    ),
    ReasonCode.NOTHING_TO_DEPLOY: Case(
        lambda world: declare(world, kind=ProjectKind.TUNNEL, source=None), timeless=True
    ),
    ReasonCode.TARGET_MISSING: Case(
        lambda world: declare(world, kind=ProjectKind.UNIT), timeless=True
    ),
    ReasonCode.EXPOSE_MISSING: Case(lambda world: declare(world, expose_port=None), timeless=True),
    ReasonCode.FROZEN: Case(is_frozen, {"by": "ann", "reason": "month end"}),
    ReasonCode.WINDOW_CLOSED: Case(
        is_closed,
        {"until": "2030-01-07T09:00:00+00:00", "windows": "mon 09:00-17:00 UTC"},
        timeless=True,
    ),
    ReasonCode.IMAGE_TOO_YOUNG: Case(
        an_image_is_young, {"until": "2030-01-02T00:00:00+00:00"}, timeless=True
    ),
    ReasonCode.NOT_VERIFIED_UPSTREAM: Case(
        fails_on_test, {"from": "web", "deployment": "3", "commit": B.text}
    ),
    ReasonCode.SOAKING: Case(
        soaks, {"from": "web", "deployment": "1", "stood_seconds": "60", "soak_seconds": "3600"}
    ),
    ReasonCode.APPROVAL_MISSING: Case(
        waits_for_approval, {"from": "web", "approvals": "1 of 2", "by": "ann", "promotion": "1"}
    ),
    ReasonCode.APPROVAL_EXPIRED: Case(runs_out, {"deployment": "1", "promotion": "1"}),
    ReasonCode.PROMOTION_REJECTED: Case(is_rejected, {"deployment": "1", "promotion": "1"}),
    ReasonCode.NOT_HANDED_ON: Case(
        lambda world: fails(world, errors.NotHandedOn("no image", "deploy it on test first")),
        {"error": "not-handed-on"},
    ),
    ReasonCode.QUARANTINED: Case(rolls_back, {"deployment": "2", "commit": B.text}),
    ReasonCode.MIGRATION_NEEDS_APPROVAL: Case(
        needs_migration, {"deployment": "1", "status": "needs-operator"}
    ),
    ReasonCode.MIGRATION_UNFINISHED: Case(
        lambda world: fails(world, errors.MigrationUnfinished("nobody saw its end", WEB)),
        {"error": "migration-unfinished"},
    ),
    ReasonCode.WORK_TREE_DIRTY: Case(
        lambda world: fails(world, errors.WorkTreeDirty("a.txt was changed", files="a.txt")),
        {"files": "a.txt"},
    ),
    ReasonCode.REFUSING_TO_MIGRATE: Case(
        gives_up_on_a_host_that_is_away, {"error": "refusing-to-migrate"}
    ),
    ReasonCode.ROLLBACK_FAILED: Case(
        lambda world: rolls_back(world, back=False), {"error": "rollback-failed"}
    ),
    ReasonCode.NEEDS_OPERATOR: Case(goes_down_with_its_worker, {"error": "interrupted-too-often"}),
    ReasonCode.DEPLOYMENT_FAILED: Case(
        lambda world: fails(world, errors.CommandFailed("it ended with 1")),
        {"error": "command-failed", "status": "failed"},
    ),
    **{
        code: Case(in_trouble(code), {"host": LOCAL})
        for code in (
            ReasonCode.TARGET_UNREACHABLE,
            ReasonCode.HOST_REFUSED,
            ReasonCode.HOST_KEY_CHANGED,
            ReasonCode.HOST_KEY_UNCONFIRMED,
        )
    },
    ReasonCode.HOST_PINNED: Case(in_trouble("target-unreachable"), {"host": LOCAL}),
    ReasonCode.BRANCH_GONE: Case(lambda world: looked(world, branch_gone=True), {"branch": "main"}),
    **{
        code: Case(fell(code), _SOURCE)
        for code in (
            ReasonCode.SOURCE_UNREACHABLE,
            ReasonCode.SOURCE_THROTTLED,
            ReasonCode.SOURCE_DENIED,
            ReasonCode.SOURCE_REDIRECTED,
            ReasonCode.SOURCE_PROTOCOL_ERROR,
            ReasonCode.SOURCE_ERROR,
            ReasonCode.REVISION_NOT_FOUND,
            ReasonCode.INVALID_COMPOSE_FILE,
        )
    },
    ReasonCode.PATH_UNTOUCHED: Case(passed_over(ReasonCode.PATH_UNTOUCHED), {"commit": B.text}),
    ReasonCode.SKIP_MARKER: Case(passed_over(ReasonCode.SKIP_MARKER), {"commit": B.text}),
    ReasonCode.DECLARATION_CHANGED: Case(
        changes_once_it_runs,
        {"deployed": "1", "declared": "2"},
    ),
    ReasonCode.BACKOFF: Case(
        lambda world: fails(world, errors.TargetUnreachable("it is away", host="edge")),
        {"attempt": "2", "error": "target-unreachable", "host": "edge"},
    ),
    ReasonCode.QUEUED_BEHIND: Case(
        lambda world: (world.trigger(A), world.claim(), world.trigger(B)),
        {"deployment": "2", "behind": "1"},
    ),
    ReasonCode.NO_FREE_PLACE: Case(
        waits_for_a_place, {"places": "1", "running": "1", "ahead": "0"}
    ),
    ReasonCode.REGISTRY_COOLED: Case(
        rests(ReasonCode.REGISTRY_COOLED, MINUTE), {"registry": "registry.example"}
    ),
    ReasonCode.REGISTRY_UNREACHABLE: Case(
        rests(ReasonCode.REGISTRY_UNREACHABLE, None), {"registry": "registry.example"}
    ),
    ReasonCode.LOOKUP_FAILED: Case(
        lambda world: watched(
            world,
            digest=digest_of("first"),
            error=Failure("source-denied", "401", errors.Recovery.OPERATOR),
        ),
        {**_IMAGE, "error": "source-denied", "digest": digest_of("first").text},
    ),
    ReasonCode.IMAGE_UNWATCHED: Case(
        lambda world: watched(world, unwatched_because="variable TAG is not set"),
        {**_IMAGE, "because": "variable TAG is not set"},
        timeless=True,
    ),
    ReasonCode.RUNNING: Case(
        lambda world: (world.trigger(A), world.claim()), {"deployment": "1", "stage": "prepare"}
    ),
    ReasonCode.QUEUED: Case(lambda world: world.trigger(A), {"deployment": "1", "commit": A.text}),
    ReasonCode.DRIFT: Case(drifts, {"deployment": "1"}),
    ReasonCode.ROLLED_BACK: Case(rolls_back, {"deployment": "2", "back_to": "1"}),
    ReasonCode.WITHDRAWN: Case(withdraws, {"deployment": "1", "error": "withdrawn"}),
    ReasonCode.SUPERSEDED: Case(
        lambda world: [world.trigger(commit) for commit in (A, B, C)],
        {"deployments": "1, 2", "by": "3"},
    ),
    ReasonCode.COMMIT_MOVED: Case(
        lambda world: [world.deploy(commit) for commit in (A, B)],
        {"branch": "main", "from": A.text, "to": B.text, "deployment": "2"},
    ),
    ReasonCode.IMAGE_MOVED: Case(
        image_moves,
        {"image": IMAGE, "from": digest_of("first").text, "to": digest_of("second").text},
    ),
    ReasonCode.FIRST_ALIGNMENT: Case(lambda world: world.deploy(A), {"to": A.text}),
    ReasonCode.ASKED_BY_PERSON: Case(
        lambda world: world.trigger(A, Trigger.PERSON), {"by": "somebody", "words": "moved"}
    ),
    ReasonCode.COALESCED: Case(
        lambda world: [world.trigger(commit) for commit in (A, A, A, B)],
        {"requests": "4", "deployment": "2"},
    ),
    ReasonCode.RESTART_RECOVERED: Case(dies_and_goes_on, {"times": "1", "stage": "prepare"}),
    ReasonCode.MIGRATION: Case(needs_migration, {"host": LOCAL, "state": "needs-approval"}),
    ReasonCode.MANIFEST_IGNORED: Case(
        lambda world: (
            world.commits.files.update({A: {MANIFEST_PATH: b"[health]"}}),
            world.deploy(A),
        ),
        {"deployment": "1"},
    ),
    ReasonCode.LIVE: Case(
        lambda world: world.deploy(A),
        {"deployment": "1", "commit": A.text, IMAGE: digest_of("first").text},
    ),
    ReasonCode.REQUEST_HELD: Case(
        is_held, {"because": "master-switch-off", "trigger": "git-poll", "commit": A.text}
    ),
    ReasonCode.REQUEST_REFUSED: Case(is_refused, {"because": "expose-missing"}),
    ReasonCode.ALREADY_LIVE: Case(is_live_already, {"because": "already-live"}),
    ReasonCode.SOURCE_OBSERVED: Case(
        lambda world: looked(world, observed=A, observed_at=world.clock.now()),
        {"branch": "main", "commit": A.text},
    ),
    ReasonCode.NEXT_LOOK: Case(
        lambda world: looked(world, next_look_at=world.clock.now() + MINUTE)
    ),
    ReasonCode.STATUS_UNTOLD: Case(
        is_not_told_to_the_forge, {"commit": A.text, "status": "waiting", "deployment": "1"}
    ),
    ReasonCode.IMAGES_SEEDED: Case(first_look, {IMAGE: digest_of("first").text}),
    ReasonCode.IMAGE_NEW: Case(image_comes_new, {"services": "cache"}),
    ReasonCode.IMAGE_OBSERVED: Case(seen, {**_IMAGE, "digest": digest_of("first").text}),
    ReasonCode.IMAGE_STATEFUL: Case(
        lambda world: watched(world, unwatched_because=OF_STATEFUL_SERVICE), _IMAGE, timeless=True
    ),
    ReasonCode.IMAGE_LABELLED: Case(
        lambda world: watched(world, unwatched_because=_LEFT_BY_LABEL),
        {**_IMAGE, "because": _LEFT_BY_LABEL},
        timeless=True,
    ),
    ReasonCode.IMAGE_EXACT: Case(
        lambda world: watched(world, unwatched_because=PINNED_BY_DIGEST), _IMAGE, timeless=True
    ),
    ReasonCode.NEXT_IMAGE_LOOK: Case(seen, {"interval_seconds": "600"}),
    ReasonCode.NOTHING_YET: Case(lambda _: None, timeless=True),
}
#: Codes that only whoever asks is told, at once.
ANSWERS: Mapping[ReasonCode, Callable[[World], TriggerResult]] = {
    ReasonCode.ADMITTED: lambda world: world.trigger(A),
    ReasonCode.PROMOTED_ONLY: is_asked_past_its_environment,
    ReasonCode.REPLACED_QUEUED: lambda world: [world.trigger(one) for one in (A, B)][-1],
    ReasonCode.ALREADY_QUEUED: lambda world: [world.trigger(one) for one in (A, A)][-1],
    ReasonCode.ALREADY_RUNNING: lambda world: (
        world.trigger(A),
        world.claim(),
        world.trigger(A),
    )[-1],
}
#: One is refused before it is a request, which ``test_requests`` shows; the other is given by what
#: compares pushes with the deliveries of webhooks.
ELSEWHERE = {
    ReasonCode.NOTHING_TO_RESTORE,
    ReasonCode.PLAN_OUTDATED,
    ReasonCode.WEBHOOK_MISSING,
}


def test_nothing_of_the_table_is_left_out() -> None:
    """Each code has a meaning, and something gives it."""
    assert set(REASONS) == set(ReasonCode)
    assert {*CASES, *ANSWERS, *ELSEWHERE} == set(ReasonCode)


@pytest.mark.parametrize("code", CASES)
def test_each_is_told_with_its_time_and_evidence(world: World, code: ReasonCode) -> None:
    """F1: from recorded facts only, and of the kind that the table says."""
    case = CASES[code]
    arranged = case.arrange(world)
    told = arranged if isinstance(arranged, tuple) and _is_told(arranged) else explain(world)
    (found, *_) = [one for one in told if one.code == code]
    assert case.evidence.items() <= found.evidence.items()
    assert (found.at is None) is case.timeless
    assert found.kind is REASONS[code].kind
    assert found.needs_person >= REASONS[code].needs_person


@pytest.mark.parametrize("code", ANSWERS)
def test_each_answer_is_given(world: World, code: ReasonCode) -> None:
    """Whoever asks is told what became of the request."""
    assert ANSWERS[code](world).reasons[0].code is code


def test_what_stops_it_comes_first(world: World) -> None:
    """Then what goes on, what happened last, and what was seen."""
    rolls_back(world)
    seen(world)
    looked(world, observed=B, observed_at=world.clock.now())
    world.trigger(C)
    kinds = [one.kind for one in explain(world)]
    assert kinds == sorted(kinds, key=list(ReasonKind).index)
    assert set(kinds) == set(ReasonKind)


def test_a_list_of_all_knows_the_first_reason(world: World) -> None:
    """What is not looked up for each project alone is the same in both."""
    rolls_back(world)
    explainer = Explainer(world.store, world.clock, world.brakes)
    (listed,) = explainer.summaries()
    assert listed.reason == explain(world)[0].code == ReasonCode.QUARANTINED


def test_a_rest_that_is_over_is_not_told(world: World) -> None:
    """The registry asked for a minute."""
    rests(ReasonCode.REGISTRY_COOLED, MINUTE)(world)
    world.clock.advance(MINUTE)
    assert ReasonCode.REGISTRY_COOLED not in {one.code for one in explain(world)}


def test_the_images_of_what_is_promoted_are_not_looked_at_again(world: World) -> None:
    """Whatever was seen of them before it was."""
    seen(world)
    assert ReasonCode.NEXT_IMAGE_LOOK in {one.code for one in explain(world)}
    origin = ProjectName("web-test")
    world.store.create_project(replace(world.store.get_project(WEB), name=origin))
    declare(world, environment=Environment(EnvironmentName("production"), origin))
    assert ReasonCode.NEXT_IMAGE_LOOK not in {one.code for one in explain(world)}


def test_every_error_of_a_source_is_in_the_table() -> None:
    """They keep a project from moving for as long as they last."""
    kinds: list[type[errors.SourceError]] = [errors.SourceError]
    kinds += errors.SourceError.__subclasses__()
    kinds.remove(errors.ForgeError)  # a forge is asked for a person, and by no look
    assert {kind.code for kind in kinds} <= {str(code) for code in ReasonCode}


def _is_told(arranged: tuple[object, ...]) -> bool:
    return all(isinstance(one, ExplainedReason) for one in arranged)
