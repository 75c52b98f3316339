"""How reaching one host has gone lately."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from reconciler.domain.errors import Interrupted, ReconcilerError
from reconciler.domain.failure import Failure
from reconciler.domain.host import HostHealth
from reconciler.ports import Clock


class HealthRecord:
    """Remembers the last answer, and since when it is like that. Threads may share it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._health = HostHealth()

    @property
    def last(self) -> HostHealth:
        """How it went last time."""
        with self._lock:
            return self._health

    @contextmanager
    def recorded(self) -> Iterator[None]:
        """Record how the block goes; one that is interrupted says nothing about the host."""
        began = self._clock.monotonic()
        try:
            yield
        except Interrupted:
            raise
        except ReconcilerError as error:
            self.record(Failure.of(error))
            raise
        self.record(None, timedelta(seconds=self._clock.monotonic() - began))

    def record(self, error: Failure | None, took: timedelta | None = None) -> None:
        """Note an answer: None if it was good, and how long it ``took`` where that was a check."""
        now = self._clock.now()
        with self._lock:
            before = self._health
            same = before.checked_at is not None and _code(before.error) == _code(error)
            since = before.since if same else now
            self._health = HostHealth(now, since, error, took)


def _code(error: Failure | None) -> str:
    return error.code if error else ""
