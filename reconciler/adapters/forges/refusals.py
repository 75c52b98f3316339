"""What a forge's refusal means for us."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from reconciler.adapters.retry_after import parse_retry_after
from reconciler.domain.errors import (
    ForgeDenied,
    ForgeError,
    ForgeProtocolError,
    ForgeRefused,
    ForgeRepositoryMissing,
    ForgeThrottled,
    ForgeUnreachable,
)
from reconciler.domain.forge import ForgeRepository


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer other than 2xx."""

    repository: ForgeRepository
    status: int
    headers: Mapping[str, str]
    scope: str  #: what the token has to be allowed, in the forge's words

    @property
    def host(self) -> str:
        """Who refused."""
        return urlsplit(self.repository.api).netloc

    @property
    def throttled(self) -> bool:
        """Whether it only comes too soon.

        Source: GitHub's "Rate limits for the REST API": 403 or 429, with what is left or when.
        """
        spent = self.headers.get("X-RateLimit-Remaining") == "0" or "Retry-After" in self.headers
        return self.status == 429 or (self.status in {403, 503} and spent)


def error_of(refusal: Refusal, said: str, now: datetime) -> ForgeError:
    """Return the error; ``said`` is what the forge said, cleaned."""
    host, repository, status = refusal.host, refusal.repository, refusal.status
    evidence = {"host": host, "status": str(status), **({"said": said} if said else {})}
    because = f": {said}" if said else ""
    if refusal.throttled:
        pause = parse_retry_after(refusal.headers.get("Retry-After"), now)
        message = f"{host} asks to be left alone for {pause.total_seconds():.0f} s"
        return ForgeThrottled(message, pause, **evidence)
    if status in {401, 403}:
        what = "does not accept the token" if status == 401 else "does not let this token do that"
        return ForgeDenied(
            f"{host} {what}{because}", f"give one that has {refusal.scope}", **evidence
        )
    if status == 404:
        message = f"{host} has no repository {repository.path}, or the token may not see it"
        remedy = f"the token needs {refusal.scope}; look at the project's URL and `--forge-url`"
        return ForgeRepositoryMissing(message, remedy, **evidence)
    if 300 <= status < 400:
        message = f"{host} sends us elsewhere, where the token does not belong (HTTP {status})"
        return ForgeProtocolError(message, **evidence)
    if status >= 500:
        return ForgeUnreachable(f"{host} answers HTTP {status}{because}", **evidence)
    return ForgeRefused(f"{host} refuses it (HTTP {status}){because}", **evidence)
