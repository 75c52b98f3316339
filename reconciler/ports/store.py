"""What we remember, as protocols; one family of methods each."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Protocol

from reconciler.domain.admission import Request
from reconciler.domain.deployment import (
    Cause,
    Deployment,
    DeploymentId,
    Failure,
    PreparedRevision,
    Stage,
    Status,
)
from reconciler.domain.gate import MasterSwitch
from reconciler.domain.project import HostedSource, Project, Source
from reconciler.domain.references import (
    ProjectName,
)
from reconciler.domain.revision import ImageDigests, Revision
from reconciler.domain.secret import Secret
from reconciler.domain.state import ProjectState, Quarantine, SourceHealth, WatchedImage
from reconciler.ports.records import (
    Claim,
    LogLine,
    PollResult,
    PollTask,
    SecretRecord,
    SettingRecord,
    TriggerRecord,
)
from reconciler.ports.sources import GitCredentials, RegistryCredentials


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

    def add_cause(self, deployment: DeploymentId, cause: Cause, now: datetime) -> None:
        """Note that ``deployment`` serves this request too."""
        ...

    def track(self, name: ProjectName, revision: Revision) -> None:
        """Record the revision as acted on: its commit, and its images into the known map."""
        ...

    def record_trigger(self, record: TriggerRecord) -> None:
        """Keep ``record``, or count it up if the project's newest one says the same."""
        ...


class ProjectStore(Protocol):
    """Projects and what is known of them."""

    def create_project(self, project: Project) -> None:
        """Add it. Raises ``AlreadyExists``."""
        ...

    def update_project(self, project: Project) -> None:
        """Replace the declaration. Raises ``NotFound``."""
        ...

    def remove_project(self, name: ProjectName) -> None:
        """Delete it with its state, secrets and history.

        Raises:
            NotFound: no such project.
            Conflict: a deployment of it is running.
        """
        ...

    def get_project(self, name: ProjectName) -> Project:
        """Return it. Raises ``NotFound``."""
        ...

    def list_projects(self) -> Sequence[Project]:
        """Return all, by name."""
        ...

    def list_followers(self, repository: ProjectName) -> Sequence[tuple[Project, HostedSource]]:
        """Return the projects that follow a hosted repository, by name, with their source."""
        ...

    def get_state(self, name: ProjectName) -> ProjectState:
        """Return the recorded facts. Raises ``NotFound``."""
        ...

    def list_states(self) -> Mapping[ProjectName, ProjectState]:
        """Return the recorded facts of all projects, in few statements."""
        ...

    def get_health(self, name: ProjectName) -> SourceHealth:
        """Return how looking at its source has gone."""
        ...

    def list_health(self) -> Mapping[ProjectName, SourceHealth]:
        """Return the same for all projects."""
        ...

    def list_quarantined(self) -> Mapping[ProjectName, Sequence[Quarantine]]:
        """Return every quarantine in force."""
        ...

    def lift_quarantine(self, name: ProjectName) -> int:
        """Let the project's quarantined revisions deploy again; return how many there were.

        What is tracked goes back to what is live, so that the next look finds the difference.
        """
        ...


class PollStore(Protocol):
    """When external sources are due, and what looking gave."""

    def claim_due_polls(
        self, now: datetime, *, hold_for: timedelta, limit: int
    ) -> Sequence[PollTask]:
        """Return sources of auto-deploying projects that are due, oldest first.

        Each is marked as not due before ``now + hold_for``, so that no second process takes it.
        """
        ...

    def record_polls(self, results: Iterable[PollResult]) -> None:
        """Record what was seen, in one transaction."""
        ...

    def poll_now(self, name: ProjectName) -> None:
        """Make the project's source due at once."""
        ...


class WatchStore(Protocol):
    """The images that are watched."""

    def get_images(self, name: ProjectName) -> Sequence[WatchedImage]:
        """Return the project's images, in file order."""
        ...

    def list_images(self) -> Mapping[ProjectName, Sequence[WatchedImage]]:
        """Return the images of all projects."""
        ...

    def images_read_at(self, name: ProjectName) -> str:
        """Return what ``get_images`` was read from: the key given to ``put_images``."""
        ...

    def put_images(self, name: ProjectName, read_at: str, images: Sequence[WatchedImage]) -> None:
        """Replace the project's images; digests already known are kept."""
        ...

    def record_lookups(self, lookups: Mapping[ProjectName, Sequence[WatchedImage]]) -> None:
        """Record what the look-ups of a tick gave, in one transaction."""
        ...

    def seed_images(self, name: ProjectName, digests: ImageDigests) -> None:
        """Record digests as tracked without asking for a deployment; drop those not in the file."""
        ...


