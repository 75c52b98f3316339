"""What is sent compressed, and what never is."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from starlette.responses import PlainTextResponse

from reconciler.web.compression import Compression


def encoding(path: str, query: str = "", method: str = "GET", accept: bytes = b"gzip") -> str:
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "headers": [(b"accept-encoding", accept)],
    }
    app = Compression(PlainTextResponse("a page " * 1000))
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, app(scope, receive, send)).result()
    found: dict[bytes, bytes] = dict(sent[0]["headers"])
    return found.get(b"content-encoding", b"").decode()


@pytest.mark.parametrize(
    ("path", "query", "method", "accept", "expected"),
    [
        ("/", "", "GET", b"gzip", "gzip"),
        ("/static/style.css", "5f0c2b1a", "GET", b"gzip", "gzip"),
        ("/", "", "GET", b"", ""),
        ("/", "q=chosen", "GET", b"gzip", ""),
        ("/switch", "", "POST", b"gzip", ""),
        ("/api/v1/projects", "", "GET", b"gzip", ""),
        ("/git/shop.git/info/refs", "", "GET", b"gzip", ""),
    ],
)
def test_only_pages_that_show_nothing_of_the_query(
    path: str, query: str, method: str, accept: bytes, expected: str
) -> None:
    assert encoding(path, query, method, accept) == expected
