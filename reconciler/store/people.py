"""People, and the hashes of their passwords."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, func, select, update

from reconciler.domain.access import Person, Role, Scope
from reconciler.domain.audit import Shown
from reconciler.domain.errors import AlreadyExists, LastAdmin, NotFound
from reconciler.domain.references import ProjectName
from reconciler.store.family import Family, require_same
from reconciler.store.tables import ANSWER, FACT, PERSON, SESSION, TOKEN
from reconciler.store.upsert import insert_if_absent, upsert


class SqlPeople(Family):
    """``PersonStore``."""

    def add_person(self, person: Person, password_hash: str = "") -> None:
        """Add them. Raises ``AlreadyExists``."""
        with self._database.writing() as connection:
            insert_person(connection, person, password_hash)
            self._ledger.append(
                connection, "person.create", f"person {person.name}", None, shown(person)
            )

    def find_person(self, name: str) -> Person | None:
        """Return them, if there are any of this name."""
        with self._database.reading() as connection:
            row = connection.execute(select(PERSON).where(PERSON.c.name == name)).one_or_none()
        return person_of(row) if row else None

    def get_person(self, name: str) -> Person:
        """Return them. Raises ``NotFound``."""
        found = self.find_person(name)
        if found is None:
            raise _nobody(name)
        return found

    def list_people(self) -> Sequence[Person]:
        """Return all, by name."""
        with self._database.reading() as connection:
            rows = connection.execute(select(PERSON)).all()
        return sorted((person_of(row) for row in rows), key=lambda one: one.name)

    def change_person(self, person: Person, seen: Person | None = None) -> None:
        """Record roles, and whether they are blocked. Raises ``NotFound``, ``LastAdmin``."""
        with self._database.writing() as connection:
            before = _locked(connection, person.name)
            require_same(shown(before), shown(seen) if seen else None)
            after = shown(person)
            values = {name: after[name] for name in ("role", "roles", "blocked")}
            connection.execute(update(PERSON).where(PERSON.c.name == person.name).values(values))
            if before.is_admin:
                _require_admin(connection)
            if person.blocked:
                connection.execute(delete(SESSION).where(SESSION.c.person == person.name))
            self._ledger.append(
                connection, "person.change", f"person {person.name}", shown(before), after
            )

    def remove_person(self, name: str) -> None:
        """Delete them with their sessions. Raises ``NotFound``, ``LastAdmin``."""
        with self._database.writing() as connection:
            before = _locked(connection, name)
            connection.execute(delete(PERSON).where(PERSON.c.name == name))
            if before.is_admin:
                _require_admin(connection)
            # Somebody else may get the name: what this one was answered is not theirs.
            connection.execute(delete(ANSWER).where(ANSWER.c.principal == name))
            self._ledger.append(connection, "person.remove", f"person {name}", shown(before), None)

    def find_password_hash(self, name: str) -> str:
        """Return the hash of their password; empty for who has none, or is not there."""
        statement = select(PERSON.c.password_hash).where(PERSON.c.name == name)
        with self._database.reading() as connection:
            return str(connection.execute(statement).scalar_one_or_none() or "")

    def put_password_hash(self, name: str, password_hash: str, *, keep: str = "") -> None:
        """Give them another password: all their sessions end, but ``keep``."""
        with self._database.writing() as connection:
            _locked(connection, name)
            connection.execute(
                update(PERSON).where(PERSON.c.name == name).values(password_hash=password_hash)
            )
            connection.execute(
                delete(SESSION).where(SESSION.c.person == name, SESSION.c.id != keep)
            )
            self._ledger.append(connection, "person.password", f"person {name}")

    def renew_password_hash(self, name: str, seen: str, password_hash: str) -> None:
        """Keep the same password under another hash, unless it is another password by now."""
        same = (PERSON.c.name == name) & (PERSON.c.password_hash == seen)
        with self._database.writing() as connection:
            connection.execute(update(PERSON).where(same).values(password_hash=password_hash))

    def has_admin(self, now: datetime) -> bool:
        """Tell whether a person or a token may do everything."""
        with self._database.reading() as connection:
            return any_admin(connection, now)


def lock_people(connection: Connection) -> None:
    """Have nobody else change who is an admin before this transaction ends."""
    upsert(connection, FACT, {"key": "people_change"}, {"value": ""})


def insert_person(connection: Connection, person: Person, password_hash: str) -> None:
    """Add their row. Raises ``AlreadyExists``."""
    lock_people(connection)
    values = {
        **shown(person),
        "password_hash": password_hash,
        "created_at": person.created_at,
    }
    if not insert_if_absent(connection, PERSON, {"name": person.name}, values):
        raise AlreadyExists(f"there is a person {person.name!r} already")


def any_admin(connection: Connection, now: datetime) -> bool:
    """Tell whether a person or a token may do everything."""
    if _number_of_admins(connection):
        return True
    rows = connection.execute(select(TOKEN.c.scopes, TOKEN.c.projects, TOKEN.c.expires_at))
    return any(
        Scope.ADMIN in row.scopes
        and row.projects is None
        and not (row.expires_at and row.expires_at <= now)
        for row in rows
    )


def person_of(row: Row[Any]) -> Person:
    """Return the person of a row."""
    return Person(
        name=row.name,
        role=Role(row.role) if row.role else None,
        created_at=row.created_at,
        roles={ProjectName(name): Role(role) for name, role in row.roles.items()},
        signs_in_elsewhere=not row.password_hash,
        blocked=row.blocked,
        last_seen_at=row.last_seen_at,
    )


def shown(person: Person) -> Mapping[str, Shown]:
    """Return what the audit log shows of them, and their row has."""
    return {
        "role": person.role.value if person.role else None,
        "roles": {str(name): role.value for name, role in sorted(person.roles.items())},
        "blocked": person.blocked,
    }


def _locked(connection: Connection, name: str) -> Person:
    lock_people(connection)
    statement = select(PERSON).where(PERSON.c.name == name).with_for_update()
    row = connection.execute(statement).one_or_none()
    if row is None:
        raise _nobody(name)
    return person_of(row)


def _require_admin(connection: Connection) -> None:
    if not _number_of_admins(connection):
        raise LastAdmin("nobody else is an admin")


def _number_of_admins(connection: Connection) -> int:
    admins = (PERSON.c.role == Role.ADMIN.value) & PERSON.c.blocked.is_(False)
    return connection.execute(select(func.count()).select_from(PERSON).where(admins)).scalar_one()


def _nobody(name: str) -> NotFound:
    return NotFound(f"there is no person {name!r}; `reconciler person list` shows all")
