"""One run of the pipeline towards one revision."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NewType

from reconciler.domain.failure import Failure
from reconciler.domain.history import CommitInfo
from reconciler.domain.host import LOCAL, HostName
from reconciler.domain.migration import MigrationState
from reconciler.domain.references import Digest, ImageReference, ProjectName, ServiceName
from reconciler.domain.revision import Revision
from reconciler.domain.version_check import VersionCheck

DeploymentId = NewType("DeploymentId", int)


class Trigger(StrEnum):
    """What noticed that the revision moved."""

    GIT_POLL = "git-poll"
    PUSH = "push"
    WEBHOOK = "webhook"
    IMAGE_WATCH = "image-watch"
    REGISTRY_EVENT = "registry-event"
    PERSON = "person"
    ROLLBACK = "rollback"
    PROMOTION = "promotion"
    DRIFT = "drift"

    @property
    def automatic(self) -> bool:
        """Whether the master switch and the project's toggle hold it."""
        return self not in {Trigger.PERSON, Trigger.ROLLBACK}


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a deployment was asked for."""

    trigger: Trigger
    actor: str  #: who or what: a person, ``poller``, a token's name
    detail: str = ""  #: in plain words, e.g. ``main moved 1f2e3d4c → 9a8b7c6d``


class Status(StrEnum):
    """Where a deployment stands. All but the first two are final."""

    QUEUED = "queued"
    RUNNING = "running"
    DEPLOYED = "deployed"  #: verified: what runs is what was pinned
    ROLLED_BACK = "rolled-back"  #: it failed; the last good revision runs again, verified
    FAILED = "failed"  #: it failed; ``error`` says what runs now
    SUPERSEDED = "superseded"  #: a newer revision took its place before it changed anything
    WITHDRAWN = "withdrawn"  #: held or taken back before it changed anything
    NEEDS_OPERATOR = "needs-operator"  #: a person has to look: ``error`` says at what

    @property
    def final(self) -> bool:
        """Whether it can't change any more."""
        return self not in {Status.QUEUED, Status.RUNNING}


#: Status → those that may follow it.
TRANSITIONS: Mapping[Status, frozenset[Status]] = {
    Status.QUEUED: frozenset({Status.RUNNING, Status.SUPERSEDED, Status.WITHDRAWN}),
    Status.RUNNING: frozenset(
        {
            Status.QUEUED,  # a try that failed for a passing reason, and waits for the next
            Status.DEPLOYED,
            Status.ROLLED_BACK,
            Status.FAILED,
            Status.SUPERSEDED,
            Status.WITHDRAWN,
            Status.NEEDS_OPERATOR,
        }
    ),
}


class Stage(StrEnum):
    """The pipeline's steps, in order; the last only after a failure."""

    PREPARE = "prepare"
    BUILD = "build"  #: only where something is built
    GATE = "gate"
    MIGRATE = "migrate"  #: only where a migration is declared
    APPLY = "apply"
    VERIFY = "verify"
    ROLL_BACK = "roll-back"

    @property
    def changes_target(self) -> bool:
        """Whether a crash in it may have left the target half changed."""
        return self in {Stage.APPLY, Stage.VERIFY, Stage.ROLL_BACK}

    @property
    def is_before_any_change(self) -> bool:
        """Whether all that was done up to it may be done again."""
        return self in {Stage.PREPARE, Stage.BUILD, Stage.GATE}


@dataclass(frozen=True, slots=True)
class StageRecord:
    """One stage of one deployment, as it went."""

    stage: Stage
    started_at: datetime
    finished_at: datetime | None = None
    outcome: str = (
        ""  #: empty while under way; ``ok``, ``failed``, ``interrupted``, or a reason code
    )

    @property
    def duration(self) -> timedelta | None:
        """How long it took; None while under way."""
        return self.finished_at - self.started_at if self.finished_at else None


@dataclass(frozen=True, slots=True)
class Pin:
    """The exact image that a service runs, and the tag that was followed to it."""

    image: ImageReference
    digest: Digest

    def __str__(self) -> str:
        return self.image.pinned_to(self.digest)


@dataclass(frozen=True, slots=True)
class Built:
    """The exact image that was built for a service, and the tag by which people know it."""

    image: ImageReference  #: a tag that no other image ever gets: its commit, and its own id
    digest: Digest  #: the image's id, by which each engine that has it knows it

    def __str__(self) -> str:
        return self.image.familiar


@dataclass(frozen=True, slots=True)
class Release:
    """The exact build that a systemd unit runs."""

    name: str  #: of its folder below ``releases/`` on the host
    digest: Digest  #: of the binary's content

    def __str__(self) -> str:
        return f"release {self.name}"


@dataclass(frozen=True, slots=True)
class PlannedService:
    """What one service, or one unit, should look like once it is up."""

    name: ServiceName
    pin: (
        Pin | Built | Release | None
    )  #: None for stateful services and images that nobody can look up
    replicas: int = 1
    may_finish: bool = False  #: a one-shot: exit status 0 is success
    stateful: bool = False  #: it keeps data: an image that was built for it once stays


