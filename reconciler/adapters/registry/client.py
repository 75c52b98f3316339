"""oras's client, made safe: one for each host, repository and identity.

As it comes, oras sends one host's token to the next, sleeps for two minutes on a 401, never renews
an expired token and never times out. `do_request`, through which all it does goes, is ours.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import oras.provider
import requests

from reconciler.adapters.registry.authorization import Authorization
from reconciler.adapters.registry.exchange import Deadline, Endpoint, Exchange, Shared
from reconciler.adapters.registry.tokens import Challenge, parse_challenges
from reconciler.ports import RegistryCredentials


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
        self.auth.session = shared.session
        self.exchange = Exchange(endpoint, credentials, shared)
        self._authorization = Authorization(self.exchange, repository)

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
        exchange = self.exchange
        deadline = deadline or exchange.shared.deadline()
        body = {"data": data, "json": json}
        # Where an answer of the registry leads (uploads, layers), its authorization doesn't go.
        own = urlsplit(url)[:2] == urlsplit(exchange.endpoint.root)[:2]
        sent = self._authorization.current(deadline) if own else None
        answer = exchange.ask(method, url, _with(headers, sent), deadline, **body)
        if not own or not _wants_authorization(answer, sent):
            return answer
        renewed = self._authorization.renew(_challenge(answer), sent, deadline)
        if renewed is None or renewed == sent:
            self._note_refusal(answer, sent)
            return answer
        answer = exchange.ask(method, url, _with(headers, renewed), deadline, **body)
        self._note_refusal(answer, renewed)
        return answer

    def _note_refusal(self, answer: requests.Response, sent: str | None) -> None:
        if answer.status_code == 401 and sent and sent.startswith("Basic "):
            exchange = self.exchange
            exchange.shared.ledger.record_refused(exchange.endpoint.host, exchange.credentials)


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
