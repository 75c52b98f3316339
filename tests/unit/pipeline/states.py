"""States of a project that explain something, brought about as life would."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta

from reconciler.domain import errors
from reconciler.domain.admission import Request
from reconciler.domain.deployment import Cause, Stage, Trigger
from reconciler.domain.failure import Failure
from reconciler.domain.host import LOCAL, HostHealth
from reconciler.domain.migration import Migration
from reconciler.domain.reason_codes import ReasonCode
from reconciler.domain.references import ProjectName
from reconciler.domain.revision import Revision
from reconciler.domain.rules import Freeze, Rules
from reconciler.domain.state import (
    ImageLook,
    PassedOver,
    RegistryTrouble,
    SourceHealth,
    WatchedImage,
)
from reconciler.domain.verification import Health, Sample
from reconciler.domain.webhook import Provider
from reconciler.domain.windows import parse_windows
from reconciler.domain.wish import Wish
from reconciler.pipeline.explain import Explainer
from reconciler.pipeline.reasons import ExplainedReason, Facts, reasons_of
from reconciler.pipeline.rollout import Limits
from reconciler.pipeline.trigger import trigger_deployment
from reconciler.ports import Acting, PollResult, acting_for
from reconciler.testing import digest_of
from tests.unit.pipeline.conftest import IMAGE, WEB, A, B, World

MINUTE = timedelta(minutes=1)
Told = Sequence[ExplainedReason]


def explain(world: World) -> Told:
    return Explainer(world.store, world.clock, world.brakes).why(WEB).reasons


def declare(world: World, actor: str = "", **fields: object) -> None:
    changed = replace(world.store.get_project(WEB), updated_at=world.clock.now(), **fields)  # type: ignore[arg-type]
    with acting_for(Acting(actor)):
        world.store.update_project(changed)


def unhealthy(sample: Sample) -> Sample:
    return replace(sample, health=Health.UNHEALTHY)


def is_not_told_to_the_forge(world: World) -> None:
    declare(world, commit_statuses=True, forge=Provider.FORGEJO)
    world.trigger(A)
    message = world.store.claim_status("me", lease=MINUTE)
    assert message
    world.store.settle_message(message, "me", "git.example does not accept the token")


def fails(world: World, error: errors.ReconcilerError, method: str = "prepare") -> None:
    world.strategy.failures.setdefault(method, []).append(error)
    world.deploy(A)


def rolls_back(world: World, *, back: bool = True) -> None:
    world.deploy(A)
    world.clock.advance(MINUTE)
    world.strategy.digests[IMAGE] = digest_of("bad")
    world.strategy.looks[digest_of("bad")] = unhealthy
    if not back:
        world.strategy.looks[digest_of("first")] = unhealthy
    world.deploy(B)


def looked(world: World, **health: object) -> None:
    world.store.record_polls(
        [PollResult(WEB, SourceHealth(looked_at=world.clock.now(), **health))]  # type: ignore[arg-type]
    )


def fell(code: str) -> Callable[[World], object]:
    error = Failure(code, "it said no", errors.Recovery.RETRY, "mend it", {"host": "git.example"})
    return lambda world: looked(world, failures=3, error=error)


def in_trouble(code: str) -> Callable[[World], Told]:
    def explained(world: World) -> Told:
        world.deploy(A)
        failure = Failure(code, "it does not answer", errors.Recovery.RETRY)
        health = HostHealth(world.clock.now(), world.clock.now() - MINUTE, failure)
        return (
            Explainer(world.store, world.clock, world.brakes, lambda: {LOCAL: health})
            .why(WEB)
            .reasons
        )

    return explained


def watched(world: World, **image: object) -> None:
    one = WatchedImage(IMAGE, ("web",), looked_at=world.clock.now(), **image)  # type: ignore[arg-type]
    world.store.put_images(WEB, "a", [replace(one, digest=None)])
    world.store.record_lookups({WEB: [one]})


def seen(world: World, name: str = "first") -> None:
    watched(world, digest=digest_of(name), first_seen_at=world.clock.now())


def rests(code: ReasonCode, until: timedelta | None) -> Callable[[World], object]:
    def arrange(world: World) -> None:
        seen(world)
        now = world.clock.now()
        trouble = RegistryTrouble(
            "registry.example", code, "429", now, now + until if until else None
        )
        world.store.put_registry_trouble(trouble)

    return arrange


def passed_over(code: ReasonCode) -> Callable[[World], Told]:
    def explained(world: World) -> Told:
        passed = PassedOver(B, code, "none of the watched paths", world.clock.now(), base=A)
        state = replace(world.store.get_state(WEB), passed_over=passed)
        project, switch = world.store.get_project(WEB), world.store.get_switch()
        health = SourceHealth(observed=B)
        return reasons_of(Facts(project, state, health, switch, world.clock.now()))

    return explained


def waits_for_a_place(world: World) -> None:
    """Another project's deployment has the only place."""
    other = ProjectName("other")
    world.store.create_project(replace(world.store.get_project(WEB), name=other))
    asked = Request(other, Revision(A), Cause(Trigger.PUSH, "push"))
    trigger_deployment(world.store, asked, brakes=world.brakes, now=world.clock.now())
    world.claim()
    world.trigger(A)


