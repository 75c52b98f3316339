"""Setting a target up while somebody watches: each line as it is said, at last how it ended."""

import asyncio
import json
import logging
import threading
from collections.abc import AsyncIterator, Callable
from datetime import timedelta

from anyio import CapacityLimiter, to_thread

from reconciler.domain.errors import Conflict, ReconcilerError, TargetUnreachable
from reconciler.ports import LineSink
from reconciler.web.events import STILL_HERE, event
from reconciler.web.problems import make_problem, problem_of

log = logging.getLogger(__name__)

_AT_ONCE = 8
_MOST_LINES = 1000
_BEAT_SECONDS = 10.0

#: What sets a target up: says what it does, and stops where it is told to.
Work = Callable[[LineSink, threading.Event], None]


class SetUpStreams:
    """All targets that are being set up; each one once at a time."""

    def __init__(self, *, within: timedelta = timedelta(minutes=10)) -> None:
        self._within = within
        self._running: dict[str, threading.Event] = {}
        self._threads: CapacityLimiter | None = None

    def begin(self, name: str, work: Work) -> AsyncIterator[bytes]:
        """Return the events of ``work``: each ``line``, at last ``end``.

        Who stops reading stops the work. It is safe to begin again.

        Raises:
            Conflict: it is being set up already, or too many others are.
        """
        if name in self._running:
            raise Conflict(f"{name} is being set up already")
        if len(self._running) >= _AT_ONCE:
            raise Conflict(f"{_AT_ONCE} targets are being set up already; try again later")
        return self._events(name, work)

    def stop(self) -> None:
        """Stop all of them."""
        for cancel in self._running.values():
            cancel.set()

    async def _events(self, name: str, work: Work) -> AsyncIterator[bytes]:
        cancel = self._running[name] = threading.Event()
        lines: asyncio.Queue[str] = asyncio.Queue(_MOST_LINES)
        running = asyncio.create_task(self._run(work, _sink(lines), cancel))
        limit = asyncio.get_running_loop().call_later(self._within.total_seconds(), cancel.set)
        try:
            while not running.done() or not lines.empty():
                if (line := await _next(lines, running)) is not None:
                    yield event("line", json.dumps({"text": line}))
                elif not running.done():
                    yield STILL_HERE
            yield event("end", json.dumps(running.result()))
        finally:
            limit.cancel()
            cancel.set()
            self._running.pop(name, None)

    async def _run(self, work: Work, sink: LineSink, cancel: threading.Event) -> dict[str, object]:
        """Return what the last event says: nothing, or the problem."""
        if self._threads is None:
            self._threads = CapacityLimiter(_AT_ONCE)
        try:
            await to_thread.run_sync(work, sink, cancel, limiter=self._threads)
        except ReconcilerError as error:
            if cancel.is_set():
                error = TargetUnreachable(f"stopped: {error.message}")
            return {"problem": problem_of(error).model_dump(mode="json", exclude_none=True)}
        except Exception:
            log.exception("setting up failed unexpectedly")
            problem = make_problem(500, "a bug; the daemon's log has more")
            return {"problem": problem.model_dump(mode="json", exclude_none=True)}
        return {"problem": None}


def _sink(lines: "asyncio.Queue[str]") -> LineSink:
    """Return what takes lines in any thread; those that nobody fetches in time are left out."""
    loop = asyncio.get_running_loop()

    def put(line: str) -> None:
        if not lines.full():
            lines.put_nowait(line)

    return lambda line: loop.call_soon_threadsafe(put, line)  # type: ignore[return-value]


async def _next(lines: "asyncio.Queue[str]", running: "asyncio.Task[object]") -> str | None:
    """Return the next line; None where the work ended, or nothing was said for a while."""
    getting = asyncio.ensure_future(lines.get())
    await asyncio.wait(
        {getting, running}, timeout=_BEAT_SECONDS, return_when=asyncio.FIRST_COMPLETED
    )
    if getting.done():
        return getting.result()
    getting.cancel()
    return lines.get_nowait() if not lines.empty() else None
