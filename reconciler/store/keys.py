"""Which master key the database wants, and sealing all of it anew with another.

The check value says it: known text, sealed with the key that seals now. While anything may still
be sealed with the key before, that one's id is a fact of its own, and it has to be there, too.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, delete, select, text

from reconciler.domain.errors import MasterKeyRefused, StoreCorrupt, StoreError
from reconciler.domain.secret import Secret
from reconciler.ports import Sealer
from reconciler.store.audit import Ledger
from reconciler.store.database import Database
from reconciler.store.sealed import (
    FACT_VALUE,
    RowKey,
    SealedColumn,
    count_by_key,
    key_id_of,
    present,
)
from reconciler.store.tables import FACT
from reconciler.store.upsert import insert_if_absent, upsert

_log = logging.getLogger(__name__)

#: Opens the sealer; is told whether a new key may be made, because nothing is sealed yet.
OpenSealer = Callable[[bool], Sealer]
#: Is told how many of how many are sealed anew.
OnProgress = Callable[[int, int], None]

_CHECK, _ROTATING_FROM = "sealed_check", "rotating_from"
_KNOWN_VALUE = Secret.of("what this key opens")
_CONTEXT = FACT_VALUE.context(_CHECK)
#: Rows a transaction: few, so that a kill or a full disk costs little.
_BATCH = 50


@dataclass(frozen=True, slots=True)
class KeyState:
    """What the database says of its keys."""

    wanted: str = ""  #: id of the key that seals; empty: nothing is sealed yet
    rotating_from: str = ""  #: id of the key before, while something may be sealed with it
    counts: Mapping[str, int] = field(default_factory=dict)  #: ciphertexts of each key, by its id


def read_state(connection: Connection) -> KeyState:
    """Return it without the counts, of any version of the tables."""
    sealed = _find_fact(connection, _CHECK)
    return KeyState(key_id_of(sealed), _find_fact(connection, _ROTATING_FROM))


def open_checked(connection: Connection, open_sealer: OpenSealer) -> Sealer:
    """Open the sealer, and make sure that its keys open what is in the database. Writes nothing.

    Raises:
        MasterKeyRefused: they don't, or there is none.
    """
    state = read_state(connection)
    wanted = {state.wanted, state.rotating_from} - {""} or set(count_by_key(connection))
    try:
        sealer = open_sealer(not wanted)
    except MasterKeyRefused as error:
        wants = (
            f", and this database wants key {' and key '.join(sorted(wanted))}" if wanted else ""
        )
        raise MasterKeyRefused(f"{error.message}{wants}") from error
    if wanted - set(sealer.key_ids) or not _opens(connection, sealer):
        raise _wrong_key(sealer, wanted)
    return sealer


def keep_check(database: Database, sealer: Sealer) -> None:
    """Leave a check value where there is none. Raises ``MasterKeyRefused`` for another's."""
    sealed = sealer.seal(_KNOWN_VALUE, _CONTEXT)
    with database.writing() as connection:
        if insert_if_absent(connection, FACT, {"key": _CHECK}, {"value": sealed}):
            return
        # Where another replica was first, ours must open what it sealed.
        if not _opens(connection, sealer):
            raise _wrong_key(sealer, {read_state(connection).wanted})


def reseal_if_needed(
    database: Database, sealer: Sealer, ledger: Ledger, on_progress: OnProgress
) -> None:
    """Seal everything with the sealer's first key, where it has been another's so far.

    It may be cut short anywhere: the next call goes on. Needs nobody else to be at work.

    Raises:
        StoreError: other replicas are; nothing was changed.
    """
    with database.reading() as connection:
        state = read_state(connection)
    first = sealer.key_ids[0]
    if state.wanted == first and not state.rotating_from:
        return
    alone = _is_alone(database)
    if state.wanted != first:
        if not alone:
            raise _not_alone()
        _begin(database, sealer, state.wanted)
    elif not alone:
        _log.warning("other replicas are at work: what is sealed with the old key stays so")
        return
    unopened = _reseal_all(database, sealer, on_progress)
    for problem in unopened:
        _log.error("can't be sealed anew; put it in again, or remove it: %s", problem)
    _end(database, ledger, first)


