"""What a connection may cost, also before anybody has shown a credential on it."""

import asyncio
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from reconciler.adapters.listeners import peer_uid
from reconciler.web.auth import PEER

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

#: Of a head, or of what follows a body: nothing else is collected before it is looked at.
HEAD_LIMIT_BYTES = 64 << 10
#: Of one request, its trailers included: each costs time that others wait for.
MOST_HEADERS = 256
#: Of a body whose request was answered already; a small rest leaves the connection usable.
UNWANTED_LIMIT_BYTES = 1 << 20
#: In which a head must be whole, and a body end that nobody reads any more.
HEAD_SECONDS = 30.0
#: How long an answer may wait for its reader to take more of it.
READER_SECONDS = 300.0
#: Open at a time. Of more, those that wait for their clients make room; from here to the server's
#: own bound, beyond which it answers everybody with 503, is for those that are being answered.
MOST_CONNECTIONS = 448
_JUST_CAME_SECONDS = 1.0


class BoundedProtocol(HttpToolsProtocol):
    """HTTP with bounds that the server itself lacks: of a head's size and time, and of a reader's.

    Without them a stranger fills the memory with one request, or takes every place.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.in_message = False
        self.idle_since = 0.0
        self._collected_bytes = 0
        self._unwanted_bytes = 0
        self._headers = 0
        self._timer: asyncio.TimerHandle | None = None
        self._reader_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn
        """Begin to wait for the first head."""
        super().connection_made(transport)
        self.idle_since = self.loop.time()
        self._start_timer()
        self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timers."""
        self._stop_timer()
        self.resume_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what came, unless too much of it would have to be collected."""
        if not self.in_message:
            self._start_timer()
        self._collected_bytes += len(data)
        super().data_received(data)
        if self._collected_bytes > HEAD_LIMIT_BYTES and not self.transport.is_closing():
            self.send_400_response(f"The head of a request has at most {HEAD_LIMIT_BYTES} bytes.")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take one header; what is raised here ends the parsing, and is answered with 400."""
        self._headers += 1
        if self._headers > MOST_HEADERS:
            raise ValueError(f"more than {MOST_HEADERS} headers")
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Note that the head is whole."""
        self.in_message, self._collected_bytes, self._unwanted_bytes = True, 0, 0
        self._stop_timer()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Pass on a part of the body; how much that may be is not decided here."""
        self._collected_bytes = 0
        super().on_body(body)
        self._unwanted_bytes += 0 if self.is_answering else len(body)
        if self._unwanted_bytes > UNWANTED_LIMIT_BYTES:
            self.transport.abort()

    def on_message_complete(self) -> None:
        """Note that what comes now begins another head."""
        self.in_message, self._collected_bytes, self._headers = False, 0, 0
        self._stop_timer()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Go on with the next request; the rest of a body that was not wanted has its time."""
        self.idle_since = self.loop.time()
        super().on_response_complete()
        if self.in_message:
            self._start_timer()

    def pause_writing(self) -> None:
        """Wait for a reader that is slower than the answer, but not for ever."""
        super().pause_writing()
        self._reader_timer = self.loop.call_later(READER_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on: the reader took something."""
        if self._reader_timer is not None:
            self._reader_timer.cancel()
            self._reader_timer = None
        super().resume_writing()

    @property
    def is_answering(self) -> bool:
        """Whether a request on it is not answered in full."""
        cycle: object = self.cycle  # None before the first request, whatever its type says
        return cycle is not None and not self.cycle.response_complete

    def _make_room(self) -> None:
        """End a connection that waits for its client, where there are too many.

        First what never asked anything, then what was answered and kept, then what has a body
        that is still on its way, last what just came; never one that is being answered.
        """
        there = [one for one in self.connections if isinstance(one, BoundedProtocol)]
        open_ones = [one for one in there if not one.transport.is_closing()]
        if len(open_ones) <= MOST_CONNECTIONS:
            return
        waiting = [one for one in open_ones if one.in_message or not one.is_answering]
        if waiting:
            min(waiting, key=lambda one: one.worth).transport.abort()

    @property
    def worth(self) -> tuple[int, float]:
        """Return what to compare by which of those that wait is ended; the least is."""
        if self.is_answering:
            return 2, self.idle_since
        if self.loop.time() - self.idle_since < _JUST_CAME_SECONDS:
            return 3, self.idle_since
        return int(self.cycle is not None), self.idle_since

    def _start_timer(self) -> None:
        """Start it unless it runs: what drips in does not prolong it."""
        if self._timer is None:
            self._timer = self.loop.call_later(HEAD_SECONDS, self._on_time)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _on_time(self) -> None:
        self._timer = None
        if not self.is_answering:
            self.transport.abort()
        else:  # an earlier answer is still on its way
            self._start_timer()


class UnixProtocol(BoundedProtocol):
    """HTTP over the unix socket: every request carries who opened the connection."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn
        """Ask the kernel who is at the other end."""
        super().connection_made(transport)
        uid = peer_uid(transport.get_extra_info("socket").fileno())
        self.app: Any = _From(self.app, f"local:{uid}")


class _From:
    """Stamps who is at the other end. No header can: it is not one."""

    def __init__(self, app: "ASGIApp", peer: str) -> None:
        self._app = app
        self._peer = peer

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        scope[PEER] = self._peer
        await self._app(scope, receive, send)
