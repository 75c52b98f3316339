"""Hosts, and targets on them. What there was before ran on the daemon's own machine."""

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_OF_ONE_TARGET = ("revision", "services", "compose_file", "override_file", "rendered_sha256")


def upgrade() -> None:
    _create_tables()
    for table, name in (("project", "targets"), ("deployment", "hosts")):
        nothing = sa.text("'[]'")
        op.add_column(table, sa.Column(name, sa.JSON(), nullable=False, server_default=nothing))
    op.add_column(
        "project",
        sa.Column("one_by_one", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
    _name_the_host_of_what_was_prepared()
    _record_where_deployments_ran()


def _create_tables() -> None:
    op.create_table(
        "host",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("alias", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("user", sa.String(), nullable=False),
        sa.Column("port", sa.Integer(), nullable=False),
        sa.Column("host_keys", sa.JSON(), nullable=False),
        sa.Column("sealed_key", sa.String(), nullable=False),
        sa.Column("key_fingerprint", sa.String(), nullable=False),
        sa.Column("key_stored_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_host")),
    )
    op.create_table(
        "deployment_target",
        sa.Column("deployment", sa.Integer(), nullable=False),
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("error", sa.JSON(), nullable=True),
        sa.ForeignKeyConstraint(
            ["deployment"],
            ["deployment.id"],
            name=op.f("fk_deployment_target_deployment"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("deployment", "host", name=op.f("pk_deployment_target")),
    )


def _name_the_host_of_what_was_prepared() -> None:
    connection = op.get_bind()
    rows = connection.execute(
        sa.text("SELECT id, prepared FROM deployment WHERE prepared IS NOT NULL")
    ).all()
    for row in rows:
        before = json.loads(row.prepared) if isinstance(row.prepared, str) else row.prepared
        if before is None or "targets" in before:
            continue
        target: dict[str, Any] = {"host": "local"}
        target |= {name: before[name] for name in _OF_ONE_TARGET}
        after = {"revision": before["revision"], "targets": [target]}
        connection.execute(
            sa.text("UPDATE deployment SET prepared = :prepared WHERE id = :id").bindparams(
                sa.bindparam("prepared", type_=sa.JSON())
            ),
            {"prepared": after, "id": row.id},
        )


def _record_where_deployments_ran() -> None:
    """Whoever changed the target did so here: it is not taken for a stranger's later."""
    op.execute(
        """
        INSERT INTO deployment_target (deployment, host, status, started_at, changed_at)
        SELECT d.id, 'local',
               CASE d.status
                   WHEN 'deployed' THEN 'verified'
                   WHEN 'rolled-back' THEN 'rolled-back'
                   WHEN 'running' THEN 'applied'
                   ELSE 'failed'
               END,
               min(s.started_at), max(coalesce(s.finished_at, s.started_at))
        FROM deployment d JOIN stage s ON s.deployment = d.id
        WHERE s.stage IN ('apply', 'verify', 'roll-back')
        GROUP BY d.id, d.status
        """
    )
