"""What a person is told who asks why: facts in order of weight, each once."""

from dataclasses import replace
from datetime import timedelta

from reconciler.domain.deployment import Status, Trigger
from reconciler.domain.verification import ContainerSample, Health
from reconciler.pipeline.explain import Explainer, Explanation
from reconciler.testing import digest_of
from tests.unit.pipeline.conftest import IMAGE, WEB, A, B, World

MINUTE = timedelta(minutes=1)


def why(world: World) -> Explanation:
    return Explainer(world.store, world.brakes).why(WEB)


def codes(world: World) -> list[str]:
    return [reason.code for reason in why(world).reasons]


def unhealthy(sample: ContainerSample) -> ContainerSample:
    return replace(sample, health=Health.UNHEALTHY)


def test_what_runs_is_told_once(world: World) -> None:
    """The request that became the live deployment is part of its sentence, not one of its own."""
    world.deploy(A)
    told = why(world)
    assert told.verdict == "deployment 1 runs, and nothing moved since"
    (live,) = told.reasons
    assert live.code == "live"
    assert live.text == "deployment 1 runs: aaaaaaaa + 1 image; asked for by git-poll (moved)"


def test_a_rollback_is_told_before_what_runs(world: World) -> None:
    """What failed comes first, with what helps, and the failed deployment is not told twice."""
    world.deploy(A)
    world.strategy.digests[IMAGE] = digest_of("bad")
    world.strategy.looks[digest_of("bad")] = unhealthy
    world.clock.advance(MINUTE)
    assert world.deploy(B).status is Status.ROLLED_BACK

    told = why(world)
    assert told.verdict.startswith("deployment 2 was rolled back (")
    assert told.verdict.endswith("; deployment 1 runs")
    assert [reason.code for reason in told.reasons] == ["quarantined", "live"]
    assert f"reconciler quarantine lift {WEB}" in told.reasons[0].text


def test_brakes_come_first_with_what_releases_them(world: World) -> None:
    """Only the switch has a time of its own; what it held says so without repeating it."""
    world.deploy(A)
    world.clock.advance(MINUTE)
    world.stop_files.append("/run/STOP")
    world.switch(enabled=False)
    world.clock.advance(MINUTE)
    assert world.trigger(B).outcome == "held"

    emergency, switch, *_, held = why(world).reasons
    assert (emergency.code, emergency.at) == ("emergency-file", None)
    assert switch.at == world.clock.now() - MINUTE
    assert "reconciler switch on" in switch.text
    assert held.text == "git-poll (moved) was held"


def test_what_a_newer_deployment_overtook_is_not_told(world: World) -> None:
    """A request that was held once and deployed later explains nothing any more."""
    world.switch(enabled=False)
    world.trigger(A)
    assert "master-switch-off" in codes(world)
    world.clock.advance(MINUTE)
    world.switch(enabled=True)
    world.deploy(A)
    assert codes(world) == ["live"]

    world.clock.advance(MINUTE)
    assert world.trigger(A, Trigger.PERSON).outcome == "refused"
    assert codes(world) == ["live", "already-live"]