def _begin(database: Database, sealer: Sealer, old: str) -> None:
    """Make the first key the one that the database wants, beside the old one."""
    with database.writing() as connection:
        before = _find_fact(connection, _CHECK)
        sealed = sealer.seal(_KNOWN_VALUE, _CONTEXT)
        upsert(connection, FACT, {"key": _CHECK}, {"value": sealed})
        upsert(connection, FACT, {"key": _ROTATING_FROM}, {"value": old})
    # From here on nobody starts with the old key alone. Who did so a moment ago is seen now.
    if _is_alone(database):
        return
    with database.writing() as connection:
        upsert(connection, FACT, {"key": _CHECK}, {"value": before})
        connection.execute(delete(FACT).where(FACT.c.key == _ROTATING_FROM))
    raise _not_alone()


def _reseal_all(database: Database, sealer: Sealer, on_progress: OnProgress) -> Sequence[str]:
    """Seal anew what is sealed with other keys; return what is wrong with what doesn't open."""
    with database.reading() as connection:
        wanted = list(_rows(connection, sealer.key_ids[0]))
    unopened = []
    for start in range(0, len(wanted), _BATCH):
        with database.writing() as connection:
            for column, key in wanted[start : start + _BATCH]:
                try:
                    column.reseal(connection, key, sealer)
                except StoreCorrupt as error:
                    unopened.append(error.message)
        on_progress(min(start + _BATCH, len(wanted)), len(wanted))
    return unopened


def _end(database: Database, ledger: Ledger, first: str) -> None:
    """Let go of the old key, unless something is still sealed with it."""
    with database.writing() as connection:
        old = _find_fact(connection, _ROTATING_FROM)
        if not old or old in count_by_key(connection):
            return
        connection.execute(delete(FACT).where(FACT.c.key == _ROTATING_FROM))
        ledger.append(connection, "master-key.rotate", "master key", {"id": old}, {"id": first})
    _log.info("everything is sealed with master key %s now, and nothing with %s", first, old)


def _rows(connection: Connection, first: str) -> Iterator[tuple[SealedColumn, RowKey]]:
    for column in present(connection):
        for key in column.rows(connection, but_of=first):
            yield column, key


def _opens(connection: Connection, sealer: Sealer) -> bool:
    """Tell whether the check value opens; where there is none, whether anything sealed does."""
    if sealed := _find_fact(connection, _CHECK):
        try:
            return sealer.unseal(sealed, _CONTEXT) == _KNOWN_VALUE
        except StoreCorrupt:
            return False
    rows = list(_rows(connection, ""))
    return not rows or any(column.opens(connection, key, sealer) for column, key in rows)


def _find_fact(connection: Connection, key: str) -> str:
    statement = select(FACT.c.value).where(FACT.c.key == key)
    return connection.execute(statement).scalar_one_or_none() or ""


def _is_alone(database: Database) -> bool:
    """Tell whether no other replica has a connection; of SQLite the data folder's lock tells."""
    if database.is_sqlite:
        return True
    others = text(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'reconciler' "
        "AND datname = current_database() AND pid <> pg_backend_pid()"
    )
    with database.reading() as connection:
        return not connection.execute(others).scalar_one()


def _not_alone() -> StoreError:
    return StoreError(
        "the master key can't be changed while other replicas are at work with the old one; "
        "stop all of them, then start one with both keys"
    )


def _wrong_key(sealer: Sealer, wanted: set[str]) -> MasterKeyRefused:
    wants = " and key ".join(sorted(wanted))
    has = " and ".join(sealer.key_ids)
    return MasterKeyRefused(
        f"wrong key: {sealer.source} is master key {has}, and this database wants key {wants}; "
        "put that one back, or restore the backup that belongs to this one"
    )
