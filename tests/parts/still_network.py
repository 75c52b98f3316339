"""A network in which nothing ever changes, for a browser.

Chromium ends every request with ERR_NETWORK_CHANGED when an interface gets an address, and engines
make networks all the time. So it runs in a network namespace of its own, with nothing but a SOCKS
proxy in it that leads to the loopback addresses out here, and nowhere else.

``python -m tests.parts.still_network`` is that proxy (RFC 1928, without authentication). It prints
the path of its namespace, and ends with its standard input.
"""

import asyncio
import ctypes
import fcntl
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

_ROOT = Path(__file__).parents[2]
_PORT = 1080
_CLONE_NEWNET = 0x40000000
_SIOCSIFFLAGS, _IFF_UP = 0x8914, 0x1
_LOOPBACK = ("127.", "localhost")
#: What Chromium is started with in there; it would go to loopback addresses directly otherwise.
_PROXY_FLAGS = (f"--proxy-server=socks5://127.0.0.1:{_PORT}", "--proxy-bypass-list=<-loopback>")


@contextmanager
def still_network(chromium: Path, folder: Path) -> Iterator[tuple[Path, Sequence[str]]]:
    """Give what runs ``chromium`` in such a network until the block ends, and flags for it.

    Where none can be made, for which one has to be root, it is Chromium itself, and none.
    """
    proxy = subprocess.Popen(
        [sys.executable, "-m", "tests.parts.still_network"],
        cwd=_ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with proxy:
        assert proxy.stdin
        assert proxy.stdout
        try:
            if namespace := proxy.stdout.readline().strip():
                script = folder / chromium.name
                script.write_text(f'#!/bin/sh\nexec nsenter --net={namespace} -- {chromium} "$@"\n')
                script.chmod(0o755)
                yield script, _PROXY_FLAGS
            else:
                yield chromium, ()
        finally:
            proxy.stdin.close()


# ── In the process itself ─────────────────────────────────────────────────────────────────────


def _main() -> None:
    outside = os.open("/proc/self/ns/net", os.O_RDONLY)
    try:
        _call("unshare", _CLONE_NEWNET)
    except PermissionError:
        return
    inside = os.open("/proc/self/ns/net", os.O_RDONLY)
    _bring_up("lo")
    listener = socket.create_server(("127.0.0.1", _PORT))
    _call("setns", outside, _CLONE_NEWNET)  # the listener stays in there
    sys.stdout.write(f"/proc/{os.getpid()}/fd/{inside}\n")
    sys.stdout.flush()
    asyncio.run(_serve(listener))


def _call(name: str, *arguments: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments) != 0:
        raise OSError(ctypes.get_errno(), name)


def _bring_up(interface: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh14x", interface.encode(), _IFF_UP))


async def _serve(listener: socket.socket) -> None:
    server = await asyncio.start_server(_relay, sock=listener)
    await asyncio.to_thread(sys.stdin.read)
    server.close()


async def _relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError, asyncio.IncompleteReadError):
        host, port = await _wanted(reader, writer)
        if host.startswith(_LOOPBACK):
            there, here = await asyncio.open_connection(host, port)
            writer.write(b"\x05\x00\x00\x01" + bytes(6))
            await asyncio.gather(_pass_on(reader, here), _pass_on(there, writer))
        else:  # 2: not allowed
            writer.write(b"\x05\x02\x00\x01" + bytes(6))
    writer.close()


async def _wanted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> tuple[str, int]:
    _, methods = await reader.readexactly(2)
    await reader.readexactly(methods)
    writer.write(b"\x05\x00")
    kind = (await reader.readexactly(4))[3]
    if kind == 1:
        host = socket.inet_ntoa(await reader.readexactly(4))
    else:
        (length,) = await reader.readexactly(1) if kind == 3 else (16,)
        host = (await reader.readexactly(length)).decode(errors="replace")
    (port,) = struct.unpack("!H", await reader.readexactly(2))
    return host, port


async def _pass_on(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await source.read(1 << 16):
            sink.write(data)
            await sink.drain()
    sink.close()


if __name__ == "__main__":
    _main()
