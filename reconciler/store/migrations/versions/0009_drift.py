"""That what runs is not what was deployed."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "project",
        sa.Column("mend_drift", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
    op.add_column("project_state", sa.Column("drift", sa.JSON(none_as_null=True), nullable=True))
