"""The queue, the claims and the history of deployments."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from reconciler.domain.admission import Request
from reconciler.domain.deployment import (
    Cause,
    Deployment,
    DeploymentId,
    PreparedRevision,
    Stage,
    Status,
    TargetStatus,
    Trigger,
)
from reconciler.domain.durations import UsualDurations
from reconciler.domain.evidence import Evidence
from reconciler.domain.failure import Failure
from reconciler.domain.gate import MasterSwitch
from reconciler.domain.host import HostName
from reconciler.domain.migration import MigrationState
from reconciler.domain.project import Project
from reconciler.domain.references import (
    ProjectName,
)
from reconciler.domain.revision import Fingerprint, Revision
from reconciler.domain.state import ProjectState
from reconciler.ports.records import (
    Approval,
    Claim,
    LogExtent,
    LogLine,
    QueuePlace,
    TriggerRecord,
)


@dataclass(frozen=True, slots=True)
class DeploymentFilter:
    """Which deployments are wanted; what is not said makes no difference."""

    trigger: Trigger | None = None  #: one of its causes
    host: HostName | None = None  #: it came as far as this host
    since: datetime | None = None  #: asked for then or later
    until: datetime | None = None  #: asked for before
    projects: frozenset[str] | None = None  #: of one of these; None: of any
    actor: str = ""  #: who or what asked, in full; one of its causes


#: The filter that nothing is kept back by.
EVERY = DeploymentFilter()


class Transaction(Protocol):
    """What ``trigger_deployment`` does in one transaction, with the project's row locked."""

    def get_project(self, name: ProjectName) -> Project:
        """Return the declaration, locked until the transaction ends.

        Raises:
            NotFound: no such project.
        """
        ...

    def get_state(self, name: ProjectName) -> ProjectState:
        """Return the recorded facts."""
        ...

    def get_switch(self) -> MasterSwitch:
        """Return the master switch as it is recorded (without the emergency file)."""
        ...

    def queue(self, request: Request, replaces: Deployment | None, now: datetime) -> Deployment:
        """Insert a queued deployment; ``replaces`` becomes superseded by it.

        The new one remembers what was tracked before it (or before the one that it replaces),
        so that ``withdraw`` can put it back.
        """
        ...

    def add_cause(
        self, deployment: DeploymentId, cause: Cause, override: str, now: datetime
    ) -> None:
        """Note that ``deployment`` serves this request too; a person's makes it due at once.

        It goes past windows and a freeze from now on, where the person does.
        """
        ...

    def track(self, name: ProjectName, revision: Revision) -> None:
        """Record the revision as acted on: its commit, and its images into the known map."""
        ...

    def look_again(self, name: ProjectName, at: datetime, now: datetime) -> None:
        """Have it looked at when what holds it is over; see ``SecondLookStore``."""
        ...

    def record_trigger(self, record: TriggerRecord) -> None:
        """Keep ``record``, or count it up if the project's newest one says the same."""
        ...


