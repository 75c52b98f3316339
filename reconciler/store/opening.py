"""Opening the store: made on the very first start, checked and migrated on every other."""

import logging
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from sqlalchemy import select

from reconciler.domain.errors import StoreCorrupt
from reconciler.domain.secret import Secret
from reconciler.ports import Clock, Sealer
from reconciler.store.backup import check_integrity, find_copy_before, put_back, write_backup
from reconciler.store.database import Database, connect, failures_as_store_errors, parse_location
from reconciler.store.schema import CURRENT, check_version, find_version, migrate
from reconciler.store.sql_store import SqlStore
from reconciler.store.sqlite_file import (
    create_private,
    is_installed,
    mark_installed,
    prepare_folder,
)
from reconciler.store.tables import FACT
from reconciler.store.upsert import insert_if_absent

_log = logging.getLogger(__name__)

#: Opens the sealer; is told whether a new key may be made, because nothing is sealed yet.
OpenSealer = Callable[[bool], Sealer]

_SEALED_CHECK = "sealed_check"
_KNOWN_VALUE = "what this key opens"
_CHECK_CONTEXT = f"fact|{_SEALED_CHECK}|value"


def open_store(
    location: str | Path, open_sealer: OpenSealer, clock: Clock, *, came_back: bool = False
) -> SqlStore:
    """Open the database at a path (SQLite) or ``postgresql://`` URL; make or migrate it if need be.

    A program that ``came_back`` because a newer one did not hold puts the tables back, too, as they
    were before that one changed them; what was recorded since is kept beside.

    Raises:
        InvalidInput: the location is neither.
        PreconditionFailed: the folder can't hold a database.
        StoreCorrupt: the database is missing where there was one, damaged, of a newer version,
            or sealed with another key.
        StoreError: it can't be reached or written.
    """
    database = connect(parse_location(location), clock)
    try:
        if database.path:
            _open_file(database, database.path, clock.now(), came_back=came_back)
        else:
            _migrate_if_needed(database)
        return SqlStore(database, _open_sealer(database, open_sealer))
    except BaseException:
        database.close()
        raise


def _open_file(database: Database, path: Path, now: datetime, *, came_back: bool) -> None:
    prepare_folder(path)
    with failures_as_store_errors():
        if is_installed(path):
            check_integrity(path)
            if came_back and (copy := find_copy_before(path)):
                put_back(copy, path, now)
                _log.warning("a newer version had changed the database: %s was put back", copy)
        create_private(path)
        _migrate_if_needed(database, back_up_to=path, now=now)
    # Last, so that a kill before this line leaves a start that is still the first one.
    mark_installed(path)


def _migrate_if_needed(
    database: Database, *, back_up_to: Path | None = None, now: datetime | None = None
) -> None:
    with database.reading() as connection:
        version = find_version(connection)
    if version is not None:
        check_version(version)
    if version == CURRENT:
        return
    if version is not None and back_up_to and now:
        name = f"{back_up_to.name}.before-{CURRENT}-{now:%Y%m%dT%H%M%SZ}"
        write_backup(back_up_to, back_up_to.with_name(name))
    with database.writing() as connection:
        migrate(connection)


def _open_sealer(database: Database, open_sealer: OpenSealer) -> Sealer:
    """Open the sealer, and make sure that its key is the one that everything was sealed with."""
    known = _find_sealed_check(database)
    sealer = open_sealer(known is None)
    if known is None:
        sealed = sealer.seal(Secret.of(_KNOWN_VALUE), _CHECK_CONTEXT)
        with database.writing() as connection:
            insert_if_absent(connection, FACT, {"key": _SEALED_CHECK}, {"value": sealed})
        # Where another replica was first, ours must open what it sealed.
        known = _find_sealed_check(database)
    try:
        opened = sealer.unseal(known or "", _CHECK_CONTEXT).reveal()
    except StoreCorrupt as error:
        raise _wrong_key() from error
    if opened != _KNOWN_VALUE:
        raise _wrong_key()
    return sealer


def _find_sealed_check(database: Database) -> str | None:
    with database.reading() as connection:
        return connection.execute(
            select(FACT.c.value).where(FACT.c.key == _SEALED_CHECK)
        ).scalar_one_or_none()


def _wrong_key() -> StoreCorrupt:
    return StoreCorrupt(
        "wrong key: the secrets in this database were sealed with another master key; "
        "put that one back, or restore the backup that belongs to this one"
    )
