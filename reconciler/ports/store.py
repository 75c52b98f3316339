"""What we remember, as protocols; one family of methods each."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from reconciler.domain.deployment import DeploymentId
from reconciler.domain.gate import MasterSwitch
from reconciler.domain.project import Project, Source
from reconciler.domain.reason_codes import ReasonCode
from reconciler.domain.references import CommitSha, ProjectName
from reconciler.domain.registry_event import ImagesHint
from reconciler.domain.revision import ImageDigests
from reconciler.domain.rules import Freeze
from reconciler.domain.secret import Secret
from reconciler.domain.state import (
    PassedOver,
    ProjectState,
    RegistryTrouble,
    SourceHealth,
    WatchedImage,
)
from reconciler.domain.wish import Wish
from reconciler.ports.access import PeopleStore, TokenStore
from reconciler.ports.answers import AnswerStore
from reconciler.ports.audit import AuditStore
from reconciler.ports.clusters import ClusterStore
from reconciler.ports.deployments import DeploymentStore
from reconciler.ports.figures import FigureStore
from reconciler.ports.hosts import HostStore
from reconciler.ports.notices import ChannelStore
from reconciler.ports.outbox import OutboxStore
from reconciler.ports.promotions import PromotionStore
from reconciler.ports.receipts import ReceiptStore, Signer
from reconciler.ports.records import (
    PollResult,
    PollTask,
    SecretRecord,
    SettingRecord,
)
from reconciler.ports.registries import RegistryCredentials
from reconciler.ports.releases import ReleaseStore
from reconciler.ports.second_looks import SecondLookStore
from reconciler.ports.sources import GitCredentials
from reconciler.ports.statuses import StatusStore
from reconciler.ports.webhooks import WebhookStore


class ProjectStore(Protocol):
    """Projects and what is known of them."""

    def create_project(self, project: Project) -> None:
        """Add it.

        Raises:
            AlreadyExists: there is one of this name.
            InvalidInput: its environment doesn't fit those that there are.
        """
        ...

    def update_project(self, project: Project, seen: Project | None = None) -> None:
        """Replace the declaration: the one that was ``seen``, or whatever there is.

        Where that switches auto-deploy, who acts is noted.

        Raises:
            NotFound: no such project.
            InvalidInput: its environment doesn't fit those that there are.
            ChangedMeanwhile: it is declared otherwise by now.
        """
        ...

    def remove_project(self, name: ProjectName, seen: Project | None = None) -> None:
        """Delete it with its state, secrets and history.

        Raises:
            NotFound: no such project.
            Conflict: a deployment of it is running, or another project is promoted from it.
            ChangedMeanwhile: see ``update_project``.
        """
        ...

    def get_project(self, name: ProjectName) -> Project:
        """Return it. Raises ``NotFound``."""
        ...

    def list_projects(self, known: Iterable[Project] = ()) -> Sequence[Project]:
        """Return all, by name; those of ``known`` that nobody edited since are the same objects."""
        ...

    def list_followers(self, repository: ProjectName) -> Sequence[Project]:
        """Return the projects that follow ``repository``, by name; see ``Project.follows``."""
        ...

    def get_state(self, name: ProjectName) -> ProjectState:
        """Return the recorded facts. Raises ``NotFound``."""
        ...

    def list_states(self, known: Iterable[ProjectState] = ()) -> Mapping[ProjectName, ProjectState]:
        """Return the recorded facts of all projects, in few statements.

        A verified deployment never changes: one that ``known`` has is not read again.
        """
        ...

    def get_health(self, name: ProjectName) -> SourceHealth:
        """Return how looking at its source has gone."""
        ...

    def list_health(self) -> Mapping[ProjectName, SourceHealth]:
        """Return the same for all projects."""
        ...

    def pass_over(self, project: Project, tracked: CommitSha, passed: PassedOver) -> bool:
        """Record that a tip is not to be deployed; return whether it is.

        It is not where ``project`` chooses otherwise by now, or another commit than ``tracked``
        is tracked: then it has to be looked at again.

        Raises:
            NotFound: no such project.
        """
        ...

    def lift_quarantine(self, name: ProjectName) -> int:
        """Let the project's quarantined revisions deploy again; return how many there were.

        What is tracked goes back to what is live, so that the next look finds the difference.
        """
        ...

    def record_drift(
        self, name: ProjectName, live: DeploymentId, differences: Sequence[str], now: datetime
    ) -> bool:
        """Keep what a look found that compared what runs with ``live``; False: nothing is new.

        Nothing is kept where another deployment is live by now, or one is under way. Without
        differences, what was kept is gone. Raises ``NotFound``.
        """
        ...

    def set_freeze(self, name: ProjectName, freeze: Freeze) -> None:
        """Freeze it, in the place of a freeze that it has. Raises ``NotFound``."""
        ...

    def lift_freeze(self, name: ProjectName) -> bool:
        """Let it change again; False if it is not frozen. Raises ``NotFound``."""
        ...


class PollStore(Protocol):
    """When external sources are due, and what looking gave."""

    def claim_due_polls(
        self, now: datetime, *, hold_for: timedelta, limit: int
    ) -> Sequence[PollTask]:
        """Return sources of auto-deploying projects that are due, oldest first.

        Those that somebody wished a look for come before the ``limit`` others.

        Each is held until its look is recorded, or for ``hold_for``, so that no second process
        takes it: of two looks at once, the one with the older tip could be acted on last.
        """
        ...

    def record_polls(self, results: Iterable[PollResult]) -> None:
        """Record what was seen, in one transaction."""
        ...

    def next_poll(self, now: datetime, projects: Collection[str] | None = None) -> datetime | None:
        """Return when a source is due next after ``now``, of some projects or of all."""
        ...

    def correct_polls(self, now: datetime) -> None:
        """Make due what was timed by a clock that has been set back since, by over 10 minutes."""
        ...

    def poll_now(self, name: ProjectName, wish: Wish | None = None) -> None:
        """Make the project's source due at once, or once the look that is under way has ended.

        ``wish`` comes back with the task; of several, the newest.
        """
        ...


class WatchStore(Protocol):
    """The images that are watched."""

    def get_images(self, name: ProjectName) -> Sequence[WatchedImage]:
        """Return the project's images, in file order."""
        ...

    def list_images(self) -> Mapping[ProjectName, Sequence[WatchedImage]]:
        """Return the images of all projects."""
        ...

    def images_looked_at(self) -> Mapping[ProjectName, datetime]:
        """Return when a look-up of each project's images gave something last, or failed."""
        ...

    def images_read_at(self, name: ProjectName) -> str:
        """Return what ``get_images`` was read from: the key given to ``put_images``."""
        ...

    def put_images(self, name: ProjectName, read_at: str, images: Sequence[WatchedImage]) -> None:
        """Replace the project's images; digests already known are kept."""
        ...

    def list_image_followers(self, hint: ImagesHint) -> Sequence[Project]:
        """Return the projects that watch an image that ``hint`` concerns, by name."""
        ...

    def record_lookups(
        self, lookups: Mapping[ProjectName, Sequence[WatchedImage]], since: datetime | None = None
    ) -> None:
        """Record what look-ups gave, in one transaction.

        What a look-up recorded that came to its end after ``since`` stays as it is.
        """
        ...

    def seed_images(
        self, name: ProjectName, digests: ImageDigests, compared_with: ImageDigests | None = None
    ) -> bool:
        """Record digests as tracked without asking for a deployment; drop those not in the file.

        False, and nothing is recorded, if other ones than ``compared_with`` are tracked by now.
        """
        ...


