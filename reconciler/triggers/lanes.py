"""Work side by side, under a limit for all and one per host; suspects wait apart.

A host that hangs holds its own places only. What failed last time runs in a lane of its own, and
what takes long makes room for others, so that a hundred dead servers take no place from the
thousands that answer: neither later on, nor in the moment in which they die.
"""

import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

Task = Callable[[], object]

#: Seconds after which a task is slow: it runs on, and its place is free for another.
_SLOW_AFTER = 2.0


class Lanes:
    """Two thread pools and a queue per host. Tasks must not raise."""

    def __init__(
        self,
        name: str,
        *,
        at_once: int,
        per_host: int,
        suspects_at_once: int,
        slow_at_once: int = 0,
    ) -> None:
        """Make the lanes.

        Args:
            name: of the threads.
            at_once: tasks side by side, besides those that are slow.
            per_host: of all kinds, for one host.
            suspects_at_once: tasks side by side of what failed last time.
            slow_at_once: slow tasks that make room for others; more hold their places.
        """
        self._healthy = ThreadPoolExecutor(at_once + slow_at_once, thread_name_prefix=name)
        self._suspect = ThreadPoolExecutor(suspects_at_once, thread_name_prefix=f"{name}-suspect")
        self._at_once = at_once
        self._slow_at_once = slow_at_once
        self._per_host = per_host
        self._ready: deque[tuple[str, Task]] = deque()
        self._began: dict[object, float] = {}
        self._lock = threading.Condition()
        self._busy: dict[str, int] = defaultdict(int)
        self._waiting: dict[str, deque[tuple[bool, Task]]] = defaultdict(deque)
        self._unfinished = 0
        self._closed = False

    def submit(self, host: str, task: Task, *, suspect: bool = False) -> None:
        """Run ``task`` as soon as ``host`` and its lane have a place."""
        with self._lock:
            if self._closed:
                return
            self._unfinished += 1
            if self._busy[host] >= self._per_host:
                self._waiting[host].append((suspect, task))
                return
            self._busy[host] += 1
        self._start(host, task, suspect=suspect)

    def relieve(self) -> None:
        """Let others have the places of those that became slow; to be called now and then."""
        with self._lock:
            self._start_ready()

    @property
    def unfinished(self) -> int:
        """How many tasks wait or run."""
        with self._lock:
            return self._unfinished

    def join(self, seconds: float) -> bool:
        """Wait until nothing waits or runs; False if time ran out first."""
        with self._lock:
            return self._lock.wait_for(lambda: self._unfinished == 0, seconds)

    def close(self) -> None:
        """Take nothing more; what waits is dropped, what runs goes on to its own time limit."""
        with self._lock:
            self._closed = True
            self._waiting.clear()
            self._ready.clear()
        self._healthy.shutdown(wait=False, cancel_futures=True)
        self._suspect.shutdown(wait=False, cancel_futures=True)

    def _start(self, host: str, task: Task, *, suspect: bool) -> None:
        if suspect:
            self._suspect.submit(self._run, host, task)
            return
        with self._lock:
            self._ready.append((host, task))
            self._start_ready()

    def _start_ready(self) -> None:
        while self._ready and not self._closed and self._has_place():
            place = object()
            self._began[place] = time.monotonic()
            self._healthy.submit(self._run_in, place, *self._ready.popleft())

    def _has_place(self) -> bool:
        if len(self._began) < self._at_once:
            return True
        slow_since = time.monotonic() - _SLOW_AFTER
        slow = sum(began < slow_since for began in self._began.values())
        return len(self._began) - min(slow, self._slow_at_once) < self._at_once

    def _run_in(self, place: object, host: str, task: Task) -> None:
        try:
            self._run(host, task)
        finally:
            with self._lock:
                del self._began[place]
                self._start_ready()

    def _run(self, host: str, task: Task) -> None:
        try:
            task()
        finally:
            self._next(host)

    def _next(self, host: str) -> None:
        with self._lock:
            self._unfinished -= 1
            self._lock.notify_all()
            if self._closed or not self._waiting[host]:
                self._waiting.pop(host, None)
                self._busy[host] -= 1
                if not self._busy[host]:
                    del self._busy[host]
                return
            suspect, task = self._waiting[host].popleft()
        self._start(host, task, suspect=suspect)
