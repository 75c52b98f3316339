"""The tables. Rows are written and read as Core statements, and never leave this package."""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import JSON, CheckConstraint, Column, Index, MetaData, Table, UniqueConstraint, text
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

from reconciler.domain.deployment import Status

#: Every constraint has a name, so that a later migration can find it on either database.
NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

#: A column's value as JSON holds it: objects, arrays, texts, numbers.
Json = Any


def _json(*, nullable: bool = False) -> Any:
    return Field(sa_column=Column(JSON(none_as_null=True), nullable=nullable))


def _project(*, primary_key: bool = False) -> Any:
    return Field(foreign_key="project.name", ondelete="CASCADE", primary_key=primary_key)


def _deployment(*, primary_key: bool = False) -> Any:
    return Field(foreign_key="deployment.id", ondelete="CASCADE", primary_key=primary_key)


class Row(SQLModel, registry=registry(metadata=MetaData(naming_convention=NAMES))):
    """A table of ours, in metadata of its own."""


class ProjectRow(Row, table=True):
    """A declaration. Its row is what is locked while anything of the project changes."""

    __tablename__: ClassVar[str] = "project"

    name: str = Field(primary_key=True)
    kind: str
    created_at: datetime
    updated_at: datetime
    source_url: str | None = None  #: external sources
    source_repository: str | None = None  #: hosted sources
    source_branch: str | None = None
    compose_path: str
    image: str | None = None
    ports: Json = _json()
    volumes: Json = _json()
    auto_deploy: bool
    expose_service: str | None = None
    expose_port: int | None = None
    stateful_services: Json = _json()
    targets: Json = _json()
    one_by_one: bool = False
    migration: Json = _json(nullable=True)
    version: Json = _json(nullable=True)
    push_images: bool = False
    allow_manifest: bool = False
    generation: int


class ProjectStateRow(Row, table=True):
    """What was acted on, and what was verified last."""

    __tablename__: ClassVar[str] = "project_state"

    project: str = _project(primary_key=True)
    tracked_commit: str | None = None
    tracked_images: Json = _json()
    images_seeded: bool = False
    images_read_at: str = ""
    live_deployment_id: int | None = None
    latest_deployment_id: int | None = None


class SourceHealthRow(Row, table=True):
    """How looking at a source goes; apart from the declaration, for it changes with every poll."""

    __tablename__: ClassVar[str] = "source_health"

    project: str = _project(primary_key=True)
    next_look_at: datetime | None = Field(default=None, index=True)  #: NULL: it is not polled
    held_until: datetime | None = None  #: a look is under way, at most until then
    wish: Json = _json(nullable=True)  #: who asked for the next look
    looked_at: datetime | None = None
    observed: str | None = None
    observed_at: datetime | None = None
    branch_gone: bool = False
    failures: int = 0
    error: Json = _json(nullable=True)


class WatchedImageRow(Row, table=True):
    """One image that a project's compose file names."""

    __tablename__: ClassVar[str] = "watched_image"

    project: str = _project(primary_key=True)
    image: str = Field(primary_key=True)
    position: int
    services: Json = _json()
    unwatched_because: str = ""
    digest: str | None = None
    first_seen_at: datetime | None = None
    looked_at: datetime | None = None
    error: Json = _json(nullable=True)


