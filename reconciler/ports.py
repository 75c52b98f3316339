"""What we need of the world, as protocols. Implementations are in ``adapters/`` and ``store/``."""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from reconciler.domain.admission import Request
from reconciler.domain.compose import ComposeFile
from reconciler.domain.deployment import (
    Cause,
    Deployment,
    DeploymentId,
    Failure,
    PreparedRevision,
    Stage,
    Status,
)
from reconciler.domain.gate import MasterSwitch, Reason
from reconciler.domain.project import ExternalSource, HostedSource, Project, Source
from reconciler.domain.references import (
    BranchName,
    CommitSha,
    Digest,
    GitUrl,
    ImageReference,
    ProjectName,
    RepositoryPath,
)
from reconciler.domain.revision import ImageDigests, Revision
from reconciler.domain.secret import Secret
from reconciler.domain.state import ProjectState, Quarantine, SourceHealth, WatchedImage
from reconciler.domain.verification import ContainerSample


class Clock(Protocol):
    """Time. Wall time is for records; every wait and every duration is monotonic."""

    def now(self) -> datetime:
        """Return the instant, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds that only grow."""
        ...

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Wait until ``event`` is set, at most ``seconds``; return whether it is."""
        ...


# ── Processes ─────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Command:
    """A process described as data. Never a shell line; nothing of our environment is inherited."""

    argv: tuple[str, ...]
    cwd: Path | None = None
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    stdin: Secret | None = None
    timeout: timedelta = timedelta(minutes=10)
    output_limit_bytes: int = (
        1 << 20
    )  #: of stdout; more is an error, or cut where lines are followed


@dataclass(frozen=True, slots=True)
class CommandResult:
    """How a process ended."""

    argv: tuple[str, ...]
    exit_status: int  #: negative: ended by that signal
    stdout: str
    stderr_tail: str  #: its last 4 KiB
    duration: timedelta
    timed_out: bool = False

    @property
    def ok(self) -> bool:
        """Whether it ended with status 0, in time."""
        return self.exit_status == 0 and not self.timed_out


#: Takes one line of output at a time, without its newline.
LineSink = Callable[[str], None]


class CommandRunner(Protocol):
    """Runs processes, each in a process group of its own that is ended as a whole."""

    def run(
        self,
        command: Command,
        *,
        on_line: LineSink | None = None,
        cancel: threading.Event | None = None,
    ) -> CommandResult:
        """Run ``command`` to its end.

        Args:
            command: what to run.
            on_line: is given each line of stdout and stderr as it comes.
            cancel: once set, the group is ended (TERM, 10 s later KILL).

        Raises:
            PreconditionFailed: the program is not there, or can't be started.
            Interrupted: ``cancel`` was set.
        """
        ...


# ── Sources ───────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class GitCredentials:
    """What a git server is shown. Bound to one origin; never sent to another."""

    origin: str  #: as ``GitUrl.origin`` writes it
    username: str = ""
    token: Secret | None = None  #: HTTPS
    ssh_key: Secret | None = None  #: SSH, an OpenSSH private key
    known_host_key: str = ""  #: SSH, pinned: ``ssh-ed25519 AAAA…``; empty before first contact


class GitRemote(Protocol):
    """External git servers. Every call is bounded in time and bytes, whatever the server does."""

    def tip(
        self, url: GitUrl, branch: BranchName, credentials: GitCredentials | None = None
    ) -> CommitSha | None:
        """Return the branch's tip; None if the server answered and the branch is not there.

        Raises:
            SourceError: anything else, within 30 s.
        """
        ...

    def read_files(
        self,
        url: GitUrl,
        commit: CommitSha,
        paths: Sequence[RepositoryPath],
        credentials: GitCredentials | None = None,
    ) -> Mapping[RepositoryPath, bytes]:
        """Return those of ``paths`` that are regular files at ``commit``, with the least transfer.

        Raises:
            RevisionNotFound: the server no longer has the commit.
            InvalidComposeFile: a file is over 1 MiB, a symlink or a submodule.
            SourceError: anything else, within its limit.
        """
        ...

    def fetch(
        self, url: GitUrl, commit: CommitSha, into: Path, credentials: GitCredentials | None = None
    ) -> None:
        """Bring ``commit`` and its files into the bare repository ``into``, made if need be.

        Raises:
            RevisionNotFound: the server no longer has the commit.
            SourceError: anything else, within its limit.
        """
        ...


class Repositories(Protocol):
    """The bare repositories that this daemon keeps."""

    def create(self, name: ProjectName) -> Path:
        """Make an empty one and return its folder. Safe to repeat."""
        ...

    def remove(self, name: ProjectName) -> None:
        """Delete it with all it holds."""
        ...

    def names(self) -> Sequence[ProjectName]:
        """Return all there are, sorted."""
        ...

    def path(self, name: ProjectName) -> Path:
        """Return its folder.

        Raises:
            NotFound: there is no such repository.
        """
        ...

    def tip(self, name: ProjectName, branch: BranchName) -> CommitSha | None:
        """Return the branch's tip, read from disk; None if there is no such branch."""
        ...

    def branches(self, name: ProjectName) -> Mapping[BranchName, CommitSha]:
        """Return branch → tip, of the branches whose name we accept. Raises ``NotFound``."""
        ...

    def read_files(
        self, name: ProjectName, commit: CommitSha, paths: Sequence[RepositoryPath]
    ) -> Mapping[RepositoryPath, bytes]:
        """As ``GitRemote.read_files``, from disk."""
        ...


