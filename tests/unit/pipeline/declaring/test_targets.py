"""Targets, and the host that a project's volumes keep it to."""

from dataclasses import replace

import pytest

from reconciler.domain.deployment import Status
from reconciler.domain.errors import (
    Conflict,
    InvalidInput,
    NotFound,
    PinnedHostAway,
    RefusingToMigrate,
    TargetUnreachable,
)
from reconciler.domain.host import LOCAL, Host, HostName, HostPath
from reconciler.domain.project import Project, ProjectKind
from reconciler.domain.references import ImageReference, ProjectName
from reconciler.domain.target import Target, TargetStrategy, find_clashes
from reconciler.domain.workload import Cluster, Workload, WorkloadKind
from reconciler.pipeline.declaring.target_draft import TargetDraft
from reconciler.pipeline.declaring.targets import Targets, clash_of
from reconciler.pipeline.explain import Explainer
from tests.unit.pipeline.conftest import WEB, A, B, World

EAST, WEST = HostName("east"), HostName("west")


@pytest.fixture
def targets(world: World) -> Targets:
    """Two hosts that are declared, and a project without a target."""
    for name in (EAST, WEST):
        world.store.create_host(Host(name, world.clock.now(), alias=str(name)))
    return Targets(world.store, world.clock)


def hosts(world: World) -> list[HostName]:
    return [one.host for one in world.store.get_project(WEB).where]


def test_before_the_first_deployment_nothing_is_pinned(world: World, targets: Targets) -> None:
    """Where nothing was deployed to there are no volumes, whatever else was tried."""
    targets.add(WEB, TargetDraft("east"))
    assert hosts(world) == [EAST]
    world.strategy.failures["prepare east"] = [TargetUnreachable("it hangs")]
    world.trigger(A)
    world.roll_out()
    targets.add(WEB, TargetDraft("west"))
    targets.remove(WEB, EAST)
    assert hosts(world) == [WEST]


@pytest.mark.parametrize(
    ("folder", "host", "is_free"),
    [
        pytest.param("/opt/apps/web", "east", False, id="the-same"),
        pytest.param("/opt/apps/web/releases", "east", False, id="below"),
        pytest.param("/opt/apps/web-2", "east", True, id="beside"),
        pytest.param("/opt/apps/web", "west", True, id="elsewhere"),
    ],
)
def test_no_two_projects_share_a_folder(
    world: World, targets: Targets, folder: str, host: str, is_free: bool
) -> None:
    """Each would drop the other's releases, or take them for its own."""
    targets.add(WEB, TargetDraft("east"))
    other = replace(world.store.get_project(WEB), name=ProjectName("other"), targets=())
    world.store.create_project(other)
    if is_free:
        targets.add(other.name, TargetDraft(host, folder=folder))
        return
    with pytest.raises(InvalidInput, match="/opt/apps/web of web") as refused:
        targets.add(other.name, TargetDraft(host, folder=folder))
    assert refused.value.field == "folder"


def test_no_two_projects_share_a_workload() -> None:
    """Each would set its images, and go back to its own; a namespace or a cluster tells apart."""
    web = Workload(WorkloadKind.DEPLOYMENT, "web", {"app": "registry.example/app:1"})
    queue = replace(web, kind=WorkloadKind.STATEFUL_SET)
    ours = Target(WEB, EAST, TargetStrategy.KUBERNETES, HostPath(""), namespace="shop")
    ours = replace(ours, workloads=(queue, web))
    theirs = replace(ours, project=ProjectName("other"), workloads=(web,))
    apart = [replace(theirs, namespace="test"), replace(theirs, host=WEST)]
    assert list(find_clashes([ours, *apart])) == []
    (clash,) = find_clashes([ours, theirs])
    problem = clash_of(theirs, clash)
    assert problem.field == "workloads"
    assert "names deployment/web in shop, whose images web sets" in problem.message


