"""What a built app is: its migration, its version, and what a person approved of it."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("migration", "version"):
        op.add_column("project", sa.Column(name, sa.JSON(), nullable=True))
    for name in ("push_images", "allow_manifest"):
        off: sa.Column[bool] = sa.Column(
            name, sa.Boolean(), nullable=False, server_default=sa.false()
        )
        op.add_column("project", off)
    op.add_column("deployment", sa.Column("withdrawal", sa.JSON(), nullable=True))
    op.add_column("deployment_target", sa.Column("migration", sa.String(), nullable=True))
    op.add_column(
        "deployment_target",
        sa.Column("migration_changed_at", sa.DateTime(timezone=True), nullable=True),
    )
    op.create_table(
        "approval",
        sa.Column("project", sa.String(), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("deployment", sa.Integer(), nullable=False),
        sa.Column("approved_by", sa.String(), nullable=False),
        sa.Column("approved_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project"],
            ["project.name"],
            name=op.f("fk_approval_project"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("project", "fingerprint", name=op.f("pk_approval")),
    )
