"""Signatures that anybody can check with the public key alone: Ed25519.

Source: RFC 8032 (PureEdDSA: the text itself is signed, with no hash before it), RFC 8410 (PEM).
"""

import base64
import hashlib
from typing import TYPE_CHECKING

from reconciler.domain.errors import InvalidInput
from reconciler.domain.secret import Secret

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

_ID_DIGITS = 16


class VerifyingKey:
    """The protocol ``PublicKey``."""

    def __init__(self, public: "Ed25519PublicKey") -> None:
        """Take the key as the library has it."""
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        subject = PublicFormat.SubjectPublicKeyInfo
        self._public = public
        #: As ``openssl pkey -pubin`` reads it.
        self.pem = public.public_bytes(Encoding.PEM, subject).decode()
        der = public.public_bytes(Encoding.DER, subject)
        #: The first digits of the SHA-256 of its DER form.
        self.id = hashlib.sha256(der).hexdigest()[:_ID_DIGITS]

    def verifies(self, text: str, signature: str) -> bool:
        """Tell whether ``signature`` is the one of ``text``, byte by byte. Never raises."""
        from cryptography.exceptions import InvalidSignature

        try:
            decoded = base64.b64decode(signature, validate=True)
            self._public.verify(decoded, text.encode())
        except (InvalidSignature, ValueError):
            return False
        # Base64 has several spellings of the same bytes: only ours is as it was written.
        return base64.b64encode(decoded).decode() == signature


class SigningKey(VerifyingKey):
    """The protocol ``Signer``."""

    def __init__(self, seed: Secret) -> None:
        """Take 32 bytes in hex; what is signed with them is the same for ever."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        self._private = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(seed.reveal()))
        super().__init__(self._private.public_key())

    def sign(self, text: str) -> str:
        """Return the signature in base64."""
        return base64.b64encode(self._private.sign(text.encode())).decode()


def parse_public_key(pem: bytes) -> VerifyingKey:
    """Return the key that ``pem`` holds.

    Raises:
        InvalidInput: it holds no public Ed25519 key.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InvalidInput("key", None, "is not a public key in PEM") from error
    if not isinstance(key, Ed25519PublicKey):
        raise InvalidInput("key", None, "is a public key of another kind than Ed25519")
    return VerifyingKey(key)
