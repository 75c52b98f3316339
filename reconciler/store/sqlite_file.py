"""The embedded database's file, and the mark that says there is one."""

import os
from pathlib import Path

from reconciler.domain.errors import PreconditionFailed, StoreCorrupt

#: SQLite's locks are not to be trusted on these. Source: sqlite.org, ``lockingv3.html``, section 6.
_NETWORK_FILE_SYSTEMS = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs", "ceph"}
_SIGNATURE = b"SQLite format 3\0"


def is_installed(database: Path) -> bool:
    """Tell whether there is a database, or should be one.

    Raises:
        StoreCorrupt: there was one and it is gone; a new one must not take its place in silence.
    """
    marked = _mark(database).exists()
    there = database.exists() and database.stat().st_size > 0
    if there:
        return True
    if marked:
        raise StoreCorrupt(f"the database {database} is missing, or empty, and there has been one")
    if database.with_name(database.name + "-wal").exists():
        raise StoreCorrupt(f"the database {database} is missing, and its write-ahead log is there")
    return False


def mark_installed(database: Path) -> None:
    """Leave a mark beside the database, so that its loss is noticed. Safe to repeat."""
    mark = _mark(database)
    if mark.exists():
        return
    part = mark.with_name(f".{mark.name}.part")
    part.write_text(f"{database.name} belongs here; `reconciler restore` brings it back\n")
    part.replace(mark)
    sync_folder(mark.parent)


def prepare_folder(database: Path) -> None:
    """Make the data folder, private to us, on a file system that can carry a database.

    Raises:
        PreconditionFailed: it is on a network file system, or can't be made.
    """
    try:
        database.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise PreconditionFailed(f"the data folder {database.parent}: {error.strerror}") from error
    kind = file_system_of(database.parent)
    if kind in _NETWORK_FILE_SYSTEMS:
        raise PreconditionFailed(
            f"{database.parent} is on {kind}, where a database gets damaged; use a local disk"
        )


def create_private(path: Path) -> None:
    """Make an empty file that only we can read, unless it is there. Its mode is set either way."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        os.fchmod(descriptor, 0o600)
    finally:
        os.close(descriptor)


def has_signature(path: Path) -> bool:
    """Tell whether the file begins as every SQLite database does."""
    with path.open("rb") as file:
        return file.read(len(_SIGNATURE)) == _SIGNATURE


def file_system_of(folder: Path, mounts: Path = Path("/proc/self/mounts")) -> str:
    """Return the type of the file system that holds ``folder``; empty where nobody can tell."""
    try:
        lines = mounts.read_text(errors="replace").splitlines()
    except OSError:
        return ""
    resolved = folder.resolve()
    best, kind = -1, ""
    for _device, point, name, *_ in (line.split(" ") for line in lines):
        mount_point = Path(point.replace("\\040", " "))
        # The deepest wins, and of those mounted over one another the last.
        if resolved.is_relative_to(mount_point) and len(mount_point.parts) >= best:
            best, kind = len(mount_point.parts), name
    return kind


def sync_folder(folder: Path) -> None:
    """Make renames in the folder outlive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _mark(database: Path) -> Path:
    return database.with_name("installation")
