"""Time and processes."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from reconciler.domain.secret import Secret


class Clock(Protocol):
    """Time. Wall time is for records; every wait and every duration is monotonic."""

    def now(self) -> datetime:
        """Return the instant, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds that only grow."""
        ...

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Wait until ``event`` is set, at most ``seconds``; return whether it is."""
        ...


@dataclass(frozen=True, slots=True)
class Command:
    """A process described as data. Never a shell line; nothing of our environment is inherited."""

    argv: tuple[str, ...]
    cwd: Path | None = None
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    stdin: Secret | None = None
    timeout: timedelta = timedelta(minutes=10)
    output_limit_bytes: int = (
        1 << 20
    )  #: of stdout; more is an error, or cut where lines are followed
    #: Folders of ours that code of others may see, and no more of us; the first is its ``/tmp``.
    #: Empty: this command is trusted.
    confined_to: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class CommandResult:
    """How a process ended."""

    argv: tuple[str, ...]
    exit_status: int  #: negative: ended by that signal
    stdout: str
    stderr_tail: str  #: its last 4 KiB
    duration: timedelta
    timed_out: bool = False

    @property
    def ok(self) -> bool:
        """Whether it ended with status 0, in time."""
        return self.exit_status == 0 and not self.timed_out


#: Takes one line of output at a time, without its newline.
LineSink = Callable[[str], None]


class CommandRunner(Protocol):
    """Runs processes, each in a process group of its own that is ended as a whole."""

    def run(
        self,
        command: Command,
        *,
        on_line: LineSink | None = None,
        cancel: threading.Event | None = None,
    ) -> CommandResult:
        """Run ``command`` to its end.

        Args:
            command: what to run.
            on_line: is given each line of stdout and stderr as it comes.
            cancel: once set, the group is ended (TERM, 10 s later KILL).

        Raises:
            PreconditionFailed: the program is not there, or can't be started.
            Interrupted: ``cancel`` was set.
        """
        ...
