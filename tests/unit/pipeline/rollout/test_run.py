"""One deployment from its claim to its end, on a target that does as it is told."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from reconciler.domain.deployment import DeploymentId, Stage, Status, Trigger
from reconciler.domain.errors import (
    ClaimLost,
    CommandFailed,
    Interrupted,
    InvalidComposeFile,
    SourceUnreachable,
    StoreError,
    TargetUnreachable,
)
from reconciler.domain.host import LOCAL
from reconciler.domain.migration import Migration
from reconciler.domain.state import ImageLook
from reconciler.domain.verification import Health, RunState, Sample
from reconciler.domain.wish import Wish
from reconciler.pipeline.explain import Explainer
from reconciler.testing import digest_of
from tests.unit.pipeline.conftest import IMAGE, WEB, A, B, C, World

Fail = Callable[[str, Exception], None]


def unhealthy(sample: Sample) -> Sample:
    return replace(sample, health=Health.UNHEALTHY)


def crashed(sample: Sample) -> Sample:
    return replace(sample, state=RunState.EXITED, exit_status=1)


def stages(world: World, deployment: int) -> list[tuple[str, str]]:
    record = world.store.get_deployment(DeploymentId(deployment))
    return [(stage.stage.value, stage.outcome) for stage in record.stages]


def test_deploys_what_it_verified(world: World) -> None:
    """Each stage is recorded, and deployed is what was seen to run."""
    done = world.deploy(A)

    assert done.status is Status.DEPLOYED
    assert done.prepared is not None
    assert done.prepared.revision.images == {IMAGE: digest_of("first")}
    assert stages(world, done.id) == [
        (name, "ok") for name in ("prepare", "gate", "apply", "verify")
    ]
    state = world.store.get_state(WEB)
    assert state.live == done
    assert state.tracked_commit == A
    assert state.tracked_images == {IMAGE: digest_of("first")}
    assert state.images_seeded


def test_a_bad_revision_comes_back_as_the_last_good_one(world: World) -> None:
    """What fails verification is rolled back, verified again, and quarantined."""
    good = world.deploy(A)
    world.strategy.digests[IMAGE] = digest_of("bad")
    world.strategy.looks[digest_of("bad")] = unhealthy

    bad = world.deploy(B)

    assert bad.status is Status.ROLLED_BACK
    assert bad.rolled_back_to == good.id
    assert bad.error is not None
    assert "unhealthy" in bad.error.message
    assert [sample.digests for sample in world.strategy.running[WEB, LOCAL]] == [
        {digest_of("first")}
    ]
    assert stages(world, bad.id)[-2:] == [("verify", "verification-failed"), ("roll-back", "ok")]
    assert world.store.get_state(WEB).live == good
    assert world.trigger(B).outcome == "refused"
    assert world.trigger(C).admitted


def test_a_first_deployment_that_fails_says_that_there_is_no_way_back(world: World) -> None:
    """Without a last good revision nothing is rolled back, and nothing is called a success."""
    world.strategy.looks[digest_of("first")] = crashed
    done = world.deploy(A)
    assert done.status is Status.FAILED
    assert world.store.get_state(WEB).live is None
    assert "no earlier revision" in world.output(done.id)


def test_a_rollback_that_fails_asks_for_a_person(world: World, failing: Fail) -> None:
    """Both errors are told."""
    world.deploy(A)
    failing("apply", CommandFailed("up ended with exit status 1"))
    failing("apply", CommandFailed("the port is taken"))

    done = world.deploy(B)

    assert done.status is Status.NEEDS_OPERATOR
    assert done.error is not None
    assert "exit status 1" in done.error.message
    assert "the port is taken" in done.error.message


@pytest.mark.parametrize(
    ("error", "status", "attempts"),
    [
        pytest.param(InvalidComposeFile("no services"), Status.FAILED, 1, id="stalls"),
        pytest.param(SourceUnreachable("git.example: 503"), Status.QUEUED, 2, id="retries"),
    ],
)
def test_a_failure_before_anything_changed_rolls_nothing_back(
    world: World, failing: Fail, error: Exception, status: Status, attempts: int
) -> None:
    """The old revision was never touched; a passing failure is tried again later."""
    world.deploy(A)
    failing("prepare", error)
    world.strategy.calls.clear()

    done = world.deploy(B)

    assert (done.status, done.attempt) == (status, attempts)
    assert "apply" not in world.strategy.calls


def test_what_nobody_waits_for_outlasts_an_outage(world: World, failing: Fail) -> None:
    """A registry that is away for hours costs no revision: the last attempt succeeds."""
    for _ in range(20):
        failing("prepare", SourceUnreachable("registry.example: 503"))
    world.trigger(A)
    for _ in range(20):
        assert world.roll_out().status is Status.QUEUED
        world.clock.advance(timedelta(minutes=20))
    assert world.roll_out().status is Status.DEPLOYED


def test_a_person_need_not_wait_for_the_next_attempt(world: World, failing: Fail) -> None:
    """Who asks for what waits to be tried again gets it tried now."""
    failing("prepare", SourceUnreachable("registry.example: 503"))
    world.trigger(A)
    world.roll_out()
    assert world.store.claim_next("me", world.clock.now(), lease=timedelta(minutes=1)) is None
    assert world.trigger(A, Trigger.PERSON).outcome == "coalesced"
    assert world.roll_out().status is Status.DEPLOYED


def test_retries_are_bounded(world: World, failing: Fail) -> None:
    """After five attempts, what a person waits for has failed."""
    for _ in range(5):
        failing("prepare", SourceUnreachable("git.example: 503"))
    world.trigger(A, Trigger.PERSON)
    for attempt in range(1, 5):
        done = world.roll_out()
        assert (done.status, done.attempt) == (Status.QUEUED, attempt + 1)
        assert world.store.claim_next("me", world.clock.now(), lease=timedelta(minutes=1)) is None
        world.clock.advance(timedelta(minutes=15))
    assert world.roll_out().status is Status.FAILED


@pytest.mark.parametrize(
    "method", [pytest.param("prepare", id="prepare"), pytest.param("", id="before")]
)
def test_the_switch_holds_until_apply(world: World, method: str) -> None:
    """Turned off before apply, an automatic deployment is withdrawn and asked for again later."""
    world.deploy(A)
    world.trigger(B)
    if method:
        world.strategy.on_call = lambda name: world.switch(False) if name == method else None
    else:
        world.switch(False)

    withdrawn = world.roll_out()

    assert withdrawn.status is Status.WITHDRAWN
    assert withdrawn.error is not None
    assert withdrawn.error.code == "master-switch-off"
    assert world.strategy.calls.count("apply") == 1
    state = world.store.get_state(WEB)
    assert state.tracked_commit == A
    world.strategy.on_call = lambda _: None
    world.switch(True)
    assert world.trigger(B).admitted


def test_the_switch_does_not_tear_apart_what_has_begun(world: World) -> None:
    """Turned off while containers change, the deployment is brought to its end."""
    world.strategy.on_call = lambda name: world.switch(False) if name == "apply" else None
    assert world.deploy(A).status is Status.DEPLOYED


def test_the_switch_does_not_hold_a_person(world: World) -> None:
    """What a person asks for runs with the switch off."""
    world.switch(False)
    assert world.trigger(A, Trigger.PERSON).admitted
    assert world.roll_out().status is Status.DEPLOYED


@pytest.mark.parametrize(
    ("died_in", "applied"),
    [
        pytest.param("prepare", 1, id="prepare"),
        pytest.param("build", 1, id="build"),
        pytest.param("apply", 1, id="before-apply"),
        pytest.param("observe", 1, id="verify"),
    ],
)
def test_a_dead_worker_is_succeeded(
    world: World, failing: Fail, died_in: str, applied: int
) -> None:
    """Whoever claims it next goes on from the recorded stage, and applies no more than needed."""
    world.strategy.builds = True
    failing(died_in, Interrupted("killed"))
    world.trigger(A)
    with pytest.raises(Interrupted):
        world.roll_out()
    world.strategy.calls.clear()
    world.clock.advance(timedelta(minutes=2))

    claim = world.claim("another")

    assert claim.resumed
    done = world.roll_out(claim)
    assert done.status is Status.DEPLOYED
    assert world.strategy.starts == applied
    assert done.attempt == 1


def test_a_worker_that_died_rolling_back_is_succeeded(world: World, failing: Fail) -> None:
    """The next one rolls back, and the record keeps why."""
    good = world.deploy(A)
    failing("apply", CommandFailed("up ended with exit status 1"))
    failing("apply", Interrupted("killed"))
    world.trigger(B)
    with pytest.raises(Interrupted):
        world.roll_out()
    world.clock.advance(timedelta(minutes=2))

    done = world.roll_out(world.claim("another"))

    assert (done.status, done.rolled_back_to) == (Status.ROLLED_BACK, good.id)
    assert done.error is not None
    assert done.error.code == "command-failed"


def test_what_kills_the_daemon_again_and_again_ends_with_a_person(
    world: World, failing: Fail
) -> None:
    """The fourth worker does not try."""
    world.trigger(A)
    for _ in range(4):
        failing("apply", Interrupted("killed"))
        with pytest.raises(Interrupted):
            world.roll_out()
        world.clock.advance(timedelta(minutes=2))
    done = world.roll_out()
    assert done.status is Status.NEEDS_OPERATOR
    assert done.stage is Stage.APPLY


def test_a_stale_worker_writes_nothing(world: World) -> None:
    """One that comes back after its lease is over is refused at its next write."""
    world.trigger(A)
    stale = world.claim("slow")
    world.clock.advance(timedelta(minutes=2))
    world.strategy.on_call = lambda name: world.claim("quick") if name == "prepare" else None
    with pytest.raises(ClaimLost):
        world.roll_out(stale)
    assert "apply" not in world.strategy.calls


def test_an_engine_that_is_silent_for_a_moment_decides_nothing(world: World, failing: Fail) -> None:
    """Looks that fail are no samples."""
    for _ in range(10):
        failing("observe", TargetUnreachable("the engine does not answer"))
    assert world.deploy(A).status is Status.DEPLOYED


def silent_while_verified(world: World) -> None:
    """Have the engine go away after each apply, for longer than it is waited for."""
    world.strategy.digests[IMAGE] = digest_of("second")
    away = [TargetUnreachable("the engine does not answer")] * 32

    def go_away(call: str) -> None:
        running = world.strategy.running.get((WEB, LOCAL), [])
        if call == "apply":
            world.strategy.failures["observe"] = []
        elif call == "observe" and digest_of("second") in running[0].digests and away:
            world.strategy.failures["observe"] = [away[0]]

    world.strategy.on_call = go_away


def test_an_engine_that_stays_silent_is_no_success_and_no_fault(world: World) -> None:
    """What can't be seen is not verified: it goes back, and is tried again when it may be seen."""
    good = world.deploy(A)
    silent_while_verified(world)
    waiting = world.deploy(B)
    assert (waiting.status, waiting.attempt) == (Status.QUEUED, 2)
    assert world.strategy.running[WEB, LOCAL][0].digests == {digest_of("first")}
    state = world.store.get_state(WEB)
    assert (state.live, state.quarantined) == (good, ())
    world.strategy.on_call = lambda _: None
    world.clock.advance(timedelta(minutes=1))
    assert world.roll_out().status is Status.DEPLOYED