class Checkouts(Protocol):
    """A repository and a work tree per project, from which it is deployed.

    The work tree stays where it is for the life of the project, so that relative bind mounts
    keep their data; its files change only in ``switch``.
    """

    def fetch(
        self,
        project: ProjectName,
        source: Source,
        commit: CommitSha,
        credentials: GitCredentials | None,
    ) -> None:
        """Bring ``commit`` into the project's own repository. Safe to repeat.

        Raises:
            SourceError: as ``GitRemote.fetch``.
        """
        ...

    def export(self, project: ProjectName, commit: CommitSha, into: Path) -> None:
        """Write the files of ``commit`` into the empty folder ``into``; the work tree stays.

        Raises:
            PreconditionFailed: no space, or more files or bytes than allowed.
        """
        ...

    def tree(self, project: ProjectName) -> Path:
        """Return the work tree's folder, which may not exist yet."""
        ...

    def switch(self, project: ProjectName, commit: CommitSha) -> None:
        """Make the work tree hold exactly ``commit``; untracked files stay.

        ``.deploy/`` is ignored through the repository's private exclude file. Safe to repeat.

        Raises:
            WorkTreeDirty: tracked files were changed; nothing was overwritten.
        """
        ...

    def keep(self, project: ProjectName, commits: Sequence[CommitSha]) -> None:
        """Let go of all commits but these."""
        ...

    def remove(self, project: ProjectName) -> None:
        """Delete the project's repository; its work tree stays, it may hold data."""
        ...


class ComposeReader(Protocol):
    """Reads compose files of strangers, within limits."""

    def read(self, content: bytes) -> ComposeFile:
        """Return the services of one file.

        Raises:
            InvalidComposeFile: too large, too deep, not YAML, duplicate keys, no services.
        """
        ...

    def read_environment(self, content: bytes) -> Mapping[str, str]:
        """Return the variables of a ``.env`` file, as compose reads it.

        Raises:
            InvalidComposeFile: it can't be read as one.
        """
        ...


@dataclass(frozen=True, slots=True)
class RegistryCredentials:
    """What one registry host is shown, or its token server on its behalf."""

    host: str
    username: str
    password: Secret
    identity_token: bool = False  #: ``password`` is an OAuth2 refresh token


@dataclass(frozen=True, slots=True)
class RegistryStatus:
    """How one registry host fares, for status and health."""

    host: str
    reachable: bool | None  #: whether it answered last time; None before it was asked
    error: str  #: what its last look-up failed of; empty after one that did not
    cooling_until: datetime | None  #: it asked to be left alone until then
    limit: int | None  #: pulls in its window, as its ``ratelimit-limit`` says
    limit_remaining: int | None  #: as its last ``ratelimit-remaining`` said
    requests_sent: int  #: since the start, token requests included


class ImageRegistry(Protocol):
    """Container registries, over the OCI distribution API."""

    def digest(self, image: ImageReference, project: ProjectName | None = None) -> Digest:
        """Return the digest behind the image's tag now: of its index where it has one.

        Args:
            image: what to look up; its own digest, if any, plays no part.
            project: whose stored credentials may be used.

        Raises:
            RevisionNotFound: no such repository or tag.
            SourceThrottled: the host is cooling down; nothing was sent if it was before.
            SourceError: anything else, within 30 s.
        """
        ...

    def probe(self, host: str) -> Failure | None:
        """Ask ``/v2/``: None if it answers 200 or 401, else what is wrong. Never raises."""
        ...


