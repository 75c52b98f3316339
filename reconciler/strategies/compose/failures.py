"""What it means that a command of Docker's failed, told without secrets."""

import re
from collections.abc import Mapping

from reconciler.domain.errors import (
    CommandFailed,
    PreconditionFailed,
    ReconcilerError,
    RevisionNotFound,
    SourceDenied,
    SourceUnreachable,
    TargetUnreachable,
)
from reconciler.domain.secret import Secret

_SHORTEST_MASKED = 4

#: What compose and the engine say → what that means. The first match decides.
_MEANINGS: tuple[tuple[re.Pattern[str], type[ReconcilerError], str], ...] = (
    (
        re.compile(
            r"cannot connect to the docker daemon|is the docker daemon running"
            r"|code = Unavailable|error during connect",
            re.IGNORECASE,
        ),
        TargetUnreachable,
        "",
    ),
    (
        re.compile(r"permission denied while trying to connect to the docker", re.IGNORECASE),
        PreconditionFailed,
        "this user may not use Docker's socket; put it into the group `docker`",
    ),
    (
        re.compile(
            r"is not a docker command|failed to execute|unknown (shorthand )?flag|unknown command"
        ),
        PreconditionFailed,
        "Docker Compose 2.20 or newer is needed: install the package docker-compose-plugin",
    ),
    (re.compile(r"no space left on device"), PreconditionFailed, "the disk is full"),
    (
        re.compile(r"manifest unknown|not found: manifest|name unknown|repository .* not found"),
        RevisionNotFound,
        "",
    ),
    (
        re.compile(
            r"unauthorized|access denied|no basic auth|authentication required|denied:",
            re.IGNORECASE,
        ),
        SourceDenied,
        "",
    ),
    (
        re.compile(
            r"connection refused|no such host|i/o timeout|TLS handshake|deadline exceeded"
            r"|too ?many ?requests|Client\.Timeout|connection reset"
            r"|received unexpected HTTP status: 5",
            re.IGNORECASE,
        ),
        SourceUnreachable,
        "",
    ),
)


def error_for(what: str, said: str, exit_status: int) -> ReconcilerError:
    """Return what it means that a command of Docker's ended with ``exit_status``."""
    last = next((line for line in reversed(said.splitlines()) if line.strip()), "")
    message = f"{what}: {last[:500]}" if last else f"{what} (exit status {exit_status})"
    evidence = {"exit_status": str(exit_status), "stderr": said}
    for pattern, kind, hint in _MEANINGS:
        if pattern.search(said):
            return kind(f"{message} ({hint})" if hint else message, **evidence)
    return CommandFailed(message, **evidence)


def masked(text: str, secrets: Mapping[str, Secret], *, shortest: int = _SHORTEST_MASKED) -> str:
    """Return ``text`` with the values of ``secrets`` replaced by their names, longest first."""
    values = [(secret.reveal(), name) for name, secret in secrets.items()]
    for value, name in sorted(values, key=lambda pair: (-len(pair[0]), pair[1])):
        if len(value) >= shortest:
            text = text.replace(value, f"${{{name}}}")
    return text