class DeploymentStore(Protocol):
    """The queue, the claims and the history."""

    def transaction(self) -> AbstractContextManager[Transaction]:
        """Open a write transaction: ``BEGIN IMMEDIATE`` on SQLite, row locks on PostgreSQL."""
        ...

    def claim_next(
        self,
        owner: str,
        now: datetime,
        *,
        lease: timedelta,
        held: Collection[DeploymentId] = (),
    ) -> Claim | None:
        """Claim a deployment whose time has come.

        First one whose worker died, then the oldest queued. Never one of a project that has
        another running, and never one that the caller ``held`` itself: a machine that slept finds
        every lease over. None if there is nothing to do.
        """
        ...

    def extend(self, claim: Claim, *, lease: timedelta) -> None:
        """Keep the claim. Raises ``ClaimLost``."""
        ...

    def release_all(self, owner_prefix: str) -> int:
        """Let go of every claim of owners that begin so (an earlier life of this daemon)."""
        ...

    def begin_stage(self, claim: Claim, stage: Stage, now: datetime) -> None:
        """Record that a stage begins.

        Raises:
            ClaimLost: another worker has it.
            Withdrawn: a person asked for that before a stage that changes something.
        """
        ...

    def end_stage(self, claim: Claim, stage: Stage, outcome: str, now: datetime) -> None:
        """Record how it ended. Raises ``ClaimLost``."""
        ...

    def record_target(
        self,
        claim: Claim,
        host: HostName,
        status: TargetStatus,
        now: datetime,
        *,
        error: Failure | None = None,
        evidence: Evidence | None = None,
    ) -> None:
        """Record how far it got on one host; without ``evidence`` that stays as it is.

        Raises:
            ClaimLost: another worker has it.
        """
        ...

    def record_migration(
        self, claim: Claim, host: HostName, state: MigrationState, now: datetime
    ) -> None:
        """Record how far the migration got on one host. Raises ``ClaimLost``."""
        ...

    def find_unfinished_migration(
        self, project: ProjectName, host: HostName, *, before: DeploymentId
    ) -> DeploymentId | None:
        """Return the deployment whose migration began there last, if nobody saw that end."""
        ...

    def approve(self, approval: Approval) -> None:
        """Keep that a person approved what is pending for a revision. Safe to repeat."""
        ...

    def find_approval(self, project: ProjectName, fingerprint: Fingerprint) -> Approval | None:
        """Return who approved what is pending for the revision."""
        ...

    def record_prepared(self, claim: Claim, prepared: PreparedRevision) -> None:
        """Keep what applying needs. Raises ``ClaimLost``."""
        ...

    def finish(
        self,
        claim: Claim,
        status: Status,
        now: datetime,
        *,
        error: Failure | None = None,
        rolled_back_to: DeploymentId | None = None,
        quarantine: str = "",
    ) -> None:
        """End it, in one transaction with what follows from it. Raises ``ClaimLost``.

        ``DEPLOYED`` makes it the live one, adds its digests to the tracked ones that are not
        known yet, which seeds the images of a project whose auto-deploy is on, and lifts the
        quarantine of other revisions. A ``quarantine`` text quarantines
        its revision. ``WITHDRAWN`` puts back what was tracked before it.
        """
        ...

    def retry_later(self, claim: Claim, not_before: datetime, error: Failure) -> None:
        """Put it back into the queue for another attempt.

        Where a newer one waits already, it ends as superseded by that. Raises ``ClaimLost``.
        """
        ...

    def withdraw_queued(self, deployment: DeploymentId, reason: Failure, now: datetime) -> bool:
        """End a queued one before it starts; False if it is no longer queued."""
        ...

    def ask_to_withdraw(
        self, deployment: DeploymentId, reason: Failure, now: datetime
    ) -> Deployment:
        """Withdraw it if it waits, and have its worker do so if it is under way.

        From then on it changes nothing. Safe to repeat.

        Raises:
            NotFound: there is no such deployment.
            Conflict: it has begun to change something, or has ended.
        """
        ...

    def find_withdrawn(self, among: Collection[DeploymentId]) -> Collection[DeploymentId]:
        """Return those that are under way and that a person asked to withdraw."""
        ...

    def get_deployment(self, deployment: DeploymentId) -> Deployment:
        """Return it with its stages. Raises ``NotFound``."""
        ...

    def list_deployments(
        self,
        project: ProjectName | None = None,
        *,
        statuses: Sequence[Status] = (),
        only: DeploymentFilter = EVERY,
        before: DeploymentId | None = None,
        limit: int = 50,
    ) -> Sequence[Deployment]:
        """Return newest first, with their stages."""
        ...

    def count_deployments(self, project: ProjectName) -> int:
        """Return how many the project ever had."""
        ...

    def queue_place(self, deployment: DeploymentId, now: datetime) -> QueuePlace:
        """Return what stands before a deployment that waits."""
        ...

    def usual_durations(self, project: ProjectName) -> UsualDurations:
        """Return how long each stage took in the last few verified deployments."""
        ...

    def list_usual_durations(
        self, projects: Collection[ProjectName]
    ) -> Mapping[ProjectName, UsualDurations]:
        """Return the same for each of several projects, in one statement."""
        ...

    def list_touched_hosts(self, project: ProjectName) -> frozenset[HostName]:
        """Return where any deployment of ``project`` began to change something."""
        ...

    def list_restorable(self, project: ProjectName) -> Sequence[Deployment]:
        """Return those that were verified and whose override is still kept, newest first."""
        ...

    def drop_prepared(self, deployment: DeploymentId) -> None:
        """Note that its override is gone: it can't be restored any more."""
        ...

    def list_triggers(
        self, project: ProjectName, *, before: int | None = None, limit: int = 50
    ) -> Sequence[TriggerRecord]:
        """Return newest first; those with a number below ``before``."""
        ...

    def append_log(
        self, deployment: DeploymentId, stage: Stage, lines: Sequence[str], now: datetime
    ) -> None:
        """Keep output, within the limit per deployment (its head and its newest lines)."""
        ...

    def read_log(
        self, deployment: DeploymentId, *, after: int = 0, limit: int = 1000
    ) -> Sequence[LogLine]:
        """Return lines with a number over ``after``, in order."""
        ...

    def read_newest_log(self, deployment: DeploymentId, *, limit: int) -> Sequence[LogLine]:
        """Return the last lines there are so far, in order."""
        ...

    def log_extent(self, deployment: DeploymentId) -> LogExtent:
        """Return which lines there are so far; those that were left out are none."""
        ...

    def find_in_log(
        self, deployment: DeploymentId, words: Sequence[str], *, stage: Stage | None = None
    ) -> Sequence[int]:
        """Return the numbers of all lines that hold one of ``words``, in order, however written.

        Letters beyond ASCII are found as they are written, on SQLite.
        """
        ...
