"""Plans, assembled from what a store, a source and a registry say."""

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.domain.admission import Admit
from reconciler.domain.deployment import Status
from reconciler.domain.errors import (
    Interrupted,
    InvalidComposeFile,
    ReconcilerError,
    Refused,
    RevisionNotFound,
    SourceUnreachable,
    TargetUnreachable,
    TooBusy,
    TookTooLong,
)
from reconciler.domain.failure import Failure
from reconciler.domain.gate import MasterSwitch
from reconciler.domain.history import CommitInfo, History
from reconciler.domain.host import HostHealth, HostName
from reconciler.domain.manifest import MANIFEST_PATH
from reconciler.domain.migration import Migration
from reconciler.domain.plan import (
    ChangedFile,
    ChangedFiles,
    Direction,
    ImageFate,
    Plan,
    PlanBasis,
    Weight,
)
from reconciler.domain.project import ProjectKind
from reconciler.domain.promotion import PromotionStatus
from reconciler.domain.reason_codes import ReasonCode
from reconciler.domain.references import (
    CommitSha,
    Digest,
    ImageReference,
    ProjectName,
    RepositoryPath,
    ServiceName,
)
from reconciler.domain.rules import Freeze
from reconciler.domain.secret import Secret
from reconciler.domain.state import ProjectState
from reconciler.domain.target import Target, TargetStrategy
from reconciler.pipeline.explain import Explainer, StandingCode
from reconciler.pipeline.planning import PlanParts, Plans
from reconciler.pipeline.planning.findings import Seen, findings_of
from reconciler.pipeline.planning.images import Digests
from reconciler.pipeline.planning.outlook import Outlooks
from reconciler.pipeline.planning.standing import Standing
from reconciler.pipeline.planning.verdict import NOTHING
from reconciler.pipeline.requests import Requests, Wanted
from reconciler.pipeline.sources import Sources
from reconciler.ports import Foreseen, ForeseenService, ImageFacts, Work
from reconciler.testing import RehearsedCommits, digest_of
from tests.unit.pipeline.conftest import IMAGE, WEB, A, B, C, World
from tests.unit.pipeline.promoting.way import HOUR, PRODUCTION, open_way

AT = datetime(2030, 1, 1, tzinfo=UTC)
EAST, WEST = HostName("east"), HostName("west")
WEB_SERVICE = ForeseenService(ServiceName("web"), ImageReference.parse(IMAGE), ImageFate.PINNED)


@dataclass
class Scene:
    """Everything that a plan looks at, as a test says it is."""

    world: World
    tip_at: CommitSha = A
    #: (tip, base) → what lies between, or why nobody knows.
    histories: dict[tuple[CommitSha, CommitSha], History | ReconcilerError] = field(
        default_factory=dict
    )
    digests: dict[str, Digest] = field(default_factory=lambda: {IMAGE: digest_of("first")})
    foreseen: Foreseen = field(default_factory=lambda: Foreseen((WEB_SERVICE,)))
    troubles: dict[HostName, HostHealth] = field(default_factory=dict)
    commits: RehearsedCommits = field(default_factory=RehearsedCommits)
    works: list[Work] = field(default_factory=list)
    waits_for: threading.Event | None = None
    begun: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    folder: Path = Path("/nowhere")

    # The source, the registry, the scratch and the planner:

    def tip(self, *_: object) -> CommitSha:
        return self.tip_at

    def history(self, _url: object, tip: CommitSha, base: CommitSha, *_: object) -> History:
        told = self.histories.get((tip, base), History((), base_found=False, more=False))
        if isinstance(told, ReconcilerError):
            raise told
        return told

    def digest(self, image: ImageReference, project: ProjectName | None = None) -> Digest:
        found = self.digests.get(str(image))
        if found is None:
            raise SourceUnreachable("registry.example: 503")
        return found

    def describe(self, _image: object, digest: Digest, *_: object) -> ImageFacts:
        if digest == digest_of("first"):
            raise RevisionNotFound("it is gone")
        return ImageFacts(1000, AT)

    @contextmanager
    def open(self) -> Iterator["Scene"]:
        yield self

    def fetch(self, *_: object) -> None:
        self.begun.release()
        if self.waits_for is not None:
            self.waits_for.wait(20)

    def read_files(
        self, project: ProjectName, commit: CommitSha, paths: Sequence[RepositoryPath]
    ) -> dict[RepositoryPath, bytes]:
        return dict(self.commits.read_files(project, commit, paths))

    def changed_files(self, *_: object) -> ChangedFiles:
        return ChangedFiles((ChangedFile("compose.yaml", "changed"),), 2)

    def foresee(self, work: Work, _scratch: object) -> Foreseen:
        self.works.append(work)
        if work.cancel.is_set():
            raise Interrupted("too late")
        return self.foreseen

    # What is made of them:

    def plans(self, seconds: float = 20) -> Plans:
        parts = PlanParts(
            store=self.world.store,
            clock=self.world.clock,
            brakes=self.world.brakes,
            sources=Sources(self.world.store, self, self),  # type: ignore[arg-type]
            registry=self,  # type: ignore[arg-type]
            open_scratch=self.open,  # type: ignore[arg-type]
            planners={TargetStrategy.COMPOSE: self},
            troubles=lambda: self.troubles,
        )
        return Plans(parts, seconds)

    def plan(self, commit: CommitSha | None = None) -> Plan:
        return self.plans().plan(WEB, commit)

    def between(self, tip: CommitSha, base: CommitSha, *subjects: str, more: bool = False) -> None:
        told = tuple(CommitInfo(tip, subject, "Ann", AT) for subject in subjects)
        self.histories[tip, base] = History(told, base_found=True, more=more)


