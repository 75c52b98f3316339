"""``reconciler release``: deploy one app, follow it, and end with 0 only if it was verified."""

import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import typer

from reconciler.cli import show
from reconciler.cli.client import Client, JsonObject, at, connect, items_of
from reconciler.cli.deployments import ask
from reconciler.cli.failure import CommandFailed, ExitStatus
from reconciler.cli.family import PROJECT
from reconciler.cli.progress import show_stages
from reconciler.cli.watching import (
    EXIT_OF_STATUS,
    TimedOut,
    follow,
    number_of,
    say_detached,
    say_late,
    verdict_on,
)

#: How long a worker may need to let go of what was taken back.
_LETTING_GO_SECONDS = 30.0


def release(
    context: typer.Context,
    name: str = PROJECT,
    commit: str | None = typer.Option(
        None, "--commit", metavar="SHA", help="Full commit.  [default: the branch's tip]"
    ),
    host: list[str] | None = typer.Option(
        None, "--host", metavar="HOST", help="Only there; may be repeated.  [default: all]"
    ),
    force: bool = typer.Option(
        False, "--force", help="Even if it is live already, or was rolled back before."
    ),
    reason: str = typer.Option("", "--reason", metavar="TEXT", help="Kept with the deployment."),
    timeout: float | None = typer.Option(
        None, "--timeout", metavar="SECONDS", min=1, help="Stop waiting after this long (exit 15)."
    ),
    cancel_on_interrupt: bool = typer.Option(
        False, "--cancel-on-interrupt", help="Ctrl-C takes it back, if it changed nothing yet."
    ),
    as_json: bool = typer.Option(
        False, "--json", help="Print the deployment as JSON at the end; all else goes to stderr."
    ),
) -> None:
    """Deploy an app, and follow it until it is verified.

    What CI built and reported is another thing: `reconciler releases`.

    It ends with 0 only if the very revision that was asked for runs, and runs well.

    Exit status: 0 verified, 10 refused, 11 failed, 12 rolled back, 13 a person has to look, 14
    superseded or withdrawn, 15 not ended within --timeout, 69 the daemon went away and stayed
    away, 130 interrupted: the deployment goes on, unless it was taken back.
    """
    given = {"commit": commit, "force": force, "reason": reason, "hosts": host}
    body: dict[str, object] = {field: value for field, value in given.items() if value}
    client = connect(context)
    try:
        asked = ask(client, at("projects", name, "deployments"), body)
    except KeyboardInterrupt:
        show.note(f"interrupted before it answered; it may have begun: reconciler logs {name} -f")
        raise typer.Exit(ExitStatus.INTERRUPTED) from None
    except CommandFailed as refusal:
        if refusal.code != "already-live":
            raise
        live = _get_verified(client, name, host or (), refusal)
        _say_end(live, f"verified just now, live already: {verdict_on(live)}", as_json=as_json)
        return
    with _ended_like_ctrl_c():
        raise typer.Exit(
            _Release(client, asked, timeout, cancel_on_interrupt, as_json).to_the_end()
        )


