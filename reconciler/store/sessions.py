"""Sessions: their cookies as SHA-256, each looked up with who it is of."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from reconciler.domain.access import Person, Session
from reconciler.domain.errors import NotFound, StoreError
from reconciler.store.codec import clean_text
from reconciler.store.family import Family
from reconciler.store.people import person_of
from reconciler.store.tables import PERSON, SESSION

MOST_OF_ONE = 20
#: That a session is used is noted so often at most: a page asks many things.
_NOTED_EVERY = timedelta(minutes=1)
_LONGEST_AGENT = 300


class SqlSessions(Family):
    """``SessionStore``."""

    def add_session(self, session: Session, digest: str, *, proven: str | None = None) -> bool:
        """Keep a session; tell whether it is kept."""
        who = select(PERSON).where(PERSON.c.name == session.person).with_for_update()
        with self._database.writing() as connection:
            row = connection.execute(who).one_or_none()
            # Blocking, or another password, may have come while the old one was looked at.
            if row is None or row.blocked or proven not in {None, row.password_hash}:
                return False
            connection.execute(delete(SESSION).where(SESSION.c.expires_at <= session.created_at))
            connection.execute(insert(SESSION).values(_columns(session, digest)))
            _drop_excess(connection, session.person)
            _note_seen(connection, session.person, session.created_at)
            self._ledger.append(
                connection,
                "session.begin",
                f"session {session.id}",
                None,
                {"person": session.person, "way": session.way},
            )
            return True

    def find_session(
        self, digest: str, now: datetime, idle: timedelta
    ) -> tuple[Session, Person] | None:
        """Return the session of this cookie, unless it is over; noted, if it can be."""
        with self._database.reading() as connection:
            row = connection.execute(
                select(SESSION).where(SESSION.c.digest == digest)
            ).one_or_none()
            if row is None or row.expires_at <= now or row.last_seen_at + idle <= now:
                return None
            owner = connection.execute(
                select(PERSON).where(PERSON.c.name == row.person)
            ).one_or_none()
        if owner is None or owner.blocked:
            return None
        if row.last_seen_at <= now - _NOTED_EVERY:
            # A full disk keeps nobody from looking.
            with suppress(StoreError), self._database.writing() as connection:
                # The person first, as whoever blocks them does, or two would wait for each other.
                _note_seen(connection, row.person, now)
                mine = update(SESSION).where(SESSION.c.digest == digest)
                connection.execute(mine.values(last_seen_at=now))
        return _session(row), person_of(owner)

    def list_sessions(
        self, now: datetime, idle: timedelta, person: str | None = None
    ) -> Sequence[Session]:
        """Return those of ``person``, or of everybody, newest first."""
        statement = select(SESSION).where(
            SESSION.c.expires_at > now, SESSION.c.last_seen_at > now - idle
        )
        if person is not None:
            statement = statement.where(SESSION.c.person == person)
        ordered = statement.order_by(SESSION.c.created_at.desc(), SESSION.c.id)
        with self._database.reading() as connection:
            return [_session(row) for row in connection.execute(ordered)]

    def remove_session(self, session: str, person: str | None = None) -> None:
        """End one by its id: of ``person``, or of anybody. Raises ``NotFound``."""
        named = SESSION.c.id == session
        if person is not None:
            named &= SESSION.c.person == person
        with self._database.writing() as connection:
            if connection.execute(delete(SESSION).where(named)).rowcount == 0:
                raise NotFound(f"there is no session {session!r}; it may be over")
            self._ledger.append(connection, "session.end", f"session {session}")

    def remove_sessions(self, person: str, *, keep: str = "") -> int:
        """End all of a person's but the one with the id ``keep``; return how many."""
        others = (SESSION.c.person == person) & (SESSION.c.id != keep)
        with self._database.writing() as connection:
            ended = connection.execute(delete(SESSION).where(others)).rowcount
            if ended:
                self._ledger.append(
                    connection, "session.end", f"person {person}", None, {"ended": ended}
                )
            return ended


def _drop_excess(connection: Connection, person: str) -> None:
    """Let go of a person's oldest, so that no one fills the database."""
    newest = (
        select(SESSION.c.id)
        .where(SESSION.c.person == person)
        .order_by(SESSION.c.created_at.desc(), SESSION.c.id)
        .limit(MOST_OF_ONE)
    )
    connection.execute(
        delete(SESSION).where(SESSION.c.person == person, SESSION.c.id.not_in(newest))
    )


def _note_seen(connection: Connection, person: str, now: datetime) -> None:
    connection.execute(update(PERSON).where(PERSON.c.name == person).values(last_seen_at=now))


def _columns(session: Session, digest: str) -> dict[str, Any]:
    return {
        "id": session.id,
        "digest": digest,
        "person": session.person,
        "created_at": session.created_at,
        "last_seen_at": session.last_seen_at,
        "expires_at": session.expires_at,
        "remote": clean_text(session.remote),
        "agent": clean_text(session.agent)[:_LONGEST_AGENT],
        "way": session.way,
    }


def _session(row: Row[Any]) -> Session:
    return Session(
        id=row.id,
        person=row.person,
        created_at=row.created_at,
        last_seen_at=row.last_seen_at,
        expires_at=row.expires_at,
        remote=row.remote,
        agent=row.agent,
        way=row.way,
    )
