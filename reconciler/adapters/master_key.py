"""Where the master key comes from, and the data folder's own key file.

The first of these that has one counts: systemd's credential ``master_key``, a file, the
environment. Beside each may be the key that it takes the place of, with ``.old`` at its name.
"""

import base64
import binascii
import os
import re
import stat
from collections.abc import MutableMapping
from dataclasses import dataclass, field
from pathlib import Path

from reconciler.adapters.vault import KEY_BYTES, Vault, key_id_of
from reconciler.domain.errors import MasterKeyRefused
from reconciler.domain.secret import Secret

#: The file's name, and the credential's under systemd.
KEY_NAME = "master_key"
VARIABLE = "RECONCILER_MASTER_KEY"
OLD_VARIABLE = f"{VARIABLE}_OLD"
_NO_SECRET = Secret.of("")
#: More than any way of writing it takes.
_LIMIT_BYTES = 256
_HEX = re.compile(rb"[0-9a-fA-F]{64}")
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{43}=?")
#: Where containers are given secrets, which are often readable by all: all is the one container.
_CONTAINER_FOLDERS = (Path("/run/secrets"), Path("/var/run/secrets"))
_READ_BY_OTHERS = stat.S_IRWXO
_READ_BY_ANYBODY_ELSE = stat.S_IRWXG | stat.S_IRWXO
_WRITTEN_BY_ANYBODY_ELSE = stat.S_IWGRP | stat.S_IWOTH


@dataclass(frozen=True, slots=True)
class FoundKey:
    """A master key, and the one that it takes the place of while anything is sealed with that."""

    source: str
    key: bytes = field(repr=False)
    old: bytes | None = field(default=None, repr=False)
    old_source: str = ""

    @property
    def id(self) -> str:
        """Tells it from others."""
        return key_id_of(self.key)

    @property
    def old_id(self) -> str:
        """The same of the old one; empty where there is none."""
        return key_id_of(self.old) if self.old else ""

    def vault(self) -> Vault:
        """Return what seals with the one and opens with both."""
        return Vault(self.key, *([self.old] if self.old else []), source=self.source)


@dataclass(frozen=True, slots=True)
class KeySources:
    """The places that are looked at."""

    folder: Path  #: of the data: its key file is kept out of backups of the database
    file: Path | None = None  #: one that the operator named: it is never made
    credentials: Path | None = None  #: ``$CREDENTIALS_DIRECTORY``
    environment: Secret = _NO_SECRET
    old_environment: Secret = _NO_SECRET
    container_folders: tuple[Path, ...] = _CONTAINER_FOLDERS

    @property
    def own_file(self) -> Path:
        """The data folder's key file, which alone is made and changed from here."""
        return self.folder / KEY_NAME

    @property
    def uses_own_file(self) -> bool:
        """Whether the key is the data folder's, or will be."""
        elsewhere = self._credential() or self.file or self.environment.reveal()
        return os.path.lexists(self.own_file) or not elsewhere

    def find(self) -> FoundKey | None:
        """Return the key; None where no place has one.

        Raises:
            MasterKeyRefused: what is there is no key, or not ours alone.
        """
        if credential := self._credential():
            # systemd gives it mode 0440 in a folder that only the service can enter.
            return self._with_old(credential, _READ_BY_OTHERS, follow=False)
        if self.file:
            return self._with_old(self.file, self._forbidden_of(self.file), follow=True)
        if os.path.lexists(self.own_file):
            return self._with_old(self.own_file, _READ_BY_ANYBODY_ELSE, follow=False)
        return self._in_environment()

    def open(self, *, may_create: bool) -> Vault:
        """Return the vault under the key; ``may_create``: nothing is sealed, so make one.

        Raises:
            MasterKeyRefused: no key where there should be one, or what is there is none.
        """
        found = self.find()
        if found is None:
            if not may_create:
                raise MasterKeyRefused(f"the master key {self.own_file} is missing")
            create_key(self.own_file)
            found = self.find()
        assert found  # noqa: S101  it was made just now
        return found.vault()

    def _credential(self) -> Path | None:
        path = self.credentials / KEY_NAME if self.credentials else None
        return path if path and path.exists() else None

    def _forbidden_of(self, path: Path) -> int:
        """Return what the mode of a file that the operator named must not say."""
        if path.parent in self.container_folders:
            return _WRITTEN_BY_ANYBODY_ELSE
        return _READ_BY_OTHERS | _WRITTEN_BY_ANYBODY_ELSE

    def _with_old(self, path: Path, forbidden: int, *, follow: bool) -> FoundKey:
        key = _read_file(path, forbidden, follow=follow)
        beside = old_of(path)
        old = _read_file(beside, forbidden, follow=follow) if os.path.lexists(beside) else None
        return FoundKey(str(path), key, old if old != key else None, str(beside))

    def _in_environment(self) -> FoundKey | None:
        key, old = self.environment.reveal(), self.old_environment.reveal()
        if not key:
            return None
        return FoundKey(
            f"{VARIABLE} (environment)",
            _parse(key.encode(), VARIABLE),
            _parse(old.encode(), OLD_VARIABLE) if old else None,
            f"{OLD_VARIABLE} (environment)",
        )


