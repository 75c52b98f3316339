"""What is declared of projects, and what is known of them."""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import UniqueConstraint
from sqlmodel import Field

from reconciler.store.tables.base import Json, Row, as_json, of_project


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
    ports: Json = as_json()
    volumes: Json = as_json()
    auto_deploy: bool
    expose_service: str | None = None
    expose_port: int | None = None
    stateful_services: Json = as_json()
    targets: Json = as_json()
    one_by_one: bool = False
    mend_drift: bool = False
    migration: Json = as_json(nullable=True)
    version: Json = as_json(nullable=True)
    push_images: bool = False
    allow_manifest: bool = False
    watch_paths: Json = as_json()
    skip_markers: bool = False
    commit_statuses: bool = False
    forge: str | None = None
    forge_url: str | None = None
    environment: Json = as_json(nullable=True)
    rules: Json = as_json()
    generation: int


class ProjectStateRow(Row, table=True):
    """What was acted on, and what was verified last."""

    __tablename__: ClassVar[str] = "project_state"

    project: str = of_project(primary_key=True)
    tracked_commit: str | None = None
    tracked_images: Json = as_json()
    images_seeded: bool = False
    images_read_at: str = ""
    live_deployment_id: int | None = None
    latest_deployment_id: int | None = None
    #: The newest tip that was looked at and not acted on, and why.
    passed_over: Json = as_json(nullable=True)
    toggled_by: str | None = None  #: who switched auto-deploy last
    toggled_at: datetime | None = None
    freeze: Json = as_json(nullable=True)
    drift: Json = as_json(nullable=True)
    look_again_at: datetime | None = Field(default=None, index=True)  #: what holds it is over then


class SourceHealthRow(Row, table=True):
    """How looking at a source goes; apart from the declaration, for it changes with every poll."""

    __tablename__: ClassVar[str] = "source_health"

    project: str = of_project(primary_key=True)
    next_look_at: datetime | None = Field(default=None, index=True)  #: NULL: it is not polled
    held_until: datetime | None = None  #: a look is under way, at most until then
    wish: Json = as_json(nullable=True)  #: who asked for the next look
    looked_at: datetime | None = None
    observed: str | None = None
    observed_at: datetime | None = None
    branch_gone: bool = False
    failures: int = 0
    error: Json = as_json(nullable=True)


class WatchedImageRow(Row, table=True):
    """One image that a project's compose file names."""

    __tablename__: ClassVar[str] = "watched_image"

    project: str = of_project(primary_key=True)
    image: str = Field(primary_key=True)
    position: int
    services: Json = as_json()
    unwatched_because: str = ""
    digest: str | None = None
    first_seen_at: datetime | None = None
    looked_at: datetime | None = None
    error: Json = as_json(nullable=True)
    note: str = ""


class QuarantineRow(Row, table=True):
    """A revision that was rolled back."""

    __tablename__: ClassVar[str] = "quarantine"
    __table_args__: ClassVar[Any] = (UniqueConstraint("project", "fingerprint"),)

    id: int | None = Field(default=None, primary_key=True)
    project: str = of_project()
    fingerprint: str
    revision: Json = as_json()
    deployment: int
    since: datetime
    reason: str


class SecretRow(Row, table=True):
    """A sealed secret of a project."""

    __tablename__: ClassVar[str] = "secret"

    project: str = of_project(primary_key=True)
    name: str = Field(primary_key=True)
    sealed: str
    fingerprint: str
    bound_to: str
    username: str
    updated_at: datetime


class AnnouncementRow(Row, table=True):
    """Whether a project's last moves were announced before a poll found them."""

    __tablename__: ClassVar[str] = "announcement"

    project: str = of_project(primary_key=True)
    moves: Json = as_json()  #: oldest first
    announced_by: str | None = None  #: the webhook whose delivery concerned it last
    announced_at: datetime | None = None
    missed_at: datetime | None = Field(default=None, index=True)  #: newest move without a delivery


class ReleaseRow(Row, table=True):
    """What a build made of a commit."""

    __tablename__: ClassVar[str] = "release_record"
    __table_args__: ClassVar[Any] = (
        UniqueConstraint("project", "fingerprint"),
        {"sqlite_autoincrement": True},
    )

    id: int | None = Field(default=None, primary_key=True)
    project: str = of_project()
    fingerprint: str  #: of project, commit and digests: what makes two reports the same
    commit: str
    images: Json = as_json()
    build: Json = as_json()
    checks: Json = as_json()
    recorded_at: datetime
    recorded_by: str
