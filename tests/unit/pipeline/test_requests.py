"""What people ask for, against what runs."""

from dataclasses import dataclass, field, replace

import pytest

from reconciler.domain.deployment import Deployment, DeploymentId, Status, Trigger
from reconciler.domain.errors import NotFound, NothingToApprove, Refused, SourceUnreachable
from reconciler.domain.host import HostName
from reconciler.domain.migration import Migration
from reconciler.domain.reason_codes import ReasonCode
from reconciler.domain.references import CommitSha, Digest, ImageReference, ProjectName
from reconciler.domain.release import Build, ReleaseId, ReleaseReport
from reconciler.domain.state import WatchedImage
from reconciler.domain.target import Target, TargetStrategy
from reconciler.pipeline.requests import Approved, Requests, Wanted
from reconciler.pipeline.sources import Sources as ProjectSources
from reconciler.testing import digest_of
from tests.unit.pipeline.conftest import IMAGE, WEB, A, B, World


@dataclass
class Sources:
    """Where the branch and the tag stand."""

    at: CommitSha | None = A
    digests: dict[str, Digest] = field(default_factory=dict)

    def tip(self, *_: object) -> CommitSha | None:
        return self.at

    def digest(self, image: ImageReference, project: ProjectName | None = None) -> Digest:
        found = self.digests.get(str(image))
        if found is None:
            raise SourceUnreachable("registry.example: 503")
        return found


@pytest.fixture
def sources() -> Sources:
    return Sources()


@pytest.fixture
def requests(world: World, sources: Sources) -> Requests:
    of_projects = ProjectSources(world.store, sources, sources)  # type: ignore[arg-type]
    return Requests(world.store, world.clock, world.brakes, of_projects, sources)  # type: ignore[arg-type]


def deploy(requests: Requests) -> str:
    result = requests.deploy(WEB, Wanted(), actor="ann")
    return str(result.reasons[0].code) if not result.admitted else "admitted"


def test_deploy_now_means_what_the_tags_say_now(
    world: World, requests: Requests, sources: Sources
) -> None:
    """A digest that moved is something to deploy, though the commit is the one that runs."""
    world.deploy(A)
    sources.digests[IMAGE] = digest_of("first")
    assert deploy(requests) == ReasonCode.ALREADY_LIVE
    sources.digests[IMAGE] = digest_of("second")
    assert deploy(requests) == "admitted"


def test_an_image_that_is_left_alone_is_nothing_to_deploy_for(
    world: World, requests: Requests, sources: Sources
) -> None:
    """Whatever its tag means by now: the deployment would keep what runs."""
    world.deploy(A)
    left = WatchedImage(IMAGE, ("web",), "its label wud.watch is false")
    world.store.put_images(WEB, "read", [left])
    sources.digests[IMAGE] = digest_of("second")
    assert deploy(requests) == ReasonCode.ALREADY_LIVE


def test_a_registry_that_is_away_makes_nothing_new(
    world: World, requests: Requests, sources: Sources
) -> None:
    """What can't be looked up is not taken for moved."""
    world.deploy(A)
    assert deploy(requests) == ReasonCode.ALREADY_LIVE


def test_what_ci_reported_is_what_is_deployed(
    world: World, requests: Requests, sources: Sources
) -> None:
    """Its commit and its digests, wherever the branch and the tag stand by now."""
    sources.at, now = B, world.clock.now()
    images = {IMAGE: digest_of("reported")}
    record, _ = world.store.add_release(ReleaseReport(WEB, A, images, Build(now)), "ci", now)
    result = requests.deploy(WEB, Wanted(release=record.id), actor="ann")
    assert result.deployment is not None
    asked = result.deployment
    assert (asked.revision.commit, dict(asked.revision.images)) == (A, images)
    assert asked.causes[0].detail == f"release {record.id}"
    other = replace(world.store.get_project(WEB), name=ProjectName("other"))
    world.store.create_project(other)
    for name, number in ((other.name, record.id), (WEB, ReleaseId(record.id + 1))):
        with pytest.raises(NotFound):
            requests.deploy(name, Wanted(release=number), actor="ann")


