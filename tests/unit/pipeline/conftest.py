"""A pipeline on a real store in a temporary file; time and target are doubles."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import pytest

from reconciler.domain.admission import Request
from reconciler.domain.deployment import Cause, Deployment, DeploymentId, Trigger
from reconciler.domain.gate import MasterSwitch
from reconciler.domain.project import ExternalSource, Project, ProjectKind
from reconciler.domain.references import (
    BranchName,
    CommitSha,
    GitUrl,
    ProjectName,
    ServiceName,
)
from reconciler.domain.revision import Revision
from reconciler.domain.target import TargetStrategy
from reconciler.log import Redactor
from reconciler.pipeline.reconcile import Reconciler
from reconciler.pipeline.rollout import Limits, Rollout
from reconciler.pipeline.selection import Compare
from reconciler.pipeline.trigger import TriggerResult, trigger_deployment
from reconciler.ports import Claim, Comparison, Store, Strategy
from reconciler.store.sql_store import SqlStore
from reconciler.testing import (
    ManualClock,
    RehearsedCommits,
    RehearsedMigrator,
    RehearsedProber,
    RehearsedStrategy,
    digest_of,
)
from tests.parts.stores import open_copy

WEB = ProjectName("web")
IMAGE = "registry.example/team/app:main"
A, B, C = (CommitSha(letter * 40) for letter in "abc")


def _never_asked(project: Project, before: CommitSha, after: CommitSha) -> Comparison:
    raise AssertionError(f"{project.name} heeds every move: {before} need not be compared: {after}")


@dataclass
class World:
    """One project, its store, its target, and the workers' view of it."""

    store: SqlStore
    clock: ManualClock
    strategy: RehearsedStrategy
    stop_files: list[str] = field(default_factory=list)
    migrator: RehearsedMigrator = field(default_factory=RehearsedMigrator)
    prober: RehearsedProber = field(default_factory=RehearsedProber)
    commits: RehearsedCommits = field(default_factory=RehearsedCommits)
    limits: Limits = field(default_factory=Limits)
    cancel: threading.Event = field(default_factory=threading.Event)
    #: Asked only where a project watches some paths of its repository, or heeds markers.
    compare: Compare = _never_asked
    #: What changes targets that are not compose's.
    others: dict[TargetStrategy, Strategy] = field(default_factory=dict)

    def brakes(self, switch: MasterSwitch) -> MasterSwitch:
        return replace(switch, emergency_file=self.stop_files[0] if self.stop_files else "")

    @property
    def reconciler(self) -> Reconciler:
        return Reconciler(self.store, self.clock, self.brakes, self.compare)

    def trigger(
        self, commit: CommitSha, trigger: Trigger = Trigger.GIT_POLL, **changes: object
    ) -> TriggerResult:
        asked = Request(WEB, Revision(commit), Cause(trigger, "somebody", "moved"))
        asked = replace(asked, **changes)  # type: ignore[arg-type]
        return trigger_deployment(self.store, asked, brakes=self.brakes, now=self.clock.now())

    def claim(self, owner: str = "me") -> Claim:
        claim = self.store.claim_next(owner, self.clock.now(), lease=timedelta(minutes=1))
        assert claim is not None
        return claim

    def roll_out(self, claim: Claim | None = None, store: Store | None = None) -> Deployment:
        claim = claim or self.claim()
        rollout = Rollout(
            store or self.store,
            self.clock,
            {TargetStrategy.COMPOSE: self.strategy, **self.others},
            self.prober,
            self.commits,
            self.brakes,
            Redactor(),
            self.limits,
            lambda: 0.5,
            self.migrator,
        )
        rollout.run(claim, rollout.journal(claim), self.cancel)
        return self.store.get_deployment(claim.deployment.id)

    def deploy(self, commit: CommitSha) -> Deployment:
        assert self.trigger(commit).admitted
        return self.roll_out()

    def output(self, deployment: DeploymentId) -> str:
        return "\n".join(line.text for line in self.store.read_log(deployment))

    def switch(self, enabled: bool) -> None:
        from reconciler.domain.settings import MASTER_SWITCH
        from reconciler.ports import SettingRecord

        record = SettingRecord(MASTER_SWITCH, enabled, "ann", self.clock.now(), "drill")
        self.store.put_settings([record])


@pytest.fixture
def world(sqlite_template: Path, tmp_path: Path) -> Iterator[World]:
    with open_world(sqlite_template, tmp_path) as opened:
        yield opened


@contextmanager
def open_world(template: Path, folder: Path) -> Iterator[World]:
    """Give a world with a store of its own in ``folder`` until the block ends."""
    clock = ManualClock()
    store = open_copy(template, folder, clock)
    strategy = RehearsedStrategy(digests={IMAGE: digest_of("first")})
    now = clock.now()
    source = ExternalSource(GitUrl.parse("https://git.example/web.git"), BranchName("main"))
    store.create_project(
        Project(
            WEB,
            ProjectKind.COMPOSE,
            now,
            now,
            source=source,
            auto_deploy=True,
            expose_service=ServiceName("web"),
            expose_port=80,
        )
    )
    yield World(store, clock, strategy)
    store.close()


@pytest.fixture
def failing(world: World) -> Callable[[str, Exception], None]:
    """Return a function that makes the target fail once."""

    def fail(method: str, error: Exception) -> None:
        world.strategy.failures.setdefault(method, []).append(error)  # type: ignore[arg-type]

    return fail
