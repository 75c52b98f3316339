"""From where each token was used last."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "token", sa.Column("last_used_from", sa.String(), nullable=False, server_default="")
    )
