"""Work side by side, under a limit for all and one per host; suspects wait apart.

A host that hangs holds its own places only. What failed last time runs in a lane of its own, so
that a hundred dead servers take no place from the thousands that answer.
"""

import threading
from collections import defaultdict, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

Task = Callable[[], None]


class Lanes:
    """Two thread pools and a queue per host. Tasks must not raise."""

    def __init__(self, name: str, *, at_once: int, per_host: int, suspects_at_once: int) -> None:
        self._healthy = ThreadPoolExecutor(at_once, thread_name_prefix=name)
        self._suspect = ThreadPoolExecutor(suspects_at_once, thread_name_prefix=f"{name}-suspect")
        self._per_host = per_host
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
        self._healthy.shutdown(wait=False, cancel_futures=True)
        self._suspect.shutdown(wait=False, cancel_futures=True)

    def _start(self, host: str, task: Task, *, suspect: bool) -> None:
        pool = self._suspect if suspect else self._healthy
        pool.submit(self._run, host, task)

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