def test_a_target_elsewhere_does_not_take_a_project_from_its_volumes(
    world: World, targets: Targets
) -> None:
    """The implied target counts; with it declared, another one may be added."""
    world.deploy(A)
    with pytest.raises(
        RefusingToMigrate, match="refusing to migrate: web was deployed to local"
    ) as refused:
        targets.add(WEB, TargetDraft("east"))
    assert isinstance(refused.value, Conflict)
    assert "reconciler project move web --to east" in refused.value.remedy
    assert "reconciler target add web local" in refused.value.remedy
    assert hosts(world) == [LOCAL]
    targets.add(WEB, TargetDraft())
    targets.add(WEB, TargetDraft("east"))
    assert hosts(world) == [LOCAL, EAST]


def test_the_target_with_the_volumes_is_not_removed(world: World, targets: Targets) -> None:
    """Not the last one, and not one of several."""
    targets.add(WEB, TargetDraft("east"))
    world.deploy(A)
    with pytest.raises(RefusingToMigrate, match="would start with empty ones"):
        targets.remove(WEB, EAST)
    targets.add(WEB, TargetDraft("west"))
    with pytest.raises(RefusingToMigrate):
        targets.remove(WEB, EAST)
    targets.remove(WEB, WEST)
    assert hosts(world) == [EAST]


def test_a_move_on_purpose_says_what_becomes_of_the_volumes(world: World, targets: Targets) -> None:
    """Afterwards the new host is the one, and the old one can be left behind."""
    targets.add(WEB, TargetDraft("east", compose_files=("live.yaml",)))
    assert world.deploy(A).status is Status.DEPLOYED
    generation = world.store.get_project(WEB).generation
    moved = targets.move(WEB, to=WEST)
    assert moved.project.generation == generation + 1
    assert "volumes stay on east" in moved.notes[0]
    assert "docker compose --project-name web down" in moved.notes[1]
    (target,) = moved.project.targets
    assert (target.host, target.compose_files) == (WEST, ("live.yaml",))
    assert world.deploy(B).status is Status.DEPLOYED
    with pytest.raises(RefusingToMigrate):
        targets.remove(WEB, WEST)


def test_the_host_that_is_left_goes_without_saying(world: World, targets: Targets) -> None:
    """Of two, it can't be the one that it moves to; of three, one has to be named."""
    for host in ("east", "west"):
        targets.add(WEB, TargetDraft(host))
    targets.move(WEB, to=WEST)
    assert hosts(world) == [WEST]
    targets.add(WEB, TargetDraft("east"))
    targets.add(WEB, TargetDraft("local"))
    with pytest.raises(InvalidInput, match="is on west, east, local"):
        targets.move(WEB, to=WEST)


def test_leaving_one_of_several_hosts(world: World, targets: Targets) -> None:
    """A move to a host that is one already takes the other away."""
    targets.add(WEB, TargetDraft("east"))
    targets.add(WEB, TargetDraft("west"))
    world.deploy(A)
    with pytest.raises(InvalidInput, match="web is on east, west"):
        targets.move(WEB, to=LOCAL)
    targets.move(WEB, to=WEST, leaving=EAST)
    assert hosts(world) == [WEST]


def test_units_go_where_they_are_sent(world: World, targets: Targets) -> None:
    """They keep nothing that a release does not bring; only the old host's unit is told of."""
    project = world.store.get_project(WEB)
    unit = replace(project, kind=ProjectKind.UNIT, expose_port=None, expose_service=None)
    world.store.update_project(unit)
    targets.add(WEB, TargetDraft("east", binary="web", confirm_within_seconds=60))
    moved = targets.move(WEB, to=LOCAL)
    assert moved.project.targets[0].confirm_within is None
    assert "systemctl disable --now web.service" in moved.notes[0]
    targets.remove(WEB, LOCAL)
    assert hosts(world) == []


def test_only_a_change_grows_the_generation(world: World, targets: Targets) -> None:
    """Saying the same again is no new declaration."""
    targets.add(WEB, TargetDraft("east"))
    before = world.store.get_project(WEB)
    targets.change(WEB, EAST, {"compose_files": ()})
    assert world.store.get_project(WEB) == before
    targets.change(WEB, EAST, {"compose_files": ("a.yaml",)})
    assert world.store.get_project(WEB).generation == before.generation + 1