@dataclass(frozen=True, slots=True)
class PreparedTarget:
    """All that applying needs on one host; kept, so that going back needs no network, no build."""

    revision: Revision  #: complete: every digest resolved
    services: tuple[PlannedService, ...]  #: in file order, never empty
    compose_file: str = ""  #: compose: path in the work tree
    #: compose: path in the work tree, below ``.deploy/``; unit: the folder with its unit and its
    #: environment, below the target's
    override_file: str = ""
    rendered_sha256: str = ""  #: of the rendered compose file, secrets left out, or of the unit
    host: HostName = LOCAL
    extra_files: tuple[str, ...] = ()  #: compose: more files after the first, later ones win


@dataclass(frozen=True, slots=True)
class PreparedRevision:
    """One revision made ready on every host that it goes to."""

    revision: Revision  #: complete: every digest resolved
    targets: tuple[PreparedTarget, ...]  #: in the order of their hosts' declaration, never empty
    #: Where its app was asked for its version: what is gone back to is judged by what it was.
    version: VersionCheck | None = None
    manifest: str = ""  #: the repository's own, as it was read; empty: none, or not allowed
    manifest_ignored: bool = False  #: whether there was one that was not allowed
    headline: CommitInfo | None = None  #: its commit, as people know it; None: it can't be told

    def find(self, host: HostName) -> PreparedTarget | None:
        """Return what was made ready on ``host``."""
        return next((target for target in self.targets if target.host == host), None)


class TargetStatus(StrEnum):
    """Where one host of a deployment stands."""

    WAITING = "waiting"  #: nothing was changed there yet
    UNREACHABLE = "unreachable"  #: nothing was changed there: there is no way to it
    APPLIED = "applied"  #: changed, or half changed, and not verified
    VERIFIED = "verified"  #: what runs is what was asked for
    FAILED = "failed"
    ROLLED_BACK = "rolled-back"  #: the last good revision runs again, verified


#: Nothing was changed there.
UNTOUCHED = frozenset({TargetStatus.WAITING, TargetStatus.UNREACHABLE})
#: What ran before runs there, as far as anybody knows.
AS_BEFORE = UNTOUCHED | {TargetStatus.ROLLED_BACK}


@dataclass(frozen=True, slots=True)
class TargetRecord:
    """What became of a deployment on one host."""

    host: HostName
    status: TargetStatus
    started_at: datetime
    changed_at: datetime  #: when it came to stand so
    error: Failure | None = None
    migration: MigrationState | None = None  #: None: it was not begun there
    migration_changed_at: datetime | None = None  #: when it came to stand so
    #: What was read back there while it was verified, see ``domain/evidence.py``.
    evidence: Mapping[str, object] | None = None

    @property
    def duration(self) -> timedelta:
        """How long it took so far, or until it stood as it does."""
        return self.changed_at - self.started_at


@dataclass(frozen=True, slots=True)
class Deployment:
    """One decision to run a revision, and what became of it."""

    id: DeploymentId
    project: ProjectName
    revision: Revision  #: as asked for; ``prepared`` has it complete
    causes: tuple[Cause, ...]  #: oldest first; later ones were coalesced into it
    status: Status
    created_at: datetime
    forced: bool = False  #: a person insisted: neither quarantine nor 'already live' refuse it
    stage: Stage = Stage.PREPARE  #: the one under way, or the last one
    attempt: int = 1
    fence: int = 0  #: grows with each claim; a write with an older one is refused
    not_before: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    prepared: PreparedRevision | None = None
    restores: DeploymentId | None = None  #: a rollback asked for by a person: to this one
    rolled_back_to: DeploymentId | None = None
    superseded_by: DeploymentId | None = None
    error: Failure | None = None
    withdrawal: Failure | None = None  #: a person wants it stopped before it changes anything
    stages: tuple[StageRecord, ...] = ()
    hosts: tuple[HostName, ...] = ()  #: that it was asked for; empty: all of the project's
    #: What was tracked before it, or before those that it took the place of.
    before: Revision | None = None
    targets: tuple[TargetRecord, ...] = ()  #: how far it got on each host
    correlation: str = ""  #: id of what noticed the change first, as the logs have it
    promotes: DeploymentId | None = None  #: of the environment before, which verified what it runs
    override: str = ""  #: why a person had it go past windows and a freeze; empty: it doesn't

    @property
    def duration(self) -> timedelta | None:
        """How long it took from its first start, waiting for other tries included."""
        return self.finished_at - self.started_at if self.finished_at and self.started_at else None

    @property
    def automatic(self) -> bool:
        """Whether no person asked for it."""
        return all(cause.trigger.automatic for cause in self.causes)

    @property
    def headline(self) -> CommitInfo | None:
        """Its commit, as people know it; None where nobody could tell."""
        return self.prepared.headline if self.prepared else None

    @property
    def target_revision(self) -> Revision:
        """The revision as completely as it is known."""
        return self.prepared.revision if self.prepared else self.revision
