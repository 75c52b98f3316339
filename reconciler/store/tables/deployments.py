"""Deployments: their queue, their stages, their output, and what was asked for."""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import CheckConstraint, Index, text
from sqlmodel import Field

from reconciler.domain.deployment import Status
from reconciler.store.tables.base import Json, Row, as_json, of_deployment, of_project


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
    project: str = of_project()
    revision: Json = as_json()
    causes: Json = as_json()
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
    prepared: Json = as_json(nullable=True)
    prepared_kept: bool = False
    restores: int | None = None
    rolled_back_to: int | None = None
    superseded_by: int | None = None
    error: Json = as_json(nullable=True)
    withdrawal: Json = as_json(nullable=True)  #: why a person wants it stopped
    #: What was tracked before it (or before those that it replaced), for when it is withdrawn.
    before_commit: str | None = None
    before_images: Json = as_json()
    #: The image digests that it (or those that it replaced) made tracked.
    moved_images: Json = as_json()
    hosts: Json = as_json()  #: that it was asked for; empty: all of the project's
    promotes: int | None = None  #: what the environment before verified
    override: str = ""  #: why a person had it go past windows and a freeze
    correlation: str = ""  #: runs through the logs from what noticed the change to the receipt


class DeploymentTargetRow(Row, table=True):
    """How far a deployment got on one host."""

    __tablename__: ClassVar[str] = "deployment_target"

    deployment: int = of_deployment(primary_key=True)
    host: str = Field(primary_key=True)
    status: str
    started_at: datetime
    changed_at: datetime
    error: Json = as_json(nullable=True)
    evidence: Json = as_json(nullable=True)  #: what was read back there when it was verified
    migration: str | None = None  #: how far it got there
    migration_changed_at: datetime | None = None


class ApprovalRow(Row, table=True):
    """A revision whose pending migration a person approved."""

    __tablename__: ClassVar[str] = "approval"

    project: str = of_project(primary_key=True)
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
    deployment: int = of_deployment()
    stage: str
    started_at: datetime
    finished_at: datetime | None = None
    outcome: str = ""


class TriggerRow(Row, table=True):
    """One call of ``trigger_deployment``, or several equal ones in a row."""

    __tablename__: ClassVar[str] = "trigger_record"
    __table_args__: ClassVar[Any] = (Index(None, "project", "id"),)

    id: int | None = Field(default=None, primary_key=True)
    project: str = of_project()
    cause: Json = as_json()
    revision: Json = as_json()
    outcome: str
    reasons: Json = as_json()
    sameness: str  #: hash of what makes two calls equal
    deployment: int | None = None
    at: datetime
    calls: int = 1
    last_at: datetime
    correlation: str = ""  #: of the first of them


class LogLineRow(Row, table=True):
    """One line of a deployment's output."""

    __tablename__: ClassVar[str] = "log_line"

    deployment: int = of_deployment(primary_key=True)
    number: int = Field(primary_key=True)
    at: datetime
    stage: str
    text: str
    size_bytes: int


class LogExtentRow(Row, table=True):
    """How much of a deployment's output is kept, so that appending needs no counting."""

    __tablename__: ClassVar[str] = "log_extent"

    deployment: int = of_deployment(primary_key=True)
    lines: int = 0  #: ever written: the next number is one more
    head_lines: int = 0  #: the first that are never dropped
    head_bytes: int = 0
    head_full: bool = False
    tail_bytes: int = 0
    dropped_bytes: int = 0
