"""One conversation with a forge's API: bounded in bytes and time, and with its host alone."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import urllib3
from urllib3.exceptions import HTTPError, NewConnectionError, SSLError
from urllib3.exceptions import TimeoutError as HttpTimeoutError

from reconciler.adapters.deadline import Deadline
from reconciler.adapters.forges.refusals import Refusal, error_of
from reconciler.adapters.timed_connections import reason_of
from reconciler.domain.errors import ForgeProtocolError, ForgeUnreachable
from reconciler.domain.forge import ForgeRepository
from reconciler.log import Redactor, plain, shorten
from reconciler.ports import Clock

ANSWER_LIMIT_BYTES = 1 << 20
_LONGEST_LOOKED_AT = 16 << 10
_LONGEST_SHOWN = 300
_SPACE = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class Caller:
    """How a forge is asked, and what is never shown of it."""

    headers: Mapping[str, str]  #: with the token
    scope: str  #: what the token has to be allowed, in the forge's words
    redactor: Redactor  #: a forge may repeat what it was sent


@dataclass(frozen=True, slots=True)
class Conversation:
    """Some questions to one API, which together have until the deadline."""

    pool: urllib3.PoolManager
    repository: ForgeRepository
    caller: Caller
    deadline: Deadline
    clock: Clock

    def ask(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Any:
        """Return the answer's JSON; None where it is empty.

        A redirect is no answer: the token belongs to this address alone.

        Raises:
            ForgeError: no answer in time, another one than 2xx, or none that can be read.
        """
        with self._named(), closing(self._send(method, path, body)) as response:
            said = self._read(response)
        if not 200 <= response.status < 300:
            refusal = Refusal(self.repository, response.status, response.headers, self.caller.scope)
            raise error_of(refusal, self._shown(said), self.clock.now())
        return self._parse(said) if said.strip() else None

    def _send(
        self, method: str, path: str, body: Mapping[str, object] | None
    ) -> urllib3.BaseHTTPResponse:
        headers = {
            "User-Agent": "reconciler",
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            **({"Content-Type": "application/json"} if body is not None else {}),
            **self.caller.headers,
        }
        return self.pool.urlopen(
            method,
            f"{self.repository.api}{path}",
            headers=headers,
            body=json.dumps(body).encode() if body is not None else None,
            redirect=False,
            retries=False,
            preload_content=False,
            timeout=urllib3.Timeout(total=self.deadline.seconds_left()),
        )

    def _read(self, response: urllib3.BaseHTTPResponse) -> bytes:
        said = bytearray()
        while chunk := response.read1(ANSWER_LIMIT_BYTES, decode_content=False):
            said += chunk
            if len(said) > ANSWER_LIMIT_BYTES:
                raise ForgeProtocolError(f"{self._host} answers over {ANSWER_LIMIT_BYTES} bytes")
        response.release_conn()
        return bytes(said)

    def _parse(self, said: bytes) -> Any:
        try:
            return json.loads(said)
        except (ValueError, RecursionError):
            message = f"{self._host} does not answer as a forge's API does"
            raise ForgeProtocolError(message, said=self._shown(said)) from None

    def _shown(self, said: bytes) -> str:
        """Return what the forge said, as it may stand in an error."""
        text = " ".join(_texts(said)) or said.decode(errors="replace")
        text = plain(_SPACE.sub(" ", text)).strip()[:_LONGEST_LOOKED_AT]
        return shorten(self.caller.redactor.redact(text), _LONGEST_SHOWN)

    @property
    def _host(self) -> str:
        return urllib3.util.parse_url(self.repository.api).netloc or self.repository.api

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Say in an operator's words what can go wrong on the way."""
        try:
            yield
        except NewConnectionError as error:  # urllib3 calls this one a timeout, too
            raise ForgeUnreachable(f"{self._host} can't be reached: {reason_of(error)}") from error
        except (HttpTimeoutError, TimeoutError) as error:
            limit = self.deadline.limit.total_seconds()
            raise ForgeUnreachable(f"{self._host} did not answer within {limit:g} s") from error
        except SSLError as error:
            raise ForgeUnreachable(f"{self._host}: no trusted TLS: {reason_of(error)}") from error
        except (HTTPError, OSError) as error:
            raise ForgeUnreachable(f"{self._host} broke off: {reason_of(error)}") from error


def _texts(said: bytes) -> list[str]:
    """Return the words of an error that is JSON: each forge puts them somewhere else."""
    kept = ("message", "error", "errors")
    try:
        parsed = json.loads(said)
        found = [parsed.get(key) for key in kept] if isinstance(parsed, dict) else [parsed]
        return [text for one in found for text in _flat(one)]
    except (ValueError, RecursionError):  # nested deeper than the parser minds, or we can follow
        return []


def _flat(value: object, name: str = "") -> Iterator[str]:
    match value:
        case str():
            yield f"{name}: {value}" if name else value
        case list():
            for one in value[:10]:
                yield from _flat(one, name)
        case dict() if isinstance(value.get("message"), str):
            yield value["message"]
        case dict():
            for key, one in list(value.items())[:10]:
                yield from _flat(one, str(key))
