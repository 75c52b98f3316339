"""What a git server's refusal over HTTP means for us."""

from collections.abc import Mapping
from datetime import datetime
from urllib.parse import urlsplit

from reconciler.adapters.git.refs import excerpt
from reconciler.adapters.retry_after import parse_retry_after
from reconciler.domain.errors import (
    SourceDenied,
    SourceError,
    SourceProtocolError,
    SourceRedirected,
    SourceThrottled,
    SourceUnreachable,
)
from reconciler.domain.references import GitUrl

REDIRECTS = frozenset({301, 302, 303, 307, 308})


def refusal(url: GitUrl, status: int, headers: Mapping[str, str], now: datetime) -> SourceError:
    """Return the error that a status other than 200 means; a redirect is `redirected`'s."""
    retry_after = headers.get("Retry-After")
    evidence = {"host": url.host, "status": str(status)}
    if status == 429 or (status == 503 and retry_after):
        pause = parse_retry_after(retry_after, now)
        message = f"{url.host} asks to be left alone for {pause.total_seconds():.0f} s"
        return SourceThrottled(message, pause, **evidence)
    if status in {401, 403}:
        return SourceDenied(f"{url}: {url.host} refuses us (HTTP {status})", **evidence)
    if status in {404, 410}:
        # Forges answer so for private repositories too, lest their names be told.
        message = f"{url}: there is no such repository, or it is private and takes credentials"
        return SourceDenied(f"{message} (HTTP {status})", **evidence)
    if status >= 500:
        return SourceUnreachable(f"{url}: {url.host} answers HTTP {status}", **evidence)
    return SourceProtocolError(f"{url}: HTTP {status}, where git answers 200", **evidence)


def redirected(url: GitUrl, target: str) -> SourceRedirected:
    """Return the error of a redirect that we don't follow; it names the new URL, no secrets."""
    shown = repository_url(target)
    return SourceRedirected(f"{url} has moved to {shown}; we do not follow", location=shown)


def repository_url(target: str) -> str:
    """Return the repository that a redirect's target belongs to, without user, query and tail."""
    try:
        parts = urlsplit(target)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "an address that is none"
    path = parts.path.removesuffix("/git-upload-pack").removesuffix("/info/refs")
    return excerpt(f"{parts.scheme}://{host}{f':{port}' if port else ''}{path}".encode())
