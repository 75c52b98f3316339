"""The audit log: appended to in the transaction of what it tells of, and never changed."""

import logging
import secrets
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from reconciler.domain.audit import (
    AuditCheck,
    AuditEntry,
    Changes,
    Head,
    Shown,
    changes_between,
    check_entries,
)
from reconciler.domain.errors import StoreCorrupt
from reconciler.domain.secret import Secret
from reconciler.log import fields
from reconciler.ports import Sealer, who_acts
from reconciler.store.codec import clean_text
from reconciler.store.database import Database
from reconciler.store.sealed import FACT_VALUE
from reconciler.store.tables import AUDIT, FACT
from reconciler.store.upsert import insert_if_absent

_log = logging.getLogger("reconciler.audit")

_KEY, _HEAD = "audit_key", "audit_head"
_KEY_CONTEXT, _HEAD_CONTEXT = FACT_VALUE.context(_KEY), FACT_VALUE.context(_HEAD)
_KEY_BYTES = 32
_PAGE = 1000


class Ledger:
    """Writes entries, one after another whoever writes."""

    def __init__(self, database: Database, sealer: Sealer) -> None:
        self._database = database
        self._sealer = sealer

    def append(
        self,
        connection: Connection,
        action: str,
        subject: str,
        before: Mapping[str, Shown] | None = None,
        after: Mapping[str, Shown] | None = None,
    ) -> None:
        """Write what is done in this transaction; nothing, where it changes nothing.

        After all else of it: whoever locked the head waits for nobody, or two would for each other.
        """
        changes = changes_between(before, after)
        if (before is not None or after is not None) and not changes:
            return
        head = self._lock_head(connection)
        entry = self._entry(head.number + 1, action, subject, changes)
        entry = entry.sealed(self._key(connection), head.seal)
        connection.execute(insert(AUDIT).values(_columns(entry)))
        newest = Head(entry.number, entry.seal)
        sealed = _seal_head(self._sealer, newest)
        connection.execute(update(FACT).where(FACT.c.key == _HEAD).values(value=sealed))
        # Whoever can rewrite the database can't rewrite where the log went.
        _log.info("%s %s", action, subject, extra=fields(actor=entry.actor, audit=newest))

    def check(self, noted: Head | None) -> AuditCheck:
        """Look through all there are."""
        with self._database.reading() as connection:
            try:
                head, key = self._read_head(connection), self._key(connection)
            except StoreCorrupt as error:
                return AuditCheck(Head(), f"where it ends is not known: {error.message}")
            return check_entries(_all(connection), key, head, noted)

    def _entry(self, number: int, action: str, subject: str, changes: Changes) -> AuditEntry:
        who = who_acts()
        return AuditEntry(
            number=number,
            at=self._database.now(),
            actor=clean_text(who.actor),
            remote=clean_text(who.remote),
            request=clean_text(who.request),
            action=action,
            subject=clean_text(subject),
            changes=changes,
        )

    def _key(self, connection: Connection) -> Secret:
        sealed = connection.execute(select(FACT.c.value).where(FACT.c.key == _KEY)).scalar_one()
        return self._sealer.unseal(sealed, _KEY_CONTEXT)

    def _lock_head(self, connection: Connection) -> Head:
        """Return the newest entry; nobody else writes one before this transaction ends."""
        statement = select(FACT.c.value).where(FACT.c.key == _HEAD).with_for_update()
        return self._opened(connection.execute(statement).scalar_one())

    def _read_head(self, connection: Connection) -> Head:
        statement = select(FACT.c.value).where(FACT.c.key == _HEAD)
        return self._opened(connection.execute(statement).scalar_one())

    def _opened(self, sealed: str) -> Head:
        return Head.parse(self._sealer.unseal(sealed, _HEAD_CONTEXT).reveal())


def prepare_ledger(database: Database, sealer: Sealer) -> Ledger:
    """Return what writes the audit log of ``database``, and make its key if it has none."""
    sealed = sealer.seal(Secret.of(secrets.token_hex(_KEY_BYTES)), _KEY_CONTEXT)
    with database.writing() as connection:
        insert_if_absent(connection, FACT, {"key": _KEY}, {"value": sealed})
        insert_if_absent(connection, FACT, {"key": _HEAD}, {"value": _seal_head(sealer, Head())})
    return Ledger(database, sealer)


def select_after(connection: Connection, number: int, limit: int) -> Sequence[AuditEntry]:
    """Return the entries that follow ``number``, oldest first."""
    statement = select(AUDIT).where(AUDIT.c.number > number).order_by(AUDIT.c.number).limit(limit)
    return [entry_of(row) for row in connection.execute(statement)]


def _all(connection: Connection) -> Iterator[AuditEntry]:
    number = 0
    while page := select_after(connection, number, _PAGE):
        yield from page
        number = page[-1].number


def _seal_head(sealer: Sealer, head: Head) -> str:
    """Return it sealed: else one who cuts the log only had to write down its last seal here."""
    return sealer.seal(Secret.of(str(head)), _HEAD_CONTEXT)


def _columns(entry: AuditEntry) -> dict[str, Any]:
    return {
        "number": entry.number,
        "at": entry.at,
        "actor": entry.actor,
        "remote": entry.remote,
        "request": entry.request,
        "action": entry.action,
        "subject": entry.subject,
        "changes": {name: list(values) for name, values in entry.changes.items()},
        "seal": entry.seal,
    }


def entry_of(row: Row[Any]) -> AuditEntry:
    """Return the entry of a row."""
    return AuditEntry(
        number=row.number,
        at=row.at,
        actor=row.actor,
        remote=row.remote,
        request=row.request,
        action=row.action,
        subject=row.subject,
        changes={name: (old, new) for name, (old, new) in row.changes.items()},
        seal=row.seal,
    )