def take_environment(environment: MutableMapping[str, str]) -> tuple[Secret, Secret]:
    """Return the key and the old key in ``environment``, and take them out of it.

    Whatever is started from now on doesn't inherit them.
    """
    key, old = (environment.pop(name, "") for name in (VARIABLE, OLD_VARIABLE))
    return Secret.of(key), Secret.of(old)


def old_of(path: Path) -> Path:
    """Return where the key is that the one at ``path`` takes the place of."""
    return path.with_name(f"{path.name}.old")


# ── the data folder's own file ────────────────────────────────────────────────────────────────


def create_key(path: Path) -> None:
    """Write a new key, complete or not at all; one that appears meanwhile is left alone."""
    with _Failures(path):
        part = _write_part(path)
        try:
            path.hardlink_to(part)
            _sync(path.parent)
        except FileExistsError:
            pass
        finally:
            part.unlink(missing_ok=True)


def replace_key(path: Path) -> None:
    """Put a new key in the place of the one at ``path``, which is kept as the old one.

    After a kill between any two steps ``path`` is a key that opens the database together with the
    old one, or by itself, and this can be done again.
    """
    with _Failures(path):
        new = _write_part(path)
        kept = path.with_name(f".{path.name}.{os.getpid()}.kept")
        try:
            kept.unlink(missing_ok=True)
            kept.hardlink_to(path)
            kept.replace(old_of(path))
            _sync(path.parent)
            new.replace(path)
            _sync(path.parent)
        finally:
            kept.unlink(missing_ok=True)
            new.unlink(missing_ok=True)


def drop_old_key(path: Path, keep_as: str = "") -> None:
    """Remove the old key beside ``path``, or keep it under the name ``keep_as``."""
    with _Failures(path):
        old = old_of(path)
        if keep_as:
            old.replace(path.with_name(keep_as))
        else:
            old.unlink(missing_ok=True)
        for left in path.parent.glob(f".{path.name}.*"):  # by kills
            left.unlink(missing_ok=True)
        _sync(path.parent)


def _write_part(path: Path) -> Path:
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    part.unlink(missing_ok=True)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(os.urandom(KEY_BYTES))
        file.flush()
        os.fsync(file.fileno())
    return part


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class _Failures:
    """Says which key a failure of the system is about."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError):
            problem = f"the master key {self._path} can't be written: {error.strerror}"
            raise MasterKeyRefused(problem) from error


# ── reading ───────────────────────────────────────────────────────────────────────────────────


def _read_file(path: Path, forbidden: int, *, follow: bool) -> bytes:
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | (0 if follow else os.O_NOFOLLOW)
    try:
        descriptor = os.open(path, flags)
        try:
            _require_private(path, os.fstat(descriptor), forbidden)
            content = os.read(descriptor, _LIMIT_BYTES)
        finally:
            os.close(descriptor)
    except OSError as error:
        problem = f"the master key {path} can't be read: {error.strerror}"
        raise MasterKeyRefused(problem) from error
    return _parse(content, str(path))


def _parse(content: bytes, source: str) -> bytes:
    """Return the key that ``content`` is: 32 bytes as they are, or as base64 or hex."""
    if len(content) == KEY_BYTES:
        return content
    text = content.strip()
    if _HEX.fullmatch(text):
        return bytes.fromhex(text.decode())
    if _BASE64.fullmatch(text):
        try:
            return base64.b64decode(text.rstrip(b"=") + b"=", altchars=b"-_")
        except binascii.Error:
            pass
    seen = f"holds {len(content)} bytes" if content else "is empty"
    raise MasterKeyRefused(
        f"the master key {source} {seen}, and must hold exactly {KEY_BYTES} random bytes, as they "
        f"are, as base64 or as hex"
    )


def _require_private(path: Path, status: os.stat_result, forbidden: int) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise MasterKeyRefused(f"the master key {path} is not a regular file")
    if status.st_uid not in {os.geteuid(), 0}:
        raise MasterKeyRefused(
            f"the master key {path} belongs to user {status.st_uid}; give it to root or to us"
        )
    if status.st_mode & forbidden:
        raise MasterKeyRefused(
            f"the master key {path} has mode {stat.S_IMODE(status.st_mode):04o}, so others can "
            f"get at it; `chmod 600 {path}`, and change the secrets if anyone may have"
        )
