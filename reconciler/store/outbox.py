"""Messages that wait to be sent, and those that were."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, delete, exists, insert, select, update

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
        """Take messages whose time has come, oldest first; after ``lease`` others may.

        None before an older one to the same address: a recovery never comes before its failure.
        """
        older = OUTBOX.alias()
        with self._database.writing() as connection:
            now = self._database.now()
            statement = (
                select(OUTBOX)
                .where(
                    OUTBOX.c.kind == kind,
                    OUTBOX.c.settled_at.is_(None),
                    OUTBOX.c.not_before <= now,
                    OUTBOX.c.address.not_in(busy),
                    ~exists().where(
                        older.c.kind == kind,
                        older.c.address == OUTBOX.c.address,
                        older.c.settled_at.is_(None),
                        older.c.id < OUTBOX.c.id,
                    ),
                )
                .order_by(OUTBOX.c.id)
                .limit(limit)
                .with_for_update(of=OUTBOX, skip_locked=True)
            )
            found = [message_from_row(row) for row in connection.execute(statement)]
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
        self,
        kind: OutboxKind,
        *,
        address: str = "",
        deployment: int | None = None,
        before: int | None = None,
        limit: int = 50,
    ) -> Sequence[Message]:
        """Return messages, newest first; to one address, about one deployment, where named."""
        statement = select(OUTBOX).where(OUTBOX.c.kind == kind, below(OUTBOX.c.id, before))
        if address:
            statement = statement.where(OUTBOX.c.address == address)
        if deployment is not None:
            statement = statement.where(OUTBOX.c.deployment == deployment)
        with self._database.reading() as connection:
            rows = connection.execute(statement.order_by(OUTBOX.c.id.desc()).limit(limit)).all()
        return [message_from_row(row) for row in rows]


def put_message(
    connection: Connection,
    kind: OutboxKind,
    address: str,
    now: datetime,
    about: Deployment,
    body: Mapping[str, Any],
) -> None:
    """Leave a message, in the transaction of what it tells of."""
    put_message_about(connection, kind, address, now, (about.project, about.id), body)


def put_message_about(
    connection: Connection,
    kind: OutboxKind,
    address: str,
    now: datetime,
    about: tuple[str, int | None],
    body: Mapping[str, Any],
) -> None:
    """Leave one about a project, or nothing (empty); with its deployment, where it has one."""
    project, deployment = about
    connection.execute(
        insert(OUTBOX).values(
            kind=kind,
            address=address,
            project=project,
            deployment=deployment,
            body=dict(body),
            created_at=now,
            not_before=now,
            attempts=0,
            owner="",
            error="",
        )
    )


def _change(connection: Connection, message: Message, holder: str, **values: object) -> None:
    connection.execute(
        update(OUTBOX)
        .where(OUTBOX.c.id == message.id, OUTBOX.c.owner == holder, OUTBOX.c.settled_at.is_(None))
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


def message_from_row(row: Row[Any]) -> Message:
    """Return the message that a row keeps."""
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
