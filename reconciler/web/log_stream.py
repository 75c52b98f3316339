"""A deployment's log, followed live."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from typing import TypeVar

from anyio import CapacityLimiter, to_thread

from reconciler.domain.deployment import Deployment, DeploymentId
from reconciler.log import plain
from reconciler.ports import DeploymentStore, LogLine
from reconciler.web.bodies import body_of
from reconciler.web.events import STILL_HERE, event
from reconciler.web.schemas.deployments import LogLineBody

Seen = TypeVar("Seen")

MOST_FOLLOWERS = 64
_THREADS = 4
_PAGE = 1000
_BEAT_SECONDS = 15.0
_SHORTEST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 1.0


class Followers:
    """Everybody who follows a log. They share a few threads, so that other requests keep theirs."""

    def __init__(self) -> None:
        self._number = 0
        self._threads: CapacityLimiter | None = None
        self._stopping = asyncio.Event()

    @property
    def full(self) -> bool:
        """Whether no more can be served."""
        return self._number >= MOST_FOLLOWERS

    def stop(self) -> None:
        """End every stream; what follows reconnects to the next life of the daemon."""
        self._stopping.set()

    async def follow(
        self, store: DeploymentStore, deployment: DeploymentId, after: int
    ) -> AsyncIterator[bytes]:
        """Yield events: each ``line`` with its number as id, at last ``end``.

        Before the first line, and whenever a stage begins or ends, ``deployment`` says where it
        stands; then behind the lines that are older than its newest stage.
        """
        self._number += 1
        try:
            yield b"retry: 2000\n\n"
            async for one in self._events(store, deployment, after):
                yield one
        finally:
            self._number -= 1

    async def _events(
        self, store: DeploymentStore, deployment: DeploymentId, after: int
    ) -> AsyncIterator[bytes]:
        pause, beat_at = _SHORTEST_PAUSE_SECONDS, time.monotonic() + _BEAT_SECONDS
        told: object = None
        while not self._stopping.is_set():
            found, lines = await self._look(partial(look, store, deployment, after))
            status = found.status
            shown, before = 0, told
            if before != (told := (status, found.attempt, found.stages)):
                shown = _lines_before_its_stage(found, lines) if before else 0
                for line in lines[:shown]:
                    yield _line_event(line)
                body = await self._look(partial(body_of, store, found))
                yield event("deployment", body.model_dump_json())
            for line in lines[shown:]:
                yield _line_event(line)
            if lines:
                after, pause = lines[-1].number, _SHORTEST_PAUSE_SECONDS
            elif status.final:
                yield event("end", json.dumps({"status": status}))
                return
            if time.monotonic() >= beat_at:
                yield STILL_HERE
                beat_at = time.monotonic() + _BEAT_SECONDS
            if len(lines) < _PAGE and not (lines and status.final):
                await self._wait(pause)
                pause = min(pause * 1.5, _LONGEST_PAUSE_SECONDS)

    async def _look(self, function: Callable[[], Seen]) -> Seen:
        if self._threads is None:
            self._threads = CapacityLimiter(_THREADS)
        return await to_thread.run_sync(function, limiter=self._threads)

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return


def look(
    store: DeploymentStore, deployment: DeploymentId, after: int
) -> tuple[Deployment, Sequence[LogLine]]:
    """Return the deployment, and lines that follow ``after``.

    The deployment first: lines that are missing when it had ended already will never come.
    """
    found = store.get_deployment(deployment)
    return found, store.read_log(deployment, after=after, limit=_PAGE)


def _lines_before_its_stage(deployment: Deployment, lines: Sequence[LogLine]) -> int:
    """Return how many of ``lines``, from the first on, are older than the newest stage."""
    if not deployment.stages:
        return 0
    began = deployment.stages[-1].started_at
    return next((at for at, line in enumerate(lines) if line.at >= began), len(lines))


def _line_event(line: LogLine) -> bytes:
    return event("line", LogLineBody.of(line).model_dump_json(), line.number)


def read_whole_log(store: DeploymentStore, deployment: DeploymentId, after: int) -> str:
    """Return the log as text, without colours. The store bounds its size."""
    parts: list[str] = []
    while lines := store.read_log(deployment, after=after, limit=_PAGE):
        parts.extend(f"{plain(line.text)}\n" for line in lines)
        after = lines[-1].number
    return "".join(parts)