def test_an_engine_that_is_always_silent_ends_without_a_quarantine(world: World) -> None:
    """As often as a person would wait for, and then it says how to try again."""
    good = world.deploy(A)
    silent_while_verified(world)
    world.trigger(B)
    for _ in range(4):
        assert world.roll_out().status is Status.QUEUED
        world.clock.advance(timedelta(minutes=20))
    done = world.roll_out()
    assert (done.status, done.rolled_back_to) == (Status.ROLLED_BACK, good.id)
    assert done.error is not None
    assert "`reconciler deploy web` tries it again" in done.error.remedy
    assert world.store.get_state(WEB).quarantined == ()
    assert Explainer(world.store, world.clock, world.brakes).summary(WEB).standing == "failed"
    assert world.trigger(B, Trigger.PERSON).admitted


def test_a_way_back_that_is_cut_off_blames_no_revision(world: World, failing: Fail) -> None:
    """A person has to look at the host; the revision may be fine."""
    world.deploy(A)
    for _ in range(8):
        failing("apply", TargetUnreachable("the engine does not answer"))
    done = world.deploy(B)
    assert done.status is Status.NEEDS_OPERATOR
    assert done.error is not None
    assert "tries it again" in done.error.remedy
    assert world.store.get_state(WEB).quarantined == ()


