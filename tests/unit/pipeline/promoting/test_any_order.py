"""In whatever order things happen: production runs what was verified and agreed to, or nothing."""

from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from reconciler.domain.deployment import Status
from reconciler.domain.errors import ReconcilerError
from reconciler.domain.promotion import handed_on
from reconciler.domain.references import CommitSha
from reconciler.testing import digest_of
from tests.unit.pipeline.conftest import IMAGE, WEB, open_world
from tests.unit.pipeline.promoting.way import HOUR, PRODUCTION, Way, open_way
from tests.unit.pipeline.states import unhealthy

Step = tuple[str, object]

_WHILE = timedelta(minutes=40)
_APPROVED: tuple[Step, ...] = (
    ("votes for", "ann"),
    ("looks", None),
    ("carries out", None),
    ("votes for", "bob"),
    ("looks", None),
    ("carries out", None),
)
#: What brings something to production, if nothing comes between.
STORY: tuple[Step, ...] = (
    ("test gets", "a"),
    ("carries out", None),
    ("looks", None),
    ("waits", _WHILE),
    ("looks", None),
    *_APPROVED,  # too early: nothing is there to vote on
    ("waits", _WHILE),
    ("looks", None),
    *_APPROVED,
)
STEPS = st.one_of(
    st.tuples(st.just("test gets"), st.sampled_from("abc")),
    st.tuples(st.just("test fails"), st.sampled_from("abc")),
    st.tuples(st.just("votes for"), st.sampled_from(["ann", "bob", "token:ci"])),
    st.tuples(st.just("votes against"), st.sampled_from(["ann", "bob"])),
    st.tuples(st.just("wants"), st.sampled_from(["ann", "token:ci"])),
    st.tuples(st.just("waits"), st.sampled_from([_WHILE, timedelta(days=4)])),
    st.tuples(st.just("looks"), st.none()),
    st.tuples(st.just("carries out"), st.none()),
    st.tuples(st.just("is declared anew"), st.none()),
)


def take(way: Way, step: str, what: object) -> None:
    """Take one step; what is refused changes nothing."""
    world, bad = way.world, digest_of(f"{what} at work")
    match step:
        case "test gets" | "test fails":
            world.strategy.digests[IMAGE] = bad
            world.strategy.looks.pop(bad, None)
            if step == "test fails":
                world.strategy.looks[bad] = unhealthy
            world.trigger(CommitSha(str(what) * 40), force=True)
        case "votes for" | "votes against":
            way.vote(str(what), approves=step == "votes for")
        case "wants":
            way.propose(str(what))
        case "waits":
            world.clock.advance(what)  # type: ignore[arg-type]
        case "looks":
            way.watch.tick()
            way.promotions.tick()
        case "carries out":
            way.carry_out()
        case "is declared anew":
            way.change(generation=world.store.get_project(PRODUCTION).generation + 1)


def check(way: Way) -> None:
    """See that each deployment of production that was carried out was verified and agreed to."""
    store = way.world.store
    promotions = {one.became: one for one in way.promotions.history(PRODUCTION)}
    for one in store.list_deployments(PRODUCTION):
        if not any(stage.stage.changes_target for stage in one.stages):
            continue
        assert one.promotes is not None
        verified, promotion = store.get_deployment(one.promotes), promotions[one.id]
        assert (verified.project, verified.status) == (WEB, Status.DEPLOYED)
        assert verified.prepared is not None
        assert handed_on(verified.prepared, one.revision.generation) == one.revision
        assert promotion.revision == one.revision
        assert len({vote.person for vote in promotion.approvals}) == 2
        assert all(not vote.person.startswith("token:") for vote in promotion.votes)
        assert one.started_at is not None
        assert one.started_at < promotion.expires_at
        alike = handed_on(verified.prepared)
        stood = [
            (each.until or one.created_at) - each.since
            for each in store.list_standings(WEB)
            if (ready := store.get_deployment(each.deployment).prepared)
            and handed_on(ready) == alike
        ]
        assert max(stood) >= HOUR


@settings(max_examples=6, deadline=None, suppress_health_check=[*HealthCheck])
@given(st.lists(st.tuples(st.integers(0, len(STORY)), STEPS), max_size=6))
@example([])
def test_nothing_unverified_or_unapproved_is_ever_deployed(
    sqlite_template: Path, between: list[tuple[int, Step]]
) -> None:
    """Two people, an hour of soak, three days to agree; and something else happens in between."""
    steps = list(STORY)
    for place, step in sorted(between, key=lambda one: one[0], reverse=True):
        steps.insert(place, step)
    with (
        TemporaryDirectory() as folder,
        open_world(sqlite_template, Path(folder)) as world,
        open_way(world) as way,
    ):
        way.declare(soak=HOUR, approvals=2)
        for step in steps:
            with suppress(ReconcilerError):
                take(way, *step)
            check(way)
        assert between or way.seen("a at work", PRODUCTION)
