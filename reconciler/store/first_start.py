"""One-time tokens that make the first admin: facts, so that each start may add one."""

from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, insert, select

from reconciler.domain.access import Person
from reconciler.store.family import Family
from reconciler.store.people import any_admin, insert_person, lock_people, shown
from reconciler.store.tables import FACT

_PREFIX = "set_up:"
_OURS = FACT.c.key.startswith(_PREFIX, autoescape=True)


class SqlFirstStart(Family):
    """``FirstStartStore``."""

    def offer_set_up(self, digest: str, now: datetime, lasts: timedelta) -> bool:
        """Keep one for ``lasts``, unless there is an admin; tell whether it is kept."""
        with self._database.writing() as connection:
            lock_people(connection)
            _drop_expired(connection, now)
            if any_admin(connection, now):
                return False
            row = {"key": f"{_PREFIX}{digest}", "value": (now + lasts).isoformat()}
            connection.execute(insert(FACT).values(row))
            return True

    def is_set_up_offered(self, digest: str, now: datetime) -> bool:
        """Tell whether it could be used now."""
        with self._database.reading() as connection:
            return _is_offered(connection, digest, now) and not any_admin(connection, now)

    def use_set_up(self, digest: str, person: Person, password_hash: str) -> bool:
        """Add ``person``, the first admin, and end all such tokens; once, whoever else tries."""
        now = person.created_at
        with self._database.writing() as connection:
            lock_people(connection)
            if any_admin(connection, now) or not _is_offered(connection, digest, now):
                return False
            insert_person(connection, person, password_hash)
            connection.execute(delete(FACT).where(_OURS))
            self._ledger.append(
                connection, "person.create", f"person {person.name}", None, shown(person)
            )
            return True


def _is_offered(connection: Connection, digest: str, now: datetime) -> bool:
    statement = select(FACT.c.value).where(FACT.c.key == f"{_PREFIX}{digest}")
    until = connection.execute(statement).scalar_one_or_none()
    return until is not None and now < datetime.fromisoformat(until)


def _drop_expired(connection: Connection, now: datetime) -> None:
    for key, until in connection.execute(select(FACT.c.key, FACT.c.value).where(_OURS)).all():
        if datetime.fromisoformat(until) <= now:
            connection.execute(delete(FACT).where(FACT.c.key == key))
