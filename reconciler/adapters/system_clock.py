"""The real time."""

import threading
import time
from datetime import UTC, datetime


class SystemClock:
    """``Clock`` on the machine's clocks."""

    def now(self) -> datetime:
        """Return the instant, aware, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds that only grow."""
        return time.monotonic()

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Wait until ``event`` is set, at most ``seconds``; return whether it is."""
        return event.wait(max(seconds, 0.0))