def dies_and_goes_on(world: World) -> None:
    world.trigger(A)
    world.store.begin_stage(world.claim(), Stage.PREPARE, world.clock.now())
    world.store.release_all("me")
    world.roll_out()


def needs_migration(world: World) -> None:
    declare(world, migration=Migration(("app", "migrate"), approval_status=3))
    world.migrator.statuses = [3]
    world.deploy(A)


def image_moves(world: World) -> None:
    world.deploy(A)
    for seed in ("first", "second"):
        tracked = world.store.get_state(WEB).tracked_images
        look = ImageLook(WEB, {IMAGE}, {IMAGE: digest_of(seed)}, tracked)
        world.reconciler.reconcile_images(look, Wish(Trigger.IMAGE_WATCH, "image-watch"))


def is_frozen(world: World) -> None:
    world.store.set_freeze(WEB, Freeze("ann", world.clock.now(), "month end"))


def is_closed(world: World) -> None:
    """The clock starts on a Tuesday at midnight."""
    declare(world, rules=Rules(parse_windows(["mon 09:00-17:00"], "windows")))


def an_image_is_young(world: World) -> None:
    declare(world, rules=Rules(minimum_image_age=timedelta(days=1)))
    world.store.seed_images(WEB, {IMAGE: digest_of("first")})
    seen(world, "second")


def image_comes_new(world: World) -> None:
    world.deploy(A)
    image = "registry.example/team/cache:1"
    one = WatchedImage(image, ("cache",), digest=digest_of("c"), first_seen_at=world.clock.now())
    world.store.put_images(WEB, "a", [one])
    world.store.record_lookups({WEB: [one]})
    world.store.seed_images(WEB, {IMAGE: digest_of("first"), image: digest_of("c")})


def first_look(world: World) -> None:
    seen(world)
    world.store.seed_images(WEB, {IMAGE: digest_of("first")})


def changes_once_it_runs(world: World) -> None:
    world.deploy(A)
    declare(world, generation=2)


def withdraws(world: World) -> None:
    queued = world.trigger(A).deployment
    assert queued is not None
    taken_back = Failure("withdrawn", "ann took it back", errors.Recovery.OPERATOR)
    world.store.ask_to_withdraw(queued.id, taken_back, world.clock.now())


def gives_up_on_a_host_that_is_away(world: World) -> None:
    world.limits = Limits(attempts=1)
    world.strategy.failures["prepare"] = [errors.PinnedHostAway("edge does not answer")]
    world.trigger(A, Trigger.PERSON)
    world.roll_out()


def goes_down_with_its_worker(world: World) -> None:
    world.limits = Limits(resumptions=0)
    dies_and_goes_on(world)


def is_held(world: World) -> None:
    world.switch(enabled=False)
    world.trigger(A)
    world.switch(enabled=True)


def is_refused(world: World) -> None:
    declare(world, expose_port=None)
    world.trigger(A, Trigger.PERSON)


def drifts(world: World) -> None:
    live = world.deploy(A)
    world.store.record_drift(WEB, live.id, ["web runs another image"], world.clock.now())


def is_live_already(world: World) -> None:
    world.deploy(A)
    world.clock.advance(MINUTE)
    world.trigger(A, Trigger.PERSON)


def is_switched_off_while_something_waits(world: World) -> None:
    world.switch(enabled=False)
    looked(world, observed=B)
