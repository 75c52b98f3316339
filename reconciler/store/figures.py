"""The store in numbers, each from an index or a small table, however long the history is."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, case, func, select, text

from reconciler.domain.deployment import Status
from reconciler.ports import OutboxKind, StoreFigures
from reconciler.store.family import Family
from reconciler.store.tables import (
    AUDIT,
    DEPLOYMENT,
    OUTBOX,
    SESSION,
    SOURCE_HEALTH,
    WATCHED_IMAGE,
)


class SqlFigures(Family):
    """``FigureStore``."""

    def read_figures(self, now: datetime) -> StoreFigures:
        """Return what it counts, in a few statements."""
        with self._database.reading() as connection:
            queued, oldest = connection.execute(
                select(func.count(), func.min(DEPLOYMENT.c.created_at)).where(
                    DEPLOYMENT.c.status == Status.QUEUED
                )
            ).one()
            return StoreFigures(
                queued=queued,
                oldest_queued_at=oldest,
                running=_count(connection, DEPLOYMENT.c.status == Status.RUNNING),
                messages_waiting=_messages(connection, OUTBOX.c.settled_at.is_(None)),
                messages_given_up=_messages(
                    connection, OUTBOX.c.settled_at.is_not(None) & (OUTBOX.c.error != "")
                ),
                # Its numbers have no gaps.
                audit_entries=connection.execute(select(func.max(AUDIT.c.number))).scalar() or 0,
                sessions=_count(connection, SESSION.c.expires_at > now),
                size_bytes=self._size(connection),
                looked_at=_last_good_looks(connection),
            )

    def _size(self, connection: Connection) -> int:
        if (path := self._database.path) is None:
            size = text("SELECT pg_database_size(current_database())")
            return int(connection.execute(size).scalar_one())
        files = (path, path.with_name(f"{path.name}-wal"))
        return sum(file.stat().st_size for file in files if file.exists())


def _count(connection: Connection, condition: ColumnElement[bool]) -> int:
    return connection.execute(select(func.count()).where(condition)).scalar_one()


def _messages(connection: Connection, condition: ColumnElement[bool]) -> Mapping[str, int]:
    counted = select(OUTBOX.c.kind, func.count()).where(condition).group_by(OUTBOX.c.kind)
    found: dict[str, int] = {kind: count for kind, count in connection.execute(counted)}  # noqa: C416
    return {str(kind): found.get(str(kind), 0) for kind in OutboxKind}


def _last_good_looks(connection: Connection) -> Mapping[str, datetime]:
    """Return when each project's source, or else an image of it, was last seen."""
    source, image = SOURCE_HEALTH.c, WATCHED_IMAGE.c
    at = case((source.failures == 0, source.looked_at), else_=source.observed_at)
    images = select(image.project, func.max(image.looked_at)).where(image.error.is_(None))
    found: dict[str, datetime] = {}
    for statement in (images.group_by(image.project), select(source.project, at)):
        rows = connection.execute(statement)
        found.update((name, instant) for name, instant in rows if instant is not None)
    return found
