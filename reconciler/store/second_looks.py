"""When to look again at what was held for a time."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection, case, select, update

from reconciler.domain.references import ProjectName
from reconciler.store.family import Family, lock_project
from reconciler.store.tables import PROJECT_STATE

_AT = PROJECT_STATE.c.look_again_at


class SqlSecondLooks(Family):
    """``SecondLookStore``."""

    def look_again(self, name: ProjectName, at: datetime, now: datetime) -> None:
        """Have it looked at once it is ``at``, or at an earlier time that is still to come."""
        with self._database.writing() as connection:
            lock_project(connection, name)
            put_second_look(connection, name, at, now)

    def list_looks_due(self, now: datetime) -> Mapping[ProjectName, datetime]:
        """Return the projects whose time has come, and which time that is."""
        statement = select(PROJECT_STATE.c.project, _AT).where(now >= _AT)
        with self._database.reading() as connection:
            return {row.project: row.look_again_at for row in connection.execute(statement)}

    def looked_again(self, name: ProjectName, at: datetime) -> None:
        """Note that the look of that time was made."""
        with self._database.writing() as connection:
            connection.execute(
                update(PROJECT_STATE)
                .where(PROJECT_STATE.c.project == name, _AT.is_not_distinct_from(at))
                .values(look_again_at=None)
            )


def put_second_look(connection: Connection, name: ProjectName, at: datetime, now: datetime) -> None:
    """Record when to look again; of a project that is locked."""
    sooner = (now < _AT) & (at > _AT)
    connection.execute(
        update(PROJECT_STATE)
        .where(PROJECT_STATE.c.project == name)
        .values(look_again_at=case((sooner, _AT), else_=at))
    )
