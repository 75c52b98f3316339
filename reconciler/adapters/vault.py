"""Secrets at rest: AES-256-GCM, each ciphertext bound to the place it is stored in.

Source: NIST SP 800-38D (GCM: a random 96-bit nonce per message), RFC 5869 (HKDF).
"""

import base64
import binascii
import hmac
import os
from collections.abc import Sequence
from hashlib import sha256

from reconciler.adapters.signing import SigningKey
from reconciler.domain.errors import MasterKeyRefused, StoreCorrupt
from reconciler.domain.secret import Secret

KEY_BYTES = 32
_NONCE_BYTES = 12
_VERSION = "v1"


class Vault:
    """The protocol ``Sealer``. A ciphertext is ``v1:<key id>:<base64>``."""

    def __init__(self, master_key: bytes, *older: bytes, source: str = "the master key") -> None:
        """Take 32 random bytes; what is used is derived from them, one key a purpose.

        ``older`` keys open what they sealed, and seal nothing any more.
        """
        self._keys = {one.id: one for one in map(_Key, (master_key, *older))}
        self._active = next(iter(self._keys.values()))
        self.source = source

    @property
    def key_ids(self) -> Sequence[str]:
        """Which keys it opens with; the first is the one that it seals with."""
        return tuple(self._keys)

    def seal(self, secret: Secret, context: str) -> str:
        """Return the ciphertext as text."""
        nonce = os.urandom(_NONCE_BYTES)
        key = self._active
        sealed = key.cipher.encrypt(nonce, secret.reveal().encode(), _bind(key, context))
        return f"{_VERSION}:{key.id}:{base64.b64encode(nonce + sealed).decode()}"

    def unseal(self, sealed: str, context: str) -> Secret:
        """Return the clear text. Raises ``StoreCorrupt``."""
        from cryptography.exceptions import InvalidTag

        version, _, rest = sealed.partition(":")
        key_id, _, encoded = rest.partition(":")
        if version != _VERSION:
            raise StoreCorrupt(f"a secret is sealed in a way that is not known here ({context})")
        key = self._keys.get(key_id)
        if key is None:
            raise MasterKeyRefused(
                f"wrong key: sealed with key {key_id[:8]!r}, this is {self._active.id} ({context})"
            )
        try:
            blob = base64.b64decode(encoded, validate=True)
            nonce, ciphertext = blob[:_NONCE_BYTES], blob[_NONCE_BYTES:]
            text = key.cipher.decrypt(nonce, ciphertext, _bind(key, context))
        except (InvalidTag, ValueError, binascii.Error):
            # Not chained: a traceback must not show what was being opened.
            problem = f"a secret was changed, or moved from its place ({context})"
            raise StoreCorrupt(problem) from None
        return Secret.of(text.decode())

    def fingerprint(self, secret: Secret) -> str:
        """Return 8 hex digits of a keyed hash."""
        key = self._active.fingerprint_key
        return hmac.new(key, secret.reveal().encode(), sha256).hexdigest()[:8]

    def signer(self, seed: Secret) -> SigningKey:
        """Return the key that ``seed`` stands for."""
        return SigningKey(seed)


class _Key:
    """What is derived from one master key."""

    def __init__(self, master_key: bytes) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        if len(master_key) != KEY_BYTES:
            raise ValueError(f"a master key has {KEY_BYTES} bytes, not {len(master_key)}")
        self.cipher = AESGCM(_derive(master_key, "seal"))
        self.fingerprint_key = _derive(master_key, "fingerprint")
        self.id = key_id_of(master_key)


def key_id_of(master_key: bytes) -> str:
    """Return what tells which key sealed something, and nothing else about the key."""
    return _derive(master_key, "key id")[:4].hex()


def _bind(key: _Key, context: str) -> bytes:
    return f"{_VERSION}|{key.id}|{context}".encode()


def _derive(master_key: bytes, purpose: str) -> bytes:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    info = f"reconciler/{_VERSION}/{purpose}".encode()
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=info).derive(master_key)
