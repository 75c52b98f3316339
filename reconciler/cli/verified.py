"""Following a deployment until it is verified: 0 only for the very revision that was meant."""

import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from reconciler.cli import show
from reconciler.cli.client import Client, JsonObject, at, items_of
from reconciler.cli.failure import CommandFailed, ExitStatus
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


@dataclass(frozen=True, slots=True)
class Patience:
    """How a deployment is followed."""

    timeout: float | None = None  #: seconds
    cancel_on_interrupt: bool = False
    as_json: bool = False


def follow_until_verified(client: Client, asked: JsonObject, patience: Patience) -> ExitStatus:
    """Show the deployment ``asked`` until it has ended, and how; return the exit status for that.

    SIGTERM, by which a runner ends a job that was cancelled, means the same as Ctrl-C.
    """
    with _ended_like_ctrl_c():
        return _Followed(client, asked, patience).to_the_end()


def get_verified(
    client: Client, name: str, hosts: Sequence[str], refusal: CommandFailed
) -> JsonObject:
    """Return the live deployment for which another one was refused, if it still runs as verified.

    Raises:
        CommandFailed: the refusal, where what runs is something else, or nobody can say.
    """
    number = show.word(next(iter(items_of(refusal.problem, "reasons")), None), "deployment")
    number = number or show.word(client.get(at("projects", name)), "live", "deployment")
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


@dataclass(frozen=True, slots=True)
class _Followed:
    """One deployment that is followed to its end."""

    client: Client
    asked: JsonObject
    patience: Patience

    def to_the_end(self) -> ExitStatus:
        """Follow it, and say how it ended; return the exit status for that."""
        number, out = number_of(self.asked), show.console(error=self.patience.as_json)
        try:
            out.print(_announcement(self.asked))
            out.file.flush()
            last = follow(self.client, self.asked, out, self.patience.timeout)
        except TimedOut:
            self._print_record(number)
            say_late(number, self.patience.timeout)
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
        say_how_it_ended(last, verdict, as_json=self.patience.as_json, well=status is ExitStatus.OK)
        return status

    def _interrupted(self, number: int) -> None:
        last = self._take_back(number) if self.patience.cancel_on_interrupt else {}
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
        if self.patience.as_json:
            with suppress(CommandFailed):
                show.as_json(self.client.get(at("deployments", str(number))))


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


def say_how_it_ended(
    deployment: JsonObject, verdict: str, *, as_json: bool, well: bool = True
) -> None:
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
