"""The watchdog hears of a daemon that does its work, and of no other."""

import asyncio
import socket
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from reconciler.adapters.service_manager import ServiceManager
from reconciler.web.watchdog import report_health


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound:
        bound.bind(str(tmp_path / "notify"))
        bound.settimeout(2)
        yield bound


def manager(tmp_path: Path, **variables: str) -> ServiceManager:
    return ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "notify"), **variables})


def run(work: Coroutine[None, None, None]) -> None:
    """Run ``work`` in a thread of its own: a browser's tests leave a loop behind in this one."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, work).result(20)


def test_reports_come_several_times_within_the_patience(
    tmp_path: Path, listener: socket.socket
) -> None:
    """While there is a problem it is told, and the watchdog is not fed; afterwards it is again."""
    problems: list[list[str]] = [[], ["polls is 400 s late"], []]
    heard: list[str] = []

    def find() -> list[str]:
        return problems.pop(0) if problems else []

    async def listen() -> None:
        watch = asyncio.create_task(
            report_health(manager(tmp_path, WATCHDOG_USEC="90000"), "working", find)
        )
        heard.extend([(await asyncio.to_thread(listener.recv, 4096)).decode() for _ in range(3)])
        watch.cancel()

    run(listen())
    alive = "WATCHDOG=1\nSTATUS=working"
    assert heard == [alive, "STATUS=failing: polls is 400 s late", alive]


def test_a_loop_that_hangs_is_silent(tmp_path: Path, listener: socket.socket) -> None:
    """Whoever can't answer requests is not alive, though its threads may be."""
    dog = manager(tmp_path, WATCHDOG_USEC="30000")

    async def hang() -> None:
        watch = asyncio.create_task(report_health(dog, "working", list))
        await asyncio.to_thread(listener.recv, 4096)
        with pytest.raises(TimeoutError):
            hear_twenty(listener)  # in the loop, which it holds up
        watch.cancel()

    run(hang())


def hear_twenty(listener: socket.socket) -> None:
    """Wait for more than is under way, 300 ms at most for each; ten come in that time."""
    listener.settimeout(0.3)
    for _ in range(20):
        listener.recv(4096)


def test_without_a_watchdog_nobody_asks(tmp_path: Path) -> None:
    """It is over at once."""
    run(report_health(manager(tmp_path), "working", lambda: pytest.fail("asked")))
