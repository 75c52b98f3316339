"""Webhooks, what came in through them, and who asked for a look."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # What was being looked at is looked at again: the process that did so has ended.
    op.drop_column("source_health", "being_looked_at")
    op.add_column("source_health", sa.Column("held_until", sa.DateTime(timezone=True)))
    op.add_column("source_health", sa.Column("wish", sa.JSON(), nullable=True))
    op.create_table(
        "webhook",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("project", sa.String(), nullable=True),
        sa.Column("sealed_secret", sa.String(), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("sealed_previous", sa.String(), nullable=False),
        sa.Column("previous_fingerprint", sa.String(), nullable=False),
        sa.Column("rotated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("verified", sa.Integer(), nullable=False),
        sa.Column("refused", sa.Integer(), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_verdict", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_webhook")),
    )
    op.create_table(
        "delivery",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("webhook", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("remote", sa.String(), nullable=False),
        sa.Column("verdict", sa.String(), nullable=False),
        sa.Column("was_verified", sa.Boolean(), nullable=False),
        sa.Column("event", sa.String(), nullable=False),
        sa.Column("delivery", sa.String(), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("led_to", sa.JSON(), nullable=False),
        sa.Column("duplicate", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["webhook"], ["webhook.name"], name=op.f("fk_delivery_webhook"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_delivery")),
        sqlite_autoincrement=True,
    )
    for columns in (("webhook", "was_verified", "id"), ("delivery",)):
        op.create_index(op.f(f"ix_delivery_{'_'.join(columns)}"), "delivery", list(columns))