class SettingStore(Protocol):
    """Settings that change without a restart."""

    def get_settings(self) -> Mapping[str, SettingRecord]:
        """Return all, with their defaults where nobody changed them."""
        ...

    def put_settings(
        self, records: Iterable[SettingRecord], seen: Mapping[str, SettingRecord] | None = None
    ) -> None:
        """Record changes, all or none; the caller has checked the values.

        Raises:
            ChangedMeanwhile: they are not as they were ``seen``.
        """
        ...

    def seed_settings(self, values: Mapping[str, bool | int]) -> None:
        """Record the first value of each setting that has none yet; nobody changed those."""
        ...

    def get_switch(self) -> MasterSwitch:
        """Return the master switch (without the emergency file)."""
        ...


class RegistryStore(Protocol):
    """Registries that are not asked about images for a while."""

    def put_registry_trouble(self, trouble: RegistryTrouble) -> None:
        """Record it; where the same goes on already, its ``since`` stays."""
        ...

    def drop_registry_trouble(self, host: str, code: ReasonCode) -> None:
        """Note that it is over. Safe to repeat."""
        ...

    def list_registry_troubles(self) -> Sequence[RegistryTrouble]:
        """Return all that were recorded, by host; ``goes_on`` tells which count."""
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
        """Return those bound to the source's origin; None if there are none for it.

        Where it has none, those of the environment before it serve, if that has the same source.
        """
        ...

    def find_forge_token(self, project: ProjectName, origin: str) -> Secret | None:
        """Return the token for the API of a forge that is bound to exactly this origin."""
        ...

    def variables(self, project: ProjectName) -> Mapping[str, Secret]:
        """Return the project's own environment."""
        ...

    def registry_credentials(
        self, host: str, project: ProjectName | None
    ) -> RegistryCredentials | None:
        """Return those stored for exactly this host."""
        ...

    def list_registry_users(self) -> Mapping[str, Mapping[ProjectName, str]]:
        """Return as whom projects are known to registries: host → project → user name."""
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


class Store(
    AnswerStore,
    HostStore,
    ProjectStore,
    PollStore,
    SecondLookStore,
    WatchStore,
    DeploymentStore,
    SettingStore,
    RegistryStore,
    SecretStore,
    TokenStore,
    PeopleStore,
    OutboxStore,
    FigureStore,
    StatusStore,
    ChannelStore,
    WebhookStore,
    AuditStore,
    ReceiptStore,
    ReleaseStore,
    PromotionStore,
    ClusterStore,
    Protocol,
):
    """All that we remember. Methods are safe to call from any thread; each is one transaction."""

    def change_mark(self) -> str:
        """Return text that is another once a project's summary or a deployment under way is.

        That a source was looked at and nothing was new changes nothing. It costs little.
        """
        ...

    def check(self) -> None:
        """Write and read something. Raises ``StoreError``."""
        ...

    def close(self) -> None:
        """Let go of the database."""
        ...


class Sealer(Protocol):
    """Encrypts what is stored. ``context`` binds a ciphertext to its place (table, row, field)."""

    @property
    def key_ids(self) -> Sequence[str]:
        """Which keys it opens with; the first is the one that it seals with."""
        ...

    @property
    def source(self) -> str:
        """Where its key comes from, in words."""
        ...

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

    def signer(self, seed: Secret) -> Signer:
        """Return the key that ``seed``, 32 bytes in hex, stands for; always the same one."""
        ...
