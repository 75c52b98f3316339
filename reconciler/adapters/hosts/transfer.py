"""Folders, files and commits on their way to a machine: the commands, and what they end with."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from reconciler.adapters.git.binary import Git
from reconciler.adapters.hosts.failures import evidence_of, last_useful_line
from reconciler.domain.errors import (
    CommandFailed,
    CommitNotFound,
    PreconditionFailed,
    TargetUnreachable,
)
from reconciler.domain.host import HostName, HostPath
from reconciler.domain.references import CommitSha
from reconciler.domain.secret import Secret
from reconciler.ports import Command, CommandResult, CommandRunner

#: Where a machine keeps the commits that were brought to it.
PUSHED_REFS = "refs/reconciler/"

_NO_SPACE = ("No space left", "Disk quota exceeded")
_SEND_TIMEOUT = timedelta(minutes=30)
_SILENT_SECONDS = 60
#: Source: rsync(1), "EXIT VALUES": socket I/O, timeout in data, timeout of the daemon; and ssh's.
_RSYNC_LOST = frozenset({10, 30, 35, 255})
_RSYNC_MISSING = 127
_PUSH_TIMEOUT = timedelta(minutes=10)
# A receiver takes commits without their history, and runs no hook of its repository. It still
# refuses a repository that belongs to somebody else: there is more in it than hooks.
_RECEIVE = "git -c receive.shallowUpdate=true -c core.hooksPath=/dev/null receive-pack"

_WRITE_TIMEOUT = timedelta(minutes=1)
# What is cut off on its way looks like the end to `cat`: only what is all there takes the place.
_WRITE = """
new=$1.new-$$
umask 077
trap 'rm -f -- "$new"' EXIT
trap 'exit 1' HUP INT PIPE TERM
cat >"$new" && chmod -- "$3" "$new" && sync -- "$new" || exit 1
if [ "$(wc -c <"$new")" -ne "$2" ]; then echo 'it did not arrive whole' >&2; exit 1; fi
mv -fT -- "$new" "$1"
"""


def rsync(source: Path, destination: str, *options: str, cwd: Path | None = None) -> Command:
    """Return the command that makes the folder ``destination`` hold what ``source`` does.

    Contents are compared, not times: builds may give all files the same one.
    """
    argv = (
        *("rsync", "--recursive", "--links", "--perms", "--times", "--checksum", "--delete"),
        *("--partial", "--safe-links", "--protect-args", f"--timeout={_SILENT_SECONDS}"),
        *("--info=stats1", *options, "--", f"{source.absolute()}/", f"{destination}/"),
    )
    return Command(argv, cwd=cwd, timeout=_SEND_TIMEOUT)


def check_sent(name: HostName, into: HostPath, result: CommandResult) -> None:
    """Do nothing if rsync ended well.

    Raises:
        TargetUnreachable: the connection stood still, or was lost.
        PreconditionFailed: there is no rsync.
        CommandFailed: it could not be written; ``no space`` says so.
    """
    if result.ok:
        return
    line, evidence = _first_reason(result), evidence_of(name, result.stderr_tail)
    if _is_full(result):
        raise _no_space(name, into, result)
    if result.timed_out:
        minutes = _SEND_TIMEOUT // timedelta(minutes=1)
        message = f"host {name}: sending to {into} took more than {minutes} min"
        raise TargetUnreachable(message, **evidence)
    if result.exit_status in _RSYNC_LOST:
        message = f"host {name}: the connection was lost while sending to {into}: {line}"
        raise TargetUnreachable(message, **evidence)
    if result.exit_status == _RSYNC_MISSING:
        raise PreconditionFailed(f"host {name} has no rsync: install it there", **evidence)
    raise CommandFailed(f"host {name}: {into} can't be written: {line}", **evidence)


def write_command(path: HostPath, content: Secret, mode: int) -> Command:
    """Return the command that writes one file whole, or not at all."""
    length = str(len(content.reveal().encode()))
    argv = ("sh", "-c", _WRITE, "sh", path, length, f"{mode:04o}")
    return Command(argv, stdin=content, timeout=_WRITE_TIMEOUT)


def check_written(name: HostName, path: HostPath, result: CommandResult) -> None:
    """Do nothing if it was written. Raises ``CommandFailed``; ``no space`` says so."""
    if result.ok:
        return
    if _is_full(result):
        raise _no_space(name, path, result)
    line = "it took too long" if result.timed_out else last_useful_line(result.stderr_tail)
    evidence = evidence_of(name, result.stderr_tail)
    raise CommandFailed(f"host {name}: {path} can't be written: {line}", **evidence)


def push(
    runner: CommandRunner,
    repository: Path,
    commit: CommitSha,
    destination: str,
    env: Mapping[str, str] | None = None,
) -> CommandResult:
    """Bring ``commit`` into the repository at ``destination``, and return how that went.

    Raises:
        CommitNotFound: it is not in ``repository``.
    """
    git = Git(runner, repository)
    if not git.run("cat-file", "-e", f"{commit.text}^{{commit}}").ok:
        raise CommitNotFound(f"{repository.name} has no commit {commit.short}")
    return git.run(
        *("push", "--quiet", "--no-verify", f"--receive-pack={_RECEIVE}", "--", destination),
        f"{commit.text}:{PUSHED_REFS}{commit.text}",
        config={"protocol.ssh.allow": "always", "protocol.file.allow": "always"},
        env=env,
        timeout=_PUSH_TIMEOUT,
    )


def check_pushed(name: HostName, into: HostPath, result: CommandResult) -> None:
    """Do nothing if git ended well. Raises ``CommandFailed``; ``no space`` says so."""
    if result.ok:
        return
    if _is_full(result):
        raise _no_space(name, into, result)
    line = "it took too long" if result.timed_out else _first_reason(result)
    evidence = evidence_of(name, result.stderr_tail)
    raise CommandFailed(f"host {name}: {into} can't take the commit: {line}", **evidence)


def _is_full(result: CommandResult) -> bool:
    return any(sign in result.stderr_tail for sign in _NO_SPACE)


def _no_space(name: HostName, path: HostPath, result: CommandResult) -> CommandFailed:
    evidence = evidence_of(name, result.stderr_tail)
    return CommandFailed(f"host {name}: no space left for {path}", **evidence)


def _first_reason(result: CommandResult) -> str:
    """Return the line that says why; rsync and git end with what followed from it."""
    marks = ("rsync: ", "fatal: ", "error: ", "remote: ", " ! ", "sh: ", "bash: ")
    lines = result.stderr_tail.splitlines()
    found = next((line.strip() for line in lines if line.startswith(marks)), "")
    return found[:200] or last_useful_line(result.stderr_tail)
