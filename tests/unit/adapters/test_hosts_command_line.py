"""The line that sshd gives to a login shell, run by the shells at hand."""

import shutil
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest

from reconciler.adapters.hosts.command_line import check_started, remote_line
from reconciler.domain.errors import PreconditionFailed
from reconciler.domain.host import HostName
from reconciler.ports import Command, CommandResult

AWKWARD = ("a b", "c'd", '"', "$HOME", "`id`", "\\\\", "*", "-n", "", "é\n2", "; false", "!x")
SHELLS = [shell for shell in ("sh", "bash", "zsh", "dash") if shutil.which(shell)]


def by(shell: str, command: Command) -> CommandResult:
    """Run ``command`` as the user's login shell ``shell`` would."""
    done = subprocess.run(
        [shell, "-c", remote_line(command)],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
        env={"PATH": "/usr/bin:/bin", "INHERITED": "yes"},
    )
    took = timedelta(0)
    return CommandResult(command.argv, done.returncode, done.stdout, done.stderr, took)


@pytest.mark.parametrize("shell", SHELLS)
def test_no_shell_makes_anything_of_it(shell: str) -> None:
    """Arguments, variables and the folder arrive as they are, and nothing else does."""
    command = Command(("printf", "%s|", *AWKWARD))
    assert by(shell, command).stdout == "".join(f"{word}|" for word in AWKWARD)
    names = by(shell, Command(("env",), Path("/"), {"A": "b 'c'"})).stdout.splitlines()
    assert "A=b 'c'" in names
    assert "PWD=/" in names
    assert not [name for name in names if name.startswith(("INHERITED", "HOME"))]


def test_it_ends_by_itself_a_little_after_its_time() -> None:
    """Whoever gave it up has said so before."""
    assert " 62 " in remote_line(Command(("true",), timeout=timedelta(seconds=59.5)))


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        (Command(("no-such-program",)), "there is no program no-such-program"),
        (Command(("true",), Path("/no/such")), "there is no folder /no/such"),
    ],
)
def test_what_could_not_be_started_is_told_apart(command: Command, problem: str) -> None:
    """From a command that ends so by itself."""
    host = HostName("web")
    with pytest.raises(PreconditionFailed, match=f"host web: {problem}"):
        check_started(host, by("sh", command))
    own = by("sh", Command(("sh", "-c", "echo not found >&2; exit 127")))
    assert check_started(host, own).exit_status == 127
