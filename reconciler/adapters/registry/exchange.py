"""One registry host, asked as one identity, within limits, and only where redirects may lead."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
import urllib3

from reconciler.adapters.registry.hosts import HostLedger
from reconciler.adapters.registry.session import Limits, error_of, time_limit
from reconciler.adapters.registry.tokens import RealmPolicy
from reconciler.domain.errors import SourceRedirected, SourceUnreachable
from reconciler.ports import Clock, RegistryCredentials

REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS = 3


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a registry is asked."""

    host: str  #: as image references name it
    root: str  #: scheme and host of its API, without a slash at the end

    @property
    def plain_http(self) -> bool:
        """Whether it is spoken to without TLS."""
        return self.root.startswith("http://")


@dataclass(frozen=True, slots=True)
class Shared:
    """What all clients have in common."""

    session: requests.Session
    public_session: requests.Session  #: for where a redirect leads: public addresses only
    limits: Limits
    realms: RealmPolicy
    ledger: HostLedger
    clock: Clock

    def deadline(self) -> "Deadline":
        """Return a deadline for a look-up that starts now."""
        return Deadline(self.clock, self.clock.monotonic() + self.limits.total.total_seconds())


@dataclass(frozen=True, slots=True)
class Deadline:
    """An instant by which all of a look-up is over."""

    clock: Clock
    at: float  #: monotonic seconds

    def left(self, host: str) -> float:
        """Return the seconds left, more than 0.

        Raises:
            SourceUnreachable: there are none.
        """
        seconds = self.at - self.clock.monotonic()
        if seconds <= 0:
            raise SourceUnreachable(f"{host} did not answer in time", host=host)
        return seconds


@dataclass(frozen=True, slots=True)
class Exchange:
    """What goes to a registry and its token server, and comes back. Threads may share it."""

    endpoint: Endpoint
    credentials: RegistryCredentials | None  #: whom we are there; None: nobody in particular
    shared: Shared

    def ask(
        self, method: str, url: str, headers: Mapping[str, str], deadline: Deadline, **body: Any
    ) -> requests.Response:
        """Send exactly what is given; follow redirects of HEAD and GET where they may lead.

        Raises:
            SourceError: no answer in time, a redirect that is not followed, or a host that is
                cooling down. Any HTTP status is returned.
        """
        session = self.shared.session
        for _ in range(_MOST_REDIRECTS + 1):
            answer = self.send(session, method, url, headers, deadline, **body)
            if answer.status_code not in REDIRECTS or method not in {"HEAD", "GET"}:
                return answer
            target = self._target(url, answer.headers.get("Location", ""))
            if urlsplit(target)[:2] != urlsplit(url)[:2]:
                self._check_redirect(url, target)
                headers = {
                    name: value for name, value in headers.items() if name != "Authorization"
                }
                session = self._session_for(target)
            url = target
        raise SourceRedirected(f"{self.endpoint.host} redirects more than {_MOST_REDIRECTS} times")

    def _target(self, url: str, location: str) -> str:
        try:
            target = urljoin(url, location)
            _ = urlsplit(target).port
        except ValueError:
            raise SourceRedirected(f"{self.endpoint.host} redirects to what is no URL") from None
        return target

    def _check_redirect(self, url: str, target: str) -> None:
        source, parts = urlsplit(url), urlsplit(target)
        allowed = parts.scheme == "https" or (
            parts.scheme == source.scheme and parts.hostname == source.hostname
        )
        if not allowed or parts.username is not None or not parts.hostname:
            where = f"{parts.scheme}://{parts.hostname}"
            raise SourceRedirected(
                f"{self.endpoint.host} redirects to {where}", redirected_to=where
            )

    def _session_for(self, target: str) -> requests.Session:
        own = urlsplit(self.endpoint.root).hostname
        return (
            self.shared.session if urlsplit(target).hostname == own else self.shared.public_session
        )

    def send(
        self,
        session: requests.Session,
        method: str,
        url: str,
        headers: Mapping[str, str],
        deadline: Deadline,
        **body: Any,
    ) -> requests.Response:
        """Send one request on behalf of this registry's host, and count it.

        Raises:
            SourceError: the host is cooling down, or there was no answer.
        """
        host, ledger = self.endpoint.host, self.shared.ledger
        ledger.check(host, self.credentials)
        timeout: Any = time_limit(self.shared.limits, deadline.left(host))
        ledger.record_sent(host)
        try:
            answer = session.request(
                method, url, headers=dict(headers), timeout=timeout, allow_redirects=False, **body
            )
        except (
            requests.RequestException,
            urllib3.exceptions.HTTPError,
            OSError,
            ValueError,
        ) as error:
            raise error_of(urlsplit(url).netloc, error) from error
        ledger.record_answer(host, answer.headers)
        return answer
