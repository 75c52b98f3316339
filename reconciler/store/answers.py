"""Answers that were given, sealed, for the requests that come again."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, delete, func, select, update

from reconciler.domain.secret import Secret
from reconciler.ports import AnswerKey, GivenAnswer
from reconciler.store.family import SealedFamily
from reconciler.store.sealed import ANSWER_BODY
from reconciler.store.tables import ANSWER
from reconciler.store.upsert import insert_if_absent

#: How long an answer is kept, and how many of one principal.
KEPT_FOR = timedelta(hours=24)
MOST_OF_ONE = 10_000
#: Whoever has worked on one for this long is no more.
LONGEST_WORK = timedelta(minutes=2)


class SqlAnswers(SealedFamily):
    """``AnswerStore``."""

    def begin_answer(self, key: AnswerKey, request: str, now: datetime) -> GivenAnswer | None:
        """Take ``key`` for ``request``; where it is taken, return by what."""
        named = {"principal": key.principal, "key": key.key}
        # Keyed: what was asked may hold a secret, and a plain hash of a short one tells it.
        asked = self._sealer.fingerprint(Secret.of(request))
        begun = {"request": asked, "at": now, "status": None, "headers": {}, "sealed_body": ""}
        with self._database.writing() as connection:
            connection.execute(delete(ANSWER).where(ANSWER.c.at < now - KEPT_FOR))
            if insert_if_absent(connection, ANSWER, named, begun):
                _drop_excess(connection, key.principal)
                return None
            row = connection.execute(select(ANSWER).where(_is(key)).with_for_update()).one_or_none()
            if row is None:  # let go of between the two statements
                return GivenAnswer(request, now)
            if row.request == asked and _is_given_up(row, now):
                connection.execute(update(ANSWER).where(_is(key)).values(begun))
                return None
        return self._answer(key, row, request) if row.request == asked else GivenAnswer("", row.at)

    def keep_answer(self, key: AnswerKey, answer: GivenAnswer) -> None:
        """Record what was answered, unless another has taken the work over."""
        values = {
            "status": answer.status,
            "headers": dict(answer.headers),
            "sealed_body": self._sealer.seal(
                answer.body, ANSWER_BODY.context(key.principal, key.key)
            ),
        }
        with self._database.writing() as connection:
            mine = _is(key) & (ANSWER.c.at == answer.begun_at) & ANSWER.c.status.is_(None)
            connection.execute(update(ANSWER).where(mine).values(values))

    def drop_answer(self, key: AnswerKey, begun_at: datetime) -> None:
        """Let go of a key whose request may be carried out again."""
        with self._database.writing() as connection:
            connection.execute(delete(ANSWER).where(_is(key), ANSWER.c.at == begun_at))

    def _answer(self, key: AnswerKey, row: Row[Any], request: str) -> GivenAnswer:
        if row.status is None:
            return GivenAnswer(request, row.at)
        body = self._sealer.unseal(row.sealed_body, ANSWER_BODY.context(key.principal, key.key))
        return GivenAnswer(request, row.at, row.status, row.headers, body)


def _is(key: AnswerKey) -> ColumnElement[bool]:
    return (ANSWER.c.principal == key.principal) & (ANSWER.c.key == key.key)


def _is_given_up(row: Row[Any], now: datetime) -> bool:
    return row.status is None and bool(row.at <= now - LONGEST_WORK)


def _drop_excess(connection: Connection, principal: str) -> None:
    """Let go of a principal's oldest, so that no one fills the database."""
    of_one = ANSWER.c.principal == principal
    number = connection.execute(select(func.count()).where(of_one)).scalar_one()
    if number > MOST_OF_ONE:
        oldest = (
            select(ANSWER.c.key).where(of_one).order_by(ANSWER.c.at).limit(number - MOST_OF_ONE)
        )
        connection.execute(delete(ANSWER).where(of_one, ANSWER.c.key.in_(oldest)))
