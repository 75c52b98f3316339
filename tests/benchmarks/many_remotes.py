"""Very many small git servers in one cheap process: on every address of 127.0.0.0/8.

It speaks just enough of protocol v2 over plain HTTP, from answers made beforehand, so that what is
measured is the client. It notes when each repository was asked, and can be told to hang: from then
on those whose path begins with ``/hung/`` are read and never answered.

``python -m tests.benchmarks.many_remotes FOLDER`` writes ``port`` into the folder once it serves.
``GET /-/hang`` makes it hang; ``GET /-/asked`` returns path → instants (Unix time) since the start.
"""

import asyncio
import json
import signal
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import cast

from dulwich.protocol import pkt_line

TIP = "a" * 40
_END = b"\r\n\r\n"
_CAPABILITIES = (b"version 2\n", b"agent=git/2\n", b"ls-refs\n", b"object-format=sha1\n")
_ADVERTISEMENT = (
    pkt_line(b"# service=git-upload-pack\n")
    + pkt_line(None)
    + b"".join(map(pkt_line, _CAPABILITIES))
    + pkt_line(None)
)
_REFS = pkt_line(f"{TIP} refs/heads/main\n".encode()) + pkt_line(None)


def _answer(kind: str, body: bytes) -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


_ANSWERS = {
    b"GET": _answer("application/x-git-upload-pack-advertisement", _ADVERTISEMENT),
    b"POST": _answer("application/x-git-upload-pack-result", _REFS),
}


class _Remotes:
    """What all connections share."""

    def __init__(self) -> None:
        self.asked: dict[str, list[float]] = defaultdict(list)
        self.hanging = False


class _Conversation(asyncio.Protocol):
    """One connection; a client sends its next request only after the answer."""

    def __init__(self, remotes: _Remotes) -> None:
        self._remotes = remotes
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by class

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(_END)
        if not end or len(body) < _length(head):
            return
        self._received = b""
        method, path, _ = head.split(b" ", 2)
        self._say(method, path.decode())

    def _say(self, method: bytes, path: str) -> None:
        if path == "/-/hang":
            self._remotes.hanging = True
            self._transport.write(_answer("text/plain", b""))
        elif path == "/-/asked":
            asked = json.dumps(self._remotes.asked).encode()
            self._transport.write(_answer("application/json", asked))
        else:
            self._remotes.asked[path.split(".git/", maxsplit=1)[0]].append(time.time())
            if not (self._remotes.hanging and path.startswith("/hung/")):
                self._transport.write(_ANSWERS[method])


def _length(head: bytes) -> int:
    found = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
    return int(found or 0)


async def _serve(folder: Path) -> None:
    remotes = _Remotes()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Conversation(remotes), "0.0.0.0", 0, backlog=4096)
    ended = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    unfinished = folder / "port.new"
    unfinished.write_text(str(server.sockets[0].getsockname()[1]))
    unfinished.replace(folder / "port")
    await ended.wait()


if __name__ == "__main__":
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(Path(sys.argv[1])))
