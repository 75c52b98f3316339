"""Everything that happens, sent to whoever follows, from one shared look a second at most."""

import asyncio
import json
import logging
import secrets
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol, TypeVar

from anyio import CapacityLimiter, to_thread

from reconciler.domain.errors import Interrupted, ReconcilerError
from reconciler.log import fields
from reconciler.web.events import STILL_HERE, event
from reconciler.web.happenings import Happening, Scene

log = logging.getLogger("reconciler.web")

Seen = TypeVar("Seen")

MOST_FOLLOWERS = 64
_RING = 2000  #: events that a broken stream can go on after
_MOST_WAITING = 1000  #: events that wait for one reader
_BEAT_SECONDS = 15.0
_PAUSE_SECONDS = 1.0
#: What the clock alone changes, such as a window that opens, is seen after so long.
_LOOK_ANYWAY_SECONDS = 20.0
#: A look may take this share of the time.
_LARGEST_SHARE = 0.1
#: How long it goes on looking for the last one who followed to come back.
_LINGER_SECONDS = 60.0


class Looks(Protocol):
    """What is looked at; both are called in a thread."""

    def mark(self) -> str:
        """Return text that is another once anything changed; it costs little."""
        ...

    def look(self, before: Scene) -> Scene:
        """Return what is to be seen now."""
        ...