def test_a_first_version_on_an_engine_that_goes_away_is_tried_again(
    world: World, failing: Fail
) -> None:
    """There is nothing to go back to, and nothing against it."""
    for _ in range(4):
        failing("apply", TargetUnreachable("the engine does not answer"))
    assert world.deploy(A).status is Status.QUEUED
    world.clock.advance(timedelta(minutes=1))
    assert world.roll_out().status is Status.DEPLOYED


@pytest.mark.parametrize("reads", ["compose file", "manifest"])
def test_what_went_back_and_fails_later_before_it_changes_anything_goes_back_once(
    world: World, failing: Fail, reads: str
) -> None:
    """A later attempt that gets nowhere finds the earlier version running, and leaves it."""
    world.deploy(A)
    silent_while_verified(world)
    world.deploy(B)
    world.clock.advance(timedelta(minutes=1))
    if reads == "manifest":  # before any host is looked at
        world.store.update_project(replace(world.store.get_project(WEB), allow_manifest=True))
        world.commits.failures.append(InvalidComposeFile(".reconciler.toml is a symlink"))
    failing("prepare", InvalidComposeFile("no services"))
    world.strategy.calls.clear()
    assert world.roll_out().status is Status.FAILED
    assert "apply" not in world.strategy.calls


def test_a_successor_of_a_worker_that_died_going_back_blames_no_revision(
    world: World, failing: Fail
) -> None:
    """It knows from the record that it was the engine."""
    world.deploy(A)
    for _ in range(4):
        failing("apply", TargetUnreachable("the engine does not answer"))
    failing("apply", Interrupted("killed"))
    world.trigger(B)
    with pytest.raises(Interrupted):
        world.roll_out()
    world.clock.advance(timedelta(minutes=2))
    assert world.roll_out(world.claim("another")).status is Status.QUEUED
    assert world.store.get_state(WEB).quarantined == ()