@dataclass(frozen=True, slots=True)
class _Release:
    """One deployment that is followed to its end."""

    client: Client
    asked: JsonObject
    timeout: float | None
    cancel_on_interrupt: bool
    as_json: bool

    def to_the_end(self) -> ExitStatus:
        """Follow it, and say how it ended; return the exit status for that."""
        number, out = number_of(self.asked), show.console(error=self.as_json)
        try:
            out.print(_announcement(self.asked))
            out.file.flush()
            last = follow(self.client, self.asked, out, self.timeout)
        except TimedOut:
            self._print_record(number)
            say_late(number, self.timeout)
            return ExitStatus.TIMED_OUT
        except KeyboardInterrupt:
            with suppress(KeyboardInterrupt):  # a second one wants nothing but the end
                self._interrupted(number)
            return ExitStatus.INTERRUPTED
        return self._judge(last)

    def _judge(self, last: JsonObject) -> ExitStatus:
        """Return 0 only for the very revision that was asked for, verified on each host."""
        status = EXIT_OF_STATUS.get(show.word(last, "status"), ExitStatus.FAILED)
        verdict = verdict_on(last)
        if status is ExitStatus.OK and (doubt := _doubt(self.asked, last)):
            status, verdict = ExitStatus.FAILED, f"{verdict}; but {doubt}"
        _say_end(last, verdict, as_json=self.as_json, well=status is ExitStatus.OK)
        return status

    def _interrupted(self, number: int) -> None:
        last = self._take_back(number) if self.cancel_on_interrupt else {}
        if show.word(last, "status") == "withdrawn":
            show.note(f"deployment {number} was taken back; nothing was changed")
        elif last.get("finished_at"):
            show.note(f"it had ended already: {verdict_on(last)}")
        else:
            say_detached(number)
        self._print_record(number)

    def _take_back(self, number: int) -> JsonObject:
        """Ask for it, and wait for that; return the deployment. Why it goes on is said."""
        path = at("deployments", str(number))
        try:
            try:
                answer = self.client.send("POST", f"{path}/withdraw")
            except CommandFailed as refusal:
                answer = self.client.get(path)
                if not answer.get("finished_at"):
                    raise refusal from None
            until = time.monotonic() + _LETTING_GO_SECONDS
            while not answer.get("finished_at") and time.monotonic() < until:
                time.sleep(0.2)
                answer = self.client.get(path)
        except CommandFailed as failure:
            show.note(f"{failure.message}; {failure.remedy}" if failure.remedy else failure.message)
            return {}
        return answer

    def _print_record(self, number: int) -> None:
        if self.as_json:
            with suppress(CommandFailed):
                show.as_json(self.client.get(at("deployments", str(number))))


def _get_verified(
    client: Client, name: str, hosts: Sequence[str], refusal: CommandFailed
) -> JsonObject:
    """Return the live deployment for which another one was refused, if it still runs as verified.

    Raises:
        CommandFailed: the refusal, where what runs is something else, or nobody can say.
    """
    number = show.word(next(iter(items_of(refusal.problem, "reasons")), None), "deployment")
    live = client.get(at("deployments", number))
    where = hosts or [show.word(one, "host") for one in items_of(live, "targets")]
    for host in where:
        now = client.get(at("projects", name, "targets", host, "status"))
        if show.word(now, "deployment") != number or now.get("differs") is not False:
            because = show.words(now, "differences") or show.word(now, "error", "message")
            said = because or "nobody can say what runs"
            text = f"{refusal.message}; but on {host}: {said}"
            raise CommandFailed(text, "`--force` deploys it again", ExitStatus.REFUSED)
    return live


def _announcement(asked: JsonObject) -> str:
    """Return what is about to be followed."""
    number, name = show.word(asked, "id"), show.word(asked, "project")
    commit = show.short(asked, "revision", "commit")
    return f"deployment {number} of {name}{f', commit {commit}' if commit else ''}"


def _doubt(asked: JsonObject, last: JsonObject) -> str:
    """Return why what was deployed is not what was asked for; empty where it is."""
    wanted, found = (show.word(one, "revision", "commit") for one in (asked, last))
    if wanted != found:
        return f"commit {wanted[:8] or 'none'} was asked for"
    targets = items_of(last, "targets")
    unproved = [one for one in targets if show.word(one, "status") != "verified"]
    if unproved or not targets:
        return (
            f"it was not verified on {show.word(unproved[0], 'host') if unproved else 'any host'}"
        )
    return ""


def _say_end(deployment: JsonObject, verdict: str, *, as_json: bool, well: bool = True) -> None:
    """Print how it ended: as JSON, or the stages and a verdict."""
    if as_json:
        show.as_json(deployment)
    else:
        show_stages(deployment)
    if not well:
        show.fail(verdict)
    elif as_json:
        show.note(verdict)
    else:
        show.say(verdict, "green")


@contextmanager
def _ended_like_ctrl_c() -> Iterator[None]:
    """Let SIGTERM, by which a runner ends a job that was cancelled, mean the same as Ctrl-C."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
