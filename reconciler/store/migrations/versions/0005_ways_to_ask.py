"""Which commits a project passes over, registry events, releases, and answers given before."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "project",
        sa.Column("watch_paths", sa.JSON(), nullable=False, server_default=sa.text("'[]'")),
    )
    op.add_column(
        "project",
        sa.Column("skip_markers", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
    op.add_column("project_state", sa.Column("passed_over", sa.JSON(), nullable=True))
    op.add_column("project_state", sa.Column("toggled_by", sa.String(), nullable=True))
    op.add_column(
        "project_state", sa.Column("toggled_at", sa.DateTime(timezone=True), nullable=True)
    )
    op.add_column("webhook", sa.Column("registry_host", sa.String(), nullable=True))
    op.add_column(
        "webhook",
        sa.Column("matching", sa.String(), nullable=False, server_default="repository"),
    )
    op.add_column("webhook", sa.Column("registration", sa.JSON(), nullable=True))
    op.add_column("delivery", sa.Column("hint", sa.JSON(), nullable=True))
    op.add_column("delivery", sa.Column("repeats", sa.Integer(), nullable=True))
    _create_project_tables()
    op.create_table(
        "answer",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("principal", sa.String(), nullable=False),
        sa.Column("request", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("headers", sa.JSON(), nullable=False),
        sa.Column("sealed_body", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("principal", "key", name=op.f("pk_answer")),
    )
    op.create_index(op.f("ix_answer_at"), "answer", ["at"])
    op.create_table(
        "registry_trouble",
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("username", sa.String(), nullable=False),
        sa.Column("message", sa.String(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("host", "code", "username", name=op.f("pk_registry_trouble")),
    )


def _create_project_tables() -> None:
    op.create_table(
        "announcement",
        sa.Column("project", sa.String(), nullable=False),
        sa.Column("moves", sa.JSON(), nullable=False),
        sa.Column("announced_by", sa.String(), nullable=True),
        sa.Column("announced_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("missed_at", sa.DateTime(timezone=True), nullable=True),
        _of_project("announcement"),
        sa.PrimaryKeyConstraint("project", name=op.f("pk_announcement")),
    )
    op.create_index(op.f("ix_announcement_missed_at"), "announcement", ["missed_at"])
    op.create_table(
        "release_record",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("project", sa.String(), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("commit", sa.String(), nullable=False),
        sa.Column("images", sa.JSON(), nullable=False),
        sa.Column("build", sa.JSON(), nullable=False),
        sa.Column("checks", sa.JSON(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_by", sa.String(), nullable=False),
        _of_project("release_record"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_release_record")),
        sa.UniqueConstraint(
            "project", "fingerprint", name=op.f("uq_release_record_project_fingerprint")
        ),
        sqlite_autoincrement=True,
    )


def _of_project(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["project"], ["project.name"], name=op.f(f"fk_{table}_project"), ondelete="CASCADE"
    )
