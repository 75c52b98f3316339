"""oras's client, made safe: one for each host, repository and identity.

As it comes, oras sends one host's token to the next, sleeps for two minutes on a 401, never renews
an expired token and never times out. `do_request`, through which all it does goes, is ours.
"""

import base64
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

import oras.provider
import requests
import urllib3

from reconciler.adapters.registry_errors import error_for
from reconciler.adapters.registry_hosts import HostLedger
from reconciler.adapters.registry_session import Limits, error_of, time_limit
from reconciler.adapters.registry_tokens import (
    Challenge,
    RealmPolicy,
    Token,
    parse_challenges,
    parse_token,
)
from reconciler.domain.errors import (
    SourceDenied,
    SourceRedirected,
    SourceUnreachable,
)
from reconciler.ports import Clock, RegistryCredentials

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
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


class GuardedRegistry(oras.provider.Registry):  # type: ignore[misc]  # oras publishes no types
    """One repository of one registry, asked as one identity. Threads may share it."""

    def __init__(
        self,
        endpoint: Endpoint,
        repository: str,
        credentials: RegistryCredentials | None,
        shared: Shared,
    ) -> None:
        super().__init__(hostname=endpoint.host, insecure=endpoint.plain_http)
        self.session: requests.Session = shared.session
        self._endpoint = endpoint
        self._shared = shared
        self._credentials = credentials
        self._authorization = _Authorization(self, repository)

    @property
    def endpoint(self) -> Endpoint:
        """Where it asks."""
        return self._endpoint

    @property
    def shared(self) -> Shared:
        """What it has in common with all others."""
        return self._shared

    @property
    def credentials(self) -> RegistryCredentials | None:
        """Whom it asks as; None: nobody in particular."""
        return self._credentials

    def do_request(  # noqa: PLR0913  oras's signature
        self,
        url: str,
        method: str = "GET",
        data: Any = None,
        headers: Mapping[str, str] | None = None,
        json: Any = None,
        stream: bool = False,  # noqa: ARG002  oras's; answers are always read whole
        *,
        deadline: Deadline | None = None,
    ) -> requests.Response:
        """Send one request, and once more with a new token if the registry wants one.

        Raises:
            SourceError: no answer in time, a redirect or a realm that is not followed, or a host
                that is cooling down. Any HTTP status is returned.
        """
        deadline = deadline or self._shared.deadline()
        body = {"data": data, "json": json}
        # Where an answer of the registry leads (uploads, layers), its authorization doesn't go.
        own = urlsplit(url)[:2] == urlsplit(self._endpoint.root)[:2]
        sent = self._authorization.current(deadline) if own else None
        answer = self.ask(method, url, _with(headers, sent), deadline, **body)
        if not own or not _wants_authorization(answer, sent):
            return answer
        renewed = self._authorization.renew(_challenge(answer), sent, deadline)
        if renewed is None or renewed == sent:
            self._note_refusal(answer, sent)
            return answer
        answer = self.ask(method, url, _with(headers, renewed), deadline, **body)
        self._note_refusal(answer, renewed)
        return answer

    def _note_refusal(self, answer: requests.Response, sent: str | None) -> None:
        if answer.status_code == 401 and sent and sent.startswith("Basic "):
            self._shared.ledger.record_refused(self._endpoint.host, self._credentials)

    def ask(
        self, method: str, url: str, headers: Mapping[str, str], deadline: Deadline, **body: Any
    ) -> requests.Response:
        """Send exactly what is given; follow redirects of HEAD and GET where they may lead.

        Raises:
            SourceError: as ``do_request``.
        """
        session = self._shared.session
        for _ in range(_MOST_REDIRECTS + 1):
            answer = self.send(session, method, url, headers, deadline, **body)
            if answer.status_code not in _REDIRECTS or method not in {"HEAD", "GET"}:
                return answer
            target = urljoin(url, answer.headers.get("Location", ""))
            if urlsplit(target)[:2] != urlsplit(url)[:2]:
                self._check_redirect(url, target)
                headers = {
                    name: value for name, value in headers.items() if name != "Authorization"
                }
                session = self._session_for(target)
            url = target
        raise SourceRedirected(f"{self._endpoint.host} redirects more than {_MOST_REDIRECTS} times")

    def _check_redirect(self, url: str, target: str) -> None:
        source, parts = urlsplit(url), urlsplit(target)
        allowed = parts.scheme == "https" or (
            parts.scheme == source.scheme and parts.hostname == source.hostname
        )
        if not allowed or parts.username is not None or not parts.hostname:
            where = f"{parts.scheme}://{parts.hostname}"
            raise SourceRedirected(
                f"{self._endpoint.host} redirects to {where}", redirected_to=where
            )

    def _session_for(self, target: str) -> requests.Session:
        own = urlsplit(self._endpoint.root).hostname
        return (
            self._shared.session
            if urlsplit(target).hostname == own
            else self._shared.public_session
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
        host, ledger = self._endpoint.host, self._shared.ledger
        ledger.check(host, self._credentials)
        timeout: Any = time_limit(self._shared.limits, deadline.left(host))
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


class _Authorization:
    """The Authorization header of one client: renewed by one thread while the others wait."""

    def __init__(self, client: GuardedRegistry, repository: str) -> None:
        self._client = client
        self._scope = f"repository:{repository}:pull"
        self._lock = threading.Lock()
        self._header: str | None = None
        self._until = 0.0  #: monotonic seconds
        self._challenge: Challenge | None = None

    def current(self, deadline: Deadline) -> str | None:
        """Return the header to send; None before the registry said what it wants."""
        header, until, challenge = self._header, self._until, self._challenge
        if header is None or challenge is None:
            return None
        if until > deadline.clock.monotonic():
            return header
        return self.renew(challenge, header, deadline)

    def renew(
        self, challenge: Challenge | None, stale: str | None, deadline: Deadline
    ) -> str | None:
        """Return a header that is not ``stale``, or None if no challenge was ever made.

        Raises:
            SourceError: there is none to be had.
        """
        host = self._client.endpoint.host
        if not self._lock.acquire(timeout=deadline.left(host)):
            raise SourceUnreachable(f"{host}: its token server did not answer in time", host=host)
        try:
            now = deadline.clock.monotonic()
            if self._header not in {None, stale} and self._until > now:
                return self._header
            challenge = challenge or self._challenge
            if challenge is None:
                return None
            self._header, lifetime = self._obtain(challenge, deadline)
            self._until, self._challenge = now + lifetime, challenge
            return self._header
        finally:
            self._lock.release()

    def _obtain(self, challenge: Challenge, deadline: Deadline) -> tuple[str, float]:
        host, credentials = self._client.endpoint.host, self._client.credentials
        if challenge.scheme == "bearer":
            token = self._ask_realm(challenge, deadline)
            return f"Bearer {token.text}", token.lifetime_seconds
        if credentials is None:
            raise SourceDenied(f"{host} wants a user name and a password", host=host)
        if credentials.identity_token:
            raise SourceDenied(f"{host} takes no identity token, but a password", host=host)
        return _basic(credentials), float("inf")

    def _ask_realm(self, challenge: Challenge, deadline: Deadline) -> Token:
        client = self._client
        host, realm = client.endpoint.host, challenge.parameters.get("realm", "")
        problem = client.shared.realms.problem(host, realm, plain_http=client.endpoint.plain_http)
        if problem:
            # The realm may hold what a log should not: only where it leads is told.
            realm_host = (
                urlsplit(realm).netloc.rpartition("@")[2][:100] if "://" in realm else realm[:100]
            )
            raise SourceDenied(
                f"{host} sends us for a token to {realm_host!r}, which {problem}; "
                "nothing was sent there; if it belongs to this registry, approve the pair",
                host=host,
                realm_host=realm_host,
            )
        answer = self._request_token(realm, challenge.parameters.get("service", ""), deadline)
        if answer.status_code == 200:
            return parse_token(host, answer.content)
        if answer.status_code == 401:
            client.shared.ledger.record_refused(host, client.credentials)
        if answer.status_code in _REDIRECTS:
            raise SourceRedirected(
                f"{host}: its token server redirects, which is not followed", host=host
            )
        now = client.shared.clock.now()
        raise error_for(
            f"{host}, token server", answer.status_code, answer.headers, answer.content[:4096], now
        )

    def _request_token(self, realm: str, service: str, deadline: Deadline) -> requests.Response:
        client, credentials = self._client, self._client.credentials
        # Our own scope: the challenge may ask for more than we need.
        fields = {"scope": self._scope} | ({"service": service} if service else {})
        session = client.shared.session
        if credentials is not None and credentials.identity_token:
            fields |= {
                "grant_type": "refresh_token",
                "client_id": "reconciler",
                "refresh_token": credentials.password.reveal(),
            }
            return client.send(session, "POST", realm, {}, deadline, data=fields)
        headers = {"Authorization": _basic(credentials)} if credentials else {}
        return client.send(session, "GET", realm, headers, deadline, params=fields)


def _basic(credentials: RegistryCredentials) -> str:
    pair = f"{credentials.username}:{credentials.password.reveal()}"
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


def _with(headers: Mapping[str, str] | None, authorization: str | None) -> dict[str, str]:
    return dict(headers or {}) | ({"Authorization": authorization} if authorization else {})


def _wants_authorization(answer: requests.Response, sent: str | None) -> bool:
    """Tell whether a new token may help: some answer 403, or 400, to one that is no longer good.

    Source: oras-go issue 1227 (Amazon's public registry answers 400 to an expired token).
    """
    if answer.status_code == 401:
        return True
    return answer.status_code in {400, 403} and sent is not None and sent.startswith("Bearer ")


def _challenge(answer: requests.Response) -> Challenge | None:
    """Return the way in to take; a token before a password."""
    offered = parse_challenges(answer.headers.get("WWW-Authenticate", ""))
    known = [challenge for challenge in offered if challenge.scheme in {"bearer", "basic"}]
    return min(known, key=lambda challenge: challenge.scheme != "bearer", default=None)
