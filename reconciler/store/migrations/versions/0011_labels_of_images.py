"""What is said of an image beside its being watched; each compose file is read once more for it."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "watched_image", sa.Column("note", sa.String(), nullable=False, server_default="")
    )
    op.execute("UPDATE project_state SET images_read_at = ''")
