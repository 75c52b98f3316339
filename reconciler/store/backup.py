"""Copies of the embedded database: written while it is in use, checked before they are trusted."""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from reconciler.domain.errors import NotFound, PreconditionFailed, StoreCorrupt, StoreError
from reconciler.store.data_lock import lock_data
from reconciler.store.schema import VERSIONS, check_version, read_version
from reconciler.store.sqlite_file import create_private, has_signature, mark_installed, sync_folder

#: What SQLite keeps beside a database; it belongs to that one file and to no other.
_COMPANIONS = ("", "-wal", "-shm", "-journal")
#: Tells when the last backup was written, and where.
_NOTE = "last-backup"
_LONGEST_NOTE = 4096


def write_backup(database: Path, target: Path) -> None:
    """Write a consistent copy of ``database`` to ``target``; an older one there is replaced whole.

    Raises:
        StoreError: it could not be written; ``target`` is as it was.
    """
    with _failures(f"the backup {target} could not be written"):
        part = target.with_name(f".{target.name}.part")
        part.unlink(missing_ok=True)
        create_private(part)
        try:
            _copy(database, part)
            check_integrity(part)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
        sync_folder(target.parent)


def restore_backup(backup: Path, database: Path, now: datetime) -> Path | None:
    """Put ``backup`` in the place of ``database``; return where the replaced one was kept, if any.

    The daemon must not be running. A kill in the middle leaves either database in place, or none
    and a daemon that refuses to start; restoring again mends that.

    Raises:
        NotFound: there is no such backup.
        PreconditionFailed: a daemon holds the data folder.
        StoreCorrupt: the backup is damaged, no database of ours, or of a newer version.
        StoreError: it could not be written.
    """
    if not backup.is_file():
        raise NotFound(f"there is no backup {backup}")
    with lock_data(database.parent):
        return put_back(backup, database, now)


def put_back(backup: Path, database: Path, now: datetime) -> Path | None:
    """Do what ``restore_backup`` does, for whoever holds the data folder and has nothing open."""
    with _failures(f"the backup {backup} could not be restored"):
        check_integrity(backup)
        with closing(_open_read_only(backup)) as connection:
            check_version(read_version(connection))
        part = database.with_name(f".{database.name}.restoring")
        part.unlink(missing_ok=True)
        create_private(part)
        try:
            _copy(backup, part)
            check_integrity(part)
            mark_installed(database)
            kept = _set_aside(database, now)
            part.replace(database)
        finally:
            part.unlink(missing_ok=True)
        sync_folder(database.parent)
        return kept


@dataclass(frozen=True, slots=True)
class LastBackup:
    """The backup that was written last."""

    target: str
    at: datetime


def note_backup(database: Path, target: Path) -> None:
    """Leave word beside ``database`` that it was backed up just now; where that can't be, none."""
    note = database.with_name(_NOTE)
    part = note.with_name(f".{_NOTE}.part")
    with suppress(OSError):
        part.unlink(missing_ok=True)
        create_private(part)
        part.write_text(str(target))
        part.replace(note)


def last_backup(database: Path) -> LastBackup | None:
    """Return what ``note_backup`` left; None: nothing that can be read."""
    note = database.with_name(_NOTE)
    try:
        at = datetime.fromtimestamp(note.stat().st_mtime, UTC)
        return LastBackup(note.read_text()[:_LONGEST_NOTE], at)
    except (OSError, ValueError):
        return None


@dataclass(frozen=True, slots=True)
class KeptCopy:
    """A copy that lies beside the database."""

    name: str
    size_bytes: int
    at: datetime  #: when it was written last


def list_copies(database: Path) -> Sequence[KeptCopy]:
    """Return what upgrades and restores left beside ``database``, newest first."""
    found = []
    for kind in ("before", "replaced"):
        for file in database.parent.glob(f"{database.name}.{kind}-*"):
            if file.name.endswith(_COMPANIONS[1:]):
                continue
            with suppress(FileNotFoundError):  # somebody tidies up
                seen = file.stat()
                at = datetime.fromtimestamp(seen.st_mtime, UTC)
                found.append(KeptCopy(file.name, seen.st_size, at))
    return sorted(found, key=lambda one: one.at, reverse=True)


def find_copy_before(database: Path) -> Path | None:
    """Return the copy that a newer program made when it changed these tables; None: they are ours.

    Raises:
        StoreCorrupt: a newer program changed them, and left no copy; or it is no database of ours.
    """
    with closing(_open_read_only(database)) as connection:
        version = read_version(connection)
    if version in VERSIONS:
        return None
    copies = sorted(database.parent.glob(f"{database.name}.before-{version}-*"))
    if not copies:
        check_version(version)
    return copies[-1]


def check_integrity(database: Path) -> None:
    """Read the whole file.

    Raises:
        StoreCorrupt: it is damaged, or not an SQLite database.
    """
    if not has_signature(database):
        raise StoreCorrupt(f"{database} is not an SQLite database")
    try:
        with closing(_open_read_only(database)) as connection:
            problems = [row[0] for row in connection.execute("PRAGMA quick_check(5)")]
    except sqlite3.OperationalError:
        raise  # it could not be read at all, which says nothing of what is in it
    except sqlite3.DatabaseError as error:
        raise StoreCorrupt(f"{database} is damaged: {error}") from error
    if problems != ["ok"]:
        raise StoreCorrupt(f"{database} is damaged: {'; '.join(problems)}")


def refuse_for_postgres() -> PreconditionFailed:
    """Return the error for whoever restores into PostgreSQL from here."""
    return PreconditionFailed(
        "a PostgreSQL database is backed up with `pg_dump` and restored with `pg_restore`"
    )


def _copy(source: Path, target: Path) -> None:
    with closing(_open_read_only(source)) as reading, closing(sqlite3.connect(target)) as writing:
        # All pages at once: one snapshot, and writers of the source go on meanwhile.
        reading.backup(writing, pages=-1)
        # A single file, complete in itself; the daemon turns the write-ahead log on again.
        writing.execute("PRAGMA journal_mode=DELETE")
    with target.open("rb") as written:
        os.fsync(written.fileno())


def _set_aside(database: Path, now: datetime) -> Path | None:
    if not database.exists():
        return None
    kept = database.with_name(f"{database.name}.replaced-{now:%Y%m%dT%H%M%SZ}")
    for companion in reversed(_COMPANIONS):
        beside = database.with_name(database.name + companion)
        if beside.exists():
            beside.replace(kept.with_name(kept.name + companion))
    return kept


def _open_read_only(database: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True, timeout=10)


@contextmanager
def _failures(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        # The name of our own unfinished file would say nothing to whoever reads this.
        place = f" ({Path(str(error.filename)).parent})" if error.filename else ""
        raise StoreError(f"{what}: {error.strerror or error}{place}") from error
    except sqlite3.Error as error:
        raise StoreError(f"{what}: {error}") from error