class DeploymentRow(Row, table=True):
    """One deployment. Two partial unique indexes keep the queue and the work to one each."""

    __tablename__: ClassVar[str] = "deployment"
    __table_args__: ClassVar[Any] = (
        Index(
            "one_queued_deployment_per_project",
            "project",
            unique=True,
            sqlite_where=text("status = 'queued'"),
            postgresql_where=text("status = 'queued'"),
        ),
        Index(
            "one_running_deployment_per_project",
            "project",
            unique=True,
            sqlite_where=text("status = 'running'"),
            postgresql_where=text("status = 'running'"),
        ),
        Index(None, "project", "id"),
        # Claiming looks only at these few, however long the history is.
        Index(
            "open_deployments",
            "status",
            "id",
            sqlite_where=text("status IN ('queued', 'running')"),
            postgresql_where=text("status IN ('queued', 'running')"),
        ),
        CheckConstraint(f"status IN ({', '.join(repr(str(s)) for s in Status)})", name="status"),
        # Ids grow for ever: one that was removed with its project never comes back.
        {"sqlite_autoincrement": True},
    )

    id: int | None = Field(default=None, primary_key=True)
    project: str = _project()
    revision: Json = _json()
    causes: Json = _json()
    status: str
    created_at: datetime
    forced: bool
    stage: str
    attempt: int = 1
    fence: int = 0
    owner: str = ""
    lease_until: datetime | None = None
    not_before: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    prepared: Json = _json(nullable=True)
    prepared_kept: bool = False
    restores: int | None = None
    rolled_back_to: int | None = None
    superseded_by: int | None = None
    error: Json = _json(nullable=True)
    withdrawal: Json = _json(nullable=True)  #: why a person wants it stopped
    #: What was tracked before it (or before those that it replaced), for when it is withdrawn.
    before_commit: str | None = None
    before_images: Json = _json()
    #: The image digests that it (or those that it replaced) made tracked.
    moved_images: Json = _json()
    hosts: Json = _json()  #: that it was asked for; empty: all of the project's


class DeploymentTargetRow(Row, table=True):
    """How far a deployment got on one host."""

    __tablename__: ClassVar[str] = "deployment_target"

    deployment: int = _deployment(primary_key=True)
    host: str = Field(primary_key=True)
    status: str
    started_at: datetime
    changed_at: datetime
    error: Json = _json(nullable=True)
    migration: str | None = None  #: how far it got there
    migration_changed_at: datetime | None = None


class ApprovalRow(Row, table=True):
    """A revision whose pending migration a person approved."""

    __tablename__: ClassVar[str] = "approval"

    project: str = _project(primary_key=True)
    fingerprint: str = Field(primary_key=True)
    deployment: int  #: the one that stopped for it
    approved_by: str
    approved_at: datetime
    reason: str


class StageRow(Row, table=True):
    """One stage of one deployment, as it went."""

    __tablename__: ClassVar[str] = "stage"
    __table_args__: ClassVar[Any] = (Index(None, "deployment", "id"),)

    id: int | None = Field(default=None, primary_key=True)
    deployment: int = _deployment()
    stage: str
    started_at: datetime
    finished_at: datetime | None = None
    outcome: str = ""


class QuarantineRow(Row, table=True):
    """A revision that was rolled back."""

    __tablename__: ClassVar[str] = "quarantine"
    __table_args__: ClassVar[Any] = (UniqueConstraint("project", "fingerprint"),)

    id: int | None = Field(default=None, primary_key=True)
    project: str = _project()
    fingerprint: str
    revision: Json = _json()
    deployment: int
    since: datetime
    reason: str


class TriggerRow(Row, table=True):
    """One call of ``trigger_deployment``, or several equal ones in a row."""

    __tablename__: ClassVar[str] = "trigger_record"
    __table_args__: ClassVar[Any] = (Index(None, "project", "id"),)

    id: int | None = Field(default=None, primary_key=True)
    project: str = _project()
    cause: Json = _json()
    revision: Json = _json()
    outcome: str
    reasons: Json = _json()
    sameness: str  #: hash of what makes two calls equal
    deployment: int | None = None
    at: datetime
    calls: int = 1
    last_at: datetime


class LogLineRow(Row, table=True):
    """One line of a deployment's output."""

    __tablename__: ClassVar[str] = "log_line"

    deployment: int = _deployment(primary_key=True)
    number: int = Field(primary_key=True)
    at: datetime
    stage: str
    text: str
    size_bytes: int


class LogExtentRow(Row, table=True):
    """How much of a deployment's output is kept, so that appending needs no counting."""

    __tablename__: ClassVar[str] = "log_extent"

    deployment: int = _deployment(primary_key=True)
    lines: int = 0  #: ever written: the next number is one more
    head_lines: int = 0  #: the first that are never dropped
    head_bytes: int = 0
    head_full: bool = False
    tail_bytes: int = 0
    dropped_bytes: int = 0


