"""Our own webhook: one JSON object a message, signed, to the one address that was given."""

import hmac
import json
import ssl
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit

import urllib3
from urllib3.exceptions import HTTPError, NewConnectionError, SSLError
from urllib3.exceptions import TimeoutError as HttpTimeoutError

from reconciler.adapters.addresses import is_public, may_be_server
from reconciler.adapters.retry_after import parse_retry_after
from reconciler.adapters.timed_connections import reason_of, timed_pool_classes
from reconciler.domain.channel import Address
from reconciler.domain.errors import NotifyRefused, NotifyThrottled, NotifyUnreachable
from reconciler.domain.secret import Secret
from reconciler.ports import Clock, Letter

SIGNATURE, TIMESTAMP = "X-Reconciler-Signature", "X-Reconciler-Timestamp"
DELIVERY, EVENT = "X-Reconciler-Delivery", "X-Reconciler-Event"


class SignedWebhooks:
    """Sends them. Threads may share it; nothing is kept between two calls."""

    def __init__(self, clock: Clock, limit: timedelta, ca_file: Path | None = None) -> None:
        """Trust ``ca_file`` beside the system's authorities; a message has ``limit`` in all."""
        self._clock = clock
        self._limit = limit
        self._ca_file = ca_file

    def send(self, address: Address, letter: Letter) -> None:
        """Send one message; see ``Notifier``. A redirect is no answer."""
        url = urlsplit(address.url.reveal())
        timestamp = str(int(self._clock.now().timestamp()))
        body = _body_of(letter)
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "reconciler",
            TIMESTAMP: timestamp,
            DELIVERY: letter.id,
            EVENT: str(letter.event),
        }
        if address.key is not None:
            headers[SIGNATURE] = sign(address.key, timestamp, body)
        with self._named(url.hostname or ""), self._pool(url.scheme) as pool:
            answer = pool.urlopen(
                "POST",
                url.geturl(),
                headers=headers,
                body=body,
                redirect=False,
                retries=False,
                preload_content=False,
                timeout=urllib3.Timeout(total=self._limit.total_seconds()),
            )
            with closing(answer):
                self._check(url.hostname or "", answer)

    def _check(self, host: str, answer: urllib3.BaseHTTPResponse) -> None:
        status = answer.status
        if status in {429, 503}:
            pause = parse_retry_after(answer.headers.get("Retry-After"), self._clock.now())
            raise NotifyThrottled(f"{host} asked to be left alone ({status})", pause)
        if status >= 500:
            raise NotifyUnreachable(f"{host} answered {status}")
        if not 200 <= status < 300:
            what = "sends elsewhere, where we don't follow" if 300 <= status < 400 else "refused it"
            raise NotifyRefused(f"{host} {what} ({status})")

    @contextmanager
    def _pool(self, scheme: str) -> Iterator[urllib3.PoolManager]:
        secure = scheme == "https"
        trusted = self._trusted() if secure else None
        pool = urllib3.PoolManager(num_pools=1, maxsize=1, ssl_context=trusted)
        pool.pool_classes_by_scheme = dict(
            timed_pool_classes(may_be_server if secure else _is_near)
        )
        try:
            yield pool
        finally:
            pool.clear()

    def _trusted(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        if self._ca_file is not None:
            context.load_verify_locations(str(self._ca_file))
        return context

    @contextmanager
    def _named(self, host: str) -> Iterator[None]:
        """Say in an operator's words what can go wrong on the way."""
        try:
            yield
        except NewConnectionError as error:  # urllib3 calls this one a timeout, too
            raise NotifyUnreachable(f"{host} can't be reached: {reason_of(error)}") from None
        except (HttpTimeoutError, TimeoutError):
            limit = self._limit.total_seconds()
            raise NotifyUnreachable(f"{host} did not answer within {limit:g} s") from None
        except SSLError as error:
            raise NotifyUnreachable(f"{host}: no trusted TLS: {reason_of(error)}") from None
        except (HTTPError, OSError) as error:
            raise NotifyUnreachable(f"{host} broke off: {reason_of(error)}") from None


def sign(key: Secret, timestamp: str, body: bytes) -> str:
    """Return the signature of a body that is sent at ``timestamp`` (seconds since 1970)."""
    signed = f"{timestamp}.".encode() + body
    return "sha256=" + hmac.new(key.reveal().encode(), signed, sha256).hexdigest()


def _body_of(letter: Letter) -> bytes:
    told = {
        "id": letter.id,
        "event": letter.event,
        "at": letter.at.isoformat(),
        "title": letter.title,
        "text": letter.text,
        "facts": dict(letter.facts),
    }
    return json.dumps(told, ensure_ascii=False).encode(errors="replace")


def _is_near(address: str) -> bool:
    """Tell whether it is one of this machine or network, where http is enough."""
    return may_be_server(address) and not is_public(address)
