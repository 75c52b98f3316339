"""People and what they may do, receipts, and what is still to be told to others."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_NOW = sa.DateTime(timezone=True)
_SIGNED = "a receipt is never changed"
_PER_REPOSITORY = "repository:"


def upgrade() -> None:
    _widen_tokens()
    for table in ("deployment", "trigger_record"):
        op.add_column(
            table, sa.Column("correlation", sa.String(), nullable=False, server_default="")
        )
    op.add_column("deployment_target", sa.Column("evidence", sa.JSON(), nullable=True))
    op.add_column(
        "project",
        sa.Column("commit_statuses", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
    op.add_column("project", sa.Column("forge", sa.String(), nullable=True))
    op.add_column("project", sa.Column("forge_url", sa.String(), nullable=True))
    _create_people()
    _create_receipts()
    _create_outbox()


def _widen_tokens() -> None:
    """Give each token the scopes and projects that its one scope stood for."""
    op.add_column("token", sa.Column("scopes", sa.JSON(), nullable=True))
    op.add_column("token", sa.Column("projects", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("token", sa.Column("created_by", sa.String(), nullable=False, server_default=""))
    op.add_column("token", sa.Column("expires_at", _NOW, nullable=True))
    op.add_column("token", sa.Column("last_used_at", _NOW, nullable=True))
    token = sa.table(
        "token",
        sa.column("name", sa.String()),
        sa.column("scope", sa.String()),
        sa.column("scopes", sa.JSON()),
        sa.column("projects", sa.JSON()),
    )
    connection = op.get_bind()
    for name, scope in connection.execute(sa.select(token.c.name, token.c.scope)).all():
        bound = scope.startswith(_PER_REPOSITORY)
        values = {"scopes": ["push"] if bound else [scope]}
        if bound:
            values["projects"] = [scope.removeprefix(_PER_REPOSITORY)]
        connection.execute(sa.update(token).where(token.c.name == name).values(values))
    with op.batch_alter_table("token") as batch:
        batch.alter_column("scopes", existing_type=sa.JSON(), nullable=False)
        batch.drop_column("scope")


def _create_people() -> None:
    op.create_table(
        "person",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=True),
        sa.Column("roles", sa.JSON(), nullable=False),
        sa.Column("password_hash", sa.String(), nullable=False),
        sa.Column("blocked", sa.Boolean(), nullable=False),
        sa.Column("created_at", _NOW, nullable=False),
        sa.Column("last_seen_at", _NOW, nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_person")),
    )
    op.create_table(
        "session",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("person", sa.String(), nullable=False),
        sa.Column("created_at", _NOW, nullable=False),
        sa.Column("last_seen_at", _NOW, nullable=False),
        sa.Column("expires_at", _NOW, nullable=False),
        sa.Column("remote", sa.String(), nullable=False),
        sa.Column("agent", sa.String(), nullable=False),
        sa.Column("way", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["person"], ["person.name"], name=op.f("fk_session_person"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_session")),
        sa.UniqueConstraint("digest", name=op.f("uq_session_digest")),
    )
    op.create_index(op.f("ix_session_person"), "session", ["person"])
    op.create_table(
        "sign_in_attempt",
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("last_at", _NOW, nullable=False),
        sa.Column("not_before", _NOW, nullable=True),
        sa.PrimaryKeyConstraint("subject", name=op.f("pk_sign_in_attempt")),
    )
    op.create_index(op.f("ix_sign_in_attempt_last_at"), "sign_in_attempt", ["last_at"])


def _create_receipts() -> None:
    op.create_table(
        "receipt",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("deployment", sa.Integer(), nullable=False),
        sa.Column("project", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("at", _NOW, nullable=False),
        sa.Column("body", sa.String(), nullable=False),
        sa.Column("signature", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_receipt")),
        sa.UniqueConstraint("deployment", name=op.f("uq_receipt_deployment")),
    )
    op.create_index(op.f("ix_receipt_project_number"), "receipt", ["project", "number"])
    if op.get_bind().dialect.name == "sqlite":
        for deed in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER receipt_no_{deed.lower()} BEFORE {deed} ON receipt "
                f"BEGIN SELECT RAISE(ABORT, '{_SIGNED}'); END"
            )
        return
    op.execute(
        "CREATE FUNCTION receipt_stays() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{_SIGNED}'; END $$"
    )
    op.execute(
        "CREATE TRIGGER receipt_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON receipt "
        "FOR EACH STATEMENT EXECUTE FUNCTION receipt_stays()"
    )


def _create_outbox() -> None:
    op.create_table(
        "channel",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("project", sa.String(), nullable=True),
        sa.Column("sealed_url", sa.String(), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("service", sa.String(), nullable=False),
        sa.Column("events", sa.JSON(), nullable=False),
        sa.Column("remind_after_seconds", sa.Integer(), nullable=False),
        sa.Column("template", sa.String(), nullable=False),
        sa.Column("created_at", _NOW, nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("last_at", _NOW, nullable=True),
        sa.Column("last_error", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project"], ["project.name"], name=op.f("fk_channel_project"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_channel")),
    )
    op.create_index(op.f("ix_channel_project"), "channel", ["project"])
    op.create_table(
        "outbox",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("project", sa.String(), nullable=False),
        sa.Column("deployment", sa.Integer(), nullable=True),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("created_at", _NOW, nullable=False),
        sa.Column("not_before", _NOW, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("settled_at", _NOW, nullable=True),
        sa.Column("error", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        op.f("ix_outbox_settled_at_not_before_id"), "outbox", ["settled_at", "not_before", "id"]
    )
    op.create_index(op.f("ix_outbox_project_id"), "outbox", ["project", "id"])
    op.create_index(
        op.f("ix_outbox_address_settled_at_id"), "outbox", ["address", "settled_at", "id"]
    )
    op.create_table(
        "told",
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("project", sa.String(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("in_trouble", sa.Boolean(), nullable=False),
        sa.Column("due_at", _NOW, nullable=True),
        sa.PrimaryKeyConstraint("channel", "project", name=op.f("pk_told")),
    )
    op.create_index(op.f("ix_told_project"), "told", ["project"])
    op.create_index(op.f("ix_told_due_at"), "told", ["due_at"])
