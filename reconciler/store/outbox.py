"""Messages that wait to be sent, and those that were."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from reconciler.domain.deployment import Deployment
from reconciler.ports import Message, OutboxKind
from reconciler.store.codec import clean_text
from reconciler.store.family import Family, below
from reconciler.store.tables import OUTBOX

_KEPT_SETTLED = 500  # messages, of each kind


class SqlOutbox(Family):
    """``OutboxStore``."""

    def claim_messages(
        self,
        kind: OutboxKind,
        owner: str,
        *,
        limit: int,
        lease: timedelta,
        busy: Collection[str] = (),
    ) -> Sequence[Message]:
        """Take messages whose time has come, oldest first; after ``lease`` others may."""
        with self._database.writing() as connection:
            now = self._database.now()
            statement = (
                select(OUTBOX)
                .where(
                    OUTBOX.c.kind == kind,
                    OUTBOX.c.settled_at.is_(None),
                    OUTBOX.c.not_before <= now,
                    OUTBOX.c.address.not_in(busy),
                )
                .order_by(OUTBOX.c.id)
                .limit(limit)
                .with_for_update(skip_locked=True)
            )
            found = [_message(row) for row in connection.execute(statement)]
            if found:
                connection.execute(
                    update(OUTBOX)
                    .where(OUTBOX.c.id.in_([one.id for one in found]))
                    .values(owner=owner, not_before=now + lease, attempts=OUTBOX.c.attempts + 1)
                )
        return found

    def settle_message(self, message: Message, owner: str, error: str = "") -> None:
        """Record that it was sent, or given up because of ``error``; no effect if it was lost."""
        now = self._database.now()
        with self._database.writing() as connection:
            _change(connection, message, owner, settled_at=now, error=clean_text(error))
            _drop_old(connection, message.kind)

    def put_off_message(
        self, message: Message, owner: str, not_before: datetime, error: str
    ) -> None:
        """Record that it was not sent yet; no effect if another took it meanwhile."""
        with self._database.writing() as connection:
            values = {"not_before": not_before, "error": clean_text(error), "owner": ""}
            _change(connection, message, owner, **values)

    def list_messages(
        self, kind: OutboxKind, *, address: str = "", before: int | None = None, limit: int = 50
    ) -> Sequence[Message]:
        """Return messages, newest first."""
        statement = select(OUTBOX).where(OUTBOX.c.kind == kind, below(OUTBOX.c.id, before))
        if address:
            statement = statement.where(OUTBOX.c.address == address)
        with self._database.reading() as connection:
            rows = connection.execute(statement.order_by(OUTBOX.c.id.desc()).limit(limit)).all()
        return [_message(row) for row in rows]


def put_message(
    connection: Connection,
    kind: OutboxKind,
    address: str,
    now: datetime,
    about: Deployment,
    body: Mapping[str, Any],
) -> None:
    """Leave a message, in the transaction of what it tells of."""
    connection.execute(
        insert(OUTBOX).values(
            kind=kind,
            address=address,
            project=about.project,
            deployment=about.id,
            body=dict(body),
            created_at=now,
            not_before=now,
            attempts=0,
            owner="",
            error="",
        )
    )


def _change(connection: Connection, message: Message, owner: str, **values: object) -> None:
    connection.execute(
        update(OUTBOX)
        .where(OUTBOX.c.id == message.id, OUTBOX.c.owner == owner, OUTBOX.c.settled_at.is_(None))
        .values(**values)
    )


def _drop_old(connection: Connection, kind: OutboxKind) -> None:
    settled = (OUTBOX.c.kind == kind) & OUTBOX.c.settled_at.is_not(None)
    oldest_kept = (
        select(OUTBOX.c.id)
        .where(settled)
        .order_by(OUTBOX.c.id.desc())
        .offset(_KEPT_SETTLED)
        .limit(1)
        .scalar_subquery()
    )
    connection.execute(delete(OUTBOX).where(settled, OUTBOX.c.id <= oldest_kept))


def _message(row: Row[Any]) -> Message:
    return Message(
        id=row.id,
        kind=OutboxKind(row.kind),
        address=row.address,
        project=row.project,
        deployment=row.deployment,
        body=row.body,
        created_at=row.created_at,
        not_before=row.not_before,
        attempts=row.attempts,
        settled_at=row.settled_at,
        error=row.error,
    )
