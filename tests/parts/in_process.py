"""Requests to the web application in this process: no socket, and whatever headers a test wants."""

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from fastapi import FastAPI
from starlette.datastructures import Headers

HOST = "127.0.0.1:8484"
ORIGIN = f"http://{HOST}"
FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Asked:
    """One request."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    client: str = "192.0.2.7"
    scheme: str = "http"


@dataclass(frozen=True)
class Answered:
    """What came back."""

    status: int
    headers: Headers
    body: str

    @property
    def cookies(self) -> dict[str, str]:
        """What it sets: name → text."""
        pairs = (one.partition(";")[0].partition("=") for one in self.headers.getlist("set-cookie"))
        return {name: text for name, _, text in pairs}


def form(path: str, client: str = "192.0.2.7", **fields: str) -> Asked:
    """Return a form of a page of ours, filled in."""
    headers = {"origin": ORIGIN, "sec-fetch-site": "same-origin", "content-type": FORM}
    return Asked("POST", path, headers, urlencode(fields).encode(), client)


def ask(app: FastAPI, *requests: Asked) -> Sequence[Answered]:
    """Send them all at once."""

    async def all_of_them() -> Sequence[Answered]:
        return await asyncio.gather(*(_send(app, one) for one in requests))

    # A browser that an earlier test began keeps a loop of its own in this thread.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, all_of_them()).result()


async def _send(app: FastAPI, asked: Asked) -> Answered:
    path, _, query = asked.path.partition("?")
    headers = {"host": HOST, **asked.headers}
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": asked.method,
        "scheme": asked.scheme,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.lower().encode(), text.encode()) for name, text in headers.items()],
        "client": (asked.client, 40000),
        "server": ("127.0.0.1", 8484),
        "state": {},
    }
    left = [{"type": "http.request", "body": asked.body, "more_body": False}]
    sent: list[Any] = []

    async def receive() -> Any:
        return left.pop() if left else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    start = next(one for one in sent if one["type"] == "http.response.start")
    body = b"".join(one.get("body", b"") for one in sent if one["type"] == "http.response.body")
    return Answered(start["status"], Headers(raw=start["headers"]), body.decode())
