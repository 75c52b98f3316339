"""How far the migrations of apps got, and which pending ones a person approved."""

from datetime import datetime

from sqlalchemy import select, update

from reconciler.domain.deployment import DeploymentId
from reconciler.domain.host import HostName
from reconciler.domain.migration import MigrationState
from reconciler.domain.references import ProjectName
from reconciler.domain.revision import Fingerprint
from reconciler.ports import Approval, Claim
from reconciler.store.claims import write_claimed
from reconciler.store.codec import clean_text
from reconciler.store.family import Family
from reconciler.store.tables import APPROVAL, DEPLOYMENT, DEPLOYMENT_TARGET
from reconciler.store.upsert import upsert


class SqlAppMigrations(Family):
    """The part of ``DeploymentStore`` that migrations of apps need."""

    def record_migration(
        self, claim: Claim, host: HostName, state: MigrationState, now: datetime
    ) -> None:
        """Record how far the migration got on one host, which ``record_target`` has named."""
        with self._database.writing() as connection:
            write_claimed(connection, claim, stage=DEPLOYMENT.c.stage)
            connection.execute(
                update(DEPLOYMENT_TARGET)
                .where(
                    DEPLOYMENT_TARGET.c.deployment == claim.deployment.id,
                    DEPLOYMENT_TARGET.c.host == host,
                )
                .values(migration=state, migration_changed_at=now)
            )

    def find_unfinished_migration(
        self, project: ProjectName, host: HostName, *, before: DeploymentId
    ) -> DeploymentId | None:
        """Return the deployment whose migration began there last, if nobody saw that end."""
        last = (
            select(DEPLOYMENT.c.id, DEPLOYMENT_TARGET.c.migration)
            .join(DEPLOYMENT, DEPLOYMENT.c.id == DEPLOYMENT_TARGET.c.deployment)
            .where(
                DEPLOYMENT.c.project == project,
                DEPLOYMENT.c.id < before,
                DEPLOYMENT_TARGET.c.host == host,
                DEPLOYMENT_TARGET.c.migration.is_not(None),
            )
            .order_by(DEPLOYMENT.c.id.desc())
            .limit(1)
        )
        with self._database.reading() as connection:
            row = connection.execute(last).first()
        return DeploymentId(row.id) if row and row.migration == MigrationState.STARTED else None

    def approve(self, approval: Approval) -> None:
        """Keep that a person approved what is pending for a revision. Safe to repeat."""
        with self._database.writing() as connection:
            upsert(
                connection,
                APPROVAL,
                {"project": approval.project, "fingerprint": approval.fingerprint},
                {
                    "deployment": approval.deployment,
                    "approved_by": approval.approved_by,
                    "approved_at": approval.approved_at,
                    "reason": clean_text(approval.reason),
                },
            )
            self._ledger.append(
                connection,
                "migration.approve",
                f"deployment {approval.deployment}",
                None,
                {"revision": approval.fingerprint, "reason": clean_text(approval.reason) or None},
            )

    def find_approval(self, project: ProjectName, fingerprint: Fingerprint) -> Approval | None:
        """Return who approved what is pending for the revision."""
        with self._database.reading() as connection:
            row = connection.execute(
                select(APPROVAL).where(
                    APPROVAL.c.project == project, APPROVAL.c.fingerprint == fingerprint
                )
            ).first()
        if row is None:
            return None
        return Approval(
            project,
            fingerprint,
            DeploymentId(row.deployment),
            row.approved_by,
            row.approved_at,
            row.reason,
        )
