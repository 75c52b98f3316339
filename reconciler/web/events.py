"""Server-sent events. Source: WHATWG HTML, section 9.2 "Server-sent events"."""

from collections.abc import AsyncIterator
from typing import Self

from starlette.responses import StreamingResponse

#: A comment, which clients pass over: it shows that somebody is still there.
STILL_HERE = b": still here\n\n"


class EventStream(StreamingResponse):
    """An answer that goes on."""

    media_type = "text/event-stream"

    @classmethod
    def of(cls, events: AsyncIterator[bytes]) -> Self:
        """Return the answer that sends ``events``; no proxy on the way holds them back."""
        return cls(events, headers={"x-accel-buffering": "no"})


def event(name: str, data: str, number: int | str | None = None) -> bytes:
    """Return one event as it is sent; a stream that broke goes on after its ``number``."""
    identity = "" if number is None else f"id: {number}\n"
    return f"{identity}event: {name}\ndata: {data}\n\n".encode()
