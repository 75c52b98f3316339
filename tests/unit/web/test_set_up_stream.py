"""Setting up while somebody watches: lines as they come, one at a time, and an end in any case."""

import asyncio
import json
import threading
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from reconciler.domain.errors import Conflict, Interrupted, PreconditionFailed
from reconciler.ports import LineSink
from reconciler.web.set_up_stream import SetUpStreams


def run(story: Coroutine[Any, Any, None]) -> None:
    """Run it in a thread of its own: a browser of other tests keeps a loop in this one."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, story).result(50)


def until_cancelled(say: LineSink, cancel: threading.Event) -> None:
    say("begun")
    assert cancel.wait(20)
    raise Interrupted("`sh` was stopped")


async def told(streams: SetUpStreams, work: Any) -> list[tuple[str, Any]]:
    """Return every event of ``work`` with its data."""
    events = []
    async for chunk in streams.begin("api on web1", work):
        name, _, data = chunk.decode().strip().partition("\n")
        events.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return events


def test_lines_come_in_order_and_the_end_last() -> None:
    """Also those that were said in the last moment."""

    def work(say: LineSink, cancel: threading.Event) -> None:
        for number in range(50):
            say(f"line {number}")

    async def story() -> None:
        *lines, end = await told(SetUpStreams(), work)
        assert lines == [("line", {"text": f"line {number}"}) for number in range(50)]
        assert end == ("end", {"problem": None})

    run(story())


def test_a_flood_is_cut_and_ends_all_the_same() -> None:
    """A host that says a million things costs no memory; how it ended is told."""

    def work(say: LineSink, cancel: threading.Event) -> None:
        for _ in range(100_000):
            say("x")
        raise PreconditionFailed("host web1 has no rsync")

    async def story() -> None:
        *lines, (name, data) = await told(SetUpStreams(), work)
        assert 0 < len(lines) <= 100_000
        assert (name, data["problem"]["code"]) == ("end", "precondition-failed")

    run(story())


@pytest.mark.parametrize("how", ["time", "shutdown"])
def test_it_is_stopped_in_the_end(how: str) -> None:
    """When its time is over, and when the daemon ends."""

    async def story() -> None:
        limit = timedelta(seconds=0.2) if how == "time" else timedelta(minutes=1)
        streams = SetUpStreams(within=limit)
        if how == "shutdown":
            asyncio.get_running_loop().call_later(0.2, streams.stop)
        first, (name, data) = await told(streams, until_cancelled)
        assert first == ("line", {"text": "begun"})
        assert (name, data["problem"]["detail"]) == ("end", "stopped: `sh` was stopped")

    run(story())


def test_who_stops_reading_stops_the_work_and_nobody_does_it_twice() -> None:
    """A second one is refused until the first has ended."""
    stopped = threading.Event()

    def work(say: LineSink, cancel: threading.Event) -> None:
        say("begun")
        if cancel.wait(20):
            stopped.set()

    async def story() -> None:
        streams = SetUpStreams()
        events = streams.begin("api on web1", work)
        assert b"begun" in await anext(events)
        with pytest.raises(Conflict, match="being set up already"):
            streams.begin("api on web1", work)
        await events.aclose()  # type: ignore[attr-defined]  # it is a generator
        assert await asyncio.to_thread(stopped.wait, 20)
        streams.begin("api on web1", work)

    run(story())


def test_a_bug_is_told_as_one() -> None:
    """Its text stays in the log."""

    def work(say: LineSink, cancel: threading.Event) -> None:
        raise ZeroDivisionError("hunter2")

    async def story() -> None:
        ((name, data),) = await told(SetUpStreams(), work)
        assert (name, data["problem"]["status"]) == ("end", 500)
        assert "hunter2" not in str(data)

    run(story())
