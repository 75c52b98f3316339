"""Machines that deployments run on."""

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NewType

from reconciler.domain.errors import InvalidReference
from reconciler.domain.failure import Failure

HostName = NewType("HostName", str)
#: An absolute path on a host, without ``..``.
HostPath = NewType("HostPath", str)

#: The daemon's own machine; always there, never declared.
LOCAL = HostName("local")

_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,62}")
#: An alias of an SSH configuration: no pattern, no option, nothing that a shell reads.
_ALIAS = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_ADDRESS = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|[0-9A-Fa-f:]{2,39}")
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,31}")
_FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}")


@dataclass(frozen=True, slots=True)
class Host:
    """A machine reached over SSH: by an alias of the operator's configuration, or in full.

    With an ``alias`` all but the pinned keys comes from the operator's ``~/.ssh/config``. Without
    one ``address`` and ``user`` are there, and a private key is stored for it.
    """

    name: HostName
    created_at: datetime
    alias: str = ""
    address: str = ""
    user: str = ""
    port: int = 22
    host_keys: tuple[str, ...] = ()  #: pinned, each ``ssh-ed25519 AAAA…``; empty: never confirmed
    #: Of our private key for it, as secrets have one; empty: none is kept.
    key_fingerprint: str = ""
    key_stored_at: datetime | None = None

    @property
    def has_key(self) -> bool:
        """Whether a private key of ours is stored for it."""
        return bool(self.key_fingerprint)

    @property
    def confirmed(self) -> bool:
        """Whether a person said which key it is known by."""
        return bool(self.host_keys)


@dataclass(frozen=True, slots=True)
class HostHealth:
    """How reaching a host has gone lately."""

    checked_at: datetime | None = None  #: last completed check, good or bad; None before the first
    since: datetime | None = None  #: since when it stands so
    error: Failure | None = None  #: of the last check, None if it was good
    took: timedelta | None = field(default=None, compare=False)  #: the last check, if it was good

    @property
    def reachable(self) -> bool | None:
        """Whether it answered last time; None before it was asked."""
        return None if self.checked_at is None else self.error is None


def parse_host_name(text: str, field: str = "host") -> HostName:
    """Return ``text`` as the name of a host; ``localhost`` is ``local``.

    Raises:
        InvalidReference: not 1 to 63 of a–z, 0–9, ``.`` and ``-``.
    """
    if text == "localhost":
        return LOCAL
    if not _NAME.fullmatch(text):
        problem = "must be 1 to 63 of a-z, 0-9, '.' and '-', starting with a letter or digit"
        raise InvalidReference(field, text, problem)
    return HostName(text)


def parse_alias(text: str, field: str = "alias") -> str:
    """Return ``text`` as an alias of an SSH configuration. Raises ``InvalidReference``."""
    if not _ALIAS.fullmatch(text):
        problem = "must be 1 to 128 of letters, digits, '.', '_' and '-'; patterns name no host"
        raise InvalidReference(field, text, problem)
    return text


def parse_address(text: str, field: str = "address") -> str:
    """Return ``text`` as a host name or IP address. Raises ``InvalidReference``."""
    if not _ADDRESS.fullmatch(text):
        raise InvalidReference(field, text, "is not a host name or an IP address")
    return text


def parse_user(text: str, field: str = "user") -> str:
    """Return ``text`` as a user's name on a host. Raises ``InvalidReference``."""
    if not _USER.fullmatch(text):
        problem = "must be 1 to 32 of letters, digits, '.', '_' and '-', not starting with '-'"
        raise InvalidReference(field, text, problem)
    return text


def parse_fingerprint(text: str, field: str = "fingerprint") -> str:
    """Return ``text`` as the fingerprint of a host key. Raises ``InvalidReference``."""
    if not _FINGERPRINT.fullmatch(text):
        raise InvalidReference(field, text, "is not a fingerprint like SHA256:…, as ssh shows it")
    return text


def fingerprint_of(key: str) -> str:
    """Return the fingerprint of a public key ``ssh-ed25519 AAAA…``, as ssh shows it.

    It stands in errors: a damaged record must not hide what they say, so no key raises.

    Source: OpenSSH, ``sshkey_fingerprint``: base64 of the SHA-256 of the blob, without padding.
    """
    try:
        blob = base64.b64decode(key.split()[1], validate=True)
    except (IndexError, binascii.Error):
        return "of no readable key"
    digest = base64.b64encode(hashlib.sha256(blob).digest()).decode()
    return f"SHA256:{digest.rstrip('=')}"
