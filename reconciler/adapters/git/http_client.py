"""dulwich's HTTP client on a `Visit`: its protocol, our limits."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import NoReturn

import urllib3
from dulwich.client import AbstractHttpGitClient

from reconciler.adapters.git.refs import excerpt
from reconciler.adapters.git.visit import Visit, check_type
from reconciler.domain.errors import SourceProtocolError

#: A server of protocol v0 lists all it has: 100,000 refs are some 8 MB.
ADVERTISEMENT_LIMIT_BYTES = 16 << 20
#: Of the length before each packet.
_LENGTH_BYTES = 4
REFS_TAIL = "info/refs?service=git-upload-pack"
REQUEST_TYPE = "application/x-git-upload-pack-request"
RESULT_TYPE = "application/x-git-upload-pack-result"
ADVERTISEMENT_TYPE = "application/x-git-upload-pack-advertisement"


class BoundedHttpClient(AbstractHttpGitClient):
    """Discovers and fetches. Make one per call: it holds what one conversation learnt.

    Raises, besides what dulwich does: `SourceError`.
    """

    def __init__(self, visit: Visit, limit_bytes: int) -> None:
        """Speak to the repository of ``visit``; an answer is at most ``limit_bytes`` long."""
        super().__init__(visit.base, thin_packs=False, quiet=True)
        self._visit = visit
        self._limit_bytes = limit_bytes
        #: Where the repository is, after redirects within its origin; ends with a slash.
        self.base = visit.base

    def _get_url(self, path: str | bytes) -> str:  # noqa: ARG002 - the base class's signature
        return self.base

    def _http_request(  # type: ignore[override]  # dulwich asks for less than it declares
        self,
        url: str,
        headers: dict[str, str] | None = None,
        data: bytes | Iterator[bytes] | None = None,
        raise_for_status: bool = True,  # noqa: ARG002 - the same
    ) -> tuple["_Answer", Callable[[int], bytes]]:
        if data is None:
            return self._discover(url, headers or {})
        body = data if isinstance(data, bytes) else b"".join(data)
        response = self._visit.post(url, headers or {}, body)
        check_type(self._visit.url, response, RESULT_TYPE)
        reader = _BoundedReader(self._visit, response, self._limit_bytes)
        return _Answer(RESULT_TYPE, "", reader.close), reader.read

    def _discover(
        self, url: str, headers: dict[str, str]
    ) -> tuple["_Answer", Callable[[int], bytes]]:
        if url != self.base + REFS_TAIL:
            self._refuse(url)
        response, found = self._visit.get(url, headers)
        check_type(self._visit.url, response, ADVERTISEMENT_TYPE)
        if not found.endswith(f"/{REFS_TAIL}"):
            self._refuse(found)
        self.base = found.removesuffix(REFS_TAIL)
        # Read whole, so that the connection can be used again: dulwich stops at the last packet.
        answer = BytesIO(self._visit.read(response, ADVERTISEMENT_LIMIT_BYTES))
        return _Answer(ADVERTISEMENT_TYPE, found if found != url else "", lambda: None), answer.read

    def _refuse(self, url: str) -> NoReturn:
        # E.g. a pack that the server wants us to get from somewhere else.
        raise SourceProtocolError(f"{self._visit.url}: sent on to an unexpected place", target=url)


@dataclass(frozen=True, slots=True)
class _Answer:
    """What dulwich looks at of an answer."""

    content_type: str
    redirect_location: str
    close: Callable[[], None]


class _BoundedReader:
    """Reads an answer bit by bit, up to a number of bytes."""

    def __init__(self, visit: Visit, response: urllib3.BaseHTTPResponse, limit_bytes: int) -> None:
        self._visit = visit
        self._response = response
        self._limit_bytes = limit_bytes
        self._count = 0

    def read(self, size: int = -1) -> bytes:
        with self._visit.errors(self._response):
            data = self._response.read(None if size < 0 else size, decode_content=False)
        if self._count == _LENGTH_BYTES and data.startswith(b"ERR "):
            # dulwich would go on to look for a pack, and only say that there is none.
            raise SourceProtocolError(f"{self._visit.url}: the server says: {excerpt(data[4:])}")
        self._count += len(data)
        if self._count > self._limit_bytes:
            self._response.close()
            raise self._visit.too_large(self._limit_bytes)
        return data

    def close(self) -> None:
        """Give the connection back if nothing but its end is left to read, else close it."""
        if self._response.closed:
            return
        with self._visit.errors(self._response):
            rest = self._response.read1(1, decode_content=False)
        if rest:
            self._response.close()
        else:
            self._response.release_conn()
