"""Our scripts, and what it means when one of them ends badly on a host.

A step is one remote command: a script of ours goes to ``sh`` as its standard input, and what it
works on are its arguments. What it finds wrong is its exit status, and why the last line that it
writes to standard error.
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from functools import cache
from importlib.resources import files

from reconciler.domain.errors import (
    CommandFailed,
    NameTaken,
    PreconditionFailed,
    ReconcilerError,
    RolloutError,
    TargetUnreachable,
    WorkTreeDirty,
)
from reconciler.domain.host import HostName
from reconciler.domain.secret import Secret
from reconciler.ports import Command, CommandResult, Machine


class Step(StrEnum):
    """What can be done on a host; each is a script of that name."""

    CHECK = "check"
    COMPLETE = "complete"
    BUILD = "build"
    FOLLOW = "follow"
    ASSEMBLE = "assemble"
    APPLY = "apply"
    REVERT = "revert"
    SELF_UPDATE = "self_update"
    CONFIRM = "confirm"
    LOOK = "look"
    LINES = "lines"
    FORGET = "forget"
    SET_UP = "set_up"


#: Exit status of a script → what it stands for; `common.sh` has the same list.
_ERRORS: Mapping[int, type[ReconcilerError]] = {
    70: CommandFailed,
    71: PreconditionFailed,  # a worker that lost its claim gets no further than to record this
    72: NameTaken,
    73: PreconditionFailed,
    74: WorkTreeDirty,
    75: CommandFailed,  # of the commit: a newer one may fit
    76: RolloutError,
    77: TargetUnreachable,  # passes: the lock is somebody else's now
}
_LONGEST_REASON = 1000
_QUICK = timedelta(seconds=90)


@dataclass(frozen=True, slots=True)
class Steps:
    """Steps on one machine. Threads may share it."""

    machine: Machine
    cancel: threading.Event | None = field(default=None)

    def run(
        self, step: Step, *arguments: str, timeout: timedelta = _QUICK, fresh: bool = False
    ) -> str:
        """Run a step and return what it printed; a ``fresh`` one over a connection of its own.

        Raises:
            ReconcilerError: it ended badly; which one says what helps.
        """
        # `--`: an argument that begins with a dash is none of the shell's.
        argv = ("sh", "-s", "--", *arguments)
        command = Command(argv, stdin=Secret.of(script(step)), timeout=timeout)
        result = self.machine.run(command, cancel=self.cancel, fresh=fresh)
        if not result.ok:
            raise self._error(step, result)
        return result.stdout

    def _error(self, step: Step, result: CommandResult) -> ReconcilerError:
        host = self.machine.name
        if result.timed_out:
            message = f"host {host}: step {step} was not done in time"
            return CommandFailed(message, host=host)
        said = result.stderr_tail.strip().splitlines()[-1:] or [f"step {step} failed"]
        evidence = {"host": host, "exit_status": str(result.exit_status)}
        if result.exit_status == 74 and result.stdout:
            evidence["files"] = ", ".join(result.stdout.splitlines())
            said = [f"{said[0]}: {evidence['files']}"]
        kind = _ERRORS.get(result.exit_status, CommandFailed)
        return kind(f"host {host}: {said[0][:_LONGEST_REASON]}", **evidence)


@contextmanager
def understood(host: HostName) -> Iterator[None]:
    """Read within the block what a step printed. Raises ``CommandFailed``: it is nonsense."""
    try:
        yield
    except (ValueError, StopIteration) as error:
        message = f"host {host} answers in a way that we don't know: {str(error)[:200]}"
        raise CommandFailed(message, host=host) from error


@cache
def script(step: Step) -> str:
    """Return the whole text of a step."""
    folder = files("reconciler.strategies.units") / "scripts"
    texts = [(folder / f"{name}.sh").read_text("utf-8") for name in ("common", step)]
    # No command of it may read the rest of the script.
    return "\n".join([*texts, 'main "$@" </dev/null', ""])
