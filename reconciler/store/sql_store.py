"""All that we remember, on SQLite or PostgreSQL."""

import secrets
from pathlib import Path

from sqlalchemy import select

from reconciler.domain.errors import PreconditionFailed, StoreError
from reconciler.ports import Metering, Sealer
from reconciler.store.aftermath import Aftermath
from reconciler.store.announcements import SqlAnnouncements
from reconciler.store.answers import SqlAnswers
from reconciler.store.app_migrations import SqlAppMigrations
from reconciler.store.attempts import SqlAttempts
from reconciler.store.audit import prepare_ledger
from reconciler.store.audit_reading import SqlAudit
from reconciler.store.backup import write_backup
from reconciler.store.changes import SqlChanges
from reconciler.store.channels import SqlChannels
from reconciler.store.claims import SqlClaims
from reconciler.store.clusters import SqlClusters
from reconciler.store.database import Database
from reconciler.store.deliveries import SqlDeliveries
from reconciler.store.drifts import SqlDrifts
from reconciler.store.figures import SqlFigures
from reconciler.store.first_start import SqlFirstStart
from reconciler.store.freezes import SqlFreezes
from reconciler.store.history import SqlHistory
from reconciler.store.hosts import SqlHosts
from reconciler.store.images import SqlImages
from reconciler.store.keys import OnProgress, reseal_if_needed
from reconciler.store.logs import SqlLogs
from reconciler.store.outbox import SqlOutbox
from reconciler.store.people import SqlPeople
from reconciler.store.polls import SqlPolls
from reconciler.store.projects import SqlProjects
from reconciler.store.promotions import SqlPromotions
from reconciler.store.receipt_reading import SqlReceipts
from reconciler.store.registries import SqlRegistries
from reconciler.store.releases import SqlReleases
from reconciler.store.reminders import SqlReminders
from reconciler.store.rollouts import SqlRollouts
from reconciler.store.second_looks import SqlSecondLooks
from reconciler.store.secrets import SqlSecrets
from reconciler.store.sessions import SqlSessions
from reconciler.store.settings import SqlSettings
from reconciler.store.standings import SqlStandings
from reconciler.store.statuses import SqlStatuses
from reconciler.store.tables import FACT
from reconciler.store.tokens import SqlTokens
from reconciler.store.transaction import SqlTransactions
from reconciler.store.upsert import upsert
from reconciler.store.webhooks import SqlWebhooks
from reconciler.store.withdrawals import SqlWithdrawals


class SqlStore(
    SqlAnswers,
    SqlChanges,
    SqlSecrets,
    SqlTokens,
    SqlPeople,
    SqlFirstStart,
    SqlSessions,
    SqlAttempts,
    SqlHosts,
    SqlClusters,
    SqlWebhooks,
    SqlReleases,
    SqlDeliveries,
    SqlAnnouncements,
    SqlProjects,
    SqlDrifts,
    SqlFreezes,
    SqlPromotions,
    SqlStandings,
    SqlPolls,
    SqlSecondLooks,
    SqlImages,
    SqlTransactions,
    SqlClaims,
    SqlRollouts,
    SqlWithdrawals,
    SqlAppMigrations,
    SqlHistory,
    SqlLogs,
    SqlSettings,
    SqlRegistries,
    SqlOutbox,
    SqlReceipts,
    SqlFigures,
    SqlStatuses,
    SqlChannels,
    SqlReminders,
    SqlAudit,
):
    """The protocol ``Store``: one family of methods per base class, one transaction per method."""

    def __init__(self, database: Database, sealer: Sealer) -> None:
        ledger = prepare_ledger(database, sealer)
        super().__init__(database, ledger, Aftermath(database, sealer), sealer)

    def reseal(self, on_progress: OnProgress) -> None:
        """Seal everything with the sealer's first key, where it was another's so far."""
        reseal_if_needed(self._database, self._sealer, self._ledger, on_progress)

    def meter_with(self, metering: Metering) -> None:
        """Have transactions timed, and what becomes of deployments counted, from now on."""
        self._database.metering = self._aftermath.metering = metering

    def check(self) -> None:
        """Write and read something. Raises ``StoreError``."""
        nonce = secrets.token_hex(8)
        with self._database.writing() as connection:
            upsert(connection, FACT, {"key": "last_check"}, {"value": nonce})
        with self._database.reading() as connection:
            seen = connection.execute(
                select(FACT.c.value).where(FACT.c.key == "last_check")
            ).scalar_one()
        # Another replica may have checked in between; nothing there at all is what matters.
        if not seen:
            raise StoreError("what was written could not be read back")

    def backup(self, target: Path) -> None:
        """Write a consistent copy of the embedded database to ``target``, while work goes on.

        Raises:
            PreconditionFailed: the database is PostgreSQL, which has tools of its own.
            StoreError: the copy could not be written; ``target`` is as it was.
        """
        if self._database.path is None:
            raise PreconditionFailed(
                "a PostgreSQL database is backed up with `pg_dump`, not from here"
            )
        write_backup(self._database.path, target)

    def close(self) -> None:
        """Let go of the database."""
        self._database.close()
