"""One request of git's and its answer, on their way between client and ``git http-backend``."""

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from reconciler.adapters.git.http_backend import HttpBackend

if TYPE_CHECKING:
    from starlette.types import Receive, Send

_IDLE_SECONDS = 300.0
#: A push whose client went away after sending all of it is still carried out.
_FINISH_SECONDS = 60.0


class Exchange:
    """One request and its answer, on their way between client and git."""

    def __init__(
        self, backend: HttpBackend, receive: "Receive", send: "Send", *, finish: bool
    ) -> None:
        """Take both ends; ``finish`` lets git end its work after the client went away."""
        self._backend = backend
        self._receive = receive
        self._send = send
        self._finish = finish
        self._complete = False

    async def run(self) -> None:
        """Carry both ways until git has answered, or the client is gone."""
        answer = asyncio.create_task(self._answer())
        feed = asyncio.create_task(self._feed())
        patience = 0.0
        try:
            await asyncio.wait({answer, feed}, return_when=asyncio.FIRST_COMPLETED)
            if not answer.done() and self._complete and self._finish:
                await asyncio.wait({answer}, timeout=_FINISH_SECONDS)
            if answer.done():
                patience = _FINISH_SECONDS
                await answer
        finally:
            for task in (feed, answer):
                task.cancel()
                with suppress(asyncio.CancelledError, TimeoutError, OSError):
                    await task
            await asyncio.shield(self._backend.end(wait_seconds=patience))

    async def _feed(self) -> None:
        """Carry the body to git; ends when the client is gone."""
        while True:
            async with asyncio.timeout(None if self._complete else _IDLE_SECONDS):
                message = await self._receive()
            if message["type"] == "http.disconnect":
                return
            if self._complete:
                continue
            if chunk := message.get("body", b""):
                await self._backend.write(chunk)
            if not message.get("more_body", False):
                self._complete = True
                self._backend.end_body()

    async def _answer(self) -> None:
        """Carry git's answer to the client."""
        status, headers = await self._backend.head()
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        async for chunk in self._backend.body():
            async with asyncio.timeout(_IDLE_SECONDS):
                await self._send({"type": "http.response.body", "body": chunk, "more_body": True})
        await self._send({"type": "http.response.body", "body": b""})
