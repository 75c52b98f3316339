"""Opening the store: made on the very first start, checked and migrated on every other."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from reconciler.domain.errors import NotFound
from reconciler.ports import Clock, Sealer
from reconciler.store.backup import check_integrity, find_copy_before, put_back, write_backup
from reconciler.store.database import Database, connect, failures_as_store_errors, parse_location
from reconciler.store.keys import (
    KeyState,
    OnProgress,
    OpenSealer,
    keep_check,
    open_checked,
    read_state,
)
from reconciler.store.schema import CURRENT, check_version, find_version, migrate
from reconciler.store.sealed import bind_secrets, count_by_key
from reconciler.store.sql_store import SqlStore
from reconciler.store.sqlite_file import (
    create_private,
    is_installed,
    mark_installed,
    prepare_folder,
)
from reconciler.store.webhooks import bind_previous_secrets

_log = logging.getLogger(__name__)

#: From this version on a webhook's previous secret is bound to a field of its own, and a secret
#: that is for one server to that one.
_BOUND_CLOSER = "0007"


def _no_progress(_done: int, _all: int) -> None:
    pass


def open_store(
    location: str | Path,
    open_sealer: OpenSealer,
    clock: Clock,
    *,
    came_back: bool = False,
    on_resealed: OnProgress = _no_progress,
) -> SqlStore:
    """Open the database at a path (SQLite) or ``postgresql://`` URL; make or migrate it if need be.

    A program that ``came_back`` because a newer one did not hold puts the tables back, too, as they
    were before that one changed them; what was recorded since is kept beside.

    Nothing is written before the key has opened what is sealed. Where the sealer has another key
    than so far, and that one too, everything is sealed anew; ``on_resealed`` is told how far it is.

    Raises:
        InvalidInput: the location is neither.
        PreconditionFailed: the folder can't hold a database.
        StoreCorrupt: the database is missing where there was one, damaged, or of a newer version.
        MasterKeyRefused: it was sealed with another key, or the key is missing.
        StoreError: it can't be reached or written.
    """
    database = connect(parse_location(location), clock)
    try:
        if database.path:
            sealer = _open_file(database, database.path, open_sealer, came_back=came_back)
        else:
            sealer = _open_key(database, open_sealer)
            _migrate_if_needed(database, sealer)
        keep_check(database, sealer)
        store = SqlStore(database, sealer)
        store.reseal(on_resealed)
    except BaseException:
        database.close()
        raise
    return store


def read_key_state(location: str | Path, clock: Clock) -> KeyState:
    """Return what a database that there is says of its keys, also while a daemon is at work.

    Raises:
        NotFound: there is no database yet.
        StoreError: it can't be read.
    """
    with _existing(location, clock) as database, database.reading() as connection:
        return replace(read_state(connection), counts=count_by_key(connection))


def check_key(location: str | Path, open_sealer: OpenSealer, clock: Clock) -> None:
    """Make sure that the key opens a database that there is; raises what ``open_store`` does."""
    with _existing(location, clock) as database, database.reading() as connection:
        open_checked(connection, open_sealer)


@contextmanager
def _existing(location: str | Path, clock: Clock) -> Iterator[Database]:
    database = connect(parse_location(location), clock)
    try:
        if database.path and not is_installed(database.path):
            raise NotFound(f"there is no database {database.path} yet")
        with failures_as_store_errors(), database.reading() as connection:
            if find_version(connection) is None:
                raise NotFound("the database is empty")
        yield database
    finally:
        database.close()


def _open_file(
    database: Database, path: Path, open_sealer: OpenSealer, *, came_back: bool
) -> Sealer:
    prepare_folder(path)
    now = database.now()
    with failures_as_store_errors():
        # Whoever opens and closes the file beside SQLite takes its locks from it: only before it
        # is opened. Source: sqlite.org, ``howtocorrupt.html``, 2.2.
        if is_installed(path):
            check_integrity(path)
            create_private(path)
            sealer = _open_key(database, open_sealer)
            if came_back and (copy := find_copy_before(path)):
                database.close()
                put_back(copy, path, now)
                _log.warning("a newer version had changed the database: %s was put back", copy)
                create_private(path)
                sealer = _open_key(database, open_sealer)
        else:
            sealer = open_sealer(True)
            create_private(path)
        _migrate_if_needed(database, sealer, back_up_to=path, now=now)
    # Last, so that a kill before this line leaves a start that is still the first one.
    mark_installed(path)
    return sealer


def _open_key(database: Database, open_sealer: OpenSealer) -> Sealer:
    """Open the sealer. Of tables that are not known here the version is complained of later."""
    with database.reading() as connection:
        if find_version(connection) is None:
            return open_sealer(True)
        return open_checked(connection, open_sealer)


def _migrate_if_needed(
    database: Database,
    sealer: Sealer,
    *,
    back_up_to: Path | None = None,
    now: datetime | None = None,
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
        if version is not None and version < _BOUND_CLOSER:
            bind_previous_secrets(connection, sealer)
            bind_secrets(connection, sealer)
