"""The environments of an app, how each stands, and how far its releases came."""

from reconciler.domain.reason_codes import ReasonCode
from reconciler.domain.references import ProjectName
from reconciler.domain.target import TargetStrategy
from reconciler.pipeline.promoting.environments import Chain, Place, Progress
from reconciler.testing import digest_of
from tests.unit.pipeline.conftest import WEB, A, B, C
from tests.unit.pipeline.promoting.way import HOUR, MINUTE, PRODUCTION, Way
from tests.unit.pipeline.states import unhealthy

STAGING, DEMO = ProjectName("web-staging"), ProjectName("web-demo")


def place(chain: Chain, name: ProjectName) -> Place:
    return next(one for one in chain.places if one.project.name == name)


def test_each_comes_after_the_one_that_it_is_promoted_from(way: Way) -> None:
    """Whichever of them is asked for; two that follow the same one stand by their names."""
    way.declare(STAGING)
    way.declare(PRODUCTION, STAGING)
    way.declare(DEMO)
    for asked in (WEB, PRODUCTION, DEMO):
        chain = way.environments.chain(asked)
        assert [(one.name, one.depth) for one in chain.places] == [
            ("test", 0),
            ("demo", 1),
            ("staging", 1),
            ("production", 2),
        ]


def test_an_environment_tells_what_runs_what_could_and_why_it_does_not(way: Way) -> None:
    """From recorded facts."""
    way.declare(soak=HOUR, approvals=2)
    way.verify(A, "first")
    way.later(HOUR)
    for person in ("ann", "bob"):
        way.vote(person)
    way.tick()
    second = way.verify(B, "second")
    way.later(12 * MINUTE)
    chain = way.environments.chain(PRODUCTION)
    test, production = chain.places
    assert test.live == second
    assert (test.standing and test.standing.deployment) == second.id
    assert test.prospect is None
    assert production.strategies == (TargetStrategy.COMPOSE,)
    assert production.live
    assert production.live.target_revision.images["registry.example/team/app:main"] == digest_of(
        "first"
    )
    assert production.since == production.live.finished_at
    assert production.candidate == second
    assert production.soak
    assert (production.soak.stood, production.soak.needed) == (12 * MINUTE, HOUR)
    assert [one.code for one in production.reasons] == [ReasonCode.SOAKING]
    way.later(48 * MINUTE)
    production = place(way.environments.chain(WEB), PRODUCTION)
    (waiting,) = production.waiting
    assert (waiting.deployment, production.needed) == (second.id, 2)
    assert [one.code for one in production.reasons] == [ReasonCode.APPROVAL_MISSING]


def test_releases_tell_how_far_each_came(way: Way) -> None:
    """The newest first, and each once."""
    way.declare(approvals=1)
    way.declare(STAGING)
    way.verify(A, "first")
    way.tick()
    way.vote("ann")
    way.tick()
    way.world.strategy.looks[digest_of("second")] = lambda sample: sample
    way.verify(B, "second")
    way.tick()
    way.vote("ann", approves=False)
    way.verify(C, "third")
    way.world.strategy.looks[digest_of("third")] = unhealthy
    way.promotions.tick()
    way.carry_out()
    third, second, first = way.environments.releases(STAGING)
    assert [one.commit for one in (third, second, first)] == [C, B, A]

    def told(journey: object) -> list[Progress]:
        return [one.progress for one in journey.arrivals]  # type: ignore[attr-defined]

    # In the order of the environments: test, production, staging.
    assert told(third) == [Progress.LIVE, Progress.WAITING, Progress.FAILED]
    assert told(second) == [Progress.VERIFIED, Progress.REJECTED, Progress.LIVE]
    assert told(first) == [Progress.VERIFIED, Progress.LIVE, Progress.VERIFIED]