# ── Targets ───────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Work:
    """What a strategy is given for one deployment."""

    deployment: DeploymentId
    project: Project
    revision: Revision
    variables: Mapping[str, Secret]
    credentials: GitCredentials | None
    log: LineSink
    cancel: threading.Event  #: set when the work must stop


class Engine(Protocol):
    """A container engine, looked at only: what changes it goes through compose."""

    def ping(self) -> str | Failure:
        """Return the engine's version, or why it can't be used. Never raises."""
        ...

    def containers(self, project: ProjectName) -> Sequence[ContainerSample]:
        """Return the containers of a compose project, stopped ones included, by service.

        Those of `docker compose run` are left out.

        Raises:
            TargetUnreachable: the engine did not answer, or not as an engine does.
        """
        ...

    def has_image(self, image: ImageReference) -> bool:
        """Tell whether the image is there; one with a digest only counts at that digest.

        Raises:
            TargetUnreachable: as ``containers``.
        """
        ...

    def last_lines(self, container: str, count: int) -> Sequence[str]:
        """Return the newest lines that a container wrote, oldest first.

        Raises:
            TargetUnreachable: as ``containers``.
        """
        ...


class Strategy(Protocol):
    """How one kind of target changes. Every method but ``apply`` leaves what runs untouched."""

    def prepare(self, work: Work) -> PreparedRevision:
        """Make ready all that ``apply`` needs: checkout, digests, override, images.

        Safe to repeat.

        Raises:
            ReconcilerError: nothing was changed; ``recovery`` says what helps.
        """
        ...

    def apply(self, work: Work, prepared: PreparedRevision) -> None:
        """Make the target run ``prepared``. Safe to repeat, also after a kill in its middle.

        Raises:
            RolloutError: the target may be half changed.
        """
        ...

    def observe(self, project: ProjectName) -> Sequence[ContainerSample]:
        """Return what runs for ``project`` now, stopped containers included.

        Raises:
            TargetUnreachable: the engine did not answer.
        """
        ...

    def diagnose(self, project: ProjectName, log: LineSink) -> None:
        """Write the last lines of the project's containers into ``log``. Never raises."""
        ...

    def forget(self, project: ProjectName, deployment: DeploymentId) -> None:
        """Drop what ``prepare`` made for a deployment that nobody can roll back to any more."""
        ...


# ── Store ─────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class PollTask:
    """One external source that is due for a look."""

    project: ProjectName
    source: ExternalSource
    tracked: CommitSha | None
    health: SourceHealth  #: as the last look left it


@dataclass(frozen=True, slots=True)
class PollResult:
    """What one look gave."""

    project: ProjectName
    health: SourceHealth


@dataclass(frozen=True, slots=True)
class TriggerRecord:
    """One call of ``trigger_deployment``, and what became of it."""

    project: ProjectName
    cause: Cause
    revision: Revision
    outcome: str  #: ``admitted``, ``coalesced``, ``held`` or ``refused``
    reasons: tuple[Reason, ...]
    deployment: DeploymentId | None
    at: datetime
    count: int = 1  #: equal calls in a row are one record
    last_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of a deployment's output, secrets already taken out."""

    number: int  #: from 1, without gaps within a deployment
    at: datetime
    stage: Stage
    text: str


@dataclass(frozen=True, slots=True)
class SettingRecord:
    """One live setting."""

    key: str
    value: bool | int
    changed_by: str = ""
    changed_at: datetime | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class SecretRecord:
    """What may be shown of a stored secret."""

    name: str  #: ``git-token``, ``git-ssh-key``, ``registry:HOST``, ``variable:NAME``
    fingerprint: str  #: first 8 hex digits of a keyed hash; tells equal from different, no more
    bound_to: str  #: origin or host it is sent to; empty for variables
    username: str
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Claim:
    """A worker's hold on one deployment. Every write with it is refused once it is lost."""

    deployment: Deployment
    owner: str
    fence: int
    resumed: bool  #: an earlier worker left it in the middle


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
