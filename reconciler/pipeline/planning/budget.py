"""Looks that are made side by side, all of which are over by one deadline."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotInTime
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self, TypeVar

from reconciler.domain.errors import ReconcilerError, TookTooLong
from reconciler.ports import Clock

_AT_ONCE = 8
Seen = TypeVar("Seen")


@dataclass(slots=True)
class Budget:
    """The time that one plan may take. What is not over by then is told to stop, and left alone."""

    clock: Clock
    seconds: float
    cancel: threading.Event = field(default_factory=threading.Event)
    _pool: ThreadPoolExecutor = field(init=False)
    _ends: float = field(init=False)

    def __post_init__(self) -> None:
        """Begin."""
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="plan")
        self._ends = self.clock.monotonic() + self.seconds

    def begin(self, look: Callable[[], Seen]) -> Future[Seen]:
        """Begin a look beside the others."""
        return self._pool.submit(look)

    def wait(self, look: Future[Seen]) -> Seen:
        """Return what was seen.

        Raises:
            TookTooLong: it is not over yet.
            ReconcilerError: what the look raised.
        """
        left = max(self._ends - self.clock.monotonic(), 0)
        try:
            return look.result(left)
        except NotInTime:
            raise TookTooLong(f"it took longer than {self.seconds:g} s") from None

    def attempt(self, look: Future[Seen]) -> Seen | ReconcilerError:
        """Return what was seen, or why nothing was."""
        try:
            return self.wait(look)
        except ReconcilerError as error:
            return error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.cancel.set()
        self._pool.shutdown(wait=False, cancel_futures=True)
