"""What puts projects, and what became of them, into the store of a daemon that runs.

That is done beside it, and nothing of it acts on them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from reconciler.adapters.master_key import KeySources
from reconciler.adapters.system_clock import SystemClock
from reconciler.domain.admission import Request
from reconciler.domain.deployment import (
    Deployment,
    DeploymentId,
    Stage,
    Status,
    TargetStatus,
    Trigger,
)
from reconciler.domain.failure import Failure
from reconciler.domain.host import LOCAL, HostName
from reconciler.domain.project import ExternalSource, Project, ProjectKind
from reconciler.domain.promotion import (
    handed_on,
)
from reconciler.domain.references import (
    BranchName,
    GitUrl,
    ImageReference,
    ProjectName,
    ServiceName,
)
from reconciler.domain.state import SourceHealth, WatchedImage
from reconciler.log import Redactor
from reconciler.pipeline.trigger import trigger_deployment
from reconciler.ports import Acting, Claim, PollResult, acting_for
from reconciler.store.opening import open_store
from reconciler.store.sql_store import SqlStore
from tests.parts.made_up import (
    MARA,
    cause_of,
    commit_of,
    prepared_as,
    revision_of,
    service_of,
    target_of,
)
from tests.parts.web_client import WebDaemon

ATLAS, VEGA = HostName("atlas"), HostName("vega")

_LEASE = timedelta(days=1)
_STAGES = {Stage.PREPARE: 8, Stage.GATE: 1, Stage.APPLY: 21, Stage.VERIFY: 12}  #: seconds
_OUTPUT = {
    Stage.PREPARE: ("reading compose.yaml", "\x1b[32mpulled\x1b[0m registry.example/app"),
    Stage.GATE: ("master switch on, auto-deploy on, no window, no freeze",),
    Stage.APPLY: ("Container app-1  Recreate", "Container app-1  \x1b[1mStarted\x1b[0m"),
    Stage.VERIFY: ("sample 1: 200", "sample 2: 200", "sample 3: 200"),
}


@contextmanager
def opened(daemon: WebDaemon) -> Iterator[SqlStore]:
    """Lend the store of a daemon that runs."""
    folder = daemon.folder / "data"
    store = open_store(
        folder / "state.db",
        lambda may_create: KeySources(folder).open(may_create=may_create),
        SystemClock(),
    )
    try:
        yield store
    finally:
        store.close()


@dataclass
class Shown:
    """What puts projects and what became of them into a store."""

    store: SqlStore
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def ago(self, *, minutes: float = 0, days: float = 0) -> datetime:
        """Return the moment that was so long ago."""
        return self.now - timedelta(minutes=minutes, days=days)

    # ── What is declared ──────────────────────────────────────────────────────────────────────

    def declare(
        self,
        name: str,
        kind: ProjectKind = ProjectKind.COMPOSE,
        host: HostName = LOCAL,
        **more: object,
    ) -> Project:
        """Declare a project that deploys by itself; ``more`` are other fields of it."""
        usual: dict[str, object] = {"targets": (target_of(name, kind, host),), "auto_deploy": True}
        if kind is ProjectKind.IMAGE:
            usual["image"] = ImageReference.parse(f"registry.example/{name}:1")
        else:
            url = GitUrl.parse(f"https://forge.example.net/team/{name}.git")
            usual["source"] = ExternalSource(url, BranchName("main"))
        if kind is ProjectKind.COMPOSE:
            usual |= {"expose_service": ServiceName("web"), "expose_port": 8080}
        if not kind.deployable:
            usual = {}
        made = Project(
            name=ProjectName(name),
            kind=kind,
            created_at=self.ago(days=30),
            updated_at=self.ago(days=30),
        )
        made = replace(made, **{**usual, **more})  # type: ignore[arg-type]  # of a project
        with acting_for(Acting(MARA, "session", "127.0.0.1")):
            self.store.create_project(made)
        return made

    # ── What becomes of it ────────────────────────────────────────────────────────────────────

    def ask(
        self,
        project: Project,
        version: int,
        at: datetime,
        trigger: Trigger = Trigger.GIT_POLL,
        promotes: DeploymentId | None = None,
    ) -> Deployment:
        """Have a trigger ask for the n-th commit; what waits now."""
        cause = cause_of(trigger, project.name, version)
        revision = revision_of(project, version)
        if promotes is not None:
            prepared = self.store.get_deployment(promotes).prepared
            assert prepared
            revision = handed_on(prepared, project.generation)
        request = Request(project.name, revision, cause, promotes=promotes)
        result = trigger_deployment(self.store, request, brakes=lambda switch: switch, now=at)
        assert result.deployment, result
        return result.deployment

    def begin(
        self, project: Project, version: int, at: datetime, trigger: Trigger = Trigger.GIT_POLL
    ) -> Claim:
        """Ask for it, and have a worker take it."""
        self.ask(project, version, at, trigger)
        return self.take(at)

    def take(self, at: datetime) -> Claim:
        """Have a worker take what waits."""
        claim = self.store.claim_next("shown", at, lease=_LEASE)
        assert claim
        return claim

    def walk(self, claim: Claim, at: datetime, until: Stage = Stage.VERIFY) -> datetime:
        """Go through the stages; the last one stays open. Return when it began."""
        deployment = claim.deployment
        project = self.store.get_project(deployment.project)
        for stage, seconds in _STAGES.items():
            self.store.begin_stage(claim, stage, at)
            lines = [Redactor().clean(text) for text in _OUTPUT[stage]]
            self.store.append_log(deployment.id, stage, lines, at)
            if stage is until:
                return at
            at += timedelta(seconds=seconds)
            if stage is Stage.PREPARE:
                self.store.record_prepared(claim, prepared_as(project, deployment.revision))
            self.store.end_stage(claim, stage, "ok", at)
            if stage is Stage.GATE:
                for target in project.where:
                    self.store.record_target(claim, target.host, TargetStatus.WAITING, at)
        return at

    def finish(self, claim: Claim, at: datetime) -> Deployment:
        """Verify it on every host."""
        at = self.walk(claim, at) + timedelta(seconds=_STAGES[Stage.VERIFY])
        self.store.end_stage(claim, Stage.VERIFY, "ok", at)
        for target in self.store.get_project(claim.deployment.project).where:
            self.store.record_target(claim, target.host, TargetStatus.VERIFIED, at)
        self.store.finish(claim, Status.DEPLOYED, at)
        return self.store.get_deployment(claim.deployment.id)

    def deploy(self, project: Project, version: int, at: datetime) -> Deployment:
        """Ask for the n-th commit, and verify it."""
        return self.finish(self.begin(project, version, at), at)

    def fail(
        self,
        claim: Claim,
        at: datetime,
        error: Failure,
        stage: Stage = Stage.VERIFY,
        status: Status = Status.FAILED,
        back_to: Deployment | None = None,
    ) -> Deployment:
        """Have it fail in a stage; what is gone ``back_to`` makes a quarantine of it."""
        at = self.walk(claim, at, stage) + timedelta(seconds=9)
        self.store.append_log(claim.deployment.id, stage, [Redactor().clean(error.message)], at)
        self.store.end_stage(claim, stage, "failed", at)
        hosts = [target.host for target in self.store.get_project(claim.deployment.project).where]
        for host in hosts:
            self.store.record_target(claim, host, TargetStatus.FAILED, at, error=error)
        if back_to:
            self.store.begin_stage(claim, Stage.ROLL_BACK, at)
            at += timedelta(seconds=14)
            self.store.end_stage(claim, Stage.ROLL_BACK, "ok", at)
            for host in hosts:
                rolled_back = TargetStatus.ROLLED_BACK
                self.store.record_target(claim, host, rolled_back, at, error=error)
        self.store.finish(
            claim,
            status,
            at,
            error=error,
            rolled_back_to=back_to.id if back_to else None,
            quarantine=error.message if back_to else "",
        )
        return self.store.get_deployment(claim.deployment.id)

    # ── What was seen ─────────────────────────────────────────────────────────────────────────

    def see(self, project: Project, version: int, **more: object) -> None:
        """Note that its source was looked at just now, and is at the n-th commit."""
        seen = SourceHealth(
            looked_at=self.ago(minutes=0.3),
            next_look_at=self.now + timedelta(seconds=42),
            observed=commit_of(project.name, version),
            observed_at=self.ago(minutes=0.3),
        )
        seen = replace(seen, **more)  # type: ignore[arg-type]  # of a source's health
        self.store.record_polls([PollResult(project.name, seen)])

    def watch(self, project: Project, version: int, **more: object) -> None:
        """Note which images of it are followed, and what was seen of them."""
        images = [
            WatchedImage(
                image,
                (service_of(image),),
                digest=digest,
                first_seen_at=self.ago(days=2),
                looked_at=self.ago(minutes=3),
            )
            for image, digest in revision_of(project, version).images.items()
        ]
        seen = [replace(one, **more) for one in images]  # type: ignore[arg-type]  # of an image
        self.store.put_images(project.name, commit_of(project.name, version).text, seen)
        self.store.record_lookups({project.name: seen})
