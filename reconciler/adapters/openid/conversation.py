"""Asking the provider: bounded in bytes and time, and never where a redirect leads."""

import json
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import urllib3
from urllib3.exceptions import HTTPError

from reconciler.adapters.deadline import Deadline
from reconciler.adapters.timed_connections import reason_of
from reconciler.domain.errors import ProviderFailed
from reconciler.domain.forge import WebAddress

ANSWER_LIMIT_BYTES = 256 << 10


@dataclass(frozen=True, slots=True)
class Conversation:
    """Some questions, which together have until the deadline."""

    pool: urllib3.PoolManager
    deadline: Deadline

    def get(self, url: str) -> dict[str, Any]:
        """Return the JSON object at ``url``. Raises ``ProviderFailed``."""
        status, found = self._ask("GET", url, {}, None)
        if status != 200 or found is None:
            raise ProviderFailed(f"{url} answers {status}, and no JSON object that could be used")
        return found

    def post(
        self, url: str, headers: Mapping[str, str], form: str
    ) -> tuple[int, dict[str, Any] | None]:
        """Send a form; return the status, and the JSON object if it is one."""
        typed = {"Content-Type": "application/x-www-form-urlencoded", **headers}
        return self._ask("POST", url, typed, form.encode())

    def _ask(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> tuple[int, dict[str, Any] | None]:
        with self._named(url):
            response = self.pool.urlopen(
                method,
                url,
                headers={
                    "User-Agent": "reconciler",
                    "Accept": "application/json",
                    "Accept-Encoding": "identity",
                    **headers,
                },
                body=body,
                redirect=False,
                retries=False,
                preload_content=False,
                timeout=urllib3.Timeout(total=self.deadline.seconds_left()),
            )
            with closing(response):
                return response.status, _object(_read(response, url))

    @contextmanager
    def _named(self, url: str) -> Iterator[None]:
        """Say in an operator's words what can go wrong on the way."""
        host = urlsplit(url).netloc
        try:
            yield
        except (HTTPError, OSError) as error:
            raise ProviderFailed(f"{host} gave no whole answer: {reason_of(error)}") from error


def is_usable(url: object, *, clear_text: bool) -> bool:
    """Tell whether ``url`` is one to ask at; over http:// only where ``clear_text`` is fine."""
    if not isinstance(url, str) or not url.isascii() or not url.isprintable() or len(url) > 2000:
        return False
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    schemes = {"https", "http"} if clear_text else {"https"}
    is_whole = bool(parts.hostname) and "@" not in parts.netloc and port != 0
    return parts.scheme in schemes and is_whole


def may_be_clear(issuer: str) -> bool:
    """Tell whether nobody is on the way to the provider: it is on this machine."""
    address = WebAddress.parse(issuer)
    return address.scheme == "http" and address.loopback


def _read(response: urllib3.BaseHTTPResponse, url: str) -> bytes:
    said = bytearray()
    while chunk := response.read1(ANSWER_LIMIT_BYTES, decode_content=False):
        said += chunk
        if len(said) > ANSWER_LIMIT_BYTES:
            raise ProviderFailed(f"{url} answers over {ANSWER_LIMIT_BYTES} bytes")
    return bytes(said)


def _object(said: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(said)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
