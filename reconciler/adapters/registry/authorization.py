"""The header that lets us in: obtained once, renewed in time, shown to its own registry alone."""

import base64
import threading
from urllib.parse import urlsplit

import requests

from reconciler.adapters.registry.errors import error_for
from reconciler.adapters.registry.exchange import REDIRECTS, Deadline, Exchange
from reconciler.adapters.registry.tokens import Challenge, Token, parse_token
from reconciler.domain.errors import SourceDenied, SourceRedirected, SourceUnreachable
from reconciler.ports import RegistryCredentials


class Authorization:
    """The Authorization header for one repository: renewed by one thread while the others wait."""

    def __init__(self, exchange: Exchange, repository: str) -> None:
        self._exchange = exchange
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
        host = self._exchange.endpoint.host
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
        host, credentials = self._exchange.endpoint.host, self._exchange.credentials
        if challenge.scheme == "bearer":
            token = self._ask_realm(challenge, deadline)
            return f"Bearer {token.text}", token.lifetime_seconds
        if credentials is None:
            raise SourceDenied(f"{host} wants a user name and a password", host=host)
        if credentials.identity_token:
            raise SourceDenied(f"{host} takes no identity token, but a password", host=host)
        return _basic(credentials), float("inf")

    def _ask_realm(self, challenge: Challenge, deadline: Deadline) -> Token:
        exchange = self._exchange
        host, realm = exchange.endpoint.host, challenge.parameters.get("realm", "")
        problem = exchange.shared.realms.problem(
            host, realm, plain_http=exchange.endpoint.plain_http
        )
        if problem:
            realm_host = _host_in(realm)
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
            exchange.shared.ledger.record_refused(host, exchange.credentials)
        if answer.status_code in REDIRECTS:
            raise SourceRedirected(
                f"{host}: its token server redirects, which is not followed", host=host
            )
        now = exchange.shared.clock.now()
        raise error_for(
            f"{host}, token server", answer.status_code, answer.headers, answer.content[:4096], now
        )

    def _request_token(self, realm: str, service: str, deadline: Deadline) -> requests.Response:
        exchange, credentials = self._exchange, self._exchange.credentials
        # Our own scope: the challenge may ask for more than we need.
        fields = {"scope": self._scope} | ({"service": service} if service else {})
        session = exchange.shared.session
        if credentials is not None and credentials.identity_token:
            fields |= {
                "grant_type": "refresh_token",
                "client_id": "reconciler",
                "refresh_token": credentials.password.reveal(),
            }
            return exchange.send(session, "POST", realm, {}, deadline, data=fields)
        headers = {"Authorization": _basic(credentials)} if credentials else {}
        return exchange.send(session, "GET", realm, headers, deadline, params=fields)


def _host_in(realm: str) -> str:
    """Return where ``realm`` leads, without what a log should not hold."""
    try:
        return (urlsplit(realm).hostname or "")[:100]
    except ValueError:
        return ""


def _basic(credentials: RegistryCredentials) -> str:
    pair = f"{credentials.username}:{credentials.password.reveal()}"
    return f"Basic {base64.b64encode(pair.encode()).decode()}"
