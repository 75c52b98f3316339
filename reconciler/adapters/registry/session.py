"""HTTP to servers that may lie: a deadline, a limit on bytes, nothing from the environment.

`requests` is what oras speaks through; as it comes it waits as long as bytes keep dripping, reads
bodies of any size, and takes proxies and passwords from the environment and ``~/.netrc``.
"""

import http.client
import io
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from typing import Any, cast

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.exceptions import NewConnectionError

from reconciler.adapters.addresses import is_public, may_be_server
from reconciler.adapters.timed_connections import timed_pool_classes
from reconciler.domain.errors import SourceError, SourceProtocolError, SourceUnreachable

_CHUNK_BYTES = 65536
_ERROR_BODY_BYTES = 16384


@dataclass(frozen=True, slots=True)
class Limits:
    """What one look-up may cost."""

    total: timedelta = timedelta(seconds=30)  #: of a look-up, its token and its fallback included
    connect: timedelta = timedelta(seconds=5)
    body_bytes: int = 4 << 20  #: after decompression; an OCI manifest may not be larger
    connections_per_host: int = 32  #: kept open; more than that are closed after use


def open_session(
    limits: Limits, ca_bundle: Path | None = None, *, public_only: bool = False
) -> requests.Session:
    """Return a session that several threads may share; every request of it needs a ``timeout``.

    Args:
        limits: see ``Limits``.
        ca_bundle: PEM file of authorities to trust besides the machine's own.
        public_only: connect to addresses of the public internet only.
    """
    session = requests.Session()
    session.trust_env = False
    session.headers.clear()
    # `identity`: the digest is of the manifest's own bytes, and nothing has to be decompressed.
    session.headers.update({"User-Agent": "reconciler", "Accept-Encoding": "identity"})
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    pools = timed_pool_classes(is_public if public_only else may_be_server)
    adapter = _BoundedAdapter(limits, _trust(ca_bundle), pools)
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    return session


def time_limit(limits: Limits, seconds: float) -> urllib3.Timeout:
    """Return the ``timeout`` of a request that has ``seconds`` left for all that it does."""
    return urllib3.Timeout(connect=min(limits.connect.total_seconds(), seconds), total=seconds)


def error_of(host: str, error: Exception) -> SourceError:
    """Return what a failed exchange with ``host`` means; ``error`` came out of the session."""
    chain = list(_causes(error))
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in chain):
        return SourceUnreachable(
            f"{host}: its certificate is not trusted: {_innermost(chain)}", host=host
        )
    lost = any(isinstance(cause, ConnectionError) for cause in chain)
    if not lost and any(isinstance(cause, _GARBAGE) for cause in chain):
        return SourceProtocolError(
            f"{host}: its answer can't be read: {_innermost(chain)}", host=host
        )
    # urllib3 counts every connection that can't be made among its time-outs.
    late = [cause for cause in chain if not isinstance(cause, NewConnectionError)]
    if any(isinstance(cause, _TOO_LATE) for cause in late):
        return SourceUnreachable(f"{host} did not answer in time", host=host)
    return SourceUnreachable(f"{host} can't be reached: {_innermost(chain)}", host=host)


_GARBAGE = (
    http.client.HTTPException,
    requests.exceptions.InvalidHeader,
    requests.exceptions.ContentDecodingError,
    urllib3.exceptions.DecodeError,
    urllib3.exceptions.ProtocolError,
    ValueError,  # e.g. of a redirect to what is no URL, which requests looks at by itself
)
_TOO_LATE = (TimeoutError, requests.exceptions.Timeout, urllib3.exceptions.TimeoutError)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Walk from the outermost to the innermost: libraries keep causes in arguments, too."""
    yield error
    inner = getattr(error, "reason", None)
    candidates = [error.__cause__, error.__context__, inner, *error.args]
    for candidate in candidates:
        if isinstance(candidate, BaseException):
            yield from _causes(candidate)
            return


def _innermost(chain: list[BaseException]) -> str:
    error = chain[-1]
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split())[:200] or type(error).__name__


def _trust(ca_bundle: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    system = ssl.get_default_verify_paths()
    if not (system.cafile or (system.capath and any(Path(system.capath).iterdir()))):
        # A slim container without ca-certificates: what comes with requests has to do.
        context.load_verify_locations(requests.utils.DEFAULT_CA_BUNDLE_PATH)
    if ca_bundle is not None:
        context.load_verify_locations(ca_bundle)
    return context


class _BoundedAdapter(HTTPAdapter):
    """Sends over our connections, and has read the whole answer, within its limit, on return."""

    def __init__(self, limits: Limits, trust: ssl.SSLContext, pools: Mapping[str, Any]) -> None:
        self._limits = limits
        self._trust = trust
        self._pools = pools
        super().__init__(
            pool_connections=64, pool_maxsize=limits.connections_per_host, max_retries=0
        )

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, ssl_context=self._trust, **options)
        self.poolmanager.pool_classes_by_scheme = dict(self._pools)

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Leave the connection's own context as it is: it verifies, and holds our authorities."""

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,  # noqa: ARG002  the base class's signature
        timeout: Any = None,
        verify: Any = True,  # noqa: ARG002
        cert: Any = None,  # noqa: ARG002
        proxies: Mapping[str, str] | None = None,  # noqa: ARG002
    ) -> requests.Response:
        if timeout is None:
            raise ValueError("a request without a time limit")
        response = super().send(request, stream=True, timeout=timeout)
        try:
            limit = self._limits.body_bytes if response.status_code < 400 else _ERROR_BODY_BYTES
            body = _read(response, limit)
        finally:
            response.close()
        response.raw = io.BytesIO(body)
        return response


def _read(response: requests.Response, limit: int) -> bytes:
    raw = cast("urllib3.HTTPResponse", response.raw)
    body = bytearray()
    # `read1` returns after one piece from the network: the limit is looked at in between.
    while chunk := raw.read1(_CHUNK_BYTES, decode_content=True):
        body += chunk
        if len(body) > limit:
            if response.status_code >= 400:
                break
            host = urllib3.util.parse_url(response.url or "").netloc
            raise SourceProtocolError(
                f"{host} sent more than {limit} bytes", limit_bytes=str(limit)
            )
    return bytes(body[:limit])
