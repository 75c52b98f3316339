"""Our scripts on a host, and what it means that they fail.

A script goes to ``sh`` as its standard input, and what it works on are its arguments. One that
takes something from its standard input is an argument itself.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cache
from importlib.resources import files
from pathlib import Path

from reconciler.domain.errors import (
    CommandFailed,
    Interrupted,
    PreconditionFailed,
    TargetUnreachable,
)
from reconciler.domain.host import HostPath
from reconciler.domain.secret import Secret
from reconciler.ports import Command, CommandResult, LineSink, Machine

#: Exit status of flock: there is no folder to put the lock into.
#: Source: flock(1), "EXIT STATUS", with ``EX_NOINPUT`` of sysexits.h.
NO_FOLDER = 66
#: Exit status of flock: somebody else holds the lock, as we have it say.
BUSY = 75
#: Exit status: a newer claim was there already. These are those of ``common.sh``.
FENCED = 76
#: Exit status: the commit is not in the repository.
NO_COMMIT = 77
#: Exit status: files were changed by hand, one a line on stdout.
CHANGED = 78
#: Exit status: untracked files would be overwritten, one a line on stdout.
IN_THE_WAY = 79

_TIMEOUT = timedelta(minutes=2)
_LIMIT_BYTES = 64 << 20
_LOCK_SECONDS = 120
#: For git there: no configuration but the repository's own, and a name for the commit it makes.
_GIT_ENVIRONMENT = {
    "HOME": "/nonexistent",
    # Seen from the work tree, and out of it: a container may have that, and could write there what
    # git would run as our user.
    "GIT_DIR": "../repository.git",
    "GIT_WORK_TREE": ".",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_LFS_SKIP_SMUDGE": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_AUTHOR_NAME": "reconciler",
    "GIT_AUTHOR_EMAIL": "reconciler@localhost",
    "GIT_COMMITTER_NAME": "reconciler",
    "GIT_COMMITTER_EMAIL": "reconciler@localhost",
}


@cache
def script(name: str) -> str:
    """Return the text of one of our scripts, without the call that starts it."""
    folder = files("reconciler.strategies.compose.on_host") / "scripts"
    return "\n".join((folder / f"{part}.sh").read_text() for part in ("common", name))


def script_command(name: str, *arguments: str, timeout: timedelta = _TIMEOUT) -> Command:
    """Return what runs the script ``name`` on a host."""
    # No command of it may read the rest of the script.
    text = f'{script(name)}\nmain "$@" </dev/null\n'
    return Command(
        ("sh", "-s", "--", *arguments),
        env=_GIT_ENVIRONMENT,
        stdin=Secret.of(text),
        timeout=timeout,
        output_limit_bytes=_LIMIT_BYTES,
    )


def script_argv(name: str, *arguments: str) -> tuple[str, ...]:
    """Return the argument list that runs the script ``name`` with a stdin of its own."""
    return ("sh", "-c", f'{script(name)}\nmain "$@"', "sh", *arguments)


def length_of(content: Secret) -> str:
    """Return how many bytes it has: what is cut off on its way looks like the end."""
    return str(len(content.reveal().encode()))


@dataclass(frozen=True, slots=True)
class HostShell:
    """Scripts and files on one host. Each call may raise what ``Machine`` raises."""

    machine: Machine

    def run(self, name: str, *arguments: str) -> str:
        """Run a script, and return what it printed. Raises ``PreconditionFailed``."""
        result = self.machine.run(script_command(name, *arguments))
        return self.check(result, "it can't be made ready")

    def feed(self, name: str, content: Secret, *arguments: str) -> None:
        """Run a script that takes ``content``. Raises ``PreconditionFailed``."""
        command = Command(script_argv(name, *arguments), stdin=content, timeout=_TIMEOUT)
        self.check(self.machine.run(command), "it can't be written")

    def write(self, path: Path, text: str) -> None:
        """Write one file whole; its folder is there. Raises ``PreconditionFailed``."""
        with self.missing():
            self.machine.write(HostPath(str(path)), Secret.of(text), mode=0o644)

    def check(self, result: CommandResult, what: str) -> str:
        """Return what a command printed that ended well.

        Raises:
            PreconditionFailed: it did not; the message says ``what`` that means.
        """
        if result.ok:
            return result.stdout
        said = result.stderr_tail.strip()
        last = "it took too long" if result.timed_out else (said.splitlines() or [""])[-1]
        raise PreconditionFailed(
            f"host {self.machine.name}: {what}: {last or f'exit status {result.exit_status}'}",
            host=self.machine.name,
            stderr=said,
        )

    @contextmanager
    def understood(self) -> Iterator[None]:
        """Read within the block what a script printed. Raises ``PreconditionFailed``: nonsense."""
        try:
            yield
        except ValueError as error:
            host = self.machine.name
            message = f"host {host} answers in a way that we don't know: {str(error)[:200]}"
            raise PreconditionFailed(message, host=host) from error

    @contextmanager
    def missing(self) -> Iterator[None]:
        """Take what fails in the block for something that the host lacks: space, permission."""
        try:
            yield
        except CommandFailed as error:
            raise PreconditionFailed(error.message, **error.evidence) from error


@dataclass(frozen=True, slots=True)
class FencedRunner:
    """``CommandRunner`` on a host: one command at a time, and none for a claim that is over.

    A command whose connection was lost, or that was cancelled, may go on there for a while.
    """

    machine: Machine
    folder: Path  #: the project's, where the lock is
    fence: int  #: the claim's number

    def run(
        self,
        command: Command,
        *,
        on_line: LineSink | None = None,
        cancel: threading.Event | None = None,
    ) -> CommandResult:
        """Run ``command``; see ``CommandRunner``.

        Raises:
            TargetUnreachable: an earlier command is still at work.
            Interrupted: a newer claim was there.
        """
        argv = (
            *("flock", "-w", str(_LOCK_SECONDS), "-E", str(BUSY), str(self.folder / ".lock")),
            *script_argv("fenced", str(self.folder / ".fence"), str(self.fence), *command.argv),
        )
        result = self.machine.run(replace(command, argv=argv), on_line=on_line, cancel=cancel)
        where = f"host {self.machine.name}"
        if result.exit_status == BUSY:
            raise TargetUnreachable(f"{where}: an earlier deployment is still at work there")
        if result.exit_status == FENCED:
            raise Interrupted(f"{where}: another worker has taken the deployment over")
        return replace(result, argv=command.argv)