@pytest.mark.parametrize("change", [{"host": "west"}, {"nonsense": 1}])
def test_what_can_not_be_changed(targets: Targets, change: dict[str, object]) -> None:
    """The host is what a target is known by, and there are no other fields."""
    targets.add(WEB, TargetDraft("east"))
    with pytest.raises(InvalidInput) as refused:
        targets.change(WEB, EAST, change)
    assert refused.value.field in change


def test_a_target_that_is_not_there(targets: Targets) -> None:
    """The message names those that are."""
    targets.add(WEB, TargetDraft("east"))
    with pytest.raises(NotFound, match="no target on west; it has east"):
        targets.change(WEB, WEST, {})
    with pytest.raises(NotFound, match="no target on west; it has east"):
        targets.remove(WEB, WEST)


def test_a_pinned_host_that_is_away_is_waited_for(world: World, targets: Targets) -> None:
    """The deployment says that it refuses to migrate, and goes on once the host is back."""
    targets.add(WEB, TargetDraft("east"))
    world.deploy(A)
    away = PinnedHostAway("refusing to migrate web: its named volumes are on east")
    world.strategy.failures["prepare east"] = [away]
    world.trigger(B)
    waiting = world.roll_out()
    assert waiting.status is Status.QUEUED
    assert waiting.error is not None
    assert waiting.error.code == "refusing-to-migrate"
    assert f"reconciler project move {WEB} --to HOST" in waiting.error.remedy
    told = Explainer(world.store, world.clock, world.brakes).why(WEB)
    assert "refusing to migrate" in told.verdict
    assert waiting.not_before is not None
    world.clock.advance(waiting.not_before - world.clock.now())
    assert world.roll_out().status is Status.DEPLOYED


PROD = HostName("prod")
APP = "registry.example/app:1"
IN_CLUSTER = TargetDraft(
    "prod", "kubernetes", workloads=({"name": "web", "containers": {"app": APP}},)
)


@pytest.fixture
def image(world: World, targets: Targets) -> ProjectName:
    """A project that follows an image, and a cluster."""
    name, now = ProjectName("img"), world.clock.now()
    found = ImageReference.parse(APP)
    world.store.create_project(Project(name, ProjectKind.IMAGE, now, now, image=found))
    world.store.create_cluster(Cluster(PROD, now, in_cluster=True))
    return name


def test_clusters_and_hosts_are_told_apart(targets: Targets, image: ProjectName) -> None:
    """Each target names what its strategy needs, and the remedy is the command for it."""
    for draft, what in (
        (replace(IN_CLUSTER, host="east"), "cluster"),
        (TargetDraft("prod", "compose"), "host"),
    ):
        with pytest.raises(InvalidInput, match=f"is no {what} that was declared") as refused:
            targets.add(image, draft)
        assert f"reconciler {what} add {draft.host}" in refused.value.remedy
    targets.add(image, IN_CLUSTER)
    with pytest.raises(InvalidInput, match="is no host that was declared"):
        targets.change(image, PROD, {"strategy": "compose", "workloads": None, "namespace": None})
    with pytest.raises(InvalidInput, match="to: 'east' is no cluster"):
        targets.move(image, to=EAST)


def test_a_cluster_keeps_its_volumes_itself(
    world: World, targets: Targets, image: ProjectName
) -> None:
    """A project may leave one cluster for another: nothing that it has is bound to it."""
    targets.add(image, IN_CLUSTER)
    world.store.create_cluster(Cluster(HostName("other"), world.clock.now(), in_cluster=True))
    moved = targets.move(image, to=HostName("other"))
    assert [one.host for one in moved.project.targets] == ["other"]
    assert not any("volumes" in note for note in moved.notes)
    assert any("kubectl --namespace default delete deployment/web" in one for one in moved.notes)
    targets.remove(image, HostName("other"))
