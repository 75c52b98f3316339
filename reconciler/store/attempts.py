"""How often a password was tried: counted before it is looked at, by the database."""

import secrets
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, select, update

from reconciler.domain.errors import StoreCorrupt
from reconciler.domain.secret import Secret
from reconciler.domain.sign_in import FORGIVEN_AFTER, Patience
from reconciler.store.family import SealedFamily
from reconciler.store.tables import FACT, SIGN_IN_ATTEMPT
from reconciler.store.upsert import insert_if_absent, upsert

_KEY = "device_key"
_CONTEXT = f"fact|{_KEY}|value"
_AT_ONCE = 100
_NO_TIME = timedelta(0)


class SqlAttempts(SealedFamily):
    """``AttemptStore``."""

    def take_attempt(self, subject: str, now: datetime, patience: Patience) -> timedelta:
        """Count one try before it is looked at; return how long to wait, zero: not at all."""
        key, first = {"subject": subject}, {"failures": 0, "last_at": now, "not_before": None}
        mine = SIGN_IN_ATTEMPT.c.subject == subject
        with self._database.writing() as connection:
            insert_if_absent(connection, SIGN_IN_ATTEMPT, key, first)
            row = connection.execute(
                select(SIGN_IN_ATTEMPT).where(mine).with_for_update()
            ).one_or_none()
            if row is None:  # forgotten between the two statements: ask again
                return timedelta(seconds=1)
            if row.not_before and now < row.not_before:
                left: timedelta = row.not_before - now
                return left
            forgiven = row.last_at < now - FORGIVEN_AFTER
            failures = 1 if forgiven else row.failures + 1
            wait = patience.wait_after(failures)
            # What is free holds up none that came at the same moment with an earlier time.
            not_before = now + wait if wait else None
            values = {"failures": failures, "last_at": now, "not_before": not_before}
            connection.execute(update(SIGN_IN_ATTEMPT).where(mine).values(values))
            _forgive(connection, now)  # last: whoever holds what is old waits for nobody
        return _NO_TIME

    def wait_of(self, subject: str, now: datetime) -> timedelta:
        """Return how long a try would have to wait; it is not counted."""
        mine = SIGN_IN_ATTEMPT.c.subject == subject
        with self._database.reading() as connection:
            until: datetime | None = connection.execute(
                select(SIGN_IN_ATTEMPT.c.not_before).where(mine)
            ).scalar_one_or_none()
        return max(until - now, _NO_TIME) if until else _NO_TIME

    def forget_attempts(self, subject: str) -> None:
        """Begin to count anew: the right password was shown."""
        with self._database.writing() as connection:
            connection.execute(delete(SIGN_IN_ATTEMPT).where(SIGN_IN_ATTEMPT.c.subject == subject))

    def give_attempt_back(self, subject: str) -> None:
        """Count one less."""
        mine = (SIGN_IN_ATTEMPT.c.subject == subject) & (SIGN_IN_ATTEMPT.c.failures > 0)
        less = {"failures": SIGN_IN_ATTEMPT.c.failures - 1}
        with self._database.writing() as connection:
            connection.execute(update(SIGN_IN_ATTEMPT).where(mine).values(less))

    def get_device_key(self) -> Secret:
        """Return what marks of browsers are signed with; the same for all replicas."""
        with self._database.reading() as connection:
            sealed = connection.execute(
                select(FACT.c.value).where(FACT.c.key == _KEY)
            ).scalar_one_or_none()
        if sealed is None:
            return self._make_device_key(only_if_absent=True)
        try:
            return self._sealer.unseal(sealed, _CONTEXT)
        except StoreCorrupt:  # all it costs: browsers are new once more
            return self._make_device_key(only_if_absent=False)

    def _make_device_key(self, *, only_if_absent: bool) -> Secret:
        made = {"value": self._sealer.seal(Secret.of(secrets.token_hex(32)), _CONTEXT)}
        with self._database.writing() as connection:
            if only_if_absent:
                insert_if_absent(connection, FACT, {"key": _KEY}, made)
            else:
                upsert(connection, FACT, {"key": _KEY}, made)
            sealed = connection.execute(select(FACT.c.value).where(FACT.c.key == _KEY)).scalar_one()
        return self._sealer.unseal(sealed, _CONTEXT)


def _forgive(connection: Connection, now: datetime) -> None:
    """Drop what is old, but for what another transaction is at."""
    old = (
        select(SIGN_IN_ATTEMPT.c.subject)
        .where(SIGN_IN_ATTEMPT.c.last_at < now - FORGIVEN_AFTER)
        .limit(_AT_ONCE)
        .with_for_update(skip_locked=True)
    )
    connection.execute(delete(SIGN_IN_ATTEMPT).where(SIGN_IN_ATTEMPT.c.subject.in_(old)))
