"""One call's conversation with one git server over HTTP: bounded, and faithful to its origin."""

import base64
import ipaddress
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urljoin

import urllib3
from urllib3.exceptions import (
    HTTPError,
    LocationParseError,
    NewConnectionError,
    ProtocolError,
    SSLError,
)
from urllib3.exceptions import TimeoutError as HttpTimeoutError
from urllib3.util import parse_url

from reconciler.adapters.deadline import Deadline
from reconciler.adapters.git.http_errors import REDIRECTS, redirected, refusal
from reconciler.adapters.git.refs import AGENT, excerpt
from reconciler.domain.errors import SourceDenied, SourceProtocolError, SourceUnreachable
from reconciler.domain.references import GitScheme, GitUrl
from reconciler.ports import Clock, GitCredentials

_MOST_REDIRECTS = 3
_CHUNK_BYTES = 1 << 16
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Visit:
    """What every request of one call shares."""

    pool: urllib3.PoolManager
    url: GitUrl
    authorization: str | None
    deadline: Deadline
    clock: Clock

    @property
    def base(self) -> str:
        """The repository's address as declared, with a slash at its end."""
        return f"{self.url}/"

    def get(self, target: str, headers: Mapping[str, str]) -> tuple[urllib3.BaseHTTPResponse, str]:
        """Return the answer, its body unread, and where it was found after redirects.

        Redirects are followed within the origin only, and not for ever.

        Raises:
            SourceError: another status than 200, no answer in time, a redirect elsewhere.
        """
        for _ in range(_MOST_REDIRECTS + 1):
            response = self._send("GET", target, headers, None)
            if response.status not in REDIRECTS:
                return self._accept(response), target
            target = self._location(response, target)
            if origin(target) != origin(self.base):
                raise redirected(self.url, target)
        raise SourceProtocolError(f"{self.url}: {self.url.host} redirects for ever")

    def post(
        self, target: str, headers: Mapping[str, str], body: bytes
    ) -> urllib3.BaseHTTPResponse:
        """Return the answer, its body unread. A redirect is an error here: nothing is sent twice.

        Raises:
            SourceError: as in `get`.
        """
        response = self._send("POST", target, headers, body)
        if response.status in REDIRECTS:
            raise redirected(self.url, self._location(response, target))
        return self._accept(response)

    def read(self, response: urllib3.BaseHTTPResponse, limit_bytes: int) -> bytes:
        """Return the whole body, and give the connection back to be used again.

        Raises:
            SourceProtocolError: over ``limit_bytes``, or cut short.
            SourceUnreachable: not whole in time.
        """
        body = bytearray()
        with self.errors(response):
            while chunk := response.read1(_CHUNK_BYTES, decode_content=False):
                body += chunk
                if len(body) > limit_bytes:
                    raise self.too_large(limit_bytes)
        response.release_conn()
        return bytes(body)

    def too_large(self, limit_bytes: int) -> SourceProtocolError:
        """Return the error of an answer over its limit."""
        message = f"{self.url}: the answer is over {limit_bytes} bytes"
        return SourceProtocolError(message, limit_bytes=str(limit_bytes))

    @contextmanager
    def errors(self, response: urllib3.BaseHTTPResponse | None = None) -> Iterator[None]:
        """Name what can go wrong on the way; the connection of a broken answer is closed."""
        try:
            yield
        except BaseException as error:
            if response is not None:
                response.close()
            if named := self._named(error):
                raise named from error
            raise

    def _named(self, error: BaseException) -> SourceUnreachable | SourceProtocolError | None:
        host = self.url.host
        match error:
            case NewConnectionError():  # urllib3 calls this one a timeout, too
                return SourceUnreachable(f"{host} can't be reached: {_reason(error)}", host=host)
            case HttpTimeoutError() | TimeoutError():
                limit = self.deadline.limit.total_seconds()
                return SourceUnreachable(
                    f"{host} gave no whole answer within {limit:g} s", host=host
                )
            case SSLError():
                return SourceUnreachable(f"{host}: no trusted TLS: {_reason(error)}", host=host)
            case ProtocolError():
                return SourceProtocolError(f"{host} broke off: {_reason(error)}", host=host)
            case HTTPError() | OSError():
                return SourceUnreachable(f"{host} can't be reached: {_reason(error)}", host=host)
        return None

    def _send(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes | None
    ) -> urllib3.BaseHTTPResponse:
        if origin(target) != origin(self.base):
            raise redirected(self.url, target)
        sent = {"User-Agent": AGENT, "Accept-Encoding": "identity", "Pragma": "no-cache", **headers}
        if self.authorization:
            sent["Authorization"] = self.authorization
        with self.errors():
            return self.pool.request(
                method,
                target,
                headers=sent,
                body=body,
                redirect=False,
                retries=False,
                preload_content=False,
                timeout=urllib3.Timeout(total=self.deadline.seconds_left()),
            )

    def _accept(self, response: urllib3.BaseHTTPResponse) -> urllib3.BaseHTTPResponse:
        if response.status != 200:
            response.close()
            raise refusal(self.url, response.status, response.headers, self.clock.now())
        encoding = response.headers.get("Content-Encoding", "identity")
        if encoding != "identity":
            # Nothing is ever unpacked here, so a small answer can't become a large one.
            response.close()
            raise SourceProtocolError(f"{self.url}: a packed answer, which we did not ask for")
        return response

    def _location(self, response: urllib3.BaseHTTPResponse, target: str) -> str:
        response.close()
        try:
            return urljoin(target, response.headers.get("Location", ""))
        except ValueError:
            raise SourceProtocolError(f"{self.url}: a redirect to nowhere") from None


