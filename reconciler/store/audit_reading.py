"""What the audit log has, asked for and looked through."""

from collections.abc import Sequence

from sqlalchemy import select

from reconciler.domain.audit import AuditCheck, AuditEntry, Head
from reconciler.ports import AuditQuery
from reconciler.store.audit import entry_of, select_after
from reconciler.store.family import Family
from reconciler.store.tables import AUDIT


class SqlAudit(Family):
    """``AuditStore``."""

    def list_audit(self, query: AuditQuery) -> Sequence[AuditEntry]:
        """Return the entries, newest first."""
        statement = select(AUDIT).order_by(AUDIT.c.number.desc()).limit(query.limit)
        if query.actor:
            statement = statement.where(AUDIT.c.actor == query.actor)
        if query.subject:
            statement = statement.where(AUDIT.c.subject == query.subject)
        if query.remote:
            statement = statement.where(AUDIT.c.remote == query.remote)
        if query.action:
            whole = AUDIT.c.action == query.action
            family = AUDIT.c.action.startswith(f"{query.action}.", autoescape=True)
            statement = statement.where(whole | family)
        if query.before is not None:
            statement = statement.where(AUDIT.c.number < query.before)
        with self._database.reading() as connection:
            return [entry_of(row) for row in connection.execute(statement)]

    def read_audit(self, *, after: int, limit: int) -> Sequence[AuditEntry]:
        """Return the entries that follow number ``after``, oldest first."""
        with self._database.reading() as connection:
            return select_after(connection, after, limit)

    def check_audit(self, noted: Head | None = None) -> AuditCheck:
        """Look through the whole log."""
        return self._ledger.check(noted)

    def note(self, action: str, subject: str) -> None:
        """Write an entry for what changes nothing here."""
        with self._database.writing() as connection:
            self._ledger.append(connection, action, subject)
