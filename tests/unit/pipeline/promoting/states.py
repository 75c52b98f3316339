"""States of an environment that is promoted from another, brought about as life would."""

from datetime import timedelta

from reconciler.pipeline.explain import Explainer
from reconciler.pipeline.trigger import TriggerResult
from reconciler.testing import digest_of
from tests.unit.pipeline.conftest import A, B, World
from tests.unit.pipeline.promoting.way import HOUR, MINUTE, PRODUCTION, Way, open_way
from tests.unit.pipeline.states import Told, unhealthy


def _told(way: Way) -> Told:
    return Explainer(way.world.store, way.world.clock, way.world.brakes).why(PRODUCTION).reasons


def fails_on_test(world: World) -> Told:
    with open_way(world) as way:
        way.declare()
        way.verify(A, "first")
        way.tick()
        world.strategy.looks[digest_of("bad")] = unhealthy
        world.clock.advance(MINUTE)
        world.strategy.digests = {image: digest_of("bad") for image in world.strategy.digests}
        world.trigger(B)
        way.carry_out()
        return _told(way)


def soaks(world: World) -> Told:
    with open_way(world) as way:
        way.declare(soak=HOUR)
        way.verify(A, "first")
        way.later(MINUTE)
        return _told(way)


def waits_for_approval(world: World) -> Told:
    with open_way(world) as way:
        way.declare(approvals=2)
        way.verify(A, "first")
        way.tick()
        way.vote("ann")
        return _told(way)


def runs_out(world: World) -> Told:
    with open_way(world) as way:
        way.declare(approvals=2)
        way.verify(A, "first")
        way.tick()
        way.later(timedelta(days=4))
        return _told(way)


def is_rejected(world: World) -> Told:
    with open_way(world) as way:
        way.declare(approvals=1)
        way.verify(A, "first")
        way.tick()
        way.vote("ann", approves=False)
        return _told(way)


def is_asked_past_its_environment(world: World) -> TriggerResult:
    with open_way(world) as way:
        way.declare()
        return way.ask()
