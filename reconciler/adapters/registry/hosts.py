"""What is remembered of each registry host: whom to leave alone until when, and how it fares."""

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from reconciler.domain.errors import SourceDenied, SourceError, SourceThrottled, SourceUnreachable
from reconciler.domain.reason_codes import ReasonCode
from reconciler.domain.state import RegistryTrouble
from reconciler.ports import Clock, RegistryCredentials, RegistryStatus

#: How long a refused password is not shown again: registries lock accounts that keep trying.
REFUSED_FOR = timedelta(minutes=15)

#: Two ends of a rest that are no further apart are one.
_SAME_SECONDS = 1.0

OnCooling = Callable[[RegistryTrouble], object]

_LIMIT = re.compile(r"\s*(\d{1,9})\s*(?:;|$)")
_WINDOW = re.compile(r";\s*w=(\d{1,7})\s*(?:;|$)")


@dataclass(slots=True)
class _Host:
    """``cooling`` and ``refused``: credentials (None: anonymous) → until, in monotonic seconds."""

    cooling: dict[RegistryCredentials | None, float] = field(default_factory=dict)
    refused: dict[RegistryCredentials, float] = field(default_factory=dict)
    #: The same of an earlier life of the daemon, by user name.
    recalled: dict[str, float] = field(default_factory=dict)
    reachable: bool | None = None
    error: str = ""
    limit: int | None = None
    limit_remaining: int | None = None
    limit_window: timedelta | None = None
    requests_sent: int = 0


class HostLedger:
    """Facts per host, for as long as the process lives. Threads may share it.

    Args:
        clock: time.
        on_cooling: told of each host that asks to be left alone, so that a restart knows, too.
    """

    def __init__(self, clock: Clock, on_cooling: OnCooling = lambda _: None) -> None:
        self._clock = clock
        self._on_cooling = on_cooling
        self._lock = threading.Lock()
        self._hosts: dict[str, _Host] = {}

    def check(self, host: str, credentials: RegistryCredentials | None) -> None:
        """Return if ``host`` may be asked now.

        Raises:
            SourceThrottled: it is cooling down for these credentials.
            SourceDenied: it refused them a short while ago.
        """
        now = self._clock.monotonic()
        with self._lock:
            known = self._hosts.get(host) or _Host()
            resting = known.recalled.get(_username(credentials), now)
            left = max(known.cooling.get(credentials, now), resting) - now
            refused = credentials is not None and known.refused.get(credentials, now) > now
        if left > 0:
            wait = timedelta(seconds=left)
            raise SourceThrottled(
                f"{host} is cooling down for another {left:.0f} s", wait, host=host
            )
        if refused:
            raise SourceDenied(
                f"{host} refused the credentials; they are not shown again for a while", host=host
            )

    def record_sent(self, host: str) -> None:
        """Count one request."""
        with self._lock:
            self._host(host).requests_sent += 1

    def record_answer(self, host: str, headers: Mapping[str, str]) -> None:
        """Note that ``host`` answered, and what it says of its limits."""
        with self._lock:
            known = self._host(host)
            known.reachable, known.error = True, ""
            known.limit = _limit(headers.get("ratelimit-limit")) or known.limit
            known.limit_window = _window(headers.get("ratelimit-limit")) or known.limit_window
            remaining = _limit(headers.get("ratelimit-remaining"))
            known.limit_remaining = known.limit_remaining if remaining is None else remaining

    def record_error(
        self, host: str, credentials: RegistryCredentials | None, error: SourceError
    ) -> None:
        """Note a failure; a throttled host cools down from now on, for these credentials."""
        with self._lock:
            known = self._host(host)
            known.error = error.message
            if isinstance(error, SourceUnreachable):
                known.reachable = False
            if not isinstance(error, SourceThrottled):
                return
            until = self._clock.monotonic() + error.retry_after.total_seconds()
            before = known.cooling.get(credentials, 0.0)
            known.cooling[credentials] = max(until, before)
        if until - before > _SAME_SECONDS:  # not only told again what is known
            self._on_cooling(_trouble(host, credentials, error, self._clock.now()))

    def recall(self, trouble: RegistryTrouble) -> None:
        """Leave a host alone that asked an earlier life of the daemon for that."""
        left = trouble.until - self._clock.now() if trouble.until else timedelta(0)
        with self._lock:
            known = self._host(trouble.host)
            known.recalled[trouble.username] = self._clock.monotonic() + left.total_seconds()
            known.error = trouble.message

    def record_refused(self, host: str, credentials: RegistryCredentials | None) -> None:
        """Note that ``host`` does not take this password."""
        if credentials is not None:
            with self._lock:
                until = self._clock.monotonic() + REFUSED_FOR.total_seconds()
                self._host(host).refused[credentials] = until

    def status(self) -> Sequence[RegistryStatus]:
        """Return every host that was asked, sorted."""
        monotonic, now = self._clock.monotonic(), self._clock.now()
        with self._lock:
            return [
                _status(name, host, monotonic, now) for name, host in sorted(self._hosts.items())
            ]

    def _host(self, host: str) -> _Host:
        known = self._hosts.setdefault(host, _Host())
        now = self._clock.monotonic()
        # Replaced credentials would pile up otherwise.
        known.cooling = {who: until for who, until in known.cooling.items() if until > now}
        known.refused = {who: until for who, until in known.refused.items() if until > now}
        known.recalled = {who: until for who, until in known.recalled.items() if until > now}
        return known


def _status(name: str, host: _Host, monotonic: float, now: datetime) -> RegistryStatus:
    every = (*host.cooling.values(), *host.recalled.values())
    left = max(every, default=monotonic) - monotonic
    return RegistryStatus(
        host=name,
        reachable=host.reachable,
        error=host.error,
        cooling_until=now + timedelta(seconds=left) if left > 0 else None,
        limit=host.limit,
        limit_remaining=host.limit_remaining,
        requests_sent=host.requests_sent,
        limit_window=host.limit_window,
    )


def _username(credentials: RegistryCredentials | None) -> str:
    return credentials.username if credentials else ""


def _trouble(
    host: str, credentials: RegistryCredentials | None, error: SourceThrottled, now: datetime
) -> RegistryTrouble:
    return RegistryTrouble(
        host,
        ReasonCode.REGISTRY_COOLED,
        error.message,
        since=now,
        until=now + error.retry_after,
        username=_username(credentials),
    )


def _limit(text: str | None) -> int | None:
    match = _LIMIT.match(text or "")
    return int(match[1]) if match else None


def _window(text: str | None) -> timedelta | None:
    match = _WINDOW.search(text or "")
    return timedelta(seconds=int(match[1])) if match else None
