"""One limit for a whole conversation, whatever it is made of."""

import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Self


@dataclass(frozen=True, slots=True)
class Deadline:
    """The monotonic instant by which a call is over."""

    ends: float  #: on the clock of ``time.monotonic``
    limit: timedelta  #: the whole of it, for messages

    @classmethod
    def after(cls, limit: timedelta) -> Self:
        """Return the deadline of a call that begins now."""
        return cls(time.monotonic() + limit.total_seconds(), limit)

    def seconds_left(self) -> float:
        """Return what is left, in seconds.

        Raises:
            TimeoutError: nothing is.
        """
        left = self.ends - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"no complete answer within {self.limit.total_seconds():g} s")
        return left
