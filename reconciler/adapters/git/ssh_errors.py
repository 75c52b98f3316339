"""What ssh and the servers behind it say on stderr, and what it means for us."""

import base64
import binascii
import hashlib
import re

from reconciler.adapters.git.refs import excerpt
from reconciler.domain.errors import (
    HostKeyMismatch,
    SourceDenied,
    SourceError,
    SourceProtocolError,
    SourceUnreachable,
)
from reconciler.domain.references import GitUrl

_FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}")
_OTHER_KEY = re.compile(
    r"Host key verification failed|HOST IDENTIFICATION HAS CHANGED|no matching host key type"
)
_DENIED = re.compile(
    r"Permission denied|invalid format|error in libcrypto|Load key|"
    r"[Rr]epository not found|does not appear to be a git repository|could not be found|"
    r"not found or access|no such repository|no project found",
    re.IGNORECASE,
)
_UNREACHABLE = re.compile(
    r"Could not resolve|Connection (refused|timed out|reset|closed)|No route to host|unreachable|"
    r"kex_exchange_identification|banner exchange|Broken pipe|timed out",
    re.IGNORECASE,
)


def failure(url: GitUrl, said: str, pinned: str) -> SourceError:
    """Return the error that ssh's last words mean.

    Args:
        url: what was asked for.
        said: the end of stderr.
        pinned: the host key that was expected, empty at first contact.
    """
    last = excerpt(said.splitlines()[-1].encode()) if said else ""
    evidence = {"host": url.host, "stderr": excerpt(said[-200:].encode())}
    if _OTHER_KEY.search(said):
        return _mismatch(url, said, pinned)
    if _DENIED.search(said):
        return SourceDenied(f"{url}: {url.host} refuses us: {last}", **evidence)
    if _UNREACHABLE.search(said):
        return SourceUnreachable(f"{url}: {url.host} can't be reached: {last}", **evidence)
    return SourceProtocolError(f"{url}: {last}", **evidence)


def fingerprint(key: str) -> str:
    """Return the SHA-256 fingerprint of ``ssh-ed25519 AAAA…``, as ssh shows it."""
    try:
        blob = base64.b64decode(key.split()[1], validate=True)
    except (IndexError, binascii.Error):
        return "of no readable key"
    digest = base64.b64encode(hashlib.sha256(blob).digest()).decode()
    return f"SHA256:{digest.rstrip('=')}"


def _mismatch(url: GitUrl, said: str, pinned: str) -> HostKeyMismatch:
    shown = _FINGERPRINT.search(said)
    observed = shown[0] if shown else "a key of another kind"
    expected = fingerprint(pinned)
    message = f"{url.origin} shows {observed}, and its pinned key is {expected}"
    return HostKeyMismatch(message, host=url.host, expected=expected, observed=observed)
