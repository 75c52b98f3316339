"""What a person is told who asks why: facts in order of weight, each once."""

from dataclasses import replace
from datetime import timedelta

from reconciler.domain.deployment import Status, Trigger
from reconciler.domain.errors import Recovery
from reconciler.domain.failure import Failure
from reconciler.domain.gate import MasterSwitch
from reconciler.domain.host import HostName, HostPath
from reconciler.domain.migration import Migration
from reconciler.domain.project import HostedSource
from reconciler.domain.references import BranchName
from reconciler.domain.state import SourceHealth
from reconciler.domain.target import Target, TargetStrategy
from reconciler.domain.verification import Health, Sample
from reconciler.pipeline.explain import Explainer, Explanation, summarize
from reconciler.pipeline.reasons import Facts
from reconciler.testing import digest_of
from tests.unit.pipeline.conftest import IMAGE, WEB, A, B, World
from tests.unit.pipeline.states import declare, looked, seen

MINUTE = timedelta(minutes=1)


def why(world: World) -> Explanation:
    return Explainer(world.store, world.clock, world.brakes).why(WEB)


def codes(world: World) -> list[str]:
    return [reason.code for reason in why(world).reasons]


def unhealthy(sample: Sample) -> Sample:
    return replace(sample, health=Health.UNHEALTHY)


def test_what_runs_is_told_once(world: World) -> None:
    """The request that became the live deployment is part of its sentence, not one of its own."""
    world.deploy(A)
    told = why(world)
    assert told.verdict == "deployment 1 runs, and nothing moved since"
    assert codes(world) == ["live", "first-alignment"]
    live = told.reasons[0]
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
    assert [reason.code for reason in told.reasons] == [
        "quarantined",
        "rolled-back",
        "live",
        "commit-moved",
    ]
    assert "unhealthy" not in told.reasons[1].text
    assert f"reconciler quarantine lift {WEB}" in told.reasons[0].text

    world.clock.advance(MINUTE)
    assert world.trigger(B).outcome == "refused"
    assert why(world).reasons[-1].text == "git-poll (moved) was refused: it is quarantined"


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
    assert codes(world) == ["live", "first-alignment"]

    world.clock.advance(MINUTE)
    assert world.trigger(A, Trigger.PERSON).outcome == "refused"
    assert codes(world) == ["live", "first-alignment", "already-live"]


def test_a_request_that_a_failed_deployment_overtook_is_not_told(world: World) -> None:
    """What was held before the newest deployment explains nothing, however that one ended."""
    world.deploy(A)
    world.clock.advance(MINUTE)
    world.switch(enabled=False)
    world.trigger(B)
    world.clock.advance(MINUTE)
    world.switch(enabled=True)
    world.strategy.digests[IMAGE] = digest_of("bad")
    world.strategy.looks[digest_of("bad")] = unhealthy
    assert world.deploy(B).status is Status.ROLLED_BACK
    assert codes(world) == ["quarantined", "rolled-back", "live", "commit-moved"]


def test_a_branch_that_never_was_is_not_said_to_be_gone(world: World) -> None:
    """Before the first push there is something to push, after it something was deleted."""
    explainer = Explainer(world.store, world.clock, world.brakes)

    def told() -> str:
        project, state = world.store.get_project(WEB), world.store.get_state(WEB)
        gone = SourceHealth(branch_gone=True)
        return summarize(Facts(project, state, gone, MasterSwitch(), world.clock.now())).text

    assert "is not there yet" in told()
    world.deploy(A)
    assert "any more" in told()
    assert "any more" not in explainer.summary(WEB).text


def test_nobody_is_sent_to_push_what_is_taken_from_a_folder(world: World) -> None:
    """The first deployment begins with a push to a hosted repository, or with its folder."""
    project, state = world.store.get_project(WEB), world.store.get_state(WEB)
    hosted = replace(project, source=HostedSource(WEB, BranchName("main")), targets=())
    target = Target(WEB, HostName("web1"), TargetStrategy.COMPOSE, base=HostPath("/srv/shop"))
    for one, told in (
        (hosted, f"push to branch main of the repository {WEB}"),
        (replace(hosted, targets=(target,)), "the next look at /srv/shop on web1 starts it"),
    ):
        facts = Facts(one, state, SourceHealth(), MasterSwitch(), world.clock.now())
        assert summarize(facts).text == f"nothing was deployed yet; {told}"


def test_how_the_migration_stands_is_told_by_host(world: World) -> None:
    """Also where it is what a person has to look at."""
    migration = Migration(("app", "migrate"), approval_status=3)
    world.store.update_project(replace(world.store.get_project(WEB), migration=migration))
    world.migrator.statuses = [3]
    world.deploy(A)
    told = why(world)
    assert told.verdict.startswith("deployment 1 waits for a person to approve its migration: ")
    assert told.verdict.endswith("`reconciler approve web --deployment 1`")
    summary = Explainer(world.store, world.clock, world.brakes).summary(WEB)
    assert (summary.standing, summary.reason) == ("needs-approval", "migration-needs-approval")
    (found,) = (reason for reason in told.reasons if reason.code == "migration")
    assert found.text == "the migration of deployment 1 on local: needs-approval"
    assert found.at is not None


def test_nobody_is_told_that_nothing_moved_while_nobody_can_look(world: World) -> None:
    """The sentence says what to do, for it goes on until a person does that."""
    error = Failure("source-denied", "it said 401", Recovery.OPERATOR, "store credentials")
    for what in ("nothing was deployed yet, and", "deployment 1 runs;"):
        looked(world, failures=1, error=error)
        assert why(world).verdict == (
            f"{what} its source can't be looked at: it said 401; store credentials"
        )
        if what.startswith("nothing"):
            world.deploy(A)


def test_nothing_waits_where_a_person_deployed_what_moved(world: World) -> None:
    """The branch was seen to move while auto-deploy was off; by hand it was deployed since."""
    world.deploy(A)
    looked(world, observed=B)
    declare(world, auto_deploy=False)
    assert "main at bbbbbbbb waits" in why(world).reasons[0].text
    assert world.trigger(B, Trigger.PERSON).admitted
    world.roll_out()
    assert "waits" not in why(world).reasons[0].text


def test_what_moved_behind_a_brake_is_named(world: World) -> None:
    """A commit and an image alike, in the list of all projects as well."""
    world.deploy(A)
    world.store.seed_images(WEB, {IMAGE: digest_of("first")})
    seen(world, "second")
    looked(world, observed=B)
    world.switch(enabled=False)
    (listed,) = Explainer(world.store, world.clock, world.brakes).summaries()
    waits = f"main at bbbbbbbb, {IMAGE} at {digest_of('second').short}"
    assert listed.standing == "held"
    assert listed.text.startswith(f"{waits} waits: the master switch was turned off by ann")
    assert listed.reason == "master-switch-off"
    world.switch(enabled=True)
    assert why(world).verdict == f"deployment 1 runs; the next look takes up {waits}"
