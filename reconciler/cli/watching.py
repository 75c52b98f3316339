"""Following one deployment: its lines as they come, and how it ended."""

import time
from contextlib import suppress
from typing import TYPE_CHECKING

import typer

from reconciler.cli import show
from reconciler.cli.client import Client, Disconnected, JsonObject, at
from reconciler.cli.failure import CommandFailed, ExitStatus
from reconciler.cli.progress import Progress, progress

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
_AWAY = frozenset({ExitStatus.UNREACHABLE, ExitStatus.TRY_AGAIN})


class TimedOut(Exception):
    """The deployment had not ended in the time that was given."""


def watch(client: Client, deployment: JsonObject, timeout_seconds: float | None) -> ExitStatus:
    """Show the deployment's output until it has ended, then how; return the exit status for that.

    Interrupted, it says how to look again: the deployment goes on without us.
    """
    number = number_of(deployment)
    try:
        last = follow(client, deployment, show.console(), timeout_seconds)
    except KeyboardInterrupt:
        say_detached(number)
        raise typer.Exit(ExitStatus.INTERRUPTED) from None
    except TimedOut:
        say_late(number, timeout_seconds)
        return ExitStatus.TIMED_OUT
    return say_end(last)


def follow(
    client: Client,
    deployment: JsonObject,
    out: "Console",
    timeout_seconds: float | None,
    patience_seconds: float = _PATIENCE_SECONDS,
) -> JsonObject:
    """Show the deployment's output on ``out`` until it has ended; return it as it ended.

    The record says how, never the connection: one that is lost is made anew.

    Raises:
        TimedOut: that took too long.
        KeyboardInterrupt: somebody has seen enough.
        CommandFailed: the daemon went away and stayed away.
    """
    with progress(out, deployment) as shown:
        following = _Following(client, shown, timeout_seconds, patience_seconds)
        return following.to_the_end(deployment)


def number_of(deployment: JsonObject) -> int:
    """Return a deployment's number."""
    number = deployment.get("id")
    if isinstance(number, int):
        return number
    raise CommandFailed("the daemon's answer names no deployment", "is it of this version?")


def verdict_on(deployment: JsonObject) -> str:
    """Return in one line how a deployment ended, or that it has not."""
    parts = [f"deployment {show.word(deployment, 'id')} of {show.word(deployment, 'project')}"]
    if commit := show.short(deployment, "revision", "commit"):
        parts.append(f"commit {commit}")
    if message := show.word(deployment, "error", "message"):
        parts.append(message)
    if remedy := show.word(deployment, "error", "remedy"):
        parts.append(remedy)
    if follower := show.word(deployment, "superseded_by"):
        parts.append(f"deployment {follower} took its place")
    return f"{show.word(deployment, 'status')}: {'; '.join(parts)}"


def say_end(deployment: JsonObject) -> ExitStatus:
    """Print how a deployment ended, or that it has not; return the exit status for that."""
    status = show.word(deployment, "status")
    exit_status = EXIT_OF_STATUS.get(status, ExitStatus.OK)
    if exit_status is ExitStatus.OK:
        show.say(verdict_on(deployment), "green" if status == "deployed" else "cyan")
    else:
        show.fail(verdict_on(deployment))
    return exit_status


def say_detached(number: int) -> None:
    """Say how to look again at what goes on without us."""
    show.note(f"detached; deployment {number} goes on. Look again: reconciler logs {number} -f")


def say_late(number: int, timeout_seconds: float | None) -> None:
    """Say that the time was over first."""
    show.fail(
        f"deployment {number} had not ended after {timeout_seconds:g} s; it goes on: "
        f"`reconciler logs {number} -f`"
    )


class _Following:
    """One deployment that is followed, over as many connections as it takes."""

    def __init__(
        self,
        client: Client,
        shown: Progress,
        timeout_seconds: float | None,
        patience_seconds: float,
    ) -> None:
        self._client = client
        self._shown = shown
        self._timeout_seconds = timeout_seconds
        self._patience_seconds = patience_seconds
        self._seen = 0  #: number of the last line
        self._started = self._heard = time.monotonic()

    def to_the_end(self, deployment: JsonObject) -> JsonObject:
        """Return the deployment once it has ended."""
        number = number_of(deployment)
        while True:
            try:
                self._show_what_comes(number)
                deployment = self._client.get(at("deployments", str(number)))
                self._heard = time.monotonic()
                self._shown.state(deployment)
            except CommandFailed as failure:
                self._require_patience(number, failure)
                time.sleep(0.5)
                continue
            if deployment.get("finished_at"):
                return deployment
            time.sleep(0.1)

    def _show_what_comes(self, number: int) -> None:
        """Show lines and stages until the stream ends, one way or another."""
        quiet = min(_QUIET_SECONDS, self._left())
        with suppress(Disconnected):
            for event, data in self._client.follow_log(number, self._seen, quiet):
                self._heard = time.monotonic()
                if event == "deployment":
                    self._shown.state(data)
                elif event == "line":
                    if isinstance(shown := data.get("number"), int):
                        self._seen = max(self._seen, shown)
                    self._shown.line(data)
                self._left()
        self._left()

    def _require_patience(self, number: int, failure: CommandFailed) -> None:
        """Let a daemon be away for a while. Raises ``CommandFailed``: for too long."""
        if failure.status not in _AWAY:
            raise failure
        if time.monotonic() - self._heard > self._patience_seconds:
            text = f"{failure.message}; nobody knows how deployment {number} goes on"
            remedy = f"`reconciler logs {number} -f` once it is back"
            raise CommandFailed(text, remedy, failure.status) from failure

    def _left(self) -> float:
        """Return how many seconds are left. Raises ``TimedOut`` when there are none."""
        if self._timeout_seconds is None:
            return float("inf")
        left = self._started + self._timeout_seconds - time.monotonic()
        if left <= 0:
            raise TimedOut
        return left
