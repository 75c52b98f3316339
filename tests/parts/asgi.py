"""Requests to the web application in this process: neither sockets nor a server between."""

import asyncio
import json
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI

Message = MutableMapping[str, Any]


@dataclass(slots=True)
class Answered:
    """What came back."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who asks the application."""

    app: FastAPI
    token: str = ""
    peer: str = ""  #: as the kernel names who is at the other end of the unix socket

    async def ask(self, method: str, path: str, body: object = None, **headers: str) -> Answered:
        """Ask, and return the answer; of a stream what it says first."""
        return await self.follow(method, path, lambda _: True, body, **headers)

    async def follow(
        self,
        method: str,
        path: str,
        is_enough: Callable[[Answered], bool],
        body: object = None,
        **headers: str,
    ) -> Answered:
        """Ask, and read a stream until it ends, or what came of it is enough."""
        answered = Answered()
        enough = asyncio.Event()
        run = self.app(
            self._scope(method, path, headers), _content(body), _sink(answered, enough, is_enough)
        )
        running = asyncio.create_task(_run(run))
        waiting = asyncio.create_task(enough.wait())
        await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if not running.done():
            running.cancel()
        await asyncio.gather(running, waiting, return_exceptions=True)
        return answered

    def _scope(self, method: str, path: str, headers: dict[str, str]) -> Message:
        path, _, query = path.partition("?")
        given = {"host": "localhost", "content-type": "application/json"}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        if self.token:
            given["authorization"] = f"Bearer {self.token}"
        scope: Message = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "scheme": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(name.encode(), value.encode()) for name, value in given.items()],
            "client": ("192.0.2.7", 4711),
            "server": ("localhost", 80),
        }
        if self.peer:
            scope["reconciler.peer"] = self.peer
        return scope


async def _run(running: Awaitable[None]) -> None:
    await running


def _content(body: object) -> Callable[[], Awaitable[Message]]:
    """Return what receives a body; of ``...`` more is always to come."""
    sent = [b"" if body is None or body is ... else json.dumps(body).encode()]

    async def receive() -> Message:
        if sent:
            return {"type": "http.request", "body": sent.pop(), "more_body": body is ...}
        await asyncio.Event().wait()  # the client stays
        raise AssertionError

    return receive


def _sink(
    answered: Answered, enough: asyncio.Event, is_enough: Callable[[Answered], bool]
) -> Callable[[Message], Awaitable[None]]:
    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            answered.status = message["status"]
            answered.headers = {k.decode(): v.decode() for k, v in message["headers"]}
            return
        answered.body += message.get("body", b"")
        streams = "event-stream" in answered.headers.get("content-type", "")
        if streams and is_enough(answered):
            enough.set()
            await asyncio.sleep(0)

    return send
