"""What goes from one environment to the next, who agreed, and the clusters that it may go to."""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import CheckConstraint, Index, text
from sqlmodel import Field

from reconciler.domain.promotion import PromotionStatus
from reconciler.store.tables.base import Json, Row, as_json, of_deployment, of_project


class PromotionRow(Row, table=True):
    """One revision that is to go to one environment. One of each revision waits at most."""

    __tablename__: ClassVar[str] = "promotion"
    __table_args__: ClassVar[Any] = (
        Index(
            "one_waiting_promotion_per_revision",
            "project",
            "fingerprint",
            unique=True,
            sqlite_where=text("status = 'waiting'"),
            postgresql_where=text("status = 'waiting'"),
        ),
        Index(None, "project", "id"),
        Index(None, "status", "id"),  # what waits is looked for every few seconds
        CheckConstraint(
            f"status IN ({', '.join(repr(str(s)) for s in PromotionStatus)})", name="status"
        ),
        {"sqlite_autoincrement": True},
    )

    id: int | None = Field(default=None, primary_key=True)
    project: str = of_project()
    origin: str  #: the environment that verified it
    deployment: int  #: of the origin
    revision: Json = as_json()
    fingerprint: str  #: of the revision: what approvals are bound to
    proposed_at: datetime
    expires_at: datetime
    asked_by: str = ""
    reason: str = ""
    override: str = ""
    status: str
    decided_at: datetime | None = None
    became: int | None = None


class VoteRow(Row, table=True):
    """What one person said of a promotion."""

    __tablename__: ClassVar[str] = "vote"

    promotion: int = Field(foreign_key="promotion.id", ondelete="CASCADE", primary_key=True)
    person: str = Field(primary_key=True)
    approves: bool
    at: datetime
    reason: str = ""


class StandingRow(Row, table=True):
    """A stretch of time in which a verified deployment was what ran, and well."""

    __tablename__: ClassVar[str] = "standing"
    __table_args__: ClassVar[Any] = (
        Index(
            "one_standing_per_project",
            "project",
            unique=True,
            sqlite_where=text("until IS NULL"),
            postgresql_where=text("until IS NULL"),
        ),
        Index(None, "project", "id"),
        Index(None, "deployment"),  # which goes with its project: each one looks for its own here
    )

    id: int | None = Field(default=None, primary_key=True)
    project: str = of_project()
    deployment: int = of_deployment()
    since: datetime
    until: datetime | None = None
    ended_because: str = ""


class ClusterRow(Row, table=True):
    """A Kubernetes cluster, and how one gets into it."""

    __tablename__: ClassVar[str] = "cluster"

    name: str = Field(primary_key=True)
    created_at: datetime
    context: str = ""
    in_cluster: bool = False
    sealed_kubeconfig: str | None = None
    kubeconfig_fingerprint: str = ""
    kubeconfig_stored_at: datetime | None = None
