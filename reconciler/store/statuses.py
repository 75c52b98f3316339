"""Commit statuses: left in the transaction that moves a deployment, and sent in that order.

The newest of a commit and project is all that matters. One that waits gives way to it; one that is
being sent at that moment is waited for, so that it can't arrive last.
"""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, delete, exists, or_, select, update

from reconciler.domain.commit_status import report_on
from reconciler.domain.deployment import Deployment
from reconciler.domain.references import ProjectName
from reconciler.ports import Message, OutboxKind
from reconciler.store.family import Family
from reconciler.store.outbox import message_from_row, put_message
from reconciler.store.tables import OUTBOX, PROJECT

_OURS = OUTBOX.c.kind == OutboxKind.COMMIT_STATUS
_WAITING = _OURS & OUTBOX.c.settled_at.is_(None)


class SqlStatuses(Family):
    """``StatusStore``. Leases go by the database's clock, as those of deployments do."""

    def claim_status(self, owner: str, *, lease: timedelta) -> Message | None:
        """Take the oldest whose time has come; forget those that a newer one made outdated."""
        due = OUTBOX.c.not_before <= self._database.lease_clock(self._database.now())
        with self._database.reading() as connection:
            if (
                connection.execute(select(OUTBOX.c.id).where(_WAITING, due).limit(1)).first()
                is None
            ):
                return None
        with self._database.writing() as connection:
            at_rest = or_(OUTBOX.c.owner == "", due)
            connection.execute(delete(OUTBOX).where(_WAITING, at_rest, _other(newer=True)))
            row = connection.execute(
                select(OUTBOX)
                .where(_WAITING, due, ~_other(newer=False))
                .order_by(OUTBOX.c.id)
                .limit(1)
                .with_for_update(skip_locked=True)
            ).one_or_none()
            if row is None:
                return None
            values = {"owner": owner, "attempts": OUTBOX.c.attempts + 1}
            connection.execute(
                update(OUTBOX)
                .where(OUTBOX.c.id == row.id)
                .values(**values, not_before=self._database.lease_end(lease))
            )
        return message_from_row(row)

    def last_status(self, project: ProjectName) -> Message | None:
        """Return the project's newest, sent or not."""
        with self._database.reading() as connection:
            row = _find_last(connection, OUTBOX.c.project == project)
        return message_from_row(row) if row else None


def put_status(connection: Connection, deployment: Deployment, now: datetime) -> None:
    """Leave what is to be told of the deployment's commit, if anybody is told; locks its project.

    A deployment says nothing any more once a later one of the same commit has.
    """
    commit = deployment.target_revision.commit
    if commit is None or not _is_told(connection, deployment.project):
        return
    address = f"{deployment.project}@{commit.text}"
    state, description = report_on(deployment)
    body = {"commit": commit.text, "state": state, "description": description}
    mine = (OUTBOX.c.project == deployment.project) & (OUTBOX.c.address == address)
    last = _find_last(connection, mine)
    if last is None or _goes_on(last, deployment, body):
        connection.execute(delete(OUTBOX).where(_WAITING, mine, OUTBOX.c.owner == ""))
        put_message(connection, OutboxKind.COMMIT_STATUS, address, now, deployment, body)


def _goes_on(last: Row[Any], deployment: Deployment, body: dict[str, Any]) -> bool:
    """Tell whether it says something new, after ``last``."""
    if last.deployment != deployment.id:
        return bool(last.deployment < deployment.id)
    return bool(last.body != body)


def _is_told(connection: Connection, project: ProjectName) -> bool:
    statement = select(PROJECT.c.commit_statuses).where(PROJECT.c.name == project)
    return bool(connection.execute(statement).scalar_one())


def _find_last(connection: Connection, *conditions: ColumnElement[bool]) -> Row[Any] | None:
    statement = select(OUTBOX).where(_OURS, *conditions).order_by(OUTBOX.c.id.desc()).limit(1)
    return connection.execute(statement).one_or_none()


def _other(*, newer: bool) -> ColumnElement[bool]:
    """Return whether another one of the same commit waits: a newer one, or an older."""
    other = OUTBOX.alias()
    return exists().where(
        other.c.kind == OutboxKind.COMMIT_STATUS,
        other.c.settled_at.is_(None),
        other.c.address == OUTBOX.c.address,
        other.c.id > OUTBOX.c.id if newer else other.c.id < OUTBOX.c.id,
    )