def test_an_engine_that_restarts_while_containers_change_costs_time_only(
    world: World, failing: Fail
) -> None:
    """Applying is repeated until the engine is back; nothing is rolled back for it."""
    world.deploy(A)
    for _ in range(2):
        failing("apply", TargetUnreachable("the engine does not answer"))
    assert world.deploy(B).status is Status.DEPLOYED


def test_a_quarantined_resolution_is_withdrawn_at_the_gate(world: World) -> None:
    """The same commit that resolves to the same bad digest is not applied a second time."""
    world.deploy(A)
    world.strategy.digests[IMAGE] = digest_of("bad")
    world.strategy.looks[digest_of("bad")] = unhealthy
    world.deploy(B)
    world.store.seed_images(WEB, {IMAGE: digest_of("other")})
    tracked = world.store.get_state(WEB).tracked_images
    look = ImageLook(WEB, [IMAGE], {IMAGE: digest_of("bad")}, tracked)
    moved = world.reconciler.reconcile_images(look, Wish(Trigger.IMAGE_WATCH, "image-watch"))
    assert getattr(moved, "outcome", "") == "refused"


def test_rolls_back_to_an_earlier_revision_on_request(world: World) -> None:
    """A rollback applies what is kept: nothing is prepared, nothing looked up."""
    first = world.deploy(A)
    world.strategy.digests[IMAGE] = digest_of("second")
    world.deploy(B)
    world.strategy.calls.clear()

    world.trigger(A, Trigger.ROLLBACK, revision=first.target_revision, restores=first.id)
    done = world.roll_out()

    assert done.status is Status.DEPLOYED
    assert "prepare" not in world.strategy.calls
    assert world.store.get_state(WEB).live == done
    assert world.trigger(B).outcome == "admitted"


def test_a_rollback_to_what_is_no_longer_kept_says_so(world: World) -> None:
    """The failure that is recorded has the reason's own code."""
    first = world.deploy(A)
    world.trigger(A, Trigger.ROLLBACK, revision=first.target_revision, restores=first.id)
    world.store.drop_prepared(first.id)
    done = world.roll_out()
    assert done.error is not None
    assert done.error.code == "nothing-to-restore"


def test_only_the_newest_revisions_are_kept(world: World) -> None:
    """Five can be restored; older ones are dropped, the live one never."""
    for number in range(7):
        world.strategy.digests[IMAGE] = digest_of(f"build {number}")
        world.trigger(A if number % 2 else B)
        world.roll_out()
    kept = [deployment.id for deployment in world.store.list_restorable(WEB)]
    assert kept == [7, 6, 5, 4, 3]
    assert [call for call in world.strategy.calls if call.startswith("forget")] == [
        "forget .deploy/override-1.yaml",
        "forget .deploy/override-2.yaml",
    ]
    # What the newest one runs is among them: nothing of it may go.
    assert {one.override_file for one in world.strategy.kept} == {
        f".deploy/override-{number}.yaml" for number in kept
    }


def test_nothing_else_is_prepared_while_old_ones_are_forgotten(world: World) -> None:
    """It could need what goes: the deployment that is verified still holds the project."""
    seen: list[Status] = []

    def look(call: str) -> None:
        if call.startswith("forget"):
            seen.append(world.store.get_deployment(DeploymentId(6)).status)

    world.strategy.on_call = look
    for number in range(6):
        world.strategy.digests[IMAGE] = digest_of(f"build {number}")
        world.deploy(A if number % 2 else B)
    assert seen == [Status.RUNNING]