class DeploymentStore(Protocol):
    """The queue, the claims and the history."""

    def transaction(self) -> AbstractContextManager[Transaction]:
        """Open a write transaction: ``BEGIN IMMEDIATE`` on SQLite, row locks on PostgreSQL."""
        ...

    def claim_next(self, owner: str, now: datetime, *, lease: timedelta) -> Claim | None:
        """Claim a deployment whose time has come.

        First one whose worker died, then the oldest queued. Never one of a project that has
        another running. None if there is nothing to do.
        """
        ...

    def extend(self, claim: Claim, *, lease: timedelta) -> None:
        """Keep the claim. Raises ``ClaimLost``."""
        ...

    def release_all(self, owner_prefix: str) -> int:
        """Let go of every claim of owners that begin so (an earlier life of this daemon)."""
        ...

    def begin_stage(self, claim: Claim, stage: Stage, now: datetime) -> None:
        """Record that a stage begins. Raises ``ClaimLost``."""
        ...

    def end_stage(self, claim: Claim, stage: Stage, outcome: str, now: datetime) -> None:
        """Record how it ended. Raises ``ClaimLost``."""
        ...

    def record_prepared(self, claim: Claim, prepared: PreparedRevision) -> None:
        """Keep what applying needs. Raises ``ClaimLost``."""
        ...

    def finish(  # noqa: PLR0913  all of it is one transaction
        self,
        claim: Claim,
        status: Status,
        now: datetime,
        *,
        error: Failure | None = None,
        rolled_back_to: DeploymentId | None = None,
        quarantine: str = "",
        superseded_by: DeploymentId | None = None,
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

    def find_queued(self, project: ProjectName) -> Deployment | None:
        """Return the deployment of ``project`` that waits."""
        ...

    def withdraw_queued(self, deployment: DeploymentId, reason: Failure, now: datetime) -> bool:
        """End a queued one before it starts; False if it is no longer queued."""
        ...

    def get_deployment(self, deployment: DeploymentId) -> Deployment:
        """Return it with its stages. Raises ``NotFound``."""
        ...

    def list_deployments(
        self,
        project: ProjectName | None = None,
        *,
        statuses: Sequence[Status] = (),
        before: DeploymentId | None = None,
        limit: int = 50,
    ) -> Sequence[Deployment]:
        """Return newest first, with their stages."""
        ...

    def list_restorable(self, project: ProjectName) -> Sequence[Deployment]:
        """Return those that were verified and whose override is still kept, newest first."""
        ...

    def drop_prepared(self, deployment: DeploymentId) -> None:
        """Note that its override is gone: it can't be restored any more."""
        ...

    def list_triggers(self, project: ProjectName, *, limit: int = 50) -> Sequence[TriggerRecord]:
        """Return newest first."""
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


class SettingStore(Protocol):
    """Settings that change without a restart."""

    def get_settings(self) -> Mapping[str, SettingRecord]:
        """Return all, with their defaults where nobody changed them."""
        ...

    def put_settings(self, records: Iterable[SettingRecord]) -> None:
        """Record changes, all or none; the caller has checked the values."""
        ...

    def seed_settings(self, values: Mapping[str, bool | int]) -> None:
        """Record the first value of each setting that has none yet; nobody changed those."""
        ...

    def get_switch(self) -> MasterSwitch:
        """Return the master switch (without the emergency file)."""
        ...


class SecretStore(Protocol):
    """Secrets, encrypted at rest and bound to their row."""

    def put_secret(
        self,
        project: ProjectName,
        name: str,
        secret: Secret,
        *,
        bound_to: str,
        username: str,
        now: datetime,
    ) -> SecretRecord:
        """Store or replace it. Raises ``NotFound`` for the project."""
        ...

    def remove_secret(self, project: ProjectName, name: str) -> None:
        """Delete it. Raises ``NotFound``."""
        ...

    def list_secrets(self, project: ProjectName) -> Sequence[SecretRecord]:
        """Return what may be shown, by name."""
        ...

    def git_credentials(self, project: ProjectName, source: Source | None) -> GitCredentials | None:
        """Return those bound to the source's origin; None if there are none for it."""
        ...

    def variables(self, project: ProjectName) -> Mapping[str, Secret]:
        """Return the project's own environment."""
        ...

    def registry_credentials(
        self, host: str, project: ProjectName | None
    ) -> RegistryCredentials | None:
        """Return those stored for exactly this host."""
        ...

    def has_registry_credentials(self, host: str, project: ProjectName) -> bool:
        """Tell whether the project has its own for this host."""
        ...

    def pin_host_key(self, origin: str, key: str, now: datetime) -> None:
        """Keep the key that an SSH server showed at first contact. Never replaces another."""
        ...

    def get_host_key(self, origin: str) -> str:
        """Return the pinned key; empty before first contact."""
        ...

    def add_token(self, name: str, scope: str, digest: str, now: datetime) -> None:
        """Keep the SHA-256 of an access token. Raises ``AlreadyExists`` for the name."""
        ...

    def find_token(self, digest: str) -> tuple[str, str] | None:
        """Return (name, scope) of the token with this SHA-256."""
        ...

    def list_tokens(self) -> Sequence[tuple[str, str, datetime]]:
        """Return (name, scope, created at) of all tokens."""
        ...

    def remove_token(self, name: str) -> None:
        """Delete it. Raises ``NotFound``."""
        ...


class Store(
    ProjectStore, PollStore, WatchStore, DeploymentStore, SettingStore, SecretStore, Protocol
):
    """All that we remember. Methods are safe to call from any thread; each is one transaction."""

    def check(self) -> None:
        """Write and read something. Raises ``StoreError``."""
        ...

    def close(self) -> None:
        """Let go of the database."""
        ...


class Sealer(Protocol):
    """Encrypts what is stored. ``context`` binds a ciphertext to its place (table, row, field)."""

    def seal(self, secret: Secret, context: str) -> str:
        """Return the ciphertext as text."""
        ...

    def unseal(self, sealed: str, context: str) -> Secret:
        """Return the clear text.

        Raises:
            StoreCorrupt: another key, another context, or changed bytes.
        """
        ...

    def fingerprint(self, secret: Secret) -> str:
        """Return 8 hex digits of a keyed hash."""
        ...
