"""Accepting TLS: how long a handshake may take, and how many may be at it at a time."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress

HANDSHAKE_SECONDS = 10.0
#: Of more, the one that came first is ended: who means it is done in far less time.
MOST_AT_THE_DOOR = 64
#: After which one is accepted again, where there was no room for another open file.
_REST_SECONDS = 0.2


class TlsDoor:
    """Accepts connections, and lets in whose handshake succeeds.

    A server of asyncio's own knows of no connection before that: strangers who say nothing could
    take every file that the process may have open.
    """

    def __init__(self, listener: socket.socket, context: ssl.SSLContext) -> None:
        self._listener = listener
        self._context = context
        self._at_the_door: dict[asyncio.Task[None], None] = {}
        self._accepting: asyncio.Task[None] | None = None

    def open(self, make: Callable[[], asyncio.Protocol]) -> None:
        """Begin to accept; ``make`` gives what a connection speaks inside."""
        self._listener.setblocking(False)
        self._accepting = asyncio.get_running_loop().create_task(self._accept(make))

    def close(self) -> None:
        """Accept no more, and let nobody in who is at the door."""
        for task in (self._accepting, *self._at_the_door):
            if task is not None:
                task.cancel()

    async def wait_closed(self) -> None:
        """Wait until that is so."""
        tasks = [task for task in (self._accepting, *self._at_the_door) if task is not None]
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _accept(self, make: Callable[[], asyncio.Protocol]) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(self._listener)
            except OSError:
                await asyncio.sleep(_REST_SECONDS)
                continue
            task = loop.create_task(self._shake_hands(connection, make))
            self._at_the_door[task] = None
            task.add_done_callback(lambda done: self._at_the_door.pop(done, None))
            if len(self._at_the_door) > MOST_AT_THE_DOOR:
                first = next(iter(self._at_the_door))
                del self._at_the_door[first]
                first.cancel()

    async def _shake_hands(
        self, connection: socket.socket, make: Callable[[], asyncio.Protocol]
    ) -> None:
        # Whatever a stranger does wrong here is no event of ours: old protocols, no trust.
        with suppress(OSError, ssl.SSLError, TimeoutError):
            await asyncio.get_running_loop().connect_accepted_socket(
                make, connection, ssl=self._context, ssl_handshake_timeout=HANDSHAKE_SECONDS
            )
