"""What senders may cost before anybody knows who they are."""

from collections import OrderedDict
from collections.abc import Callable

from starlette.exceptions import HTTPException
from starlette.requests import Request

#: Requests of one address: at once, and every second from then on.
_AT_ONCE = 3000
_EACH_SECOND = 1500
_MOST_ADDRESSES = 1024
#: Bytes of all bodies that are read at the same time.
_MOST_BYTES = 64 << 20
_RETRY = {"retry-after": "1", "connection": "close"}


class Rate:
    """How often each address may knock: a bucket of tokens for each that did so lately."""

    def __init__(
        self,
        seconds: Callable[[], float],
        *,
        at_once: int = _AT_ONCE,
        each_second: float = _EACH_SECOND,
    ) -> None:
        self._seconds = seconds
        self._at_once = at_once
        self._each_second = each_second
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        """Return how many addresses are remembered."""
        return len(self._buckets)

    def take(self, address: str) -> None:
        """Take one of the address's tokens. Raises ``HTTPException`` 429 where none is left."""
        now = self._seconds()
        left, since = self._buckets.pop(address, (self._at_once, now))
        left = min(self._at_once, left + (now - since) * self._each_second)
        self._buckets[address] = (max(left - 1, 0), now)
        if len(self._buckets) > _MOST_ADDRESSES:
            self._buckets.popitem(last=False)
        if left < 1:
            raise HTTPException(429, "too many requests from this address", _RETRY)


class BodyBudget:
    """How much of all bodies is in memory while nobody knows yet whether they are from a friend."""

    def __init__(self) -> None:
        self._held = 0

    async def read(self, request: Request) -> bytes:
        """Return the body. Raises ``HTTPException`` 503 where there is no room for it."""
        chunks: list[bytes] = []
        held = 0
        try:
            async for chunk in request.stream():
                held += len(chunk)
                self._held += len(chunk)
                if self._held > _MOST_BYTES:
                    raise HTTPException(503, "too many bodies are being read at once", _RETRY)
                chunks.append(chunk)
        finally:
            self._held -= held
        return b"".join(chunks)
