"""A loop: one pass at a time; a wake-up that comes while it runs is kept; it says how it does."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from reconciler.domain.errors import ReconcilerError
from reconciler.log import fields
from reconciler.ports import UNMETERED, Clock, Metering

log = logging.getLogger(__name__)

#: A loop that made no progress for this long past its interval is stuck, and healthz says so.
_STUCK_AFTER = timedelta(minutes=6)


@dataclass(frozen=True, slots=True)
class LoopSpec:
    """One loop to run."""

    name: str
    work: Callable[[], object]  #: one pass of it
    every: timedelta = timedelta(minutes=1)
    follows: str = ""  #: the live setting that is its interval, in place of ``every``
    rest: timedelta = timedelta(0)  #: after a pass, in which wake-ups gather for the next one


@dataclass(frozen=True, slots=True)
class LoopHealth:
    """How a loop is doing."""

    name: str
    last_progress_at: datetime | None  #: end of the last pass; None before the first
    late: timedelta  #: by how much the next pass is overdue; zero while it is not
    ok: bool
    error: str = ""  #: of the last pass; empty if it went well


class Loop:
    """One pass at a time, in a thread of its own, whenever it is woken."""

    def __init__(
        self,
        name: str,
        work: Callable[[], object],
        clock: Clock,
        interval: timedelta,
        rest: timedelta = timedelta(0),
    ) -> None:
        self.name = name
        self.interval = interval
        self._rest_seconds = rest.total_seconds()
        self._work = work
        self._clock = clock
        self._woken = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._progress = clock.monotonic()
        self._progress_at: datetime | None = None
        self._error = ""
        self.metering: Metering = UNMETERED

    def start(self) -> None:
        """Begin; the first pass runs at once."""
        self._progress = self._clock.monotonic()
        self._woken.set()
        self._thread.start()

    def wake(self) -> None:
        """Run a pass now, or one more after the one that runs."""
        self._woken.set()

    def stop(self) -> None:
        """Begin no further pass."""
        self._stopped.set()
        self._woken.set()

    def join(self, seconds: float) -> bool:
        """Wait for the pass that runs; False if it takes longer."""
        if self._thread.ident is not None:
            self._thread.join(seconds)
        return not self._thread.is_alive()

    def health(self) -> LoopHealth:
        """Return how it is doing."""
        late = self._late()
        stuck = late > _STUCK_AFTER or not self._thread.is_alive()
        return LoopHealth(self.name, self._progress_at, late, not stuck, self._error)

    def _late(self) -> timedelta:
        since = timedelta(seconds=self._clock.monotonic() - self._progress)
        return max(since - self.interval, timedelta(0))

    def _run(self) -> None:
        while True:
            self._woken.wait()
            if self._stopped.is_set():
                return
            self._woken.clear()
            self._pass()
            self._stopped.wait(self._rest_seconds)

    def _pass(self) -> None:
        """Run the work once. Here any exception ends: the next pass starts afresh."""
        self.metering.began_pass(self.name, self._late())
        try:
            self._work()
            self._error = ""
        except ReconcilerError as error:
            self.metering.failed("loop", error.code)
            if error.message != self._error:
                log.warning("%s: %s", self.name, error.message, extra=fields(code=error.code))
            self._error = error.message
        except Exception as bug:
            self.metering.failed("loop", "internal-error")
            log.exception("%s failed unexpectedly", self.name)
            self._error = f"unexpected: {type(bug).__name__}"
        self._progress = self._clock.monotonic()
        self._progress_at = self._clock.now()