def check_type(url: GitUrl, response: urllib3.BaseHTTPResponse, wanted: str) -> None:
    """Make sure that git answers, and not a login page.

    Raises:
        SourceProtocolError: another content type than ``wanted``.
    """
    found = response.headers.get("Content-Type", "")
    if found.partition(";")[0].strip().lower() != wanted:
        response.close()
        kind = excerpt(found.encode()) or "an answer of no type"
        raise SourceProtocolError(f"{url}: {kind}, where git sends {wanted}", content_type=kind)


def authorization(url: GitUrl, credentials: GitCredentials | None) -> str | None:
    """Return the header that shows ``credentials``, None without a token.

    Raises:
        SourceDenied: they are bound to another origin, or would travel in clear text.
    """
    if credentials is None or credentials.token is None:
        return None
    if credentials.origin != url.origin:
        raise SourceDenied(f"the credentials belong to {credentials.origin}, not to {url.origin}")
    if url.scheme is not GitScheme.HTTPS and not _is_loopback(url.host):
        raise SourceDenied(f"{url}: credentials are never sent over plain http; use https://")
    # Forges take any user name beside a token, but not an empty one.
    pair = f"{credentials.username or 'git'}:{credentials.token.reveal()}"
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


def origin(target: str) -> tuple[str, str, int | None]:
    """Return scheme, host and port of a URL; of text that is none, what equals nothing of ours.

    Read as the library reads it that connects: where it sees another host than ``urlsplit`` does
    (a backslash before an ``@``), a server would get a token that is another's.
    """
    try:
        parts = parse_url(target)
    except LocationParseError:
        return "", "", None
    scheme = parts.scheme or ""
    return scheme, (parts.host or "").lower(), parts.port or _DEFAULT_PORTS.get(scheme)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _reason(error: BaseException) -> str:
    """Return the innermost text: urllib3 wraps what the system said."""
    cause = error.__cause__
    if isinstance(error, NewConnectionError) and isinstance(cause, OSError) and cause.strerror:
        return cause.strerror  # without the name of a class of ours
    inner = error.args[-1] if error.args else error
    while isinstance(inner, BaseException) and inner.args and inner is not error:
        deeper = inner.args[-1]
        if not isinstance(deeper, BaseException):
            break
        inner = deeper
    return excerpt(str(inner).encode()) or type(error).__name__