@pytest.fixture
def scene(world: World) -> Scene:
    return Scene(world)


def codes(plan: Plan) -> list[tuple[Weight, str]]:
    return [(one.weight, str(one.code)) for one in plan.findings]


def test_the_first_deployment_has_nothing_to_compare_with(scene: Scene) -> None:
    """Everything that it would take is new."""
    plan = scene.plan()
    assert plan.direction is Direction.FIRST
    assert (plan.history, plan.files, plan.findings) == (None, None, ())
    assert plan.verdict == "Deploying now would deploy aaaaaaaa for the first time: 1 image."
    assert plan.changes


def test_what_is_live_already_changes_nothing(scene: Scene) -> None:
    """Neither a commit nor a digest moved."""
    scene.world.deploy(A)
    plan = scene.plan()
    assert plan.verdict == NOTHING
    assert not plan.changes
    assert codes(plan) == [(Weight.REFUSES, "already-live")]
    assert plan.images[0].changes is False


def test_what_is_left_alone_stays_as_it_runs(scene: Scene) -> None:
    """It is not looked up, and the plan's revision does not ask for it."""
    scene.world.deploy(A)
    scene.digests[IMAGE] = digest_of("second")
    left = replace(WEB_SERVICE, fate=ImageFate.LEFT, note="its label wud.watch is false")
    scene.foreseen = Foreseen((left,))
    plan = scene.plan()
    (step,) = plan.images
    assert step.before == step.after
    assert step.before is not None
    assert (step.before.digest, step.changes) == (digest_of("first"), False)
    assert step.note == "its label wud.watch is false"
    assert codes(plan) == [(Weight.REFUSES, "already-live")]


def test_a_moved_digest_is_told_with_what_its_registry_knows(scene: Scene) -> None:
    """Size and age where they are known; the commit stays."""
    scene.world.deploy(A)
    scene.digests[IMAGE] = digest_of("second")
    plan = scene.plan()
    (step,) = plan.images
    assert step.before is not None
    assert step.after is not None
    assert (step.before.digest, step.after.digest) == (digest_of("first"), digest_of("second"))
    assert (step.before.size_bytes, step.after.size_bytes) == (None, 1000)
    assert (step.hosts, step.after.created_at) == (("local",), AT)
    assert plan.verdict == "Deploying now would keep commit aaaaaaaa: 1 image."