def test_nobody_goes_back_to_what_ran_on_another_host(world: World, requests: Requests) -> None:
    """Not by default, and not by naming it."""
    first = world.deploy(A)
    world.deploy(B)
    project = world.store.get_project(WEB)
    elsewhere = (Target(WEB, HostName("east"), TargetStrategy.COMPOSE),)
    world.store.update_project(replace(project, targets=elsewhere))
    for named in (None, first.id):
        with pytest.raises(Refused, match="where it runs"):
            requests.roll_back(WEB, to=named, actor="ada")
    world.store.update_project(project)
    assert requests.roll_back(WEB, to=None, actor="ada").outcome == "admitted"


# ── Approving a migration ─────────────────────────────────────────────────────────────────────


@pytest.fixture
def stopped(world: World) -> Deployment:
    """A deployment whose migration found something that a person has to look at."""
    declare_migration(world, "migrate")
    world.migrator.statuses = [3, 3]
    done = world.deploy(A)
    assert done.status is Status.NEEDS_OPERATOR
    assert done.error is not None
    assert done.error.remedy.endswith(f"`reconciler approve web --deployment {done.id}`")
    assert str(done.target_revision) in done.error.message
    return done


def declare_migration(world: World, command: str) -> None:
    migration = Migration(("app", command), approval_status=3)
    world.store.update_project(replace(world.store.get_project(WEB), migration=migration))


def test_c3_what_a_person_approves_is_what_is_deployed(
    world: World, requests: Requests, stopped: Deployment
) -> None:
    """C3: the very revision, in that person's name, though the tag has moved since."""
    world.strategy.digests[IMAGE] = digest_of("second")
    result = requests.approve(WEB, Approved(stopped.id, "read the plan"), actor="ann")
    assert result.admitted
    done = world.roll_out()
    assert done.status is Status.DEPLOYED
    assert done.target_revision == stopped.target_revision
    (cause,) = done.causes
    assert (cause.trigger, cause.actor) == (Trigger.PERSON, "ann")
    assert cause.detail == f"approved the migration of deployment {stopped.id}: read the plan"
    assert [run.approved_by for run in world.migrator.runs] == ["", "ann"]


def test_c3_what_is_declared_otherwise_since_then_asks_again(
    world: World, requests: Requests, stopped: Deployment
) -> None:
    """C3: nobody approved what the new command would do."""
    declare_migration(world, "migrate-more")
    world.store.update_project(
        replace(world.store.get_project(WEB), generation=stopped.revision.generation + 1)
    )
    requests.approve(WEB, Approved(), actor="ann")
    again = world.roll_out()
    assert again.status is Status.NEEDS_OPERATOR
    assert again.error is not None
    assert again.error.code == "migration-needs-approval"
    assert [run.approved_by for run in world.migrator.runs] == ["", ""]


def test_c3_another_revision_is_not_approved_with_it(
    world: World, requests: Requests, stopped: Deployment
) -> None:
    """C3: the next commit's migration asks by itself, and the older one can't be approved then."""
    requests.approve(WEB, Approved(), actor="ann")
    world.roll_out()
    world.migrator.statuses = [3]
    newer = world.deploy(B)
    assert newer.status is Status.NEEDS_OPERATOR
    with pytest.raises(NothingToApprove, match=f"deployment {newer.id} waits for approval, and"):
        requests.approve(WEB, Approved(stopped.id), actor="ann")


def test_there_is_nothing_to_approve_where_none_waits(world: World, requests: Requests) -> None:
    """Neither before a deployment nor after a good one."""
    for _ in range(2):
        with pytest.raises(NothingToApprove, match="no migration of web waits"):
            requests.approve(WEB, Approved(), actor="ann")
        world.deploy(A if world.store.get_state(WEB).live is None else B)
    with pytest.raises(NotFound, match="web has no deployment 99"):
        requests.approve(WEB, Approved(DeploymentId(99)), actor="ann")
