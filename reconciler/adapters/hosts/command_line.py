"""A command as sshd takes it: one line, which the user's login shell reads.

That shell reads its startup files first, whatever they do; `exec env -i` lets go of all that they
set. It may be any that takes single quotes as POSIX has them: the connection tries that once.
"""

from math import ceil
from shlex import join

from reconciler.domain.errors import PreconditionFailed
from reconciler.domain.host import HostName
from reconciler.ports import Command, CommandResult

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#: Begins the last line on stderr of a command that could not be started.
_NOT_STARTED = "reconciler: there is no "
_NOT_STARTED_STATUS = 127
#: What runs there ends by itself this long after we gave it up.
_LATER_SECONDS = 2
# Nobody there ends what a lost or cancelled session ran: it has no terminal, so sshd sends no
# signal, and it goes on until it writes into the closed pipe. `timeout` bounds that, for the
# command and all in its process group; what makes a session of its own survives, as a transient
# unit is meant to. The shell stays to say how the command ended: of a process that a signal ended
# ssh would say 255, as of a lost connection; so it is 128 and the signal's number.
_FAIL = f'{{ echo "{_NOT_STARTED}$what" >&2; exit {_NOT_STARTED_STATUS}; }}'
_SCRIPT = "; ".join(
    (
        f'what="folder $2"; cd -- "$2" 2>/dev/null || {_FAIL}',
        f'what="program $3"; command -v -- "$3" >/dev/null 2>&1 || {_FAIL}',
        'limit=$1; shift 2; timeout -k 10 "$limit" "$@"',
        "exit $?",
    )
)


def remote_line(command: Command) -> str:
    """Return the line that runs ``command`` with its environment alone."""
    environment = {"PATH": _PATH, "LC_ALL": "C.UTF-8", **command.env}
    variables = (f"{name}={value}" for name, value in environment.items())
    limit = str(ceil(command.timeout.total_seconds()) + _LATER_SECONDS)
    shell = ("sh", "-c", _SCRIPT, "reconciler", limit, str(command.cwd or "."))
    return join(("exec", "env", "-i", *variables, *shell, *command.argv))


def check_started(name: HostName, result: CommandResult) -> CommandResult:
    """Return ``result`` of a command that was started.

    Raises:
        PreconditionFailed: its program or its folder is not there.
    """
    if result.exit_status == _NOT_STARTED_STATUS:
        last = result.stderr_tail.strip().splitlines()[-1:]
        if last and last[0].startswith(_NOT_STARTED):
            problem = last[0].removeprefix("reconciler: ")
            raise PreconditionFailed(f"host {name}: {problem}", host=name)
    return result
