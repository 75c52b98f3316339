"""Where the files and sockets lie with which one host is reached; nobody else may read them."""

import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISDIR
from tempfile import TemporaryDirectory

from reconciler.adapters.openssh import LONGEST_SOCKET_PATH, end_kept_connection, write_private_key
from reconciler.domain.errors import PreconditionFailed
from reconciler.domain.host import HostName
from reconciler.domain.secret import Secret

#: What needs no quoting where ssh takes two paths in one argument.
_PLAIN = re.compile(r"[A-Za-z0-9/._+,=@-]+")
_SOCKET_NAME_BYTES = 16 + len(".engine")


@dataclass(frozen=True, slots=True)
class HostFiles:
    """Of one host."""

    folder: Path
    control: Path  #: the socket of the shared connection
    engine: Path  #: the socket behind which the host's Docker engine is

    @property
    def config(self) -> Path:
        """What ssh, rsync and git take as ``-F``."""
        return self.folder / "config"

    @property
    def known_hosts(self) -> Path:
        """The pinned keys, and no other."""
        return self.folder / "known_hosts"

    @property
    def key(self) -> Path:
        """The stored private key."""
        return self.folder / "key"

    def write(self, config: str, known_hosts: str, key: Secret | None) -> None:
        """Write all of them, each whole or not at all."""
        self.folder.mkdir(mode=0o700, exist_ok=True)
        _replace(self.config, Secret.of(config))
        _replace(self.known_hosts, Secret.of(known_hosts))
        if key is None:
            self.key.unlink(missing_ok=True)
        else:
            _replace(self.key, key)

    def remove(self) -> None:
        """End the connection, and leave nothing."""
        if self.control.exists():
            end_kept_connection(self.control, at_once=True)
        self.engine.unlink(missing_ok=True)
        shutil.rmtree(self.folder, ignore_errors=True)


class HostsFolder:
    """The files of all hosts. What an earlier life of the daemon left there goes at once."""

    def __init__(self, folder: Path) -> None:
        """Use ``folder`` alone, which is made private.

        Raises:
            PreconditionFailed: the folder for the sockets belongs to somebody else.
        """
        self._folder = folder.absolute()
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder.chmod(0o700)
        self._sockets = _sockets_folder(self._folder)
        self.sweep()

    def of(self, name: HostName) -> HostFiles:
        """Return where those of one host are, or will be."""
        short = hashlib.sha256(name.encode()).hexdigest()[:16]
        return HostFiles(
            folder=self._folder / name,
            control=self._sockets / short,
            engine=self._sockets / f"{short}.engine",
        )

    @contextmanager
    def throw_away(self) -> Iterator[HostFiles]:
        """Lend files that are gone after the block, for a look at a host without a connection."""
        with TemporaryDirectory(prefix="-", dir=self._folder) as folder:
            yield HostFiles(Path(folder), Path(folder, "control"), Path(folder, "engine"))

    def close(self) -> None:
        """Leave nothing. Safe to repeat."""
        if self._sockets.exists():
            self.sweep()
            self._sockets.rmdir()

    def sweep(self) -> None:
        """End every connection and remove every file."""
        for socket in self._sockets.glob("?" * 16):
            end_kept_connection(socket, at_once=True)
        for socket in self._sockets.iterdir():
            socket.unlink(missing_ok=True)
        for folder in self._folder.iterdir():
            if folder != self._sockets:
                shutil.rmtree(folder, ignore_errors=True)


def _sockets_folder(folder: Path) -> Path:
    """Return a private folder whose path leaves room for a socket's name, made if need be."""
    # No host is called so: their names begin with a letter or digit.
    sockets = folder / "-"
    longest = len(str(sockets).encode()) + 1 + _SOCKET_NAME_BYTES
    if longest > LONGEST_SOCKET_PATH or not _PLAIN.fullmatch(str(sockets)):
        # Named after the folder, so that the next start finds and sweeps it.
        digest = hashlib.sha256(str(folder).encode()).hexdigest()[:12]
        sockets = Path(f"/tmp/reconciler-{os.getuid()}-{digest}")  # noqa: S108 - checked below
    sockets.mkdir(mode=0o700, exist_ok=True)
    status = sockets.lstat()
    if not S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise PreconditionFailed(f"{sockets} is not a private folder of ours: remove it")
    return sockets


def _replace(path: Path, content: Secret) -> None:
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    write_private_key(new, content)
    new.replace(path)
