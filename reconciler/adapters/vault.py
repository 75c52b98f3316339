"""Secrets at rest: AES-256-GCM, each ciphertext bound to the place it is stored in.

Source: NIST SP 800-38D (GCM: a random 96-bit nonce per message), RFC 5869 (HKDF).
"""

import base64
import binascii
import hmac
import os
import stat
from hashlib import sha256
from pathlib import Path

from reconciler.domain.errors import PreconditionFailed, StoreCorrupt
from reconciler.domain.secret import Secret

KEY_BYTES = 32
_NONCE_BYTES = 12
_VERSION = "v1"
#: The file's name, and the credential's under systemd.
KEY_NAME = "master_key"


class Vault:
    """The protocol ``Sealer``, under one master key. A ciphertext is ``v1:<key id>:<base64>``."""

    def __init__(self, master_key: bytes) -> None:
        """Take 32 random bytes; what is used is derived from them, one key a purpose."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        if len(master_key) != KEY_BYTES:
            raise ValueError(f"a master key has {KEY_BYTES} bytes, not {len(master_key)}")
        self._cipher = AESGCM(_derive(master_key, "seal"))
        self._fingerprint_key = _derive(master_key, "fingerprint")
        #: Tells which key sealed something, and nothing else about the key.
        self.key_id = _derive(master_key, "key id")[:4].hex()

    def seal(self, secret: Secret, context: str) -> str:
        """Return the ciphertext as text."""
        nonce = os.urandom(_NONCE_BYTES)
        sealed = self._cipher.encrypt(nonce, secret.reveal().encode(), self._bind(context))
        return f"{_VERSION}:{self.key_id}:{base64.b64encode(nonce + sealed).decode()}"

    def unseal(self, sealed: str, context: str) -> Secret:
        """Return the clear text. Raises ``StoreCorrupt``."""
        from cryptography.exceptions import InvalidTag

        version, _, rest = sealed.partition(":")
        key_id, _, encoded = rest.partition(":")
        if version != _VERSION:
            raise StoreCorrupt(f"a secret is sealed in a way that is not known here ({context})")
        if key_id != self.key_id:
            raise StoreCorrupt(
                f"wrong key: sealed with key {key_id[:8]!r}, this is {self.key_id} ({context})"
            )
        try:
            blob = base64.b64decode(encoded, validate=True)
            nonce, ciphertext = blob[:_NONCE_BYTES], blob[_NONCE_BYTES:]
            text = self._cipher.decrypt(nonce, ciphertext, self._bind(context))
        except (InvalidTag, ValueError, binascii.Error):
            # Not chained: a traceback must not show what was being opened.
            problem = f"a secret was changed, or moved from its place ({context})"
            raise StoreCorrupt(problem) from None
        return Secret.of(text.decode())

    def fingerprint(self, secret: Secret) -> str:
        """Return 8 hex digits of a keyed hash."""
        return hmac.new(self._fingerprint_key, secret.reveal().encode(), sha256).hexdigest()[:8]

    def _bind(self, context: str) -> bytes:
        return f"{_VERSION}|{self.key_id}|{context}".encode()


def open_vault(
    folder: Path, *, may_create: bool, credentials_directory: Path | None = None
) -> Vault:
    """Return the vault under the master key: a systemd credential, else a file in ``folder``.

    Args:
        folder: the data folder; its key file is kept out of backups of the database.
        may_create: whether nothing is sealed yet, so that a new key does no harm.
        credentials_directory: ``$CREDENTIALS_DIRECTORY``, if there is one.

    Raises:
        PreconditionFailed: no key where there should be one, readable by others, or not a key.
    """
    if credentials_directory and (credential := credentials_directory / KEY_NAME).exists():
        # systemd gives it mode 0440 in a folder that only the service can enter.
        return Vault(_read_key(credential, forbidden=stat.S_IRWXO))
    path = folder / KEY_NAME
    if not path.exists():
        if not may_create:
            raise PreconditionFailed(
                f"the master key {path} is missing, and secrets are sealed with it; put it back"
            )
        _create_key(path)
    return Vault(_read_key(path, forbidden=stat.S_IRWXG | stat.S_IRWXO))


def _create_key(path: Path) -> None:
    """Write a new key, complete or not at all; one that appears meanwhile is left alone."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    part.unlink(missing_ok=True)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(os.urandom(KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        _link_if_absent(part, path)
    except OSError as error:
        problem = f"the master key {path} can't be written: {error.strerror}"
        raise PreconditionFailed(problem) from error
    finally:
        part.unlink(missing_ok=True)


def _link_if_absent(part: Path, path: Path) -> None:
    try:
        path.hardlink_to(part)
    except FileExistsError:
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _read_key(path: Path, forbidden: int) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            _require_private(path, os.fstat(file.fileno()), forbidden)
            key = file.read(KEY_BYTES + 1)
    except OSError as error:
        problem = f"the master key {path} can't be read: {error.strerror}"
        raise PreconditionFailed(problem) from error
    if len(key) != KEY_BYTES:
        raise PreconditionFailed(f"the master key {path} must hold exactly {KEY_BYTES} bytes")
    return key


def _require_private(path: Path, status: os.stat_result, forbidden: int) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise PreconditionFailed(f"the master key {path} is not a regular file")
    if status.st_uid not in {os.geteuid(), 0}:
        raise PreconditionFailed(f"the master key {path} belongs to user {status.st_uid}")
    if status.st_mode & forbidden:
        raise PreconditionFailed(
            f"the master key {path} has mode {stat.S_IMODE(status.st_mode):04o}, so others can "
            f"read it; `chmod 600 {path}`, and change the secrets if anyone may have"
        )


def _derive(master_key: bytes, purpose: str) -> bytes:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    info = f"reconciler/{_VERSION}/{purpose}".encode()
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=info).derive(master_key)
