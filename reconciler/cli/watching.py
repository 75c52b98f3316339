"""Following one deployment: its lines as they come, and how it ended."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Protocol

import typer

from reconciler.cli import show
from reconciler.cli.client import Client, Disconnected, JsonObject, at
from reconciler.cli.failure import CommandFailed, ExitStatus

if TYPE_CHECKING:
    from rich.console import Console

EXIT_OF_STATUS = {
    "deployed": ExitStatus.OK,
    "failed": ExitStatus.FAILED,
    "rolled-back": ExitStatus.ROLLED_BACK,
    "needs-operator": ExitStatus.NEEDS_OPERATOR,
    "superseded": ExitStatus.REPLACED,
    "withdrawn": ExitStatus.REPLACED,
}
#: The connection is made anew after this long without a line, which notices a dead daemon.
_QUIET_SECONDS = 15.0
#: How long a daemon may be away, e.g. while it restarts, before following is given up.
_PATIENCE_SECONDS = 60.0


class TimedOut(Exception):
    """The deployment had not ended in the time that was given."""


class _Progress(Protocol):
    def line(self, line: JsonObject) -> None:
        """Show one line of output."""

    def state(self, deployment: JsonObject) -> None:
        """Show where the deployment stands."""


def watch(client: Client, deployment: JsonObject, timeout_seconds: float | None) -> ExitStatus:
    """Show the deployment's output until it has ended, then how; return the exit status for that.

    Interrupted, it says how to look again: the deployment goes on without us.
    """
    number = number_of(deployment)
    try:
        with _progress(number) as progress:
            last = _follow(client, deployment, progress, timeout_seconds)
    except KeyboardInterrupt:
        show.note(f"detached; deployment {number} goes on. Look again: reconciler logs {number} -f")
        raise typer.Exit(ExitStatus.INTERRUPTED) from None
    except TimedOut:
        show.fail(
            f"deployment {number} had not ended after {timeout_seconds:g} s; it goes on: "
            f"`reconciler logs {number} -f`"
        )
        return ExitStatus.TIMED_OUT
    return say_end(last)


def number_of(deployment: JsonObject) -> int:
    """Return a deployment's number."""
    number = deployment.get("id")
    if isinstance(number, int):
        return number
    raise CommandFailed("the daemon's answer names no deployment", "is it of this version?")


def say_end(deployment: JsonObject) -> ExitStatus:
    """Print how a deployment ended, or that it has not; return the exit status for that."""
    status = show.word(deployment, "status")
    exit_status = EXIT_OF_STATUS.get(status, ExitStatus.OK)
    parts = [f"deployment {show.word(deployment, 'id')} of {show.word(deployment, 'project')}"]
    if commit := show.short(deployment, "revision", "commit"):
        parts.append(f"commit {commit}")
    if message := show.word(deployment, "error", "message"):
        parts.append(message)
    if remedy := show.word(deployment, "error", "remedy"):
        parts.append(remedy)
    if follower := show.word(deployment, "superseded_by"):
        parts.append(f"deployment {follower} took its place")
    line = f"{status}: {'; '.join(parts)}"
    if exit_status is ExitStatus.OK:
        show.say(line, "green" if status == "deployed" else "cyan")
    else:
        show.fail(line)
    return exit_status


def _follow(
    client: Client, deployment: JsonObject, progress: _Progress, timeout_seconds: float | None
) -> JsonObject:
    """Return the deployment once it has ended.

    Raises:
        TimedOut: that took too long.
        CommandFailed: the daemon went away and stayed away.
    """
    number, seen = number_of(deployment), 0
    started = heard = time.monotonic()
    while True:
        progress.state(deployment)
        left = _left(started, timeout_seconds)
        try:
            with suppress(Disconnected):
                for line in client.follow_log(number, seen, min(_QUIET_SECONDS, left)):
                    heard = time.monotonic()
                    if isinstance(shown := line.get("number"), int):
                        seen = max(seen, shown)
                    progress.line(line)
                    _left(started, timeout_seconds)
            _left(started, timeout_seconds)
            deployment = client.get(at("deployments", str(number)))
            heard = time.monotonic()
        except CommandFailed as failure:
            away = failure.status in {ExitStatus.UNREACHABLE, ExitStatus.TRY_AGAIN}
            if not away or time.monotonic() - heard > _PATIENCE_SECONDS:
                raise
            time.sleep(0.5)
            continue
        if deployment.get("finished_at"):
            return deployment
        time.sleep(0.1)


def _left(started: float, timeout_seconds: float | None) -> float:
    """Return how many seconds are left. Raises ``TimedOut`` when there are none."""
    if timeout_seconds is None:
        return float("inf")
    left = started + timeout_seconds - time.monotonic()
    if left <= 0:
        raise TimedOut
    return left


class _Plain:
    """Output that is no terminal: one line a line."""

    def __init__(self, out: "Console") -> None:
        self._out = out

    def line(self, line: JsonObject) -> None:
        self._out.print(line_of(line))
        self._out.file.flush()

    def state(self, deployment: JsonObject) -> None:
        """The lines say it."""


class _Live(_Plain):
    """A terminal: the lines, and below them what goes on, with the time that it has taken."""

    def __init__(self, out: "Console", number: int) -> None:
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        super().__init__(out)
        columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False))
        self.display = Progress(*columns, TimeElapsedColumn(), console=out, transient=True)
        self._number = number
        self._task = self.display.add_task(f"deployment {number}")

    def line(self, line: JsonObject) -> None:
        super().line(line)
        self._describe(show.word(line, "stage"))

    def state(self, deployment: JsonObject) -> None:
        status = show.word(deployment, "status")
        self._describe(show.word(deployment, "stage") if status == "running" else status)

    def _describe(self, what: str) -> None:
        self.display.update(self._task, description=f"deployment {self._number} {what}")


def line_of(line: JsonObject) -> str:
    """Return one line of a deployment's output as it is shown: its stage, then its text."""
    text = show.word(line, "text")
    # Compose begins its own lines with one space; what is indented further is so for a reason.
    text = text if text.startswith("  ") else text.removeprefix(" ")
    return f"{show.word(line, 'stage'):<9} {text}"


@contextmanager
def _progress(number: int) -> Iterator[_Progress]:
    out = show.console()
    if not out.is_terminal:
        yield _Plain(out)
        return
    live = _Live(out, number)
    with live.display:
        yield live