class SettingRow(Row, table=True):
    """A live setting that somebody changed."""

    __tablename__: ClassVar[str] = "setting"

    key: str = Field(primary_key=True)
    value: Json = _json()
    changed_by: str
    changed_at: datetime | None = None
    reason: str


class SecretRow(Row, table=True):
    """A sealed secret of a project."""

    __tablename__: ClassVar[str] = "secret"

    project: str = _project(primary_key=True)
    name: str = Field(primary_key=True)
    sealed: str
    fingerprint: str
    bound_to: str
    username: str
    updated_at: datetime


class HostRow(Row, table=True):
    """A machine that deployments run on."""

    __tablename__: ClassVar[str] = "host"

    name: str = Field(primary_key=True)
    created_at: datetime
    alias: str = ""
    address: str = ""
    user: str = ""
    port: int
    host_keys: Json = _json()  #: pinned by a person
    sealed_key: str = ""  #: our private key for it; empty: the alias says which
    key_fingerprint: str = ""
    key_stored_at: datetime | None = None


class HostKeyRow(Row, table=True):
    """The key that an SSH server showed at first contact."""

    __tablename__: ClassVar[str] = "host_key"

    origin: str = Field(primary_key=True)
    key: str
    pinned_at: datetime


class TokenRow(Row, table=True):
    """An access token, as its SHA-256."""

    __tablename__: ClassVar[str] = "token"
    __table_args__: ClassVar[Any] = (UniqueConstraint("digest"),)

    name: str = Field(primary_key=True)
    scope: str
    digest: str
    created_at: datetime


class WebhookRow(Row, table=True):
    """A way in for a forge, with its sealed secrets and what has been counted."""

    __tablename__: ClassVar[str] = "webhook"

    name: str = Field(primary_key=True)
    provider: str
    created_at: datetime
    project: str | None = None  #: by name alone: without it, the webhook must not wake others
    sealed_secret: str
    fingerprint: str
    sealed_previous: str = ""  #: empty: the present secret alone is taken
    previous_fingerprint: str = ""
    rotated_at: datetime | None = None
    verified: int = 0
    refused: int = 0
    last_at: datetime | None = None
    last_verdict: str | None = None


class DeliveryRow(Row, table=True):
    """One request to a webhook's address."""

    __tablename__: ClassVar[str] = "delivery"
    __table_args__: ClassVar[Any] = (
        Index(None, "webhook", "was_verified", "id"),
        Index(None, "delivery"),
        # Numbers grow for ever: what a later look records never meets another delivery.
        {"sqlite_autoincrement": True},
    )

    id: int | None = Field(default=None, primary_key=True)
    webhook: str = Field(foreign_key="webhook.name", ondelete="CASCADE")
    at: datetime
    remote: str
    verdict: str
    was_verified: bool
    event: str
    delivery: str
    note: str
    led_to: Json = _json()
    duplicate: bool


class FactRow(Row, table=True):
    """A fact about the database itself."""

    __tablename__: ClassVar[str] = "fact"

    key: str = Field(primary_key=True)
    value: str


METADATA = Row.metadata


def _table(name: str) -> Table:
    return METADATA.tables[name]


PROJECT = _table("project")
PROJECT_STATE = _table("project_state")
SOURCE_HEALTH = _table("source_health")
WATCHED_IMAGE = _table("watched_image")
DEPLOYMENT = _table("deployment")
DEPLOYMENT_TARGET = _table("deployment_target")
APPROVAL = _table("approval")
STAGE = _table("stage")
QUARANTINE = _table("quarantine")
TRIGGER = _table("trigger_record")
LOG_LINE = _table("log_line")
LOG_EXTENT = _table("log_extent")
SETTING = _table("setting")
SECRET = _table("secret")
HOST = _table("host")
HOST_KEY = _table("host_key")
TOKEN = _table("token")
WEBHOOK = _table("webhook")
DELIVERY = _table("delivery")
FACT = _table("fact")