@pytest.mark.parametrize(
    ("ways", "direction", "verdict"),
    [
        pytest.param(
            {(B, A): History((CommitInfo(B, "x", "Ann", AT),), base_found=True, more=True)},
            Direction.FORWARD,
            "move aaaaaaaa → bbbbbbbb: more than 1 commit, 3 files.",
            id="forward",
        ),
        pytest.param(
            {(A, B): History((CommitInfo(A, "x", "Ann", AT),), base_found=True, more=False)},
            Direction.BACK,
            "go back from aaaaaaaa to bbbbbbbb: 1 commit taken back, 3 files.",
            id="back",
        ),
        pytest.param(
            {(A, B): RevisionNotFound("it is gone")},
            Direction.REWRITTEN,
            "move aaaaaaaa → bbbbbbbb, which does not build on it: 3 files.",
            id="rewritten",
        ),
        pytest.param(
            {(B, A): History((), base_found=False, more=True)},
            Direction.UNKNOWN,
            "move aaaaaaaa → bbbbbbbb: 3 files.",
            id="too-far",
        ),
        pytest.param(
            {(B, A): SourceUnreachable("it is away")},
            Direction.UNKNOWN,
            "move aaaaaaaa → bbbbbbbb: 3 files.",
            id="unreachable",
        ),
    ],
)
def test_the_way_from_what_is_live(
    scene: Scene,
    ways: dict[tuple[CommitSha, CommitSha], History],
    direction: Direction,
    verdict: str,
) -> None:
    """Going back and a rewritten branch are said; what nobody knows stops nothing."""
    scene.world.deploy(A)
    scene.tip_at = B
    scene.histories.update(ways)
    plan = scene.plan()
    assert plan.direction is direction
    assert plan.verdict == f"Deploying now would {verdict}"
    assert plan.changes
    told = [one.code for one in plan.findings]
    assert len(told) == (direction is not Direction.FORWARD)
    assert all(one.weight is Weight.TELLS for one in plan.findings)


def test_what_the_deployment_would_fail_of_is_found(scene: Scene) -> None:
    """With its own code: unusable files, an image that nobody can look up, a host that is away."""
    broken = Failure.of(InvalidComposeFile("services.web.image must be text"))
    scene.foreseen = Foreseen(refusal=broken)
    assert codes(scene.plan()) == [(Weight.FAILS, "invalid-compose-file")]
    scene.foreseen = Foreseen((WEB_SERVICE,))
    scene.digests.clear()
    assert codes(scene.plan()) == [(Weight.FAILS, "source-unreachable")]
    scene.digests[IMAGE] = digest_of("first")
    away = Failure.of(TargetUnreachable("no answer", host="local"))
    scene.troubles[HostName("local")] = HostHealth(error=away)
    plan = scene.plan()
    assert codes(plan) == [(Weight.FAILS, "target-unreachable")]
    assert plan.verdict == "Deploying now would fail: host local: no answer."
    assert not plan.changes


def test_what_the_gate_would_say_comes_first(scene: Scene) -> None:
    """A declaration that is not whole, a quarantine, and what is under way already."""
    world = scene.world
    project = world.store.get_project(WEB)
    world.store.update_project(replace(project, expose_port=None))
    assert codes(scene.plan())[0] == (Weight.REFUSES, "expose-missing")
    world.store.update_project(project)
    world.deploy(A)
    world.strategy.failures["apply"] = [InvalidComposeFile("it breaks")]
    assert world.deploy(B).status is not Status.DEPLOYED
    scene.tip_at = B
    assert codes(scene.plan())[0] == (Weight.REFUSES, "quarantined")
    assert world.trigger(C).admitted
    scene.tip_at = C
    assert codes(scene.plan())[0] == (Weight.REFUSES, "already-queued")
    scene.tip_at = CommitSha("d" * 40)
    assert (Weight.TELLS, "replaced-queued") in codes(scene.plan())


def test_what_happens_besides_is_told(scene: Scene) -> None:
    """A migration that would run and may wait for approval; a manifest that does not count."""
    world = scene.world
    migration = Migration(("bin/migrate", "up"), approval_status=3)
    world.store.update_project(replace(world.store.get_project(WEB), migration=migration))
    scene.commits.files[A] = {MANIFEST_PATH: b"nonsense"}
    plan = scene.plan()
    assert codes(plan) == [(Weight.TELLS, "manifest-ignored"), (Weight.TELLS, "migration")]
    assert "`bin/migrate up` would run first, on local" in plan.findings[1].text
    assert "exit status 3" in plan.findings[1].text
    world.migrator.statuses = [3]
    stopped = world.deploy(A)
    assert stopped.status is Status.NEEDS_OPERATOR
    assert codes(scene.plan())[-1] == (Weight.TELLS, "migration-needs-approval")


def test_a_manifest_counts_where_it_is_allowed(scene: Scene) -> None:
    """Files are foreseen by it; one that can't be used is what the deployment would fail of."""
    world = scene.world
    world.store.update_project(replace(world.store.get_project(WEB), allow_manifest=True))
    scene.commits.files[A] = {MANIFEST_PATH: b'compose_path = "deploy/compose.yaml"'}
    scene.plan()
    assert scene.works[-1].project.compose_path == "deploy/compose.yaml"
    scene.commits.files[A] = {MANIFEST_PATH: b"hosts = ["}
    assert codes(scene.plan()) == [(Weight.FAILS, "invalid-manifest")]


