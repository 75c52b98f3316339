"""Deliveries at a steady pace, from a process of its own, whether or not the answers keep up.

How long one took counts from the moment at which it was due, so that a receiver that stops for a
while is charged with all that waited meanwhile.

``python -m tests.benchmarks.deliveries PORT RATE SECONDS`` sends the request that it reads from its
input, and writes what came of it.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections import deque
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.benchmarks.table import quantile

_CONNECTIONS = 8
_ROOT = Path(__file__).parents[2]
_LAST_ANSWERS_SECONDS = 60


@dataclass(frozen=True)
class Sent:
    """What came of many deliveries."""

    took_ms: list[float] = field(default_factory=list)  #: of each that was answered
    refused: int = 0  #: those answered with anything but 202
    seconds: float = 0.0  #: until the last answer

    @property
    def rate(self) -> float:
        """How many were answered a second."""
        return len(self.took_ms) / self.seconds

    def within(self, share: float) -> float:
        """Return the milliseconds that ``share`` of them did not exceed."""
        return quantile(self.took_ms, share)


def deliver(port: int, request: bytes, *, rate: int, seconds: float) -> Sent:
    """Send ``request`` again and again; return when the last one is answered."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.deliveries", f"{port}", f"{rate}", f"{seconds}"],
        input=request,
        stdout=subprocess.PIPE,
        cwd=_ROOT,
        timeout=seconds + _LAST_ANSWERS_SECONDS,
        check=True,
    )
    return Sent(**json.loads(done.stdout))


def as_request(path: str, headers: dict[str, str], body: bytes) -> bytes:
    """Return a POST as it is sent over a kept connection."""
    every = {"host": "localhost", "content-length": str(len(body)), **headers}
    lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in every.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class _Connection(asyncio.Protocol):
    """One kept connection; what is due while an answer is out waits for it, as at a forge."""

    def __init__(self, request: bytes, took_ms: list[float]) -> None:
        self.refused = 0
        self._request = request
        self._took_ms = took_ms
        self._due: deque[float] = deque()
        self._received = b""
        self.idle = asyncio.Event()
        self.idle.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def send(self, due_at: float) -> None:
        self._due.append(due_at)
        self.idle.clear()
        if len(self._due) == 1:
            self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        if not end or len(body) < _length(head):
            return
        self._received = b""
        self.refused += b" 202 " not in head.partition(b"\r\n")[0]
        self._took_ms.append((time.perf_counter() - self._due.popleft()) * 1e3)
        if self._due:
            self._transport.write(self._request)
        else:
            self.idle.set()


def _length(head: bytes) -> int:
    return int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])


async def _send_all(port: int, request: bytes, rate: int, count: int) -> Sent:
    loop = asyncio.get_running_loop()
    took_ms: list[float] = []
    connections = []
    for _ in range(_CONNECTIONS):
        _, connection = await loop.create_connection(
            lambda: _Connection(request, took_ms), "127.0.0.1", port
        )
        connections.append(connection)
    began = time.perf_counter()
    sent = 0
    while sent < count:
        while sent < count and (due_at := began + sent / rate) <= time.perf_counter():
            connections[sent % _CONNECTIONS].send(due_at)
            sent += 1
        await asyncio.sleep(0.0005)
    await asyncio.gather(*(connection.idle.wait() for connection in connections))
    refused = sum(connection.refused for connection in connections)
    return Sent(took_ms, refused, time.perf_counter() - began)


if __name__ == "__main__":
    port, rate = int(sys.argv[1]), int(sys.argv[2])
    count = int(rate * float(sys.argv[3]))
    print(json.dumps(asdict(asyncio.run(_send_all(port, sys.stdin.buffer.read(), rate, count)))))
