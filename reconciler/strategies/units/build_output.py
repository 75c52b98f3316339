"""What a build says, kept within bounds."""

from collections import deque
from dataclasses import dataclass, field

from reconciler.ports import LineSink

_FIRST_LINES = 2000
_LAST_LINES = 40


@dataclass
class BoundedLines:
    """Passes the first lines on as they come, and the last ones at the end."""

    log: LineSink
    first: int = _FIRST_LINES
    taken: int = 0
    _last: deque[str] = field(default_factory=lambda: deque(maxlen=_LAST_LINES))

    def take(self, line: str) -> None:
        """Take one line; a ``LineSink``."""
        self.taken += 1
        if self.taken <= self.first:
            self.log(line)
        else:
            self._last.append(line)

    def finish(self) -> None:
        """Pass on the last lines of what was held back."""
        left_out = self.taken - self.first - len(self._last)
        if left_out > 0:
            self.log(f"… {left_out} more lines are left out …")
        while self._last:
            self.log(self._last.popleft())