def test_a_unit_is_planned_by_its_commits_and_files(scene: Scene) -> None:
    """Nothing of it is rendered; another build command, of its manifest, is told."""
    world = scene.world
    target = Target(WEB, EAST, TargetStrategy.SYSTEMD, binary=RepositoryPath("app"))
    project = replace(world.store.get_project(WEB), kind=ProjectKind.UNIT, targets=(target,))
    scene.commits.files[B] = {MANIFEST_PATH: b'build = ["make", "all"]'}
    standing = Standing(replace(project, allow_manifest=True), ProjectState(WEB), MasterSwitch())
    outlook = Outlooks(world.store, scene.open, {}).look(standing, B, threading.Event())  # type: ignore[arg-type]
    assert outlook.project.where[0].build == ("make", "all")
    standing = replace(standing, state=ProjectState(WEB, live=world.deploy(A)))
    seen = Seen(standing, outlook, Digests(), Admit(), None, {})
    assert [one.code for one in findings_of(seen)] == ["build-changed"]
    assert "would be `make all`, and not `nothing`" in findings_of(seen)[0].text


def test_hosts_that_run_something_else_are_told_apart(scene: Scene) -> None:
    """Each is compared with what was verified there last."""
    world = scene.world
    targets = tuple(Target(WEB, host, TargetStrategy.COMPOSE) for host in (EAST, WEST))
    world.store.update_project(replace(world.store.get_project(WEB), targets=targets))
    world.deploy(A)
    world.strategy.digests[IMAGE] = digest_of("second")
    assert world.trigger(B, hosts=(EAST,)).admitted
    world.roll_out()
    scene.tip_at = C
    scene.digests[IMAGE] = digest_of("third")
    plan = scene.plan()
    befores = {step.hosts: step.before.digest for step in plan.images if step.before}
    assert befores == {(EAST,): digest_of("second"), (WEST,): digest_of("first")}
    assert plan.elsewhere == {WEST: A}


def test_no_secret_is_shown_wherever_somebody_wrote_it(scene: Scene) -> None:
    """A commit's subject, a file's name, an error: a variable's value is taken out of each."""
    world, secret = scene.world, "hunter2-hunter2"
    now = world.clock.now()
    world.store.put_secret(
        WEB, "variable:TOKEN", Secret.of(secret), bound_to="", username="", now=now
    )
    world.deploy(A)
    scene.tip_at = B
    scene.between(B, A, f"use {secret}")
    scene.foreseen = Foreseen(refusal=Failure.of(InvalidComposeFile(f"{secret} is no port")))
    plan = scene.plan()
    assert plan.commits[0].subject == "use ***"
    assert secret not in repr(plan)


def test_a_plan_ends_in_time_and_says_what_it_did_not_see(scene: Scene) -> None:
    """A source that hangs holds nobody up; what hangs is told to stop."""
    scene.waits_for = threading.Event()
    plan = scene.plans(seconds=0.2).plan(WEB)
    assert codes(plan) == [(Weight.TELLS, "took-too-long")]
    with pytest.raises(TookTooLong):  # nobody deploys by what was not seen
        scene.plans(seconds=0.2).confirm(WEB, None, plan.basis.id)
    scene.waits_for.set()


def test_few_are_made_at_once(scene: Scene) -> None:
    """A third is told to come again, and may as soon as one has ended; to deploy by one is not."""
    known = scene.plan().basis
    assert scene.begun.acquire(timeout=20)
    scene.waits_for = threading.Event()
    plans = scene.plans()
    made = [threading.Thread(target=plans.plan, args=(WEB,)) for _ in range(2)]
    for thread in made:
        thread.start()
    assert scene.begun.acquire(timeout=20)
    assert scene.begun.acquire(timeout=20)
    with pytest.raises(TooBusy):
        plans.plan(WEB)
    confirmed = Future[PlanBasis]()
    deploying = threading.Thread(
        target=lambda: confirmed.set_result(plans.confirm(WEB, None, known.id))
    )
    deploying.start()
    assert scene.begun.acquire(timeout=20)
    scene.waits_for.set()
    assert confirmed.result(20) == known
    deploying.join(20)
    for thread in made:
        thread.join(20)
    assert plans.plan(WEB).changes


