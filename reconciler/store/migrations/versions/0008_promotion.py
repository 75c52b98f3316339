"""Environments, promotions between them, rules of projects, and Kubernetes clusters."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_NOW = sa.DateTime(timezone=True)
_WAITING = sa.text("status = 'waiting'")
_STANDS = sa.text("until IS NULL")


def upgrade() -> None:
    op.add_column("project", sa.Column("environment", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("project", sa.Column("rules", sa.JSON(), nullable=False, server_default="{}"))
    op.add_column("project_state", sa.Column("freeze", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("project_state", sa.Column("look_again_at", _NOW, nullable=True))
    op.create_index(op.f("ix_project_state_look_again_at"), "project_state", ["look_again_at"])
    op.add_column("deployment", sa.Column("promotes", sa.Integer(), nullable=True))
    op.add_column(
        "deployment", sa.Column("override", sa.String(), nullable=False, server_default="")
    )
    _create_promotions()
    _create_standings()
    op.create_table(
        "cluster",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("created_at", _NOW, nullable=False),
        sa.Column("context", sa.String(), nullable=False),
        sa.Column("in_cluster", sa.Boolean(), nullable=False),
        sa.Column("sealed_kubeconfig", sa.String(), nullable=True),
        sa.Column("kubeconfig_fingerprint", sa.String(), nullable=False),
        sa.Column("kubeconfig_stored_at", _NOW, nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_cluster")),
    )


def _create_promotions() -> None:
    op.create_table(
        "promotion",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("project", sa.String(), nullable=False),
        sa.Column("origin", sa.String(), nullable=False),
        sa.Column("deployment", sa.Integer(), nullable=False),
        sa.Column("revision", sa.JSON(), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("proposed_at", _NOW, nullable=False),
        sa.Column("expires_at", _NOW, nullable=False),
        sa.Column("asked_by", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("override", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("decided_at", _NOW, nullable=True),
        sa.Column("became", sa.Integer(), nullable=True),
        sa.CheckConstraint(
            "status IN ('waiting', 'promoted', 'rejected', 'expired', 'superseded')",
            name=op.f("ck_promotion_status"),
        ),
        sa.ForeignKeyConstraint(
            ["project"], ["project.name"], name=op.f("fk_promotion_project"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_promotion")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "one_waiting_promotion_per_revision",
        "promotion",
        ["project", "fingerprint"],
        unique=True,
        sqlite_where=_WAITING,
        postgresql_where=_WAITING,
    )
    op.create_index(op.f("ix_promotion_project_id"), "promotion", ["project", "id"])
    op.create_index(op.f("ix_promotion_status_id"), "promotion", ["status", "id"])
    op.create_table(
        "vote",
        sa.Column("promotion", sa.Integer(), nullable=False),
        sa.Column("person", sa.String(), nullable=False),
        sa.Column("approves", sa.Boolean(), nullable=False),
        sa.Column("at", _NOW, nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["promotion"], ["promotion.id"], name=op.f("fk_vote_promotion"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("promotion", "person", name=op.f("pk_vote")),
    )


def _create_standings() -> None:
    op.create_table(
        "standing",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("project", sa.String(), nullable=False),
        sa.Column("deployment", sa.Integer(), nullable=False),
        sa.Column("since", _NOW, nullable=False),
        sa.Column("until", _NOW, nullable=True),
        sa.Column("ended_because", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["deployment"],
            ["deployment.id"],
            name=op.f("fk_standing_deployment"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["project"], ["project.name"], name=op.f("fk_standing_project"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_standing")),
    )
    op.create_index(
        "one_standing_per_project",
        "standing",
        ["project"],
        unique=True,
        sqlite_where=_STANDS,
        postgresql_where=_STANDS,
    )
    op.create_index(op.f("ix_standing_project_id"), "standing", ["project", "id"])
    op.create_index(op.f("ix_standing_deployment"), "standing", ["deployment"])
