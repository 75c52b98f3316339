"""What ssh and the servers behind it say on stderr, and what it means for us."""

import re

from reconciler.adapters.git.refs import excerpt
from reconciler.adapters.openssh import Trouble, find_trouble, shown_fingerprint
from reconciler.domain.errors import (
    HostKeyMismatch,
    SourceDenied,
    SourceError,
    SourceProtocolError,
    SourceUnreachable,
)
from reconciler.domain.host import fingerprint_of
from reconciler.domain.references import GitUrl

_NO_REPOSITORY = re.compile(
    r"repository not found|does not appear to be a git repository|could not be found|"
    r"not found or access|no such repository|no project found",
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
    trouble = find_trouble(said)
    if trouble is Trouble.OTHER_KEY:
        return _mismatch(url, said, pinned)
    if trouble is Trouble.DENIED or _NO_REPOSITORY.search(said):
        return SourceDenied(f"{url}: {url.host} refuses us: {last}", **evidence)
    if trouble is Trouble.UNREACHABLE:
        return SourceUnreachable(f"{url}: {url.host} can't be reached: {last}", **evidence)
    return SourceProtocolError(f"{url}: {last}", **evidence)


def _mismatch(url: GitUrl, said: str, pinned: str) -> HostKeyMismatch:
    observed = shown_fingerprint(said) or "a key of another kind"
    expected = fingerprint_of(pinned)
    message = f"{url.origin} shows {observed}, and its pinned key is {expected}"
    return HostKeyMismatch(message, host=url.host, expected=expected, observed=observed)