def test_a_plans_id_is_what_it_was_made_from(scene: Scene) -> None:
    """Another commit, digest, declaration or live deployment is another plan."""
    world = scene.world
    seen = [scene.plan().basis.id]
    assert scene.plan().basis.id == seen[0]
    scene.digests[IMAGE] = digest_of("second")
    seen.append(scene.plan().basis.id)
    scene.tip_at = B
    seen.append(scene.plan().basis.id)
    project = world.store.get_project(WEB)
    world.store.update_project(replace(project, generation=project.generation + 1))
    seen.append(scene.plan().basis.id)
    world.deploy(C)
    seen.append(scene.plan().basis.id)
    assert len(set(seen)) == len(seen)


def test_what_was_read_is_deployed_or_nothing(scene: Scene) -> None:
    """The very digests, though a tag moves meanwhile; and no plan that holds no more."""
    world = scene.world
    sources = Sources(world.store, scene, scene)  # type: ignore[arg-type]
    requests = Requests(world.store, world.clock, world.brakes, sources, scene)  # type: ignore[arg-type]
    plan = scene.plan()
    basis = scene.plans().confirm(WEB, None, plan.basis.id)
    result = requests.deploy(WEB, Wanted(), actor="ann", plan=basis)
    assert result.admitted
    world.strategy.digests[IMAGE] = digest_of("moved")
    done = world.roll_out()
    assert done.target_revision.images == {IMAGE: digest_of("first")}
    with pytest.raises(Refused) as outdated:
        scene.plans().confirm(WEB, None, plan.basis.id)
    assert outdated.value.code == ReasonCode.PLAN_OUTDATED
    # Confirmed before somebody else's deployment ended, and asked for after it.
    late = requests.deploy(WEB, Wanted(), actor="ann", plan=basis)
    assert [reason.code for reason in late.reasons] == [ReasonCode.PLAN_OUTDATED]


# ── Of what is promoted ───────────────────────────────────────────────────────────────────────


def test_promoting_brings_what_was_verified_and_looks_nothing_up(scene: Scene) -> None:
    """From digest to digest, with the commits between, and out of which deployment."""
    scene.digests.clear()  # whoever asks a registry is told that it is away
    with open_way(scene.world) as way:
        way.declare(approvals=1)
        way.verify(A, "first")
        way.propose()
        way.vote("ann")
        way.tick()
        verified = way.verify(B, "second")
    scene.between(B, A, "a new shelf")
    plan = scene.plans().plan(PRODUCTION)
    assert (
        plan.verdict == "Promoting now would move aaaaaaaa → bbbbbbbb: 1 commit, 1 image, 3 files."
    )
    (step,) = plan.images
    assert step.before is not None
    assert step.after is not None
    assert (step.before.digest, step.after.digest) == (digest_of("first"), digest_of("second"))
    assert codes(plan) == [(Weight.TELLS, "approval-missing"), (Weight.TELLS, "promotion")]
    assert (
        plan.findings[1].text == f"it takes what deployment {verified.id} of web verified on test"
    )
    assert scene.works[-1].handed_on == verified.prepared


def test_promoting_waits_for_the_end_of_a_freeze(scene: Scene) -> None:
    """Deploying is refused; a promotion goes on after it, and the project's state says so."""
    with open_way(scene.world) as way:
        way.declare(auto_deploy=False)
        way.verify(A, "first")
        way.world.store.set_freeze(PRODUCTION, Freeze("ann", way.world.clock.now(), "month end"))
        plan = scene.plans().plan(PRODUCTION)
        assert way.propose().promotion.status is PromotionStatus.WAITING
        state = Explainer(way.world.store, way.world.clock, way.world.brakes).summary(PRODUCTION)
    assert codes(plan) == [(Weight.TELLS, "promotion"), (Weight.TELLS, "frozen")]
    assert state.standing is StandingCode.HELD
    assert "of test waits: ann froze web-production: month end" in state.text


def test_promoting_what_was_not_verified_would_be_refused(scene: Scene) -> None:
    """Nothing was, or it has not stood long enough."""
    with open_way(scene.world) as way:
        way.declare(soak=HOUR)
        assert codes(scene.plans().plan(PRODUCTION)) == [(Weight.REFUSES, "not-verified-upstream")]
        way.verify(A, "first")
        plan = scene.plans().plan(PRODUCTION)
    assert codes(plan) == [(Weight.REFUSES, "soaking")]
    assert plan.verdict.startswith("Promoting now would be refused: test has run aaaaaaaa")
