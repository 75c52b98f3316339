"""What was verified before, and is left as it is, is not watched for its whole window again."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from reconciler.domain.deployment import Deployment, Stage, Status, Trigger
from reconciler.domain.errors import Interrupted, TargetUnreachable
from reconciler.domain.health_check import HealthCheck, ProbeKind
from reconciler.domain.host import LOCAL
from reconciler.domain.target import implied_target
from reconciler.domain.verification import Health
from reconciler.domain.version_check import VersionCheck
from reconciler.testing import digest_of
from tests.unit.pipeline.conftest import IMAGE, WEB, A, World

BRIEFLY = timedelta(seconds=2)
Fail = Callable[[str, Exception], None]


@pytest.fixture
def live(world: World) -> World:
    """A world in which the first version is live, and applying it again changes nothing."""
    assert world.deploy(A).status is Status.DEPLOYED
    world.strategy.leaves_alone = True
    return world


def again(world: World) -> Deployment:
    world.trigger(A, Trigger.PERSON, force=True)
    return world.roll_out()


def watched(deployment: Deployment) -> timedelta:
    """Return how long it was watched."""
    (stage,) = (one for one in deployment.stages if one.stage is Stage.VERIFY)
    assert stage.duration is not None
    return stage.duration


def change(world: World, **fields: object) -> None:
    (sample,) = world.strategy.running[WEB, LOCAL]
    world.strategy.running[WEB, LOCAL] = [replace(sample, **fields)]  # type: ignore[arg-type]


def test_nothing_changed_so_a_few_looks_are_enough(live: World) -> None:
    """More than one, all the same."""
    live.strategy.calls.clear()
    done = again(live)
    assert done.status is Status.DEPLOYED
    assert watched(done) < BRIEFLY
    assert live.strategy.calls.count("observe") >= 2 + 3  # around applying, and then


def test_its_own_checks_are_asked_all_the_same(live: World) -> None:
    """Its health once, its version as often as ever."""
    check = HealthCheck(ProbeKind.HTTP, port=80)
    project = replace(
        live.store.get_project(WEB),
        version=VersionCheck(8080),
        targets=(replace(implied_target(WEB), health=check),),
    )
    live.store.update_project(project)
    change(live, address="172.18.0.2")
    done = again(live)
    assert done.status is Status.DEPLOYED
    assert watched(done) < BRIEFLY
    assert len(live.prober.asked) >= 1
    assert len(live.prober.asked_versions) >= 3


@pytest.mark.parametrize(
    ("when", "fields"),
    [
        pytest.param("apply", {"id": "another"}, id="replaced"),
        pytest.param("apply", {"started_at": "later"}, id="started-anew"),
        pytest.param("apply", {"restarts": 1}, id="restarted"),
        pytest.param("before", {"restarts": 1}, id="restarted-before"),
        pytest.param("before", {"health": Health.STARTING}, id="starting"),
        pytest.param("confirmed", {"started_at": "later"}, id="started-anew-while-watched"),
    ],
)
def test_what_was_touched_is_watched_in_full(
    live: World, when: str, fields: dict[str, object]
) -> None:
    """By whomever, and whenever."""
    if when == "before":
        change(live, **fields)

    def touch(call: str) -> None:
        looks = live.strategy.calls.count("observe")
        if (call == "apply" and when == "apply") or (when == "confirmed" and looks - seen == 4):
            change(live, **fields)
        elif "health" in fields and looks - seen == 9:
            change(live, health=Health.NONE)

    seen = live.strategy.calls.count("observe")
    live.strategy.on_call = touch
    done = again(live)
    assert done.status is Status.DEPLOYED
    assert watched(done) >= live.limits.window.unchecked


def test_what_is_unhealthy_is_no_success(live: World) -> None:
    """Left as it was is not well."""
    change(live, health=Health.UNHEALTHY)
    assert again(live).status is not Status.DEPLOYED


def test_other_pins_were_never_verified(live: World) -> None:
    """Something that runs already, and was not what the live deployment pinned, is watched."""
    live.strategy.digests[IMAGE] = digest_of("second")
    change(live, digests=frozenset({digest_of("first"), digest_of("second")}))
    done = again(live)
    assert done.status is Status.DEPLOYED
    assert watched(done) >= live.limits.window.unchecked


def test_a_successor_does_not_know_what_was_touched(live: World, failing: Fail) -> None:
    """A worker that died while it verified takes that with it: all of it is watched."""
    live.trigger(A, Trigger.PERSON, force=True)
    live.strategy.on_call = lambda call: kill(live) if call == "apply" else None
    with pytest.raises(Interrupted):
        live.roll_out()
    live.strategy.on_call = lambda _: None
    live.clock.advance(timedelta(minutes=2))
    done = live.roll_out(live.claim("another"))
    assert done.status is Status.DEPLOYED
    verified = [one for one in done.stages if one.stage is Stage.VERIFY][-1].duration
    assert verified is not None
    assert verified >= live.limits.window.unchecked


def kill(world: World) -> None:
    """Die at the first look after the next one, which still belongs to applying."""
    failures: list[Exception] = [TargetUnreachable("silent for a moment"), Interrupted("killed")]
    world.strategy.failures["observe"] = failures  # type: ignore[assignment]


def test_an_engine_that_can_not_be_asked_proves_nothing(live: World, failing: Fail) -> None:
    """Where nobody saw what ran before, all of it is watched."""
    failing("observe", TargetUnreachable("silent for a moment"))
    done = again(live)
    assert done.status is Status.DEPLOYED
    assert watched(done) >= live.limits.window.unchecked