def test_output_is_kept_by_stage_and_without_secrets(world: World) -> None:
    """What stages say can be read afterwards; a secret of the project can't."""
    from reconciler.domain.secret import Secret

    world.store.put_secret(
        WEB,
        "variable:TOKEN",
        Secret.of("s3cret-value"),
        bound_to="",
        username="",
        now=world.clock.now(),
    )
    world.strategy.failures["prepare"] = [SourceUnreachable("said s3cret-value")]
    world.trigger(A)
    done = world.roll_out()
    assert "failed: said" in world.output(done.id)
    assert "s3cret-value" not in world.output(done.id)
    assert done.error is not None
    assert "s3cret-value" not in f"{done.error.message}{done.error.evidence}"


@pytest.mark.parametrize("shown", ["s3cret-value", "czNjcmV0LXZhbHVl"], ids=["raw", "base64"])
def test_what_is_recorded_of_a_failure_holds_no_secret(
    world: World, failing: Fail, shown: str
) -> None:
    """Programs quote what they were given: neither message, evidence nor quarantine keeps it."""
    from reconciler.domain.secret import Secret

    now = world.clock.now()
    secret = Secret.of("s3cret-value")
    world.store.put_secret(WEB, "variable:TOKEN", secret, bound_to="", username="", now=now)
    world.deploy(A)
    for _ in range(2):
        failing("apply", CommandFailed(f"said {shown}", stderr=f"one\n{shown}"))
    done = world.deploy(B)
    (quarantined,) = world.store.get_state(WEB).quarantined
    assert done.status is Status.NEEDS_OPERATOR
    assert done.error is not None
    assert done.error.evidence["stderr"].startswith("one\n")
    assert shown not in f"{done.error.message}{done.error.evidence}{quarantined.reason}"


@dataclass
class Flaky:
    """The store, which is out of reach where ``fails`` says so of a call."""

    world: World
    fails: Callable[[str, tuple[object, ...]], bool]
    refused: list[str] = field(default_factory=list)

    def __getattr__(self, name: str) -> object:
        real = getattr(self.world.store, name)

        def call(*args: object, **named: object) -> object:
            if self.fails(name, args):
                self.refused.append(name)
                raise StoreError("disk full")
            return real(*args, **named)

        return call


@pytest.mark.parametrize(
    "stage", [Stage.PREPARE, Stage.GATE, Stage.MIGRATE, Stage.APPLY, Stage.VERIFY]
)
@pytest.mark.parametrize("write", ["begin_stage", "end_stage"])
def test_a_stage_waits_for_the_store_to_be_back(world: World, write: str, stage: Stage) -> None:
    """A store that is out of reach for a moment is no fault of the revision."""
    world.deploy(A)
    project = world.store.get_project(WEB)
    world.store.update_project(replace(project, migration=Migration(("app", "migrate"))))
    flaky = Flaky(world, lambda name, args: len(flaky.refused) < 2 and [name, *args[1:2]] == seen)
    seen = [write, stage]
    world.trigger(B)
    done = replace(world, store=flaky).roll_out(world.claim())  # type: ignore[arg-type]
    assert done.status is Status.DEPLOYED
    assert flaky.refused == [write, write]


@pytest.mark.parametrize(
    "read",
    [
        pytest.param("variables", id="before-applying"),
        pytest.param("get_state", id="at-the-gate"),
    ],
)
def test_a_store_that_can_not_be_read_rolls_nothing_back(world: World, read: str) -> None:
    """The worker lets go; the next one goes on from the recorded stage."""
    world.deploy(A)
    world.trigger(B)
    flaky = Flaky(world, lambda name, _: name == read and not flaky.refused)
    claim = world.claim()
    with pytest.raises(Interrupted, match="disk full"):
        replace(world, store=flaky).roll_out(claim)  # type: ignore[arg-type]
    assert world.store.get_deployment(claim.deployment.id).status is Status.RUNNING
    world.store.release_all("me")
    assert world.roll_out().status is Status.DEPLOYED


def test_an_outcome_is_written_when_the_store_is_back(world: World) -> None:
    """A store that is out of reach for a moment costs no outcome."""
    flaky = Flaky(world, lambda name, _: name == "finish" and len(flaky.refused) < 2)
    world.trigger(A)
    done = replace(world, store=flaky).roll_out(world.claim())  # type: ignore[arg-type]
    assert done.status is Status.DEPLOYED
    assert flaky.refused == ["finish", "finish"]