@dataclass(eq=False)
class _Follower:
    """One reader, and what waits for it."""

    projects: Collection[str] | None  #: that it hears of; None: all
    changes_only: bool = False  #: wants no snapshot, and sees that we are still there
    waiting: asyncio.Queue[bytes | None] = field(
        default_factory=lambda: asyncio.Queue(_MOST_WAITING)
    )

    def end(self) -> None:
        """Send nothing more: who reads too slowly begins again from the ring."""
        while not self.waiting.empty():
            self.waiting.get_nowait()
        self.waiting.put_nowait(None)

    def wants(self, happening: Happening) -> bool:
        return happening.is_of(self.projects)

    async def next(self) -> bytes | None:
        """Return what is to be sent next; None at the end."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_BEAT_SECONDS):
                return await self.waiting.get()
        return event("beat", "{}") if self.changes_only else STILL_HERE


class Feed:
    """All followers, the newest events, and the one who looks while there are any followers.

    To be used on the event loop alone.
    """

    def __init__(
        self,
        looks: Looks,
        *,
        pause_seconds: float = _PAUSE_SECONDS,
        look_anyway_seconds: float = _LOOK_ANYWAY_SECONDS,
    ) -> None:
        self._looks = looks
        self._pause = pause_seconds
        self._look_anyway = look_anyway_seconds
        self._followers: set[_Follower] = set()
        self._reserved = 0
        self._watching: asyncio.Task[None] | None = None
        self._starting = asyncio.Lock()
        self._looking = asyncio.Lock()
        self._stopping = False
        self._threads: CapacityLimiter | None = None
        self._begin_life()

    @property
    def full(self) -> bool:
        """Whether no more can be served."""
        return self._reserved >= MOST_FOLLOWERS

    def stop(self) -> None:
        """End every stream, and look no more."""
        self._stopping = True
        for follower in self._followers:
            follower.end()
        if self._watching is not None:
            self._watching.cancel()

    async def ready(self) -> None:
        """Return once there is something to tell.

        Raises:
            ReconcilerError: it could not be looked at.
        """
        if self._stopping:
            raise Interrupted("the daemon is shutting down")
        async with self._starting:
            if self._watching is not None and not self._watching.done():
                return
            self._begin_life()
            self._mark = await self._in_thread(self._looks.mark)
            self._scene = await self._in_thread(partial(self._looks.look, Scene()))
            self._looked_at = time.monotonic()
            self._watching = asyncio.create_task(self._watch())

    async def now(self) -> tuple[Scene, str]:
        """Return what is to be seen at this moment, and the id of the newest event before it.

        Who follows from that id on misses nothing.

        Raises:
            ReconcilerError: it could not be looked at.
        """
        await self.ready()
        self._alone_since = time.monotonic()  # who asks may be about to follow
        await self._look_again()
        return self._scene, self._identity

    async def follow(
        self, projects: Collection[str] | None, last_id: str, *, changes_only: bool = False
    ) -> AsyncIterator[bytes]:
        """Yield a snapshot, or what came after ``last_id``, then each event as it happens.

        Args:
            projects: nothing of any other; None: all.
            last_id: of the last event that is known; empty: none.
            changes_only: there is no snapshot, and what keeps the stream alive is an event, too.
        """
        self._reserved += 1
        follower = _Follower(projects, changes_only=changes_only)
        try:
            first = self._first(follower, last_id)
            self._followers.add(follower)
            for one in first:
                yield one
            while (following := await follower.next()) is not None:
                yield following
        finally:
            self._followers.discard(follower)
            self._reserved -= 1

    @property
    def _identity(self) -> str:
        """Id of the newest event."""
        return f"{self._life}-{self._number}"

    def _begin_life(self) -> None:
        """Forget what was: nobody can go on after an event of an earlier life."""
        self._life = secrets.token_hex(4)
        self._number = 0
        self._ring: deque[tuple[int, Happening]] = deque(maxlen=_RING)
        self._scene = Scene()
        self._mark = ""
        self._looked_at = 0.0
        self._alone_since = time.monotonic()

    def _first(self, follower: _Follower, last_id: str) -> Sequence[bytes]:
        missed = self._missed(last_id)
        if missed is not None:
            told = [self._event(*one) for one in missed if follower.wants(one[1])]
            return [b"retry: 2000\n\n", *told]
        reason = "what came after that event is not known any more" if last_id else ""
        reset = [event("reset", json.dumps({"reason": reason}))] if last_id else []
        if follower.changes_only:
            return [b"retry: 2000\n\n", event("reset", "{}", self._identity)]
        snapshot = self._scene.snapshot(follower.projects)
        return [b"retry: 2000\n\n", *reset, event("snapshot", snapshot, self._identity)]

    def _missed(self, last_id: str) -> Sequence[tuple[int, Happening]] | None:
        """Return what came after ``last_id``; None where nobody knows."""
        life, _, text = last_id.partition("-")
        if life != self._life or not (text.isascii() and text.isdecimal() and len(text) < 19):
            return None
        number, oldest = int(text), self._ring[0][0] if self._ring else self._number + 1
        if not oldest - 1 <= number <= self._number:
            return None
        return [one for one in self._ring if one[0] > number]

    def _publish(self, happening: Happening) -> None:
        if happening.kind == "project-removed":  # a later one of its name is another
            left = (one for one in self._ring if one[1].project != happening.project)
            self._ring = deque(left, maxlen=_RING)
        self._number += 1
        self._ring.append((self._number, happening))
        sent = self._event(self._number, happening)
        for follower in [one for one in self._followers if one.wants(happening)]:
            try:
                follower.waiting.put_nowait(sent)
            except asyncio.QueueFull:
                self._followers.discard(follower)
                follower.end()

    def _event(self, number: int, happening: Happening) -> bytes:
        return event(happening.kind, happening.data, f"{self._life}-{number}")

    async def _watch(self) -> None:
        """Look again and again, as long as somebody follows or may come back."""
        try:
            while self._is_wanted():
                began = time.monotonic()
                try:
                    await self._look_again()
                except ReconcilerError as error:
                    log.warning(
                        "what happens can't be told: %s",
                        error.message,
                        extra=fields(code=error.code),
                    )
                took = time.monotonic() - began
                await asyncio.sleep(max(self._pause, took / _LARGEST_SHARE))
        finally:
            # Whatever ended it: who follows begins anew.
            for follower in self._followers:
                follower.end()

    async def _look_again(self) -> None:
        async with self._looking:
            mark = await self._in_thread(self._looks.mark)
            if mark == self._mark and time.monotonic() - self._looked_at < self._look_anyway:
                return
            self._looked_at = time.monotonic()
            scene = await self._in_thread(partial(self._looks.look, self._scene))
            changes = list(scene.changes_since(self._scene))
            self._scene, self._mark = scene, mark
            for happening in changes:
                self._publish(happening)

    def _is_wanted(self) -> bool:
        if self._reserved:
            self._alone_since = time.monotonic()
        return time.monotonic() - self._alone_since < _LINGER_SECONDS

    async def _in_thread(self, function: Callable[[], Seen]) -> Seen:
        if self._threads is None:
            self._threads = CapacityLimiter(1)
        return await to_thread.run_sync(function, limiter=self._threads)
